//! The opaque bytes in JoinGroup and SyncGroup: what a member wants, what it got.
//!
//! Invariant: bytes of a newer version are read as the newest known one, as every Kafka client
//! does, so that old and new members share a group. Step 10 of the hallway.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use logway_protocol::codec::{DecodeError, Decoder, EncodeError};
use logway_protocol::message::Message;
use logway_protocol::message::record::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
};

use crate::topic::TopicPartition;

/// The version written: the newest, which older readers understand by its common beginning.
const VERSION: i16 = 3;

/// What a member wants.
pub(crate) fn encode_subscription(topics: &[Arc<str>]) -> Result<Bytes, EncodeError> {
    let message = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (**topic).into()).collect(),
        ..Default::default()
    };
    with_version(&message)
}

/// The topics that a member wants.
pub(crate) fn decode_subscription(bytes: Bytes) -> Result<Vec<Arc<str>>, DecodeError> {
    let message: ConsumerProtocolSubscription = read(bytes)?;
    Ok(message
        .topics
        .iter()
        .map(|topic| (**topic).into())
        .collect())
}

/// What a member got.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes, EncodeError> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        by_topic
            .entry(&partition.topic)
            .or_default()
            .push(partition.partition);
    }
    let assigned_partitions = by_topic
        .into_iter()
        .map(
            |(topic, partitions)| ConsumerProtocolAssignmentTopicPartition {
                topic: topic.into(),
                partitions,
            },
        )
        .collect();
    with_version(&ConsumerProtocolAssignment {
        assigned_partitions,
        user_data: None,
    })
}

/// The partitions that a member got; empty bytes are no partitions.
pub(crate) fn decode_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, DecodeError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let message: ConsumerProtocolAssignment = read(bytes)?;
    let mut partitions = Vec::new();
    for assigned in &message.assigned_partitions {
        let topic: Arc<str> = (*assigned.topic).into();
        let of_topic = assigned
            .partitions
            .iter()
            .map(|p| TopicPartition::new(topic.clone(), *p));
        partitions.extend(of_topic);
    }
    Ok(partitions)
}

fn with_version<M: Message>(message: &M) -> Result<Bytes, EncodeError> {
    let mut buf = BytesMut::with_capacity(64);
    buf.put_i16(VERSION);
    message.write(&mut buf, VERSION)?;
    Ok(buf.freeze())
}

fn read<M: Message>(mut bytes: Bytes) -> Result<M, DecodeError> {
    let version = bytes.try_get_i16().unwrap_or(0).clamp(0, VERSION);
    M::decode(&mut Decoder::new(bytes, version, false))
}

#[cfg(test)]
mod tests;
