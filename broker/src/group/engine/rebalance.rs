//! The round itself: collecting the members, closing the collection, watching the clock.
//! Invariant: the generation grows by one per closed collection and by nothing else; after it every
//! member that waited has been answered. Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;

use super::{Effect, Group, JoinPhase, JoinReply, Now, Reason, Reply, State, SyncReply, Write};

/// The least time between two attempts to close a round to which nobody came.
const RETRY_MS: u64 = 100;

impl Group {
    /// Calls the members together. Those that wait for an assignment are sent back to join.
    pub(super) fn prepare_rebalance(&mut self, now: Now) {
        if self.state == State::CompletingRebalance {
            self.drop_assignments(now, ErrorCode::RebalanceInProgress);
        }
        self.pending_syncs.clear();
        self.sync_deadline = None;

        let initial = self.state == State::Empty;
        self.enter(now, State::PreparingRebalance { initial });
        if initial {
            // A new group is given time: its members tend to start together.
            self.joined_in_initial = false;
            let delay_ms = self.limits.initial_rebalance_delay_ms;
            let remaining_ms = self.members.rebalance_timeout_ms().saturating_sub(delay_ms);
            self.extend_initial(now, delay_ms, remaining_ms);
        } else if self.all_joined() {
            self.complete_join(now);
        } else {
            self.wait_for_members(now, 0);
        }
    }

    fn extend_initial(&mut self, now: Now, delay_ms: u64, remaining_ms: u64) {
        let ends = now.tick_ms.saturating_add(delay_ms);
        self.join_phase = Some(JoinPhase::Initial {
            ends,
            delay_ms,
            remaining_ms,
        });
        self.arm(ends);
    }

    fn wait_for_members(&mut self, now: Now, least_ms: u64) {
        let wait_ms = self.members.rebalance_timeout_ms().max(least_ms);
        let ends = now.tick_ms.saturating_add(wait_ms);
        self.join_phase = Some(JoinPhase::Rebalance { ends });
        self.arm(ends);
    }

    fn all_joined(&self) -> bool {
        self.members.awaiting_join() == self.members.len() && self.pending_joins.is_empty()
    }

    /// Closes the collection when all have come; an initial one lasts its whole delay.
    pub(super) fn complete_join_if_ready(&mut self, now: Now) {
        if self.state == (State::PreparingRebalance { initial: false }) && self.all_joined() {
            self.complete_join(now);
        }
    }

