//! The agent: tails files, collects host metrics, ships both to a Kafka-speaking broker.
//!
//! Steps 2 to 4 of the hallway: `input` cuts files into lines, `shipper` encodes them into record batches
//! once, `output` hands these to the producer; `checkpoint` remembers how far the broker has acknowledged.
//! `metrics` is the other source. [`Agent`] puts them together; [`Args`] is its command line.
//!
//! **Invariant:** a file's position moves only on the broker's acknowledgement, and memory is bounded in
//! bytes however long the broker is away.

mod args;
mod checkpoint;
mod http;
mod input;
mod metrics;
mod output;
mod server;
mod shipper;
mod signal;
mod telemetry;

pub use args::{Args, ArgsError};
pub use server::{Agent, StartError};
