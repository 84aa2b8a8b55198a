//! What the coordinator needs of the rest of the broker: its topic, and the partitions whose
//! transactions end. Invariant: an append happens before its function returns, in the order of the
//! calls; the future it gives ends when the record is as durable as `acks=all`. Between 7 and 8.

use std::fmt::Debug;

use bytes::Bytes;
use logway_protocol::ErrorCode;

use super::engine::Markers;
use super::state::TopicPartition;
use crate::group::{BoxFuture, LogReadError};

/// An append that may not be on disk yet.
pub(crate) type Appended = BoxFuture<'static, Result<(), ErrorCode>>;

/// `__transaction_state` as the coordinator sees it.
pub(crate) trait TransactionLog: Debug + Send + Sync + 'static {
    /// Number of partitions; none while the topic does not exist.
    fn partitions(&self) -> Option<i32>;

    /// Makes the topic if it does not exist.
    fn prepare(&self) -> BoxFuture<'_, Result<(), ErrorCode>>;

    /// Appends one batch.
    fn append(&self, partition: i32, batch: &Bytes) -> Result<Appended, ErrorCode>;

    /// Hands every batch of a partition, first to last, to `each`. Blocks on the disk.
    fn read(&self, partition: i32, each: &mut dyn FnMut(Bytes)) -> Result<(), LogReadError>;

    /// Epoch under which this broker leads the partition: that of its coordinator.
    fn coordinator_epoch(&self, partition: i32) -> i32;

    /// The finalized level of `transaction.version`; 0 while there is none.
    fn level(&self) -> i16;
}

/// The partitions of all topics as the coordinator sees them.
pub(crate) trait Participants: Debug + Send + Sync + 'static {
    /// Ends a producer's transaction in one partition.
    fn mark(
        &self,
        partition: &TopicPartition,
        markers: &Markers,
        coordinator_epoch: i32,
    ) -> Result<Appended, ErrorCode>;
}
