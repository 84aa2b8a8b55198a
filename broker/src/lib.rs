//! The broker: a server that speaks Kafka's wire protocol over partitions on this machine's disk.
//! Steps 6 to 10 of the hallway: `net → handler → partition | group | metadata → journal`.
//!
//! **Invariant:** what was acknowledged is stored as promised (see `partition`); what a peer sends
//! never panics the process nor makes it hold more memory than its settings allow; nothing here
//! knows the client, the agent or the pipeline.

mod broker_setting;
mod clock;
mod context;
mod fetch;
mod group;
mod handler;
mod http;
mod identity;
mod metadata;
mod metrics;
mod net;
mod offsets_log;
mod open_files;
mod partition;
mod patient_sync;
mod quota;
mod random;
mod server;
mod setting_source;
mod transaction;
mod transaction_log;

pub use identity::IdentityError;
pub use metadata::MetadataOpenError;
pub use partition::PartitionsError;
pub use server::{Broker, StartError};
