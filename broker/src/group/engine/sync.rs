//! SyncGroup: the leader's assignment in, each member's share out.
//! Invariant: an assignment is stored before any member hears of it; one that was overtaken by a
//! newer round while being stored is dropped. Hallway: beside step 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::error_code::ErrorCode;

use super::{Group, Now, Reason, Reply, Snapshot, State, Sync, SyncReply, Ticket, Waiter, Write};

impl Group {
    pub(super) fn on_sync(&mut self, now: Now, sync: Sync) {
        if let Err(error) = self.check_sync(&sync) {
            return self.reply(sync.waiter, Reply::Sync(SyncReply::refused(error)));
        }
        let id = sync.claim.member_id.clone();
        match self.state {
            State::CompletingRebalance => {
                self.note_sync(&id);
                self.park_sync(&id, sync.waiter);
                if self.is_leader(&id) && !self.is_storing_assignment() {
                    self.store_assignment(sync.assignments);
                }
            }
            State::Stable => {
                self.note_sync(&id);
                self.renew_session(now, &id);
                self.reply_assignment(sync.waiter, &id);
            }
            // A claim that holds needs a member, and Empty and Dead have none.
            State::PreparingRebalance { .. } | State::Empty | State::Dead => {
                let reply = SyncReply::refused(ErrorCode::RebalanceInProgress);
                self.reply(sync.waiter, Reply::Sync(reply));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        if self.state == State::Dead {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        self.check_claim(&sync.claim)?;
        let agrees = |said: &Option<Arc<str>>, ours: &Option<Arc<str>>| {
            said.is_none() || said.as_deref() == ours.as_deref()
        };
        if agrees(&sync.protocol_type, &self.protocol_type)
            && agrees(&sync.protocol_name, &self.protocol_name)
        {
            Ok(())
        } else {
            Err(ErrorCode::InconsistentGroupProtocol)
        }
    }

    fn note_sync(&mut self, id: &str) {
        self.pending_syncs.remove(id);
        if self.pending_syncs.is_empty() {
            self.sync_deadline = None;
        }
    }

    fn park_sync(&mut self, id: &str, waiter: Waiter) {
        let displaced = self
            .members
            .get_mut(id)
            .and_then(|member| member.awaiting_sync.replace(waiter));
        if let Some(displaced) = displaced {
            let reply = SyncReply::refused(ErrorCode::RebalanceInProgress);
            self.reply(displaced, Reply::Sync(reply));
        }
    }

    /// A leader that asks twice must not change what is being stored.
    fn is_storing_assignment(&self) -> bool {
        self.writes.values().any(
            |write| matches!(write, Write::Assignment { generation, .. } if *generation == self.generation),
        )
    }

    fn store_assignment(&mut self, given: Vec<(Arc<str>, Bytes)>) {
        let mut assignments: BTreeMap<Arc<str>, Bytes> = self
            .members
            .iter()
            .map(|member| (member.id.clone(), Bytes::new()))
            .collect();
        for (id, assignment) in given {
            if let Some(slot) = assignments.get_mut(&id) {
                *slot = assignment;
            }
        }
        let mut snapshot: Snapshot = self.snapshot();
        for member in &mut snapshot.members {
            member.assignment = assignments
                .get(&member.member_id)
                .cloned()
                .unwrap_or_default();
        }
        self.persist(
            snapshot,
            Write::Assignment {
                generation: self.generation,
                assignments,
            },
        );
    }

    fn reply_assignment(&mut self, waiter: Waiter, id: &str) {
        let assignment = self
            .members
            .get(id)
            .map(|member| member.assignment.clone())
            .unwrap_or_default();
        let reply = SyncReply {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment,
        };
        self.reply(waiter, Reply::Sync(reply));
    }

    pub(super) fn on_persisted(
        &mut self,
        now: Now,
        ticket: Ticket,
        outcome: Result<(), ErrorCode>,
    ) {
        match self.writes.remove(&ticket) {
            // An empty group that was not stored comes back with its old members after a crash;
            // their sessions then end by themselves.
            None | Some(Write::Emptied) => {}
            Some(Write::Assignment {
                generation,
                assignments,
            }) => {
                let current =
                    self.state == State::CompletingRebalance && generation == self.generation;
                if current {
                    self.finish_sync(now, assignments, outcome);
                }
            }
            Some(Write::StaticMember(replacement)) => {
                self.finish_replacement(now, *replacement, outcome);
            }
        }
    }

    fn finish_sync(
        &mut self,
        now: Now,
        assignments: BTreeMap<Arc<str>, Bytes>,
        outcome: Result<(), ErrorCode>,
    ) {
        if let Err(error) = outcome {
            self.drop_assignments(now, error);
            return self.rebalance_or_complete(now, Reason::PersistFailed);
        }
        let mut waiting = Vec::new();
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
                waiting.extend(member.awaiting_sync.take().map(|waiter| (id, waiter)));
            }
        }
        self.enter(now, State::Stable);
        for (id, waiter) in waiting {
            self.reply_assignment(waiter, &id);
            self.renew_session(now, &id);
        }
    }
}
