//! From one protocol to the other: a classic group taken over with its members, and given back.
//! Invariant: assignments and offsets stay; a member learns of the change by being asked to rejoin.
//! What members put into their opaque bytes is read with bounds, and refused when it is malformed.
//! Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use logway_protocol::codec::Decoder;
use logway_protocol::message::record::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolAssignmentTopicPartition,
    ConsumerProtocolSubscription,
};
use logway_protocol::wire::Wire;
use logway_protocol::{Message, Text};

use super::member::{ClassicTerms, Current};
use super::storing::Part;
use super::{
    ClientInfo, ConsumerGroup, ConsumerRules, Member, Moment, Owned, Partitions, Protocol, Ticket,
    Topics,
};

/// The newest version of what members put into their opaque bytes.
const NEWEST: i16 = 3;

/// A member as both protocols know it.
#[derive(Debug, Clone)]
pub(crate) struct ClassicView {
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) client: ClientInfo,
    pub(crate) session_timeout_ms: i32,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
    /// What it said about itself for the protocol in use.
    pub(crate) subscription: Bytes,
    pub(crate) assignment: Bytes,
}

/// What a classic member says it wants and has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wants {
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    holds: Vec<(Arc<str>, Vec<i32>)>,
}

impl Wants {
    /// What it has, by topic id.
    pub(crate) fn holds(&self, topics: &dyn Topics) -> Partitions {
        by_id(
            self.holds.iter().map(|(name, of)| (&**name, of.as_slice())),
            topics,
        )
    }
}

fn by_id<'a>(named: impl Iterator<Item = (&'a str, &'a [i32])>, topics: &dyn Topics) -> Partitions {
    let mut partitions = Partitions::new();
    for (name, of) in named {
        if let Some((id, _)) = topics.find(name) {
            partitions.entry(id).or_default().extend(of);
        }
    }
    partitions
}

/// The version that opaque bytes begin with.
pub(super) fn version_of(bytes: &Bytes) -> i16 {
    let mut bytes = bytes.clone();
    bytes.try_get_i16().unwrap_or(0)
}

/// Reads the opaque bytes of a JoinGroup; `None` when they are malformed.
pub(super) fn read_subscription(bytes: &Bytes) -> Option<Wants> {
    let mut body = bytes.clone();
    let version = body.try_get_i16().ok().filter(|version| *version >= 0)?;
    // A newer version begins as the newest known one does.
    let mut input = Decoder::new(body, version.min(NEWEST), false);
    let read = ConsumerProtocolSubscription::decode(&mut input).ok()?;
    Some(Wants {
        topics: read
            .topics
            .iter()
            .map(|topic| Arc::from(&**topic))
            .collect(),
        rack_id: read
            .rack_id
            .as_deref()
            .filter(|id| !id.is_empty())
            .map(Arc::from),
        holds: read
            .owned_partitions
            .iter()
            .map(|of| (Arc::from(&*of.topic), of.partitions.clone()))
            .collect(),
    })
}

/// The topics in the opaque bytes of a JoinGroup; `None` when they are malformed. Read as version 0, with which
/// every version begins: some clients name a version and leave out what it added.
pub(crate) fn read_topics(bytes: &Bytes) -> Option<Vec<Arc<str>>> {
    let mut body = bytes.clone();
    body.try_get_i16().ok()?;
    let mut input = Decoder::new(body, 0, false);
    let read = ConsumerProtocolSubscription::decode(&mut input).ok()?;
    let topics = read.topics.iter().map(|topic| Arc::from(&**topic));
    Some(topics.collect())
}

fn read_assignment(bytes: &Bytes, topics: &dyn Topics) -> Option<Partitions> {
    if bytes.is_empty() {
        return Some(Partitions::new());
    }
    let mut body = bytes.clone();
    let version = body.try_get_i16().ok().filter(|version| *version >= 0)?;
    let mut input = Decoder::new(body, version.min(NEWEST), false);
    let read = ConsumerProtocolAssignment::decode(&mut input).ok()?;
    let named = read.assigned_partitions.iter();
    Some(by_id(
        named.map(|of| (&*of.topic, of.partitions.as_slice())),
        topics,
    ))
}

