//! Looking at a group without changing it: what is described, what may be committed and fetched,
//! and what records say. Invariant: reading only, but for the rebuilding of a group from its
//! records. Hallway: beside steps 7, 8 and 10.

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_protocol::{ErrorCode, Uuid};

use super::beat::without_epochs;
use super::member::Current;
use super::{
    ConsumerEffect, ConsumerGroup, ConsumerRules, ConsumerState, Member, MemberState, Moment, Now,
    Partitions, Refused, Resolved, Ticket, Topics,
};
use crate::group::engine::Claim;
use crate::group::records::consumer::Fact;

/// Partitions of one topic, with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShownPartitions {
    pub(crate) topic_id: Uuid,
    pub(crate) topic: Arc<str>,
    pub(crate) partitions: Vec<i32>,
}

/// One member as it is described.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberView {
    pub(crate) member: Member,
    pub(crate) assignment: Vec<ShownPartitions>,
    pub(crate) target: Vec<ShownPartitions>,
}

/// One group as it is described.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ConsumerView {
    pub(crate) state: ConsumerState,
    pub(crate) epoch: i32,
    pub(crate) target_epoch: i32,
    pub(crate) assignor: &'static str,
    pub(crate) members: Vec<MemberView>,
}

/// What the records of a group say, put together.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    /// Group epoch and metadata hash; without it there is no group.
    pub(crate) epoch: Option<(i32, i64)>,
    pub(crate) members: BTreeMap<Arc<str>, Member>,
    pub(crate) target: BTreeMap<Arc<str>, Partitions>,
    /// Epoch of the target, and when it was made.
    pub(crate) target_epoch: Option<(i32, i64)>,
    pub(crate) current: BTreeMap<Arc<str>, Current>,
    pub(crate) regexes: BTreeMap<Arc<str>, Resolved>,
}

/// Everything a member has, also what it still has to give up.
fn held(current: &Current) -> Partitions {
    let mut held = without_epochs(&current.assigned);
    for (topic, of) in &current.revoking {
        held.entry(*topic).or_default().extend(of.keys());
    }
    held
}

impl Recorded {
    /// Takes the next record; the last of a key decides.
    pub(crate) fn take(&mut self, fact: Fact) {
        fn put<T>(map: &mut BTreeMap<Arc<str>, T>, key: Arc<str>, value: Option<T>) {
            match value {
                Some(value) => _ = map.insert(key, value),
                None => _ = map.remove(&key),
            }
        }
        match fact {
            Fact::Epoch(epoch) => self.epoch = epoch,
            Fact::Member(id, member) => put(&mut self.members, id, member.map(|member| *member)),
            Fact::Target(id, target) => put(&mut self.target, id, target),
            Fact::TargetEpoch(epoch) => self.target_epoch = epoch,
            Fact::Current(id, current) => put(&mut self.current, id, current),
            Fact::Regex(regex, found) => put(&mut self.regexes, regex, found),
        }
    }
}

impl ConsumerGroup {
    /// The group as its records describe it; every member's session begins now.
    pub(crate) fn restore(
        rules: ConsumerRules,
        now: Now,
        recorded: Recorded,
    ) -> (ConsumerGroup, Vec<ConsumerEffect>) {
        let mut group = ConsumerGroup::new(rules, Ticket(0));
        (group.epoch, group.metadata_hash) = recorded.epoch.unwrap_or_default();
        (group.target_epoch, group.target_ms) = recorded.target_epoch.unwrap_or_default();
        group.target = recorded.target;
        group
            .target
            .retain(|id, _| recorded.members.contains_key(id));
        group.regexes = recorded.regexes;
        let mut currents = recorded.current;
        for (id, member) in recorded.members {
            let current = currents.remove(&id).unwrap_or_default();
            let revokes =
                current.state == MemberState::UnrevokedPartitions && member.classic.is_none();
            let timeout_ms = super::timers::positive_ms(member.rebalance_timeout_ms);
            let ends = now.tick_ms.saturating_add(timeout_ms);
            group.members.put(member);
            group.set_current(&id, current);
            group.renew_session(now, &id);
            if let Some(member) = group.members.get_mut(&id).filter(|_| revokes) {
                member.timers.rebalance = Some(ends);
            }
            group.arm_some(revokes.then_some(ends));
        }
        let effects = std::mem::take(&mut group.effects);
        (group, effects)
    }

