//! Odd produce requests, and what Apache Kafka 4.3.1 answers to them: one table for two suites. The
//! broker's own tests hold Logway to it; the compat suite asks a real Kafka as well.
#![allow(clippy::unwrap_used, reason = "panics like the tests it serves")]

pub(crate) mod batch;
mod cases;
pub(crate) mod exchange;

pub(crate) use cases::all;
pub(crate) use exchange::Exchange;