    /// Closes the collection: dynamic members that did not come are out, static ones stay in, and
    /// those who came are given the next generation.
    pub(super) fn complete_join(&mut self, now: Now) {
        self.join_phase = None;
        let absent: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|member| !member.is_awaiting_join() && member.instance_id.is_none())
            .map(|member| member.id.clone())
            .collect();
        for id in &absent {
            self.forget_member(id);
        }
        if self.members.is_empty() {
            self.become_empty(now);
        } else if self.elect_present_leader() {
            self.begin_generation(now);
        } else {
            // Only static members are left and none of them came: their sessions decide.
            self.wait_for_members(now, RETRY_MS);
        }
    }

    /// A leader that did not come hands over to the first that did.
    fn elect_present_leader(&mut self) -> bool {
        let leads = self
            .leader
            .as_deref()
            .is_some_and(|id| self.members.join_waiter(id).is_some());
        if leads {
            return true;
        }
        let present = self.members.iter().find(|member| member.is_awaiting_join());
        let Some(id) = present.map(|member| member.id.clone()) else {
            return false;
        };
        self.leader = Some(id);
        true
    }

    fn become_empty(&mut self, now: Now) {
        self.generation = self.generation.saturating_add(1);
        self.protocol_name = None;
        self.leader = None;
        self.find_topics();
        self.pending_syncs.clear();
        self.enter(now, State::Empty);
        let snapshot = self.snapshot();
        self.persist(snapshot, Write::Emptied);
    }

    fn begin_generation(&mut self, now: Now) {
        self.generation = self.generation.saturating_add(1);
        self.protocol_name = self.members.vote();
        self.find_topics();
        self.enter(now, State::CompletingRebalance);
        let ids = self.members.ids();
        for id in &ids {
            let reply = self.generation_reply(id);
            if let Some(waiter) = self.members.take_join(id) {
                self.reply_join(waiter, reply);
            }
            self.renew_session(now, id);
            if let Some(member) = self.members.get_mut(id) {
                member.is_new = false;
            }
        }
        self.pending_syncs = ids.into_iter().collect();
        let ends = now
            .tick_ms
            .saturating_add(self.members.rebalance_timeout_ms());
        self.sync_deadline = Some(ends);
        self.arm(ends);
    }

    /// Takes every assignment back and tells those who wait for one why.
    pub(super) fn drop_assignments(&mut self, now: Now, error: ErrorCode) {
        let mut waiting = Vec::new();
        for member in self.members.iter_mut() {
            member.assignment = bytes::Bytes::new();
            if let Some(waiter) = member.awaiting_sync.take() {
                waiting.push((member.id.clone(), waiter));
            }
        }
        for (id, waiter) in waiting {
            self.reply(waiter, Reply::Sync(SyncReply::refused(error)));
            self.renew_session(now, &id);
        }
    }

    pub(super) fn renew_session(&mut self, now: Now, id: &str) {
        if let Some(ends) = self
            .members
            .get_mut(id)
            .map(|member| member.renew_session(now.tick_ms))
        {
            self.arm(ends);
        }
    }

    /// Removes every trace of a member; those who wait on its behalf are sent away.
    pub(super) fn forget_member(&mut self, id: &str) {
        self.pending_joins.remove(id);
        self.pending_syncs.remove(id);
        let waiter = self.members.take_join(id);
        if let Some(waiter) = waiter {
            let reply = JoinReply::refused(Arc::from(""), ErrorCode::UnknownMemberId);
            self.reply_join(waiter, reply);
        }
        if let Some(member) = self.members.remove(id) {
            if let Some(waiter) = member.awaiting_sync {
                self.reply(
                    waiter,
                    Reply::Sync(SyncReply::refused(ErrorCode::UnknownMemberId)),
                );
            }
            if self.is_leader(id) {
                self.leader = self.members.iter().next().map(|member| member.id.clone());
            }
        }
    }

    /// What follows when members are gone.
    pub(super) fn after_removal(&mut self, now: Now, reason: Reason) {
        match self.state {
            State::CompletingRebalance | State::Stable => self.rebalance_or_complete(now, reason),
            State::PreparingRebalance { .. } => self.complete_join_if_ready(now),
            State::Empty | State::Dead => {}
        }
    }

    /// Does what has become due, and asks for the next wake-up.
    pub(super) fn on_wake(&mut self, now: Now) {
        if self.armed.is_some_and(|armed| armed > now.tick_ms) {
            return;
        }
        // Nothing is asked for until all that is due is done: then once, for the nearest.
        self.armed = Some(0);
        self.expire_pending_joins(now);
        self.expire_sessions(now);
        self.expire_join_phase(now);
        self.expire_sync_phase(now);
        self.rearm();
    }

    fn expire_pending_joins(&mut self, now: Now) {
        let before = self.pending_joins.len();
        self.pending_joins.retain(|_, lapses| *lapses > now.tick_ms);
        if self.pending_joins.len() < before {
            self.complete_join_if_ready(now);
        }
    }

    fn expire_sessions(&mut self, now: Now) {
        let mut expired = Vec::new();
        for member in self.members.iter_mut() {
            if member.session_ends.is_some_and(|ends| ends <= now.tick_ms) {
                member.session_ends = None;
                if !member.may_be_silent() {
                    expired.push(member.id.clone());
                }
            }
        }
        // Removing one may already close a round, so the others are looked at again.
        for id in &expired {
            if self
                .members
                .get(id)
                .is_some_and(|member| member.session_ends.is_none())
            {
                self.forget_member(id);
                self.after_removal(now, Reason::SessionExpired);
            }
        }
    }

    fn expire_join_phase(&mut self, now: Now) {
        let Some(phase) = self.join_phase.filter(|phase| phase.ends() <= now.tick_ms) else {
            return;
        };
        match phase {
            JoinPhase::Initial {
                delay_ms,
                remaining_ms,
                ..
            } if self.joined_in_initial && remaining_ms != 0 => {
                self.joined_in_initial = false;
                let next_ms = self.limits.initial_rebalance_delay_ms.min(remaining_ms);
                self.extend_initial(now, next_ms, remaining_ms.saturating_sub(delay_ms));
            }
            JoinPhase::Initial { .. } | JoinPhase::Rebalance { .. } => self.complete_join(now),
        }
    }

    fn expire_sync_phase(&mut self, now: Now) {
        if self.sync_deadline.is_none_or(|ends| ends > now.tick_ms) {
            return;
        }
        self.sync_deadline = None;
        let silent: Vec<Arc<str>> = self.pending_syncs.iter().cloned().collect();
        if silent.is_empty() {
            return;
        }
        for id in &silent {
            self.forget_member(id);
        }
        self.effects.push(Effect::Rebalancing {
            reason: Reason::SyncExpired,
        });
        self.prepare_rebalance(now);
    }

    /// Asks for a wake-up at the nearest of all deadlines.
    fn rearm(&mut self) {
        let sessions = self.members.iter().filter_map(|member| member.session_ends);
        let lapses = self.pending_joins.values().copied();
        let phase = self.join_phase.map(JoinPhase::ends);
        let next = sessions
            .chain(lapses)
            .chain(phase)
            .chain(self.sync_deadline)
            .min();
        self.armed = None;
        if let Some(tick_ms) = next {
            self.arm(tick_ms);
        }
    }

    pub(super) fn on_unload(&mut self, now: Now, error: ErrorCode) {
        self.drop_assignments(now, error);
        for id in self.members.ids() {
            if let Some(waiter) = self.members.take_join(&id) {
                self.reply_join(waiter, JoinReply::refused(id, error));
            }
        }
        self.join_phase = None;
        self.sync_deadline = None;
        self.pending_joins.clear();
        self.pending_syncs.clear();
        self.writes.clear();
        self.enter(now, State::Dead);
    }
}
