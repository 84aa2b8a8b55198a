//! ConsumerGroupHeartbeat: joining, staying, and learning what to have.
//! Invariant: a request is either turned away whole, before anything changes, or carried out whole;
//! a heartbeat that brings nothing new to a group at rest changes and stores nothing.
//! Hallway: beside step 7.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::member::{AWAY, Current};
use super::storing::{ConsumerEffect, Part};
use super::{ClientInfo, ConsumerGroup, Member, Moment, Owned, Partitions, Refused, Waiter};
use crate::group::engine::Reply;

/// A heartbeat. What is `None` did not change since the last.
#[derive(Debug, Clone)]
pub(crate) struct Beat {
    pub(crate) waiter: Waiter,
    /// Never empty: a member without an id was given one.
    pub(crate) member_id: Arc<str>,
    /// 0 joins.
    pub(crate) epoch: i32,
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) rack_id: Option<Arc<str>>,
    pub(crate) rebalance_timeout_ms: Option<i32>,
    pub(crate) topics: Option<BTreeSet<Arc<str>>>,
    /// Empty: no expression any more.
    pub(crate) regex: Option<Arc<str>>,
    /// Why the expression cannot be used.
    pub(crate) regex_fault: Option<Refused>,
    pub(crate) assignor: Option<Arc<str>>,
    /// What the member says it has.
    pub(crate) holds: Option<Partitions>,
    pub(crate) client: ClientInfo,
}

impl Beat {
    /// Whether it says everything there is to say, as a member does that joins or is unsure.
    fn is_full(&self) -> bool {
        let all =
            self.rebalance_timeout_ms.is_some() && self.topics.is_some() && self.holds.is_some();
        self.epoch == 0 || all
    }
}

/// The answer to a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BeatReply {
    pub(crate) error: ErrorCode,
    pub(crate) message: Option<String>,
    pub(crate) member_id: Option<Arc<str>>,
    pub(crate) epoch: i32,
    pub(crate) heartbeat_interval_ms: i32,
    /// Set when it changed, or the member asked for all.
    pub(crate) assignment: Option<Partitions>,
}

impl BeatReply {
    pub(crate) fn failed(error: ErrorCode) -> BeatReply {
        BeatReply {
            error,
            message: None,
            member_id: None,
            epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }

    pub(crate) fn refused(refused: Refused) -> BeatReply {
        BeatReply {
            message: Some(refused.message),
            ..BeatReply::failed(refused.error)
        }
    }
}

impl ConsumerGroup {
    /// Takes a heartbeat that joins or stays.
    pub(crate) fn heartbeat(&mut self, at: Moment<'_>, beat: &Beat) -> Vec<ConsumerEffect> {
        let waiter = beat.waiter;
        match self.take_beat(at, beat) {
            Ok(reply) => self.answer(waiter, Reply::Beat(Box::new(reply))),
            Err(refused) => {
                let reply = Reply::Beat(Box::new(BeatReply::refused(refused)));
                self.effects.push(ConsumerEffect::Reply { waiter, reply });
            }
        }
        self.finish()
    }

    fn take_beat(&mut self, at: Moment<'_>, beat: &Beat) -> Result<BeatReply, Refused> {
        let id = &beat.member_id;
        if self.is_full_for(id) {
            let message = format!("The group has its {} members already.", self.rules.max_size);
            return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
        }
        let replaced = match &beat.instance_id {
            None => self.check_dynamic(beat).map(|()| None)?,
            Some(instance_id) => self.check_static(beat, instance_id)?,
        };
        if let Some(fault) = &beat.regex_fault {
            return Err(fault.clone());
        }
        match replaced {
            Some(old) => self.replace(&old, id),
            None if !self.members.contains(id) => self.add(id, beat.client.clone()),
            None => {}
        }
        let before = self
            .members
            .get(id)
            .map(|member| member.current.clone())
            .unwrap_or_default();
        if !self.is_at_rest(at, beat) {
            let changed = self.update_member(beat);
            self.follow_subscriptions(at, changed);
            self.assign_if_due(at);
            self.reconcile(at.now, id, beat.holds.as_ref());
        }
        self.renew_session(at.now, id);
        Ok(self.beat_reply(beat, &before))
    }

