//! One consumer group of the consumer protocol (KIP-848) as a state machine: requests and wake-ups
//! in, effects out. The coordinator assigns; members learn their share from heartbeats.
//!
//! Three epochs tell how far a change has come: the group's (what members want), the target's (what
//! was decided about it) and each member's (what it has carried out). A member gives up what is not
//! in its target before it gets its epoch; a partition is given on only when its owner let it go.
//!
//! Invariant: no I/O, no clock, no randomness, no runtime. No partition has two owners; epochs only
//! grow; every waiter is answered exactly once, and only after what the answer says was stored.
//! Hallway: beside step 7 (a consumer's side of the road).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use logway_protocol::{ErrorCode, Uuid};

use super::engine::{ClientInfo, Now, Protocol, Ticket, Waiter};

pub(crate) mod assignor;
mod beat;
mod classic;
mod convert;
mod leave;
mod look;
mod member;
mod own;
mod reconcile;
mod storing;
mod subscription;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod timers;

pub(crate) use assignor::Assignor;
pub(crate) use beat::{Beat, BeatReply};
pub(crate) use convert::{ClassicView, read_topics};
pub(crate) use look::{ConsumerView, MemberView, Recorded, ShownPartitions};
pub(crate) use member::{ClassicTerms, Current, Member, MemberState};
pub(crate) use own::{Bounds, OwnSettings};
pub(crate) use storing::{ConsumerEffect, Part, failed};
pub(crate) use subscription::{Resolved, compile};

use member::Members;
use storing::Storing;

/// The epoch of a group that nobody has asked anything of; as in Kafka 4.3.
const FIRST_EPOCH: i32 = 1;

/// Partitions by topic id.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;
/// Partitions by topic id, each with the member epoch in which it was assigned (KIP-1251).
pub(crate) type Owned = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// The cluster as a group sees it at one moment: its topics, and what was set for the group.
pub(crate) trait Topics: Debug + Send + Sync {
    /// Id and number of partitions.
    fn find(&self, name: &str) -> Option<(Uuid, i32)>;
    fn name(&self, id: &Uuid) -> Option<Arc<str>>;
    /// All names, in order.
    fn names(&self) -> Vec<Arc<str>>;
    /// What a group was given of its own, or the broker while it runs.
    fn settings_of(&self, group: &str) -> OwnSettings;
}

/// When something happens, and what the cluster looks like then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) now: Now,
    pub(crate) topics: &'a dyn Topics,
    /// Grows with every change of the topics.
    pub(crate) revision: u64,
}

/// What the owner allows; Kafka's `group.consumer.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConsumerRules {
    pub(crate) session_timeout_ms: u64,
    pub(crate) heartbeat_interval_ms: i32,
    /// Least time between two assignments.
    pub(crate) assignment_interval_ms: u64,
    pub(crate) max_size: usize,
    /// A classic group may become a consumer group while it has members.
    pub(crate) upgrade: bool,
    /// A consumer group whose members are all classic becomes a classic group.
    pub(crate) downgrade: bool,
    /// `group.max.size`, which a downgrade has to keep to.
    pub(crate) classic_max_size: usize,
    /// The assignor of groups whose members name none.
    pub(crate) assignor: Assignor,
    /// What a group may have of its own.
    pub(crate) bounds: Bounds,
}

/// Where a group stands; the names and their spelling are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConsumerState {
    /// No members; offsets may remain.
    Empty,
    /// What members want has changed, the target has not yet.
    Assigning,
    /// Some member has not carried the target out.
    Reconciling,
    /// Every member has what it is to have.
    Stable,
}

impl ConsumerState {
    /// Kafka's name of the state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ConsumerState::Empty => "Empty",
            ConsumerState::Assigning => "Assigning",
            ConsumerState::Reconciling => "Reconciling",
            ConsumerState::Stable => "Stable",
        }
    }
}

/// Why a request is turned away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) error: ErrorCode,
    pub(crate) message: String,
}

