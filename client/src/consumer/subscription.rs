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
    ConsumerProtocolSubscription, TopicPartition as OwnedPartitions,
};

use crate::config::Assignor;
use crate::topic::TopicPartition;

/// The version written: the newest, which older readers understand by its common beginning.
const VERSION: i16 = 3;

/// What a member wants, and what it had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topics: Vec<Arc<str>>,
    /// What it has now under the cooperative assignor, what it had under the sticky one.
    pub(crate) owned: Vec<TopicPartition>,
    /// The generation it had that in, -1 for none.
    pub(crate) generation: i32,
}

/// What a member tells the leader that uses `assignor`.
///
/// The sticky assignors have bytes of their own in it (`StickyAssignor`,
/// `CooperativeStickyAssignor` of Kafka's clients): previous partitions and generation, or the
/// generation alone.
pub(crate) fn encode_subscription(
    subscription: &Subscription,
    assignor: Assignor,
    rack: Option<&str>,
) -> Result<Bytes, EncodeError> {
    let Subscription {
        topics,
        owned,
        generation,
    } = subscription;
    let user_data = match assignor {
        Assignor::Range | Assignor::RoundRobin => None,
        Assignor::CooperativeSticky => Some(Bytes::copy_from_slice(&generation.to_be_bytes())),
        Assignor::Sticky if owned.is_empty() => None,
        Assignor::Sticky => Some(previous(owned, *generation)),
    };
    // Members of an eager group have given everything up before they join.
    let owned: &[TopicPartition] = match assignor {
        Assignor::CooperativeSticky => owned,
        _ => &[],
    };
    let owned_partitions = by_topic(owned)
        .into_iter()
        .map(|(topic, partitions)| OwnedPartitions {
            topic: topic.into(),
            partitions,
        })
        .collect();
    let message = ConsumerProtocolSubscription {
        topics: topics.iter().map(|topic| (**topic).into()).collect(),
        user_data,
        owned_partitions,
        generation_id: *generation,
        rack_id: rack.map(Into::into),
    };
    with_version(&message)
}

/// What a member wants and had, as the leader that uses `assignor` understands it.
pub(crate) fn decode_subscription(
    bytes: Bytes,
    assignor: Option<Assignor>,
) -> Result<Subscription, DecodeError> {
    let message: ConsumerProtocolSubscription = read(bytes)?;
    let mut subscription = Subscription {
        topics: message
            .topics
            .iter()
            .map(|topic| (**topic).into())
            .collect(),
        owned: Vec::new(),
        generation: message.generation_id,
    };
    match assignor {
        Some(Assignor::Sticky) => {
            // Bytes that nobody understands are as good as none.
            let data = message.user_data.and_then(read_previous);
            let (owned, generation) = data.unwrap_or((Vec::new(), -1));
            subscription.owned = owned;
            subscription.generation = generation;
        }
        Some(Assignor::CooperativeSticky) => {
            for owned in &message.owned_partitions {
                let topic: Arc<str> = (*owned.topic).into();
                let partitions = owned.partitions.iter();
                let partitions = partitions.map(|p| TopicPartition::new(topic.clone(), *p));
                subscription.owned.extend(partitions);
            }
            // Before version 2 the generation stands in the assignor's own bytes only.
            if subscription.generation < 0
                && let Some(mut data) = message.user_data
            {
                subscription.generation = data.try_get_i32().unwrap_or(-1);
            }
        }
        _ => {}
    }
    Ok(subscription)
}

/// The sticky assignor's own bytes: an array of topics with their partitions, and the generation.
fn previous(owned: &[TopicPartition], generation: i32) -> Bytes {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let topics = by_topic(owned);
    let mut out = BytesMut::new();
    out.put_i32(count(topics.len()));
    for (topic, partitions) in topics {
        out.put_i16(i16::try_from(topic.len()).unwrap_or(i16::MAX));
        out.put_slice(topic.as_bytes());
        out.put_i32(count(partitions.len()));
        for partition in partitions {
            out.put_i32(partition);
        }
    }
    out.put_i32(generation);
    out.freeze()
}

fn read_previous(mut data: Bytes) -> Option<(Vec<TopicPartition>, i32)> {
    let mut owned = Vec::new();
    for _ in 0..data.try_get_i32().ok()? {
        let length = usize::try_from(data.try_get_i16().ok()?).ok()?;
        if data.len() < length {
            return None;
        }
        let topic: Arc<str> = std::str::from_utf8(&data.split_to(length)).ok()?.into();
        for _ in 0..data.try_get_i32().ok()? {
            owned.push(TopicPartition::new(topic.clone(), data.try_get_i32().ok()?));
        }
    }
    // The first clients with this assignor wrote no generation.
    Some((owned, data.try_get_i32().unwrap_or(-1)))
}

fn by_topic(partitions: &[TopicPartition]) -> BTreeMap<&str, Vec<i32>> {
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        let of_topic = by_topic.entry(&partition.topic).or_default();
        of_topic.push(partition.partition);
    }
    by_topic
}

/// What a member got.
pub(crate) fn encode_assignment(partitions: &[TopicPartition]) -> Result<Bytes, EncodeError> {
    let assigned_partitions = by_topic(partitions)
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
