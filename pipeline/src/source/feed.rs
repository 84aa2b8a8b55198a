//! The seam between the source and whatever feeds it: a Kafka consumer, or a script in tests.
//!
//! Invariant: after `Assigned` nothing of a partition arrives before the next `poll`, so that the
//! source can seek first; after `Revoked` the partition is ours until the next `poll`. Step 11.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::transform::Received;

/// A topic's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Partition {
    pub(crate) topic: Arc<str>,
    pub(crate) index: i32,
}

/// What a poll brings.
#[derive(Debug)]
pub(crate) enum Event {
    Records(Vec<Received>),
    Assigned(Vec<Partition>),
    Revoked(Vec<Partition>),
    Lost(Vec<Partition>),
    Idle,
}

/// What the cluster says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) partition: Partition,
    pub(crate) log_start: i64,
    pub(crate) log_end: i64,
    /// Empty when the cluster does not say.
    pub(crate) topic_id: String,
}

/// Why nothing came.
#[derive(Debug, Error)]
pub(crate) enum FeedError {
    /// The position of a partition is not in its log any more.
    #[error("the position in {}-{} is out of range", .0.topic, .0.index)]
    OutOfRange(Partition),
    /// Anything else.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// A consumer group's member.
pub(crate) trait Feed: Send + Sync + 'static {
    /// Waits at most `timeout` for something; nothing is lost when the wait is given up.
    fn poll(&self, timeout: Duration) -> impl Future<Output = Result<Event, FeedError>> + Send;
    /// Sets where a partition goes on.
    fn seek(&self, partition: &Partition, offset: i64) -> Result<(), FeedError>;
    /// Asks the cluster for the bounds of partitions.
    fn bounds(
        &self,
        partitions: &[Partition],
    ) -> impl Future<Output = Result<Vec<Bounds>, FeedError>> + Send;
    /// The end of a partition's log as far as known.
    fn end_offset(&self, partition: &Partition) -> Option<i64>;
    /// Commits offsets to the cluster, for lag tools.
    fn commit(
        &self,
        offsets: Vec<(Partition, i64)>,
    ) -> impl Future<Output = Result<(), FeedError>> + Send;
    /// Leaves the group.
    fn close(&self) -> impl Future<Output = ()> + Send;
}