    fn beat_reply(&self, beat: &Beat, before: &Current) -> BeatReply {
        let nothing = Current::default();
        let current = self
            .members
            .get(&beat.member_id)
            .map_or(&nothing, |member| &member.current);
        let told = beat.is_full() || !same_places(&before.assigned, &current.assigned);
        BeatReply {
            error: ErrorCode::None,
            message: None,
            member_id: Some(beat.member_id.clone()),
            epoch: current.epoch,
            heartbeat_interval_ms: self.rules.heartbeat_interval_ms,
            assignment: told.then(|| without_epochs(&current.assigned)),
        }
    }

    /// Whether this heartbeat cannot change anything.
    fn is_at_rest(&self, at: Moment<'_>, beat: &Beat) -> bool {
        let silent = beat.rebalance_timeout_ms.is_none()
            && beat.topics.is_none()
            && beat.regex.is_none()
            && beat.assignor.is_none()
            && beat.rack_id.is_none();
        silent
            && self.epoch == self.target_epoch
            && self.topics_seen == Some(at.revision)
            && self.members.get(&beat.member_id).is_some_and(|member| {
                member.is_reconciled_to(self.target_epoch)
                    && member.classic.is_none()
                    && member.client == beat.client
            })
    }

    fn check_dynamic(&self, beat: &Beat) -> Result<(), Refused> {
        match self.members.get(&beat.member_id) {
            Some(member) => check_epoch(member, beat),
            None if beat.epoch == 0 => Ok(()),
            None => {
                let message = format!("Member {} is not a member of the group.", beat.member_id);
                Err(Refused::new(ErrorCode::UnknownMemberId, message))
            }
        }
    }

    /// Whether a static member may speak; gives the one whose place it takes.
    fn check_static(
        &self,
        beat: &Beat,
        instance_id: &Arc<str>,
    ) -> Result<Option<Arc<str>>, Refused> {
        if beat.epoch != 0 {
            let member = self.check_member(&beat.member_id, Some(instance_id))?;
            return check_epoch(member, beat).map(|()| None);
        }
        let holder = self
            .members
            .instance(instance_id)
            .and_then(|id| self.members.get(id));
        match holder {
            None => Ok(None),
            Some(holder) if holder.classic.is_none() && holder.current.epoch != AWAY => {
                let message = format!(
                    "Static member {} with instance id {instance_id} cannot join: member {} has the instance id.",
                    beat.member_id, holder.id
                );
                Err(Refused::new(ErrorCode::UnreleasedInstanceId, message))
            }
            Some(holder) => Ok(Some(holder.id.clone())),
        }
    }

    /// Adds a member that has nothing and wants nothing yet.
    pub(super) fn add(&mut self, id: &Arc<str>, client: ClientInfo) {
        if self.members.is_empty() {
            // A group without these has no records of its own yet.
            self.mark(Part::Epoch);
            self.mark(Part::TargetEpoch);
        }
        self.members.put(Member::new(id.clone(), client));
        self.mark(Part::Member(id.clone()));
    }

    /// Gives what the member `old` was and has to the member `new`, which starts at epoch 0.
    pub(super) fn replace(&mut self, old: &Arc<str>, new: &Arc<str>) {
        let Some(mut member) = self.members.remove(old) else {
            return;
        };
        self.release(old, &member.current);
        let mut current = std::mem::take(&mut member.current);
        (current.epoch, current.previous_epoch) = (0, 0);
        member.id = new.clone();
        self.members.put(member);
        self.set_current(new, current);
        if let Some(target) = self.target.remove(old) {
            self.target.insert(new.clone(), target);
        }
        for id in [old, new] {
            self.mark_all_of(id);
        }
    }