/// An assignment as the opaque bytes of a SyncGroup answer.
pub(super) fn write_assignment(owned: &Owned, version: i16, topics: &dyn Topics) -> Bytes {
    let mut named: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for (id, of) in owned {
        if let Some(name) = topics.name(id) {
            named.insert(name, of.keys().copied().collect());
        }
    }
    let assigned = named.into_iter();
    let message = ConsumerProtocolAssignment {
        assigned_partitions: assigned
            .map(
                |(topic, partitions)| ConsumerProtocolAssignmentTopicPartition {
                    topic: Text::from(&*topic),
                    partitions,
                },
            )
            .collect(),
        user_data: None,
    };
    let version = version.clamp(0, NEWEST);
    let mut out = BytesMut::new();
    out.put_i16(version);
    let mut body = out.split_off(out.len());
    if let Err(source) = message.write(&mut body, version) {
        // Only a name longer than 32 KiB cannot be written, and no topic has one.
        tracing::error!("assignment cannot be written: {source}");
    }
    out.unsplit(body);
    out.freeze()
}

impl ConsumerGroup {
    /// A group without members in the place of a classic one; `stored`: that one is in the log.
    pub(crate) fn replacing(
        rules: ConsumerRules,
        next_ticket: Ticket,
        stored: bool,
    ) -> ConsumerGroup {
        let mut group = ConsumerGroup::new(rules, next_ticket);
        if stored {
            group.mark(Part::Classic);
        }
        group
    }

    /// A classic group of the generation `generation` as a consumer group; `None` when a member's
    /// bytes are malformed. The members stay classic until each comes back in the new protocol.
    pub(crate) fn from_classic(
        rules: ConsumerRules,
        at: Moment<'_>,
        (generation, next_ticket): (i32, Ticket),
        members: Vec<ClassicView>,
    ) -> Option<ConsumerGroup> {
        let mut group = ConsumerGroup::new(rules, next_ticket);
        (group.epoch, group.target_epoch) = (generation, generation);
        for view in members {
            let wants = read_subscription(&view.subscription)?;
            let assigned = read_assignment(&view.assignment, at.topics)?;
            group.adopt(at, view, wants, &assigned);
        }
        group.metadata_hash = group.hash(at.topics);
        group.mark(Part::Classic);
        for part in group.all_parts() {
            group.mark(part);
        }
        Some(group)
    }

    fn adopt(&mut self, at: Moment<'_>, view: ClassicView, wants: Wants, assigned: &Partitions) {
        let id = view.member_id;
        let mut member = Member::new(id.clone(), view.client);
        member.instance_id = view.instance_id;
        member.rack_id = wants.rack_id;
        member.rebalance_timeout_ms = view.rebalance_timeout_ms;
        member.topics = wants.topics;
        member.classic = Some(ClassicTerms {
            session_timeout_ms: view.session_timeout_ms,
            protocols: view.protocols,
        });
        self.members.put(member);
        let epoch = self.epoch;
        // Two members may name one partition, for assignors are the clients': the first has it.
        let free = |topic: &_, at: &i32| !self.owners.contains_key(&(*topic, *at));
        let owned: Owned = assigned
            .iter()
            .map(|(topic, of)| {
                let mine = of.iter().filter(|at| free(topic, at));
                (
                    *topic,
                    mine.map(|at| (*at, epoch)).collect::<BTreeMap<i32, i32>>(),
                )
            })
            .filter(|(_, of)| !of.is_empty())
            .collect();
        let target = super::beat::without_epochs(&owned);
        let current = Current {
            epoch,
            previous_epoch: epoch,
            assigned: owned,
            ..Current::default()
        };
        self.set_current(&id, current);
        self.target.insert(id.clone(), target);
        self.renew_session(at.now, &id);
    }

    /// The members for a classic group of this group's epoch.
    pub(crate) fn classic_members(&self, at: Moment<'_>) -> Vec<ClassicView> {
        let members = self.members.iter();
        members
            .filter_map(|member| {
                let terms = member.classic.as_ref()?;
                let first = terms.protocols.first();
                let version = first.map_or(0, |offer| version_of(&offer.metadata));
                let target = self.target.get(&member.id);
                let owned: Owned = target
                    .into_iter()
                    .flatten()
                    .map(|(topic, of)| (*topic, of.iter().map(|at| (*at, 0)).collect()))
                    .collect();
                Some(ClassicView {
                    member_id: member.id.clone(),
                    instance_id: member.instance_id.clone(),
                    client: member.client.clone(),
                    session_timeout_ms: terms.session_timeout_ms,
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    protocols: terms.protocols.clone(),
                    subscription: first
                        .map(|offer| offer.metadata.clone())
                        .unwrap_or_default(),
                    assignment: write_assignment(&owned, version, at.topics),
                })
            })
            .collect()
    }
}
