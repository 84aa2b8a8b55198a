//! The records of groups of the consumer protocol (KIP-848): keys 3, 5 to 8 and 16.
//! Invariant: what is written is what Kafka 4.3 writes, but for the hash of a group's topics, which
//! is ours: another broker that takes over sees a change and assigns once more. Key 4 (before Kafka
//! 4.1) is passed over. Pure functions. Hallway: beside step 8.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::message::record::consumer_group as format;
use logway_protocol::{DecodeError, EncodeError, Message, Text};

use super::{KeyValue, group_record, split_version, versioned};
use crate::group::consumer::{
    ClassicTerms, ConsumerGroup, Current, Member, MemberState, Owned, Part, Partitions, Resolved,
};
use crate::group::engine::{ClientInfo, Protocol};

pub(super) const EPOCH_KEY: i16 = 3;
pub(super) const MEMBER_KEY: i16 = 5;
pub(super) const TARGET_EPOCH_KEY: i16 = 6;
pub(super) const TARGET_KEY: i16 = 7;
pub(super) const CURRENT_KEY: i16 = 8;
pub(super) const REGEX_KEY: i16 = 16;

/// What one record says of its group. No content means that it was removed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    /// Group epoch and metadata hash.
    Epoch(Option<(i32, i64)>),
    Member(Arc<str>, Option<Box<Member>>),
    Target(Arc<str>, Option<Partitions>),
    /// Epoch and wall clock of the target.
    TargetEpoch(Option<(i32, i64)>),
    Current(Arc<str>, Option<Current>),
    Regex(Arc<str>, Option<Resolved>),
}

/// The records of `parts` as the group is now, in an order that Kafka can replay: first what is
/// gone, from the inside out, then what is there, from the outside in.
///
/// # Errors
/// A text is longer than the format can say.
pub(crate) fn records(
    id: &str,
    group: &ConsumerGroup,
    parts: &BTreeSet<Part>,
) -> Result<Vec<KeyValue>, EncodeError> {
    let mut gone = Vec::new();
    let mut there = Vec::new();
    for part in parts {
        let record = KeyValue {
            key: key(id, part)?,
            value: value(group, part)?,
        };
        if record.value.is_none() {
            gone.push((rank(part), record));
        } else {
            there.push(record);
        }
    }
    gone.sort_by_key(|(rank, _)| *rank);
    Ok(gone
        .into_iter()
        .map(|(_, record)| record)
        .chain(there)
        .collect())
}

/// Tombstones for `parts`, whatever the group holds.
///
/// # Errors
/// A text is longer than the format can say.
pub(crate) fn tombstones(id: &str, parts: &BTreeSet<Part>) -> Result<Vec<KeyValue>, EncodeError> {
    let mut order: Vec<&Part> = parts.iter().collect();
    order.sort_by_key(|part| rank(part));
    let each = order.into_iter().map(|part| {
        Ok(KeyValue {
            key: key(id, part)?,
            value: None,
        })
    });
    each.collect()
}

/// The order of removal.
fn rank(part: &Part) -> u8 {
    match part {
        Part::Classic => 0,
        Part::Current(_) => 1,
        Part::Target(_) => 2,
        Part::TargetEpoch => 3,
        Part::Member(_) => 4,
        Part::Regex(_) => 5,
        Part::Epoch => 6,
    }
}

fn key(id: &str, part: &Part) -> Result<Bytes, EncodeError> {
    let group_id = Text::from(id);
    let text = |text: &Arc<str>| Text::from(&**text);
    match part {
        Part::Classic => Ok(group_record(id, None)?.key),
        Part::Epoch => versioned(&format::ConsumerGroupMetadataKey { group_id }, EPOCH_KEY),
        Part::Member(member) => {
            let key = format::ConsumerGroupMemberMetadataKey {
                group_id,
                member_id: text(member),
            };
            versioned(&key, MEMBER_KEY)
        }
        Part::TargetEpoch => {
            let key = format::ConsumerGroupTargetAssignmentMetadataKey { group_id };
            versioned(&key, TARGET_EPOCH_KEY)
        }
        Part::Target(member) => {
            let member_id = text(member);
            let key = format::ConsumerGroupTargetAssignmentMemberKey {
                group_id,
                member_id,
            };
            versioned(&key, TARGET_KEY)
        }
        Part::Current(member) => {
            let member_id = text(member);
            let key = format::ConsumerGroupCurrentMemberAssignmentKey {
                group_id,
                member_id,
            };
            versioned(&key, CURRENT_KEY)
        }
        Part::Regex(regex) => {
            let regular_expression = text(regex);
            let key = format::ConsumerGroupRegularExpressionKey {
                group_id,
                regular_expression,
            };
            versioned(&key, REGEX_KEY)
        }
    }
}

