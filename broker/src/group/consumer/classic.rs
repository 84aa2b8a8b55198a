//! Classic members of a consumer group: JoinGroup, SyncGroup, Heartbeat and LeaveGroup while a live
//! group moves from one protocol to the other (KIP-848, "online migration").
//! Their generation is their member epoch, and the coordinator assigns for them too: nobody leads.
//! Invariant: as for all members; a classic member revokes by rejoining. Hallway: beside step 7.

use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::convert::{read_subscription, write_assignment};
use super::member::{ClassicTerms, MemberState};
use super::storing::ConsumerEffect;
use super::timers::positive_ms;
use super::{ConsumerGroup, Member, Moment, Refused, Waiter};
use crate::group::engine::{
    CONSUMER_PROTOCOL_TYPE, Claim, Event, Join, JoinReply, Reply, Sync, SyncReply,
};

impl ConsumerGroup {
    /// Takes a request of the classic protocol, or the end of a write, or a wake-up.
    pub(crate) fn step(&mut self, at: Moment<'_>, event: Event) -> Vec<ConsumerEffect> {
        match event {
            Event::Join(join) => {
                let waiter = join.waiter;
                if let Err(reply) = self.join(at, &join) {
                    self.refuse(waiter, Reply::Join(reply));
                }
            }
            Event::Sync(sync) => {
                let waiter = sync.waiter;
                match self.sync(at, &sync) {
                    Ok(reply) => self.answer(waiter, Reply::Sync(reply)),
                    Err(refused) => {
                        self.refuse(waiter, Reply::Sync(SyncReply::refused(refused.error)));
                    }
                }
            }
            Event::Heartbeat { waiter, claim } => {
                let error = self.classic_heartbeat(at, &claim);
                self.answer(waiter, Reply::Heartbeat(error));
            }
            Event::Leave { waiter, members } => self.classic_leave(at, waiter, members),
            Event::Persisted { ticket, outcome } => return self.persisted(ticket, outcome),
            Event::Wake => return self.wake(at),
            Event::Unload { error } => return self.unload(error),
        }
        self.finish()
    }

    fn refuse(&mut self, waiter: Waiter, reply: Reply) {
        self.effects.push(ConsumerEffect::Reply { waiter, reply });
    }

    fn join(&mut self, at: Moment<'_>, join: &Join) -> Result<(), Box<JoinReply>> {
        let refused = |error| Box::new(JoinReply::refused(Arc::from(""), error));
        let unknown = join.member_id.is_none();
        let id = join
            .member_id
            .clone()
            .unwrap_or_else(|| join.new_member_id.clone());
        if self.is_full_for(&id) {
            return Err(refused(ErrorCode::GroupMaxSizeReached));
        }
        if !self.supports(join) {
            return Err(refused(ErrorCode::InconsistentGroupProtocol));
        }
        if unknown && join.instance_id.is_none() && join.needs_known_id {
            return Err(Box::new(JoinReply::refused(
                id,
                ErrorCode::MemberIdRequired,
            )));
        }
        let first = join.protocols.first();
        let Some(wants) = first.and_then(|offer| read_subscription(&offer.metadata)) else {
            return Err(refused(ErrorCode::UnknownServerError));
        };
        let downgrades = self.downgrades_with(join);
        self.admit_classic(&id, join, unknown)
            .map_err(|error| refused(error.error))?;
        let changed = self.update_classic(&id, join, &wants);
        let epoch_before = self.epoch;
        self.follow_subscriptions(at, changed);
        let behind = self.epoch > self.target_epoch;
        if downgrades {
            // A classic group shares out by rebalancing: the epoch before is its generation.
            self.epoch = epoch_before;
        } else {
            self.assign_if_due(at);
        }
        if !(downgrades && behind) {
            let holds = wants.holds(at.topics);
            self.reconcile(at.now, &id, Some(&holds));
        }
        self.watch_sync(at, &id, join.rebalance_timeout_ms);
        let epoch = self
            .members
            .get(&id)
            .map_or(0, |member| member.current.epoch);
        let reply = JoinReply {
            error: ErrorCode::None,
            generation: epoch,
            protocol_type: Some(Arc::from(CONSUMER_PROTOCOL_TYPE)),
            protocol_name: first.map(|offer| offer.name.clone()),
            ..JoinReply::refused(id.clone(), ErrorCode::None)
        };
        self.answer(join.waiter, Reply::Join(Box::new(reply)));
        if downgrades {
            self.begin_downgrade(behind);
        }
        Ok(())
    }

    /// Whether the classic members and the offer have a protocol in common.
    fn supports(&self, join: &Join) -> bool {
        let classic = || {
            self.members
                .iter()
                .filter_map(|member| member.classic.as_ref())
        };
        &*join.protocol_type == CONSUMER_PROTOCOL_TYPE
            && join.protocols.iter().any(|offer| {
                classic().all(|terms| terms.protocols.iter().any(|of| of.name == offer.name))
            })
    }

