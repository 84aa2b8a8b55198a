//! Logway room `pipeline`: reads logs and metrics from a Kafka-speaking cluster, stores each once,
//! shows them. Steps 11 and 12 of the hallway: `source → transform → store`, then `web`.
//!
//! Invariant: a row and the offset of the record it came from are committed in one transaction of
//! the store; Kafka's committed offset is only a copy for lag tools (design D10).

pub mod needle;
mod server;
mod source;
pub mod store;
pub mod telemetry;
pub mod transform;
mod web;

pub use server::{Pipeline, StartError};
pub use source::KafkaFeedError;
pub use web::ExtraMetrics;