fn value(group: &ConsumerGroup, part: &Part) -> Result<Option<Bytes>, EncodeError> {
    match part {
        Part::Classic => Ok(None),
        Part::Epoch => {
            let (epoch, metadata_hash) = group.stored_epoch();
            let value = format::ConsumerGroupMetadataValue {
                epoch,
                metadata_hash,
            };
            versioned(&value, 0).map(Some)
        }
        Part::TargetEpoch => {
            let (assignment_epoch, assignment_timestamp) = group.stored_target_epoch();
            let value = format::ConsumerGroupTargetAssignmentMetadataValue {
                assignment_epoch,
                assignment_timestamp,
            };
            versioned(&value, 0).map(Some)
        }
        Part::Member(id) => group
            .member(id)
            .map(|member| versioned(&member_value(member), 0))
            .transpose(),
        Part::Target(id) => {
            let target = group.target_of(id).filter(|_| group.member(id).is_some());
            target
                .map(|target| versioned(&target_value(target), 0))
                .transpose()
        }
        Part::Current(id) => {
            let member = group.member(id);
            member
                .map(|member| versioned(&current_value(&member.current), 0))
                .transpose()
        }
        Part::Regex(regex) => {
            let found = group.regex(regex);
            found
                .map(|found| versioned(&regex_value(found), 0))
                .transpose()
        }
    }
}

fn member_value(member: &Member) -> format::ConsumerGroupMemberMetadataValue {
    let text = |text: &Arc<str>| Text::from(&**text);
    let classic = member.classic.as_ref();
    format::ConsumerGroupMemberMetadataValue {
        instance_id: member.instance_id.as_ref().map(text),
        rack_id: member.rack_id.as_ref().map(text),
        client_id: text(&member.client.id),
        client_host: text(&member.client.host),
        subscribed_topic_names: member.topics.iter().map(text).collect(),
        subscribed_topic_regex: member.regex.as_ref().map(text),
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: member.assignor.as_ref().map(text),
        classic_member_metadata: classic.map(|terms| format::ClassicMemberMetadata {
            session_timeout_ms: terms.session_timeout_ms,
            supported_protocols: terms
                .protocols
                .iter()
                .map(|offer| format::ClassicProtocol {
                    name: text(&offer.name),
                    metadata: offer.metadata.clone(),
                })
                .collect(),
        }),
    }
}

fn target_value(target: &Partitions) -> format::ConsumerGroupTargetAssignmentMemberValue {
    let topic_partitions = target.iter().map(|(topic_id, of)| format::TopicPartition {
        topic_id: *topic_id,
        partitions: of.iter().copied().collect(),
    });
    format::ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: topic_partitions.collect(),
    }
}

fn current_value(current: &Current) -> format::ConsumerGroupCurrentMemberAssignmentValue {
    let of = |owned: &Owned| {
        let topics = owned.iter().map(|(topic_id, of)| format::TopicPartitions {
            topic_id: *topic_id,
            partitions: of.keys().copied().collect(),
            assignment_epochs: Some(of.values().copied().collect()),
        });
        topics.collect()
    };
    format::ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: current.epoch,
        previous_member_epoch: current.previous_epoch,
        state: current.state.code(),
        assigned_partitions: of(&current.assigned),
        partitions_pending_revocation: of(&current.revoking),
    }
}

fn regex_value(found: &Resolved) -> format::ConsumerGroupRegularExpressionValue {
    format::ConsumerGroupRegularExpressionValue {
        topics: found
            .topics
            .iter()
            .map(|topic| Text::from(&**topic))
            .collect(),
        version: found.revision,
        timestamp: found.at_ms,
    }
}

fn shared(text: &Text) -> Arc<str> {
    Arc::from(&**text)
}

