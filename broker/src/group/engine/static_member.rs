//! A static member that comes back without its member id (KIP-345): it takes the place, and where
//! possible the assignment, of the member that held its instance id.
//! Invariant: at most one member id holds an instance id; the earlier holder is fenced at once.
//! Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;

use super::{
    Effect, Group, Join, JoinReply, Now, Reason, Reply, State, SyncReply, Terms, Waiter, Write,
};

/// A replacement without a new round, while it is being stored.
#[derive(Debug)]
pub(super) struct Replacement {
    waiter: Waiter,
    old_id: Arc<str>,
    new_id: Arc<str>,
    old_terms: Terms,
    /// The leader as it was known before.
    old_leader: Option<Arc<str>>,
    can_skip_assignment: bool,
}

impl Group {
    pub(super) fn replace_static_member(&mut self, now: Now, old_id: &Arc<str>, join: Join) {
        let old_leader = self.leader.clone();
        let new_id = join.new_member_id.clone();
        self.fence(old_id);
        self.rename(old_id, &new_id);
        let terms = Terms {
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
        };
        let Some(old_terms) = self.members.change_terms(&new_id, terms) else {
            return;
        };
        self.renew_session(now, &new_id);
        self.park_join(&new_id, join.waiter);

        match self.state {
            State::Stable if self.members.vote() == self.protocol_name => {
                let replacement = Replacement {
                    waiter: join.waiter,
                    old_id: old_id.clone(),
                    new_id,
                    old_terms,
                    old_leader,
                    can_skip_assignment: join.can_skip_assignment,
                };
                let snapshot = self.snapshot();
                self.persist(snapshot, Write::StaticMember(Box::new(replacement)));
            }
            State::Stable => self.rebalance_or_complete(now, Reason::StaticMemberReplaced),
            State::CompletingRebalance => {
                // The leader may be assigning to the old id right now.
                self.effects.push(Effect::Rebalancing {
                    reason: Reason::StaticMemberReplaced,
                });
                self.prepare_rebalance(now);
            }
            State::PreparingRebalance { .. } | State::Empty | State::Dead => {
                self.complete_join_if_ready(now);
            }
        }
    }

    /// Sends away whoever still asks in the name of the earlier holder.
    fn fence(&mut self, old_id: &Arc<str>) {
        if let Some(waiter) = self.members.take_join(old_id) {
            let reply = JoinReply::refused(old_id.clone(), ErrorCode::FencedInstanceId);
            self.reply_join(waiter, reply);
        }
        let waiter = self
            .members
            .get_mut(old_id)
            .and_then(|member| member.awaiting_sync.take());
        if let Some(waiter) = waiter {
            let reply = SyncReply::refused(ErrorCode::FencedInstanceId);
            self.reply(waiter, Reply::Sync(reply));
        }
    }

    /// Gives a member another id; everything else about it stays.
    fn rename(&mut self, from: &Arc<str>, to: &Arc<str>) {
        if let Some(mut member) = self.members.remove(from) {
            member.id = to.clone();
            self.members.insert(member);
        }
        if self.is_leader(from) {
            self.leader = Some(to.clone());
        }
        if self.pending_syncs.remove(from) {
            self.pending_syncs.insert(to.clone());
        }
    }

    pub(super) fn finish_replacement(
        &mut self,
        now: Now,
        replacement: Replacement,
        outcome: Result<(), ErrorCode>,
    ) {
        let Replacement { waiter, new_id, .. } = &replacement;
        // A round that began meanwhile has taken the waiter over and answers it at its end.
        let still_waits = self.members.join_waiter(new_id) == Some(*waiter);
        if self.state != State::Stable || !still_waits {
            return;
        }
        self.members.take_join(new_id);
        match outcome {
            Ok(()) => self.accept_replacement(&replacement),
            Err(error) => self.revert_replacement(now, replacement, error),
        }
    }

    fn accept_replacement(&mut self, replacement: &Replacement) {
        let new_id = &replacement.new_id;
        let mut reply = self.generation_reply(new_id);
        if replacement.can_skip_assignment {
            // It learns that it leads and sees the members, but keeps the assignment.
            reply.skip_assignment = self.is_leader(new_id);
        } else {
            // An older client that leads would assign anew: it is told of its earlier self.
            reply.leader = replacement.old_leader.clone();
            reply.members = Vec::new();
        }
        self.reply_join(replacement.waiter, reply);
    }

    fn revert_replacement(&mut self, now: Now, replacement: Replacement, error: ErrorCode) {
        let Replacement {
            waiter,
            old_id,
            new_id,
            old_terms,
            ..
        } = replacement;
        self.members.change_terms(&new_id, old_terms);
        self.rename(&new_id, &old_id);
        self.renew_session(now, &old_id);
        self.reply_join(waiter, JoinReply::refused(Arc::from(""), error));
    }
}
