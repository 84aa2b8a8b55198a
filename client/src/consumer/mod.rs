//! The consumer: batches in, records and group events out.
//!
//! Invariant: positions move only by records handed out or by the caller. Step 10 of the hallway.

mod record;

use std::sync::Arc;
use std::time::Duration;

pub use record::{ConsumerRecord, GroupMetadata, Polled, Start, Watermarks};

use crate::config::{ConfigError, ConsumerConfig};
use crate::error::{CommitError, ConsumeError, OffsetsError};
use crate::topic::TopicPartition;

/// Reads records from partitions, alone or as a member of a group.
#[derive(Debug)]
pub struct Consumer {
    config: Arc<ConsumerConfig>,
}

#[allow(clippy::unused_async)]
impl Consumer {
    /// A consumer for the cluster behind the configuration; connects with the first poll.
    pub fn new(config: ConsumerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Joins the group to share the partitions of these topics.
    pub async fn subscribe<T: Into<Arc<str>>>(
        &self,
        topics: impl IntoIterator<Item = T>,
    ) -> Result<(), ConsumeError> {
        let _ = (
            topics
                .into_iter()
                .map(Into::into)
                .collect::<Vec<Arc<str>>>(),
            &self.config,
        );
        Err(ConsumeError::Closed)
    }

    /// Reads exactly these partitions, without sharing.
    pub async fn assign(
        &self,
        partitions: Vec<(TopicPartition, Start)>,
    ) -> Result<(), ConsumeError> {
        drop(partitions);
        Err(ConsumeError::Closed)
    }

    /// The next records or event, or `Idle` after `timeout`.
    pub async fn poll(&self, timeout: Duration) -> Result<Polled, ConsumeError> {
        let _ = timeout;
        Err(ConsumeError::Closed)
    }

    /// Reads `partition` from `offset` on.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        self.seek_to(partition, Start::Offset(offset))
    }

    /// Reads `partition` from `start` on.
    pub fn seek_to(&self, partition: &TopicPartition, start: Start) -> Result<(), ConsumeError> {
        let _ = (partition, start);
        Err(ConsumeError::Closed)
    }

    /// Hands out no records of these partitions until they are resumed.
    pub fn pause(&self, partitions: &[TopicPartition]) {
        let _ = partitions;
    }

    /// Hands out records of these partitions again.
    pub fn resume(&self, partitions: &[TopicPartition]) {
        let _ = partitions;
    }

    /// The partitions read at present.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    /// Offset of the next record that `poll` will hand out.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let _ = partition;
        None
    }

    /// Ends of the partition's log as last seen by a fetch.
    pub fn watermarks(&self, partition: &TopicPartition) -> Option<Watermarks> {
        let _ = partition;
        None
    }

    /// Records between the position and the end of the log as last seen by a fetch.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let _ = partition;
        None
    }

    /// Commits offsets of next records for the group.
    pub async fn commit(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), CommitError> {
        let _ = offsets;
        Err(CommitError::Closed)
    }

    /// Commits the positions of all partitions read at present.
    pub async fn commit_positions(&self) -> Result<(), CommitError> {
        Err(CommitError::Closed)
    }

    /// The group's committed offsets.
    pub async fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> Result<Vec<(TopicPartition, Option<i64>)>, OffsetsError> {
        let _ = partitions;
        Err(OffsetsError::NoGroup)
    }

    /// This member as the coordinator knows it, while it has an assignment.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        None
    }

    /// Leaves the group and ends.
    pub async fn close(&self) {}
}