impl Refused {
    pub(crate) fn new(error: ErrorCode, message: impl Into<String>) -> Refused {
        Refused {
            error,
            message: message.into(),
        }
    }
}

/// A group of the consumer protocol, with classic members while it is being migrated.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    rules: ConsumerRules,
    /// Grows with every change of what members want.
    epoch: i32,
    /// A hash of the subscribed topics with their partitions.
    metadata_hash: i64,
    members: Members,
    /// What each member is to have.
    target: BTreeMap<Arc<str>, Partitions>,
    /// The group epoch that the target answers.
    target_epoch: i32,
    /// Wall clock of the target, milliseconds since the epoch; 0 unknown.
    target_ms: i64,
    /// Tick of the last assignment of this process.
    assigned_at: Option<u64>,
    /// Who has a partition, or has still to give it up.
    owners: BTreeMap<(Uuid, i32), Arc<str>>,
    /// What the regular expressions of members match.
    regexes: BTreeMap<Arc<str>, Resolved>,
    /// A resolution is under way.
    resolving: bool,
    /// The revision of the topics for which all expressions are resolved.
    resolved_at: Option<u64>,
    /// The revision of the topics for which `metadata_hash` holds.
    topics_seen: Option<u64>,
    /// The group is about to become a classic one.
    downgrading: bool,
    storing: Storing,
    armed: Option<u64>,
    effects: Vec<ConsumerEffect>,
}

impl ConsumerGroup {
    /// A group without members. `next_ticket`: the first that no earlier group of this id used.
    pub(crate) fn new(rules: ConsumerRules, next_ticket: Ticket) -> ConsumerGroup {
        ConsumerGroup {
            rules,
            epoch: FIRST_EPOCH,
            metadata_hash: 0,
            members: Members::default(),
            target: BTreeMap::new(),
            target_epoch: FIRST_EPOCH,
            target_ms: 0,
            assigned_at: None,
            owners: BTreeMap::new(),
            regexes: BTreeMap::new(),
            resolving: false,
            resolved_at: None,
            topics_seen: None,
            downgrading: false,
            storing: Storing::new(next_ticket),
            armed: None,
            effects: Vec::new(),
        }
    }

    /// Where the group stands.
    pub(crate) fn state(&self) -> ConsumerState {
        if self.members.is_empty() {
            ConsumerState::Empty
        } else if self.epoch > self.target_epoch {
            ConsumerState::Assigning
        } else if self
            .members
            .iter()
            .all(|member| member.is_reconciled_to(self.target_epoch))
        {
            ConsumerState::Stable
        } else {
            ConsumerState::Reconciling
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether nothing keeps the group but its offsets.
    pub(crate) fn is_unused(&self) -> bool {
        self.members.is_empty() && self.storing.is_idle()
    }

    fn is_full_for(&self, member_id: &str) -> bool {
        self.members.len() >= self.rules.max_size && !self.members.contains(member_id)
    }

    /// Whether all members but `id` speak the classic protocol, and `id` does not.
    fn all_classic_except(&self, id: &str) -> bool {
        let others = self.members.len().saturating_sub(1);
        self.members
            .get(id)
            .is_some_and(|member| member.classic.is_none())
            && self.members.classic() == others
    }

    /// A present member, by id and instance id.
    fn check_member(&self, id: &str, instance_id: Option<&str>) -> Result<&Member, Refused> {
        let unknown = || {
            Refused::new(
                ErrorCode::UnknownMemberId,
                format!("Member {id} is not a member of the group."),
            )
        };
        let Some(instance_id) = instance_id else {
            return self.members.get(id).ok_or_else(unknown);
        };
        let Some(holder) = self.members.instance(instance_id) else {
            let message = format!("Instance id {instance_id} is unknown.");
            return Err(Refused::new(ErrorCode::UnknownMemberId, message));
        };
        if &**holder != id {
            let message = format!(
                "Static member {id} with instance id {instance_id} was fenced by member {holder}."
            );
            return Err(Refused::new(ErrorCode::FencedInstanceId, message));
        }
        self.members.get(id).ok_or_else(unknown)
    }
}