    pub(crate) fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id)
    }

    pub(crate) fn target_of(&self, id: &str) -> Option<&Partitions> {
        self.target.get(id)
    }

    pub(crate) fn regex(&self, pattern: &str) -> Option<&Resolved> {
        self.regexes.get(pattern)
    }

    /// Group epoch and metadata hash.
    pub(crate) fn stored_epoch(&self) -> (i32, i64) {
        (self.epoch, self.metadata_hash)
    }

    /// Epoch of the target, and when it was made.
    pub(crate) fn stored_target_epoch(&self) -> (i32, i64) {
        (self.target_epoch, self.target_ms)
    }

    /// The group as ConsumerGroupDescribe shows it.
    pub(crate) fn view(&self, topics: &dyn Topics) -> ConsumerView {
        let shown = |partitions: &Partitions| -> Vec<ShownPartitions> {
            let named = partitions.iter().filter_map(|(id, of)| {
                Some(ShownPartitions {
                    topic_id: *id,
                    topic: topics.name(id)?,
                    partitions: of.iter().copied().collect(),
                })
            });
            named.collect()
        };
        let members = self.members.iter().map(|member| MemberView {
            member: member.clone(),
            assignment: shown(&held(&member.current)),
            target: self.target.get(&member.id).map(shown).unwrap_or_default(),
        });
        ConsumerView {
            state: self.state(),
            epoch: self.epoch,
            target_epoch: self.target_epoch,
            assignor: self.assignor().name(),
            members: members.collect(),
        }
    }

    /// Whether a member speaks the consumer protocol.
    pub(crate) fn speaks_consumer(&self, id: &str) -> bool {
        self.members
            .get(id)
            .is_some_and(|member| member.classic.is_none())
    }

    /// Whether offsets of these partitions may be committed under this claim. An older epoch is
    /// good for partitions that the member has had since then (KIP-1251).
    ///
    /// # Errors
    /// The code to answer with.
    pub(crate) fn admit_commit<'a>(
        &self,
        at: Moment<'_>,
        claim: &Claim,
        mut places: impl Iterator<Item = (&'a str, i32)>,
    ) -> Result<(), ErrorCode> {
        if claim.generation < 0 && self.members.is_empty() {
            // An admin tool, or a consumer that uses the group for its offsets only.
            return Ok(());
        }
        let Some(member) = self.members.get(&claim.member_id) else {
            return Err(ErrorCode::UnknownMemberId);
        };
        if claim.generation == member.current.epoch {
            return Ok(());
        }
        if member.classic.is_some() {
            return Err(ErrorCode::IllegalGeneration);
        }
        let since = |topic: &str, partition: i32| -> Option<i32> {
            let (id, _) = at.topics.find(topic)?;
            let current = &member.current;
            let sides = [&current.assigned, &current.revoking];
            sides
                .into_iter()
                .find_map(|of| of.get(&id)?.get(&partition).copied())
        };
        let older = claim.generation < member.current.epoch && claim.generation >= 0;
        if older
            && places
                .all(|(topic, at)| since(topic, at).is_some_and(|since| claim.generation >= since))
        {
            return Ok(());
        }
        Err(ErrorCode::StaleMemberEpoch)
    }

    /// Whether offsets may be committed within a transaction under this claim. Who names no member may:
    /// old producers cannot name one. The request knows generations only (KIP-447).
    ///
    /// # Errors
    /// The code to answer with.
    pub(crate) fn admit_transactional(
        &self,
        at: Moment<'_>,
        claim: &Claim,
    ) -> Result<(), ErrorCode> {
        let names_nobody = claim.member_id.is_empty() && claim.instance_id.is_none();
        if claim.generation < 0 && names_nobody {
            return Ok(());
        }
        // No place is had since an older epoch.
        let admitted = self.admit_commit(at, claim, std::iter::once(("", -1)));
        admitted.map_err(|error| match error {
            ErrorCode::StaleMemberEpoch => ErrorCode::IllegalGeneration,
            error => error,
        })
    }

    /// Whether a member may fetch offsets. Who names no member may.
    ///
    /// # Errors
    /// It is no member, or its epoch is another.
    pub(crate) fn admit_fetch(&self, member_id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        let member_id = member_id.unwrap_or_default();
        if member_id.is_empty() && epoch < 0 {
            return Ok(());
        }
        let member = self
            .members
            .get(member_id)
            .ok_or(ErrorCode::UnknownMemberId)?;
        if member.current.epoch != epoch {
            let error = if member.classic.is_some() {
                ErrorCode::IllegalGeneration
            } else {
                ErrorCode::StaleMemberEpoch
            };
            return Err(error);
        }
        Ok(())
    }

    /// An error text for a request to a group of the other protocol.
    pub(crate) fn not_a_consumer_group(id: &str) -> Refused {
        Refused::new(
            ErrorCode::GroupIdNotFound,
            format!("Group {id} is not a consumer group."),
        )
    }
}
