//! JoinGroup: who may enter, and what entering changes.
//! Versions 0-9 arrive here alike; `needs_known_id` (v4+, KIP-394) and `can_skip_assignment`
//! (v9+, KIP-814) carry the differences. Invariant: a join is answered now or its waiter is kept
//! with its member. Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;

use super::{
    Effect, Group, Join, JoinReply, JoinedMember, Member, Now, Protocol, Reason, State, Terms,
    Waiter,
};

impl Group {
    pub(super) fn on_join(&mut self, now: Now, join: Join) {
        if self.state == State::Dead {
            let id = join.member_id.unwrap_or_else(|| Arc::from(""));
            return self.refuse(join.waiter, id, ErrorCode::CoordinatorNotAvailable);
        }
        if !self.has_room_for(join.member_id.as_deref()) {
            self.refuse(join.waiter, Arc::from(""), ErrorCode::GroupMaxSizeReached);
            if let Some(id) = &join.member_id {
                self.forget_member(id);
                self.complete_join_if_ready(now);
            }
            return;
        }
        if !self.supports(&join.protocol_type, &join.protocols) {
            let id = join.member_id.unwrap_or_else(|| Arc::from(""));
            return self.refuse(join.waiter, id, ErrorCode::InconsistentGroupProtocol);
        }
        match join.member_id.clone() {
            None => self.join_without_id(now, join),
            Some(id) => self.join_with_id(now, id, join),
        }
    }

    fn refuse(&mut self, waiter: Waiter, member_id: Arc<str>, error: ErrorCode) {
        self.reply_join(waiter, JoinReply::refused(member_id, error));
    }

    /// `group.max.size`. While members are collected, those count who already wait: the last ones
    /// to come are turned away. Later the members count.
    fn has_room_for(&self, member_id: Option<&str>) -> bool {
        let is_member = member_id.is_some_and(|id| self.members.contains(id));
        let known = member_id.is_some_and(|id| self.pending_joins.contains_key(id));
        let room_to_wait = known || is_member || self.pending_joins.len() < self.limits.max_size;
        match self.state {
            State::Empty | State::Dead => room_to_wait,
            State::PreparingRebalance { .. } => {
                let waits = member_id.is_some_and(|id| self.members.join_waiter(id).is_some());
                waits || (self.members.awaiting_join() < self.limits.max_size && room_to_wait)
            }
            State::CompletingRebalance | State::Stable => {
                is_member || (self.members.len() < self.limits.max_size && room_to_wait)
            }
        }
    }

    /// Whether the present members and the offer have a protocol in common.
    fn supports(&self, protocol_type: &str, protocols: &[Protocol]) -> bool {
        if self.state == State::Empty {
            return !protocol_type.is_empty() && !protocols.is_empty();
        }
        self.protocol_type.as_deref() == Some(protocol_type)
            && protocols
                .iter()
                .any(|offer| self.members.all_support(&offer.name))
    }

    fn join_without_id(&mut self, now: Now, join: Join) {
        if let Some(instance_id) = &join.instance_id {
            return match self.members.instance(instance_id).cloned() {
                Some(replaced) => self.replace_static_member(now, &replaced, join),
                None => self.add_member(now, &join.new_member_id.clone(), join),
            };
        }
        if !join.needs_known_id {
            return self.add_member(now, &join.new_member_id.clone(), join);
        }
        let lapses = now
            .tick_ms
            .saturating_add(super::member::positive_ms(join.session_timeout_ms));
        self.pending_joins
            .insert(join.new_member_id.clone(), lapses);
        self.arm(lapses);
        self.refuse(join.waiter, join.new_member_id, ErrorCode::MemberIdRequired);
    }

