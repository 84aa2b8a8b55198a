//! The records of `__consumer_offsets`, in Kafka's own form: a key begins with its version as an
//! i16 (0 and 1: a committed offset, 2: a classic group, the rest in `consumer`), a value with its own.
//! Invariant: what is written here is what Kafka 4 writes, and everything Kafka 0.9 to 4 wrote for
//! offsets and classic groups is read; unknown kinds of keys are passed over. Pure functions.
//! Hallway: beside step 8.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use logway_protocol::message::record::offset::{
    GroupMetadataKey, GroupMetadataValue, MemberMetadata, OffsetCommitKey, OffsetCommitValue,
};
use logway_protocol::{DecodeError, EncodeError, Message, Text};

use super::engine::{MemberSnapshot, Snapshot};
use super::offsets::Committed;

pub(crate) mod consumer;
#[cfg(test)]
mod tests;

/// Version of the key of a committed offset.
const OFFSET_KEY: i16 = 1;
/// Version of the key of a classic group.
const GROUP_KEY: i16 = 2;
/// Version of a committed offset's value; an expiry of its own needs version 1.
const OFFSET_VALUE: i16 = 3;
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
/// Version of a group's value.
const GROUP_VALUE: i16 = 3;

/// The partition of `__consumer_offsets` that holds a group: Java's `String.hashCode`, made
/// positive, modulo the number of partitions.
pub(crate) fn partition_for(group_id: &str, partitions: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // The one number without a positive twin becomes 0, as Kafka has it.
    let positive = hash.checked_abs().unwrap_or(0);
    positive % partitions.max(1)
}

/// A record as it goes into a batch; no value is a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyValue {
    pub(crate) key: Bytes,
    pub(crate) value: Option<Bytes>,
}

/// Which committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffsetKey {
    pub(crate) group: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
}

/// What a record of the topic says. No content means that it was removed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stored {
    Offset {
        key: OffsetKey,
        committed: Option<Committed>,
    },
    Group {
        id: Arc<str>,
        snapshot: Option<Snapshot>,
    },
    /// Of a group of the consumer protocol.
    Consumer { id: Arc<str>, fact: consumer::Fact },
    /// A kind this broker does not keep.
    Other,
}

/// A committed offset as a record.
///
/// # Errors
/// A text is longer than the format can say.
pub(crate) fn offset_record(
    key: &OffsetKey,
    committed: Option<&Committed>,
) -> Result<KeyValue, EncodeError> {
    let message = OffsetCommitKey {
        group: Text::from(&*key.group),
        topic: Text::from(&*key.topic),
        partition: key.partition,
    };
    let value = committed
        .map(|committed| {
            let version = if committed.expires_ms.is_some() {
                OFFSET_VALUE_WITH_EXPIRY
            } else {
                OFFSET_VALUE
            };
            let value = OffsetCommitValue {
                offset: committed.offset,
                leader_epoch: committed.leader_epoch,
                metadata: Text::from(&*committed.metadata),
                commit_timestamp: committed.committed_ms,
                expire_timestamp: committed.expires_ms.unwrap_or(-1),
                ..OffsetCommitValue::default()
            };
            versioned(&value, version)
        })
        .transpose()?;
    Ok(KeyValue {
        key: versioned(&message, OFFSET_KEY)?,
        value,
    })
}

/// A group's metadata as a record.
///
/// # Errors
/// A text is longer than the format can say.
pub(crate) fn group_record(id: &str, snapshot: Option<&Snapshot>) -> Result<KeyValue, EncodeError> {
    let key = versioned(
        &GroupMetadataKey {
            group: Text::from(id),
        },
        GROUP_KEY,
    )?;
    let value = snapshot
        .map(|snapshot| versioned(&group_value(snapshot), GROUP_VALUE))
        .transpose()?;
    Ok(KeyValue { key, value })
}

