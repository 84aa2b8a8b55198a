//! Scenarios against a real cluster, Logway or Apache Kafka, named by `LOGWAY_TEST_BOOTSTRAP`.
//!
//! Without the variable nothing is started and every test says which scenario was not run.

// What is in the modules is test code too, though not marked as such.
#![allow(clippy::unwrap_used)]

mod scenario;