    pub(super) fn mark_all_of(&mut self, id: &Arc<str>) {
        self.mark(Part::Member(id.clone()));
        self.mark(Part::Target(id.clone()));
        self.mark(Part::Current(id.clone()));
    }

    /// Takes over what a heartbeat says of its member; whether it wants other topics now.
    fn update_member(&mut self, beat: &Beat) -> bool {
        let Some(before) = self.members.get(&beat.member_id) else {
            return false;
        };
        let mut member = before.clone();
        let or_before =
            |new: &Option<Arc<str>>, old: &Option<Arc<str>>| new.clone().or_else(|| old.clone());
        member.instance_id = or_before(&beat.instance_id, &before.instance_id);
        member.rack_id = or_before(&beat.rack_id, &before.rack_id);
        member.assignor = or_before(&beat.assignor, &before.assignor);
        member.rebalance_timeout_ms = beat
            .rebalance_timeout_ms
            .unwrap_or(before.rebalance_timeout_ms);
        if let Some(topics) = &beat.topics {
            member.topics.clone_from(topics);
        }
        if let Some(regex) = &beat.regex {
            member.regex = (!regex.is_empty()).then(|| regex.clone());
        }
        member.client = beat.client.clone();
        member.classic = None;
        (member.timers.join, member.timers.sync) = (None, None);
        self.put_changed(member)
    }

    /// Puts a changed member in its place; whether it wants other topics than before.
    pub(super) fn put_changed(&mut self, member: Member) -> bool {
        let Some(before) = self.members.get(&member.id) else {
            return false;
        };
        let regex = member.regex != before.regex;
        // What a new expression matches is found out elsewhere, and grows the epoch then.
        let known = member
            .regex
            .as_ref()
            .is_none_or(|regex| self.regexes.contains_key(regex));
        let wants = member.topics != before.topics || (regex && known);
        let other = wants
            || regex
            || member.instance_id != before.instance_id
            || member.rack_id != before.rack_id
            || member.assignor != before.assignor
            || member.rebalance_timeout_ms != before.rebalance_timeout_ms
            || member.client != before.client
            || member.classic != before.classic;
        if other {
            self.mark(Part::Member(member.id.clone()));
            self.members.put(member);
        }
        if regex {
            self.drop_unused_regexes();
        }
        wants
    }
}

/// Whether the epoch of a heartbeat is its member's. The one before is good too when the member has
/// nothing that it should not: the answer that told it of the new one may have been lost.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Refused> {
    let current = &member.current;
    let within = || {
        beat.holds.as_ref().is_some_and(|holds| {
            holds.iter().all(|(topic, partitions)| {
                let assigned = current.assigned.get(topic);
                assigned.is_some_and(|of| partitions.iter().all(|at| of.contains_key(at)))
            })
        })
    };
    let side = match beat.epoch.cmp(&current.epoch) {
        std::cmp::Ordering::Equal => return Ok(()),
        // It joins once more: a new start that kept its id.
        std::cmp::Ordering::Less if beat.epoch == 0 => return Ok(()),
        std::cmp::Ordering::Less if beat.epoch == current.previous_epoch && within() => {
            return Ok(());
        }
        std::cmp::Ordering::Less => "smaller",
        std::cmp::Ordering::Greater => "greater",
    };
    let message = format!(
        "The member's epoch {} is {side} than the coordinator's {}: give up all partitions and rejoin.",
        beat.epoch, current.epoch
    );
    Err(Refused::new(ErrorCode::FencedMemberEpoch, message))
}

fn same_places(one: &Owned, other: &Owned) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|((a, of_a), (b, of_b))| a == b && of_a.keys().eq(of_b.keys()))
}

pub(super) fn without_epochs(owned: &Owned) -> Partitions {
    let topics = owned.iter();
    topics
        .map(|(topic, of)| (*topic, of.keys().copied().collect()))
        .collect()
}