fn group_value(snapshot: &Snapshot) -> GroupMetadataValue {
    let text = |text: &Arc<str>| Text::from(&**text);
    GroupMetadataValue {
        protocol_type: snapshot
            .protocol_type
            .as_ref()
            .map(text)
            .unwrap_or_default(),
        generation: snapshot.generation,
        protocol: snapshot.protocol_name.as_ref().map(text),
        leader: snapshot.leader.as_ref().map(text),
        current_state_timestamp: snapshot.state_since_ms,
        members: snapshot
            .members
            .iter()
            .map(|member| MemberMetadata {
                member_id: text(&member.member_id),
                group_instance_id: member.instance_id.as_ref().map(text),
                client_id: text(&member.client_id),
                client_host: text(&member.client_host),
                rebalance_timeout: member.rebalance_timeout_ms,
                session_timeout: member.session_timeout_ms,
                subscription: member.subscription.clone(),
                assignment: member.assignment.clone(),
            })
            .collect(),
    }
}

fn versioned<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    out.put_i16(version);
    let mut body = out.split_off(out.len());
    message.write(&mut body, version)?;
    out.unsplit(body);
    Ok(out.freeze())
}

/// Reads a record of the topic. `offset` is its place in the partition.
///
/// # Errors
/// The bytes are not what their version says.
pub(crate) fn read(key: &Bytes, value: Option<&Bytes>, offset: i64) -> Result<Stored, DecodeError> {
    let (version, body) = split_version(key.clone())?;
    match version {
        0 | OFFSET_KEY => {
            let key = OffsetCommitKey::decode_version(body, version)?;
            let key = OffsetKey {
                group: Arc::from(&*key.group),
                topic: Arc::from(&*key.topic),
                partition: key.partition,
            };
            let committed = value
                .map(|value| read_offset(value.clone(), offset))
                .transpose()?;
            Ok(Stored::Offset { key, committed })
        }
        GROUP_KEY => {
            let key = GroupMetadataKey::decode_version(body, version)?;
            let snapshot = value.map(|value| read_group(value.clone())).transpose()?;
            Ok(Stored::Group {
                id: Arc::from(&*key.group),
                snapshot,
            })
        }
        _ => Ok(match consumer::read(version, body, value)? {
            Some((id, fact)) => Stored::Consumer { id, fact },
            None => Stored::Other,
        }),
    }
}

fn read_offset(value: Bytes, record_offset: i64) -> Result<Committed, DecodeError> {
    let (version, body) = split_version(value)?;
    let value = OffsetCommitValue::decode_version(body, version)?;
    Ok(Committed {
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: Box::from(&*value.metadata),
        committed_ms: value.commit_timestamp,
        expires_ms: (value.expire_timestamp >= 0).then_some(value.expire_timestamp),
        record_offset,
    })
}

fn read_group(value: Bytes) -> Result<Snapshot, DecodeError> {
    let (version, body) = split_version(value)?;
    let value = GroupMetadataValue::decode_version(body, version)?;
    let shared = |text: &Text| Arc::<str>::from(&**text);
    Ok(Snapshot {
        generation: value.generation,
        protocol_type: (!value.protocol_type.is_empty()).then(|| shared(&value.protocol_type)),
        protocol_name: value.protocol.as_ref().map(shared),
        leader: value.leader.as_ref().map(shared),
        state_since_ms: value.current_state_timestamp,
        members: value
            .members
            .iter()
            .map(|member| MemberSnapshot {
                member_id: shared(&member.member_id),
                instance_id: member.group_instance_id.as_ref().map(shared),
                client_id: shared(&member.client_id),
                client_host: shared(&member.client_host),
                // Version 0 has none: the session timeout then serves for both.
                rebalance_timeout_ms: match member.rebalance_timeout {
                    -1 => member.session_timeout,
                    timeout => timeout,
                },
                session_timeout_ms: member.session_timeout,
                subscription: Bytes::copy_from_slice(&member.subscription),
                assignment: Bytes::copy_from_slice(&member.assignment),
            })
            .collect(),
    })
}

fn split_version(mut bytes: Bytes) -> Result<(i16, Bytes), DecodeError> {
    let version = bytes.try_get_i16().map_err(|_| DecodeError::Truncated {
        needed: 2,
        remaining: bytes.len(),
    })?;
    Ok((version, bytes))
}
