//! Going: members that leave, static ones that will be back, and those that are put out.
//! Invariant: with a member everything it had is free, and the group epoch grows, so that the others
//! get it. Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::beat::BeatReply;
use super::member::AWAY;
use super::storing::{ConsumerEffect, Part};
use super::{ConsumerGroup, Moment, Owned, Refused, Waiter};
use crate::group::engine::{Leaving, Left, Reply};

impl ConsumerGroup {
    /// A heartbeat that leaves: with epoch -1 for good, with -2 (static members) until it is back.
    pub(crate) fn leave(
        &mut self,
        at: Moment<'_>,
        waiter: Waiter,
        leaving: &Leaving,
        epoch: i32,
    ) -> Vec<ConsumerEffect> {
        let (id, instance_id) = (&leaving.member_id, leaving.instance_id.as_deref());
        if let Err(refused) = self.check_member(id, instance_id) {
            let reply = Reply::Beat(Box::new(BeatReply::refused(refused)));
            self.effects.push(ConsumerEffect::Reply { waiter, reply });
            return self.finish();
        }
        let reply = BeatReply {
            member_id: Some(id.clone()),
            epoch,
            ..BeatReply::failed(ErrorCode::None)
        };
        self.answer(waiter, Reply::Beat(Box::new(reply)));
        if instance_id.is_some() && epoch == AWAY {
            self.send_away(id);
        } else {
            self.fence(at, id);
        }
        self.finish()
    }

    /// A static member keeps its assignment for the one that comes back.
    fn send_away(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        let mut current = member.current.clone();
        current.epoch = AWAY;
        current.revoking = Owned::new();
        self.set_current(id, current);
        if let Some(member) = self.members.get_mut(id) {
            member.timers.rebalance = None;
        }
        self.mark(Part::Current(id.clone()));
    }

    /// Puts a member out. If only classic members remain the group becomes a classic one.
    pub(super) fn fence(&mut self, at: Moment<'_>, id: &Arc<str>) {
        self.put_out(at, std::slice::from_ref(id));
    }

    fn put_out(&mut self, at: Moment<'_>, ids: &[Arc<str>]) {
        let out = |id: &Arc<str>| ids.contains(id);
        let remaining = self
            .members
            .iter()
            .filter(|member| !out(&member.id))
            .count();
        let downgrades = self.rules.downgrade
            && self
                .members
                .iter()
                .all(|member| out(&member.id) || member.classic.is_some())
            && (1..=self.rules.classic_max_size).contains(&remaining);
        for id in ids {
            self.forget(id);
        }
        if downgrades {
            return self.begin_downgrade(true);
        }
        self.after_removal(at);
    }

    pub(super) fn begin_downgrade(&mut self, rebalance: bool) {
        let answers = self.take_answers();
        self.downgrading = true;
        let effect = ConsumerEffect::Downgrade { answers, rebalance };
        self.effects.push(effect);
    }

    /// Removes every trace of a member.
    fn forget(&mut self, id: &Arc<str>) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        self.release(id, &member.current);
        self.target.remove(id);
        self.mark_all_of(id);
    }

    fn after_removal(&mut self, at: Moment<'_>) {
        self.drop_unused_regexes();
        self.metadata_hash = self.hash(at.topics);
        self.topics_seen = Some(at.revision);
        self.bump();
    }

    /// LeaveGroup: members go, whichever protocol they speak.
    pub(super) fn classic_leave(&mut self, at: Moment<'_>, waiter: Waiter, members: Vec<Leaving>) {
        let mut left = Vec::with_capacity(members.len());
        let mut going = Vec::new();
        for leaving in members {
            let found = self.find_leaving(&leaving);
            going.extend(found.iter().cloned());
            left.push(Left {
                error: found
                    .as_ref()
                    .err()
                    .map_or(ErrorCode::None, |refused| refused.error),
                member_id: found.unwrap_or(leaving.member_id),
                instance_id: leaving.instance_id,
            });
        }
        self.answer(waiter, Reply::Leave(left));
        if !going.is_empty() {
            self.put_out(at, &going);
        }
    }

    fn find_leaving(&self, leaving: &Leaving) -> Result<Arc<str>, Refused> {
        let unknown = || Refused::new(ErrorCode::UnknownMemberId, "no such member");
        let instance_id = leaving.instance_id.as_deref();
        let named = instance_id.filter(|_| leaving.member_id.is_empty());
        let id = match named {
            // An administrator names a static member by its instance id alone.
            Some(instance_id) => self
                .members
                .instance(instance_id)
                .ok_or_else(unknown)?
                .clone(),
            None => leaving.member_id.clone(),
        };
        self.check_member(&id, instance_id)?;
        Ok(id)
    }
}
