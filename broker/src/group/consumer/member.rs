//! The members of a consumer group, and what follows from who they are.
//! Invariant: instance ids and the count of classic members always agree with the members, because
//! only this file changes them. Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ClientInfo, Owned, Protocol};

/// The epoch of a static member that went and may come back under its instance id.
pub(crate) const AWAY: i32 = -2;

/// How far a member is with its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it is to have in its epoch.
    Stable,
    /// It has to give up partitions before it may have the next epoch.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
}

impl MemberState {
    /// Kafka's number in records.
    pub(crate) fn code(self) -> i8 {
        match self {
            MemberState::Stable => 1,
            MemberState::UnrevokedPartitions => 2,
            MemberState::UnreleasedPartitions => 3,
        }
    }

    /// An unknown number waits: the next heartbeat works it out anew.
    pub(crate) fn from_code(code: i8) -> MemberState {
        match code {
            1 => MemberState::Stable,
            2 => MemberState::UnrevokedPartitions,
            _ => MemberState::UnreleasedPartitions,
        }
    }
}

/// What a member of the classic protocol brought with JoinGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClassicTerms {
    pub(crate) session_timeout_ms: i32,
    pub(crate) protocols: Vec<Protocol>,
}

/// What a member has: the content of a current-assignment record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Owned,
    /// Still to be given up.
    pub(crate) revoking: Owned,
}

impl Default for Current {
    fn default() -> Current {
        Current {
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Owned::new(),
            revoking: Owned::new(),
        }
    }
}

/// One member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) client: ClientInfo,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) topics: BTreeSet<Arc<str>>,
    pub(crate) regex: Option<Arc<str>>,
    pub(crate) assignor: Option<Arc<str>>,
    /// Set while it speaks the classic protocol.
    pub(crate) classic: Option<ClassicTerms>,
    pub(crate) current: Current,
    pub(crate) timers: MemberTimers,
}

/// The ticks at which a member is given up, each for its own reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MemberTimers {
    /// No heartbeat came.
    pub(crate) session: Option<u64>,
    /// It did not give up what it has to.
    pub(crate) rebalance: Option<u64>,
    /// A classic member did not rejoin.
    pub(crate) join: Option<u64>,
    /// A classic member did not fetch its assignment.
    pub(crate) sync: Option<u64>,
}

impl MemberTimers {
    /// The nearest of all.
    pub(crate) fn next(&self) -> Option<u64> {
        [self.session, self.rebalance, self.join, self.sync]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Member {
    /// A member that has nothing and wants nothing yet.
    pub(crate) fn new(id: Arc<str>, client: ClientInfo) -> Member {
        Member {
            id,
            instance_id: None,
            rack_id: None,
            client,
            rebalance_timeout_ms: -1,
            topics: BTreeSet::new(),
            regex: None,
            assignor: None,
            classic: None,
            current: Current::default(),
            timers: MemberTimers::default(),
        }
    }

    /// Whether it has carried out the target of this epoch.
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target_epoch
    }
}

/// The members, by id.
#[derive(Debug, Clone, Default)]
pub(crate) struct Members {
    by_id: BTreeMap<Arc<str>, Member>,
    by_instance: BTreeMap<Arc<str>, Arc<str>>,
    classic: usize,
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// How many speak the classic protocol.
    pub(crate) fn classic(&self) -> usize {
        self.classic
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Member> {
        self.by_id.get(id)
    }

    /// For its assignment and timers; what is counted changes through [`Members::put`].
    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.by_id.get_mut(id)
    }

    /// The member that holds the instance id.
    pub(crate) fn instance(&self, instance_id: &str) -> Option<&Arc<str>> {
        self.by_instance.get(instance_id)
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Member> {
        self.by_id.values()
    }

    /// Adds a member or puts it in the place of the one with its id.
    pub(crate) fn put(&mut self, member: Member) {
        self.remove(&member.id.clone());
        if let Some(instance_id) = &member.instance_id {
            self.by_instance
                .insert(instance_id.clone(), member.id.clone());
        }
        self.classic += usize::from(member.classic.is_some());
        self.by_id.insert(member.id.clone(), member);
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        if let Some(instance_id) = &member.instance_id
            && self.by_instance.get(instance_id) == Some(&member.id)
        {
            self.by_instance.remove(instance_id);
        }
        self.classic -= usize::from(member.classic.is_some());
        Some(member)
    }
}
