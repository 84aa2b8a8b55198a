//! What `poll` hands out.
//!
//! Invariant: keys and values are slices of one decoded batch; a record that is kept for long
//! keeps its batch, so copy what is kept. Step 10 of the hallway.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::batch::TimestampType;
use logway_protocol::record::RecordHeader;

use super::commit::OffsetAndMetadata;
use crate::topic::TopicPartition;

/// One record read from a partition.
#[derive(Debug, Clone)]
pub struct ConsumerRecord {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Epoch of the leader that took its batch (KIP-101); nothing where the batch does not say.
    pub leader_epoch: Option<i32>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Whose clock that was.
    pub timestamp_type: TimestampType,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<RecordHeader>,
}

/// Where to go on once these records are done: the offset after the last of each partition with
/// its leader epoch, for
/// [`Consumer::commit`](crate::Consumer::commit) or
/// [`Transaction::send_offsets`](crate::Transaction::send_offsets).
pub fn next_offsets<'a>(
    records: impl IntoIterator<Item = &'a ConsumerRecord>,
) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    let mut next: Vec<(TopicPartition, OffsetAndMetadata)> = Vec::new();
    for record in records {
        // Records of one partition come together.
        let last = next.iter_mut().rev().find(|(partition, _)| {
            partition.partition == record.partition && partition.topic == record.topic
        });
        let after = OffsetAndMetadata {
            leader_epoch: record.leader_epoch,
            ..OffsetAndMetadata::new(record.offset + 1)
        };
        match last {
            Some((_, offset)) => *offset = after,
            None => next.push((
                TopicPartition::new(record.topic.clone(), record.partition),
                after,
            )),
        }
    }
    next
}

/// What happened next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Polled {
    /// Records, in order within each partition; never empty.
    Records(Vec<ConsumerRecord>),
    /// These partitions are this member's now. Fetching begins with the next poll, so the caller
    /// may `seek` first. In a classic group with an eager assignor these are all there are; with
    /// the cooperative assignor or `group.protocol=consumer` they come to those it has.
    Assigned(Vec<TopicPartition>),
    /// These partitions are about to go to others. The group waits for the next poll, so the
    /// caller may store and commit first. In a classic group with an eager assignor these are all
    /// there are, and some come back with the next `Assigned`; otherwise the others are read on.
    Revoked(Vec<TopicPartition>),
    /// These partitions are gone, others may work on them already; commits for them fail.
    Lost(Vec<TopicPartition>),
    /// Nothing within the timeout.
    Idle,
}

/// Where reading a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At this offset.
    Offset(i64),
    /// At the first record there is.
    Beginning,
    /// After the last record there is.
    End,
    /// At the first record of this time or later, in milliseconds since 1970; after the last where
    /// there is none.
    Timestamp(i64),
    /// At the group's committed offset, or where `auto.offset.reset` says.
    Committed,
}

/// Ends of a partition's log as last seen by a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    /// Offset of the first record there is.
    pub low: i64,
    /// Offset after the last replicated record.
    pub high: i64,
    /// Offset up to which all transactions are finished.
    pub last_stable: i64,
}

/// This member of its group, as the coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMetadata {
    /// The group.
    pub group_id: Arc<str>,
    /// The generation whose assignment is in force; with `group.protocol=consumer` the member's
    /// epoch; -1 for a consumer that is no member.
    pub generation: i32,
    /// This member's id; empty for a consumer that is no member.
    pub member_id: Arc<str>,
    /// Name of a static member.
    pub instance_id: Option<Arc<str>>,
}
