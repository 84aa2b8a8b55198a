//! What the coordinator needs of `__consumer_offsets`: the door to partitions, seen from groups.
//! Invariant: an append that succeeded is as durable as `acks=all`; appends to one partition are
//! stored in the order in which they were begun. Hallway: between groups and step 8.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::ErrorCode;
use thiserror::Error;

use super::consumer::Topics;

/// The topic that keeps groups and their offsets.
pub(crate) const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// A future behind a pointer, so that the trait can be used through one.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a partition of `__consumer_offsets` cannot be read.
#[derive(Debug, Error)]
#[error("read {OFFSETS_TOPIC}-{partition}: {reason}")]
pub(crate) struct LogReadError {
    pub(crate) partition: i32,
    pub(crate) reason: String,
}

/// `__consumer_offsets` as groups see it.
pub(crate) trait OffsetsLog: Debug + Send + Sync + 'static {
    /// Number of partitions; `None` while the topic does not exist.
    fn partitions(&self) -> Option<i32>;

    /// Makes the topic if it does not exist and says how many partitions it has.
    fn prepare(&self) -> BoxFuture<'_, Result<i32, ErrorCode>>;

    /// Appends one batch as `acks=all` does; gives the offset of its first record.
    fn append(&self, partition: i32, batch: Bytes) -> BoxFuture<'_, Result<i64, ErrorCode>>;

    /// The topics there are now; the same pointer as long as nothing changes.
    fn topics(&self) -> Arc<dyn Topics>;

    /// Hands every batch of a partition, first to last, to `each`. Blocks on the disk.
    ///
    /// # Errors
    /// The partition cannot be read; what was handed over before stays valid.
    fn read(&self, partition: i32, each: &mut dyn FnMut(Bytes)) -> Result<(), LogReadError>;
}