    /// Whether this join takes the place of the last member that speaks the consumer protocol.
    fn downgrades_with(&self, join: &Join) -> bool {
        let holder = join
            .instance_id
            .as_ref()
            .and_then(|id| self.members.instance(id));
        self.rules.downgrade
            && self.members.len() <= self.rules.classic_max_size
            && holder.is_some_and(|id| self.all_classic_except(id))
    }

    fn admit_classic(&mut self, id: &Arc<str>, join: &Join, unknown: bool) -> Result<(), Refused> {
        let Some(instance_id) = &join.instance_id else {
            if !self.members.contains(id) {
                self.add(id, join.client.clone());
            }
            return Ok(());
        };
        if !unknown {
            return self.check_member(id, Some(instance_id)).map(drop);
        }
        match self.members.instance(instance_id).cloned() {
            Some(old) => self.replace(&old, id),
            None => self.add(id, join.client.clone()),
        }
        Ok(())
    }

    fn update_classic(
        &mut self,
        id: &Arc<str>,
        join: &Join,
        wants: &super::convert::Wants,
    ) -> bool {
        let Some(before) = self.members.get(id) else {
            return false;
        };
        let mut member = before.clone();
        member.instance_id = join.instance_id.clone().or(member.instance_id);
        member.rack_id = wants.rack_id.clone().or(member.rack_id);
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.topics.clone_from(&wants.topics);
        member.client = join.client.clone();
        member.classic = Some(ClassicTerms {
            session_timeout_ms: join.session_timeout_ms,
            protocols: join.protocols.clone(),
        });
        self.put_changed(member)
    }

    fn watch_sync(&mut self, at: Moment<'_>, id: &Arc<str>, rebalance_timeout_ms: i32) {
        let ends = at
            .now
            .tick_ms
            .saturating_add(positive_ms(rebalance_timeout_ms));
        if let Some(member) = self.members.get_mut(id) {
            member.timers.join = None;
            member.timers.rebalance = None;
            member.timers.sync = Some(ends);
        }
        self.arm_some(Some(ends));
        self.renew_session(at.now, id);
    }

    /// The classic member that a claim names, in its present generation.
    fn check_claim(&self, claim: &Claim) -> Result<&Member, Refused> {
        let member = self.check_member(&claim.member_id, claim.instance_id.as_deref())?;
        if member.classic.is_none() {
            return Err(Refused::new(
                ErrorCode::UnknownMemberId,
                "not a classic member",
            ));
        }
        if member.current.epoch != claim.generation {
            return Err(Refused::new(
                ErrorCode::IllegalGeneration,
                "another generation",
            ));
        }
        Ok(member)
    }

    fn sync(&mut self, at: Moment<'_>, sync: &Sync) -> Result<SyncReply, Refused> {
        let member = self.check_claim(&sync.claim)?;
        let first = member
            .classic
            .as_ref()
            .and_then(|terms| terms.protocols.first());
        let name = first.map(|offer| &*offer.name);
        let type_differs = sync
            .protocol_type
            .as_deref()
            .is_some_and(|said| said != CONSUMER_PROTOCOL_TYPE);
        let name_differs = sync.protocol_name.is_some() && sync.protocol_name.as_deref() != name;
        if type_differs || name_differs {
            return Err(Refused::new(
                ErrorCode::InconsistentGroupProtocol,
                "another protocol",
            ));
        }
        // One that still revokes has rejoined already and comes again of its own.
        let behind = self.epoch > member.current.epoch
            && member.current.state != MemberState::UnrevokedPartitions;
        let id = member.id.clone();
        if behind {
            self.watch_join(at, &id);
            return Err(Refused::new(ErrorCode::RebalanceInProgress, "a new round"));
        }
        let version = first.map_or(0, |offer| super::convert::version_of(&offer.metadata));
        let assignment = write_assignment(&member.current.assigned, version, at.topics);
        if let Some(member) = self.members.get_mut(&id) {
            member.timers.sync = None;
        }
        self.renew_session(at.now, &id);
        Ok(SyncReply {
            error: ErrorCode::None,
            protocol_type: sync.protocol_type.clone(),
            protocol_name: sync.protocol_name.clone(),
            assignment,
        })
    }

    /// Gives the member its rebalance timeout to come back; an earlier limit stands.
    fn watch_join(&mut self, at: Moment<'_>, id: &Arc<str>) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let timeout_ms = positive_ms(member.rebalance_timeout_ms);
        let ends = at.now.tick_ms.saturating_add(timeout_ms);
        let ends = *member.timers.join.get_or_insert(ends);
        self.arm_some(Some(ends));
    }

    fn classic_heartbeat(&mut self, at: Moment<'_>, claim: &Claim) -> ErrorCode {
        let member = match self.check_claim(claim) {
            Ok(member) => member,
            Err(refused) => return refused.error,
        };
        let (id, state, epoch) = (
            member.id.clone(),
            member.current.state,
            member.current.epoch,
        );
        self.renew_session(at.now, &id);
        let released = || state == MemberState::UnreleasedPartitions && !self.waits_for_others(&id);
        if epoch < self.epoch || state == MemberState::UnrevokedPartitions || released() {
            self.watch_join(at, &id);
            ErrorCode::RebalanceInProgress
        } else {
            ErrorCode::None
        }
    }
}