    fn join_with_id(&mut self, now: Now, id: Arc<str>, join: Join) {
        if self.pending_joins.contains_key(&id) {
            if join.instance_id.is_some() {
                // Ids are only reserved for dynamic members; Kafka fails such a request too.
                let nobody = Arc::from("");
                return self.refuse(join.waiter, nobody, ErrorCode::UnknownServerError);
            }
            return self.add_member(now, &id, join);
        }
        if let Err(error) = self.check_member(&id, join.instance_id.as_deref()) {
            return self.refuse(join.waiter, id, error);
        }
        let unchanged = self
            .members
            .get(&id)
            .is_some_and(|member| member.offers(&join.protocols));
        match self.state {
            State::PreparingRebalance { .. } => {
                self.rejoin(now, &id, join, Reason::MemberRejoined);
            }
            // A leader rejoins to have the partitions shared out anew.
            State::Stable if self.is_leader(&id) => {
                self.rejoin(now, &id, join, Reason::LeaderRejoined);
            }
            // The answer to its first request may have been lost.
            State::CompletingRebalance | State::Stable if unchanged => {
                self.repeat_generation(join.waiter, &id);
            }
            State::CompletingRebalance | State::Stable => {
                self.rejoin(now, &id, join, Reason::MetadataChanged);
            }
            // Without members there is nobody to rejoin as.
            State::Empty | State::Dead => {
                self.refuse(join.waiter, id, ErrorCode::UnknownMemberId);
            }
        }
    }

    fn add_member(&mut self, now: Now, id: &Arc<str>, join: Join) {
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        if self.state == (State::PreparingRebalance { initial: true }) {
            self.joined_in_initial = true;
        }
        let terms = Terms {
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
        };
        let mut member = Member::new(id.clone(), join.instance_id, join.client, terms);
        // Its session cannot be kept alive before it has a generation, and a broken connection is
        // not noticed while the answer is parked: this bounds how long a ghost is waited for.
        let ends = now
            .tick_ms
            .saturating_add(self.limits.new_member_join_timeout_ms);
        member.session_ends = Some(ends);
        self.pending_joins.remove(id);
        self.members.insert(member);
        self.arm(ends);
        self.park_join(id, join.waiter);
        self.rebalance_or_complete(now, Reason::MemberJoined);
    }

    fn rejoin(&mut self, now: Now, id: &Arc<str>, join: Join, reason: Reason) {
        let terms = Terms {
            session_timeout_ms: join.session_timeout_ms,
            rebalance_timeout_ms: join.rebalance_timeout_ms,
            protocols: join.protocols,
        };
        self.members.change_terms(id, terms);
        self.park_join(id, join.waiter);
        self.rebalance_or_complete(now, reason);
    }

    /// Keeps the waiter with its member. A member that asks twice has given up on its first
    /// question; that one is answered so that nobody waits for ever.
    pub(super) fn park_join(&mut self, id: &Arc<str>, waiter: Waiter) {
        if let Some(displaced) = self.members.await_join(id, waiter) {
            self.refuse(displaced, id.clone(), ErrorCode::RebalanceInProgress);
        }
    }

    /// Tells a member of the present generation once more what it is.
    fn repeat_generation(&mut self, waiter: Waiter, id: &Arc<str>) {
        // In Stable only followers come here, and a follower is never told of the others.
        let reply = self.generation_reply(id);
        self.reply_join(waiter, reply);
    }

    /// The present generation as the member `id` gets to know it.
    pub(super) fn generation_reply(&self, id: &Arc<str>) -> JoinReply {
        JoinReply {
            error: ErrorCode::None,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            skip_assignment: false,
            member_id: id.clone(),
            members: if self.is_leader(id) {
                self.joined_members()
            } else {
                Vec::new()
            },
        }
    }

    fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol_name.as_deref();
        self.members
            .iter()
            .map(|member| JoinedMember {
                member_id: member.id.clone(),
                instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol),
            })
            .collect()
    }

    /// Begins a round, unless one is being collected already: then it may now be complete.
    pub(super) fn rebalance_or_complete(&mut self, now: Now, reason: Reason) {
        match self.state {
            State::Empty | State::CompletingRebalance | State::Stable => {
                self.effects.push(Effect::Rebalancing { reason });
                self.prepare_rebalance(now);
            }
            State::PreparingRebalance { .. } => self.complete_join_if_ready(now),
            State::Dead => {}
        }
    }
}