/// Reads a record whose key has one of this file's versions; `None` for any other.
pub(super) fn read(
    version: i16,
    body: Bytes,
    value: Option<&Bytes>,
) -> Result<Option<(Arc<str>, Fact)>, DecodeError> {
    let read = match version {
        EPOCH_KEY => {
            let key = format::ConsumerGroupMetadataKey::decode_version(body, version)?;
            let value: Option<format::ConsumerGroupMetadataValue> = read_value(value)?;
            let epoch = value.map(|value| (value.epoch, value.metadata_hash));
            (shared(&key.group_id), Fact::Epoch(epoch))
        }
        MEMBER_KEY => {
            let key = format::ConsumerGroupMemberMetadataKey::decode_version(body, version)?;
            let id = shared(&key.member_id);
            let value: Option<format::ConsumerGroupMemberMetadataValue> = read_value(value)?;
            let member = value.map(|value| Box::new(read_member(id.clone(), &value)));
            (shared(&key.group_id), Fact::Member(id, member))
        }
        TARGET_EPOCH_KEY => {
            let key =
                format::ConsumerGroupTargetAssignmentMetadataKey::decode_version(body, version)?;
            let value: Option<format::ConsumerGroupTargetAssignmentMetadataValue> =
                read_value(value)?;
            let epoch = value.map(|value| (value.assignment_epoch, value.assignment_timestamp));
            (shared(&key.group_id), Fact::TargetEpoch(epoch))
        }
        TARGET_KEY => {
            let key =
                format::ConsumerGroupTargetAssignmentMemberKey::decode_version(body, version)?;
            let value: Option<format::ConsumerGroupTargetAssignmentMemberValue> =
                read_value(value)?;
            let target = value.map(|value| read_target(&value));
            (
                shared(&key.group_id),
                Fact::Target(shared(&key.member_id), target),
            )
        }
        CURRENT_KEY => {
            let key =
                format::ConsumerGroupCurrentMemberAssignmentKey::decode_version(body, version)?;
            let value: Option<format::ConsumerGroupCurrentMemberAssignmentValue> =
                read_value(value)?;
            let current = value.map(|value| read_current(&value));
            (
                shared(&key.group_id),
                Fact::Current(shared(&key.member_id), current),
            )
        }
        REGEX_KEY => {
            let key = format::ConsumerGroupRegularExpressionKey::decode_version(body, version)?;
            let value: Option<format::ConsumerGroupRegularExpressionValue> = read_value(value)?;
            let found = value.map(|value| Resolved {
                topics: value.topics.iter().map(shared).collect(),
                revision: value.version,
                at_ms: value.timestamp,
            });
            (
                shared(&key.group_id),
                Fact::Regex(shared(&key.regular_expression), found),
            )
        }
        _ => return Ok(None),
    };
    Ok(Some(read))
}

fn read_value<M: Message>(value: Option<&Bytes>) -> Result<Option<M>, DecodeError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let (version, body) = split_version(value.clone())?;
    M::decode_version(body, version).map(Some)
}

fn read_member(id: Arc<str>, value: &format::ConsumerGroupMemberMetadataValue) -> Member {
    let some = |text: &Option<Text>| text.as_ref().filter(|text| !text.is_empty()).map(shared);
    let client = ClientInfo {
        id: shared(&value.client_id),
        host: shared(&value.client_host),
    };
    let mut member = Member::new(id, client);
    member.instance_id = some(&value.instance_id);
    member.rack_id = some(&value.rack_id);
    member.topics = value.subscribed_topic_names.iter().map(shared).collect();
    member.regex = some(&value.subscribed_topic_regex);
    member.rebalance_timeout_ms = value.rebalance_timeout_ms;
    member.assignor = some(&value.server_assignor);
    let classic = value.classic_member_metadata.as_ref();
    member.classic = classic.map(|terms| ClassicTerms {
        session_timeout_ms: terms.session_timeout_ms,
        protocols: terms
            .supported_protocols
            .iter()
            .map(|offer| Protocol {
                name: shared(&offer.name),
                metadata: Bytes::copy_from_slice(&offer.metadata),
            })
            .collect(),
    });
    member
}

fn read_target(value: &format::ConsumerGroupTargetAssignmentMemberValue) -> Partitions {
    let topics = value.topic_partitions.iter();
    topics
        .map(|of| (of.topic_id, of.partitions.iter().copied().collect()))
        .collect()
}

fn read_current(value: &format::ConsumerGroupCurrentMemberAssignmentValue) -> Current {
    let owned = |topics: &[format::TopicPartitions]| -> Owned {
        let each = topics.iter().map(|of| {
            // Before Kafka 4.3 no epochs were kept: then the member's own is the earliest known.
            let epochs = of.assignment_epochs.as_deref().unwrap_or_default();
            let partitions: BTreeMap<i32, i32> = of
                .partitions
                .iter()
                .enumerate()
                .map(|(turn, at)| (*at, epochs.get(turn).copied().unwrap_or(value.member_epoch)))
                .collect();
            (of.topic_id, partitions)
        });
        each.collect()
    };
    Current {
        epoch: value.member_epoch,
        previous_epoch: value.previous_member_epoch,
        state: MemberState::from_code(value.state),
        assigned: owned(&value.assigned_partitions),
        revoking: owned(&value.partitions_pending_revocation),
    }
}
