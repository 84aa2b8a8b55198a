//! Groups of the consumer protocol: their heartbeats, and the change of a group from one protocol to
//! the other, while it is empty or while it lives.
//! Invariant: the tombstones of what a group was and the first records of what it becomes are one
//! write, so that a crash leaves one of the two. Hallway: beside steps 7 and 8.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use tokio::sync::oneshot;
use tracing::{error, info};

use super::kind::Kind;
use super::{Entry, Registry, Then};
use crate::group::consumer::{
    Beat, ConsumerEffect, ConsumerGroup, ConsumerRules, Moment, Refused, Topics,
};
use crate::group::engine::{Group, Leaving, Now, Reply, Ticket, Waiter};
use crate::group::offsets::GroupOffsets;
use crate::group::records;

/// Expressions of a group to be matched with the topics of a revision.
#[derive(Debug)]
pub(crate) struct Resolve {
    pub(crate) group: Arc<str>,
    pub(crate) patterns: Vec<Arc<str>>,
    pub(crate) topics: Arc<dyn Topics>,
    pub(crate) revision: u64,
}

/// Expressions, each with the names it matches.
pub(crate) type Matches = Vec<(Arc<str>, BTreeSet<Arc<str>>)>;

impl Registry {
    /// Takes note of the topics there are now.
    pub(crate) fn see_topics(&mut self, topics: Arc<dyn Topics>) {
        if !Arc::ptr_eq(&self.topics, &topics) {
            self.topics = topics;
            self.revision += 1;
        }
    }

    /// A heartbeat that stays (`joins` false) or may make its group.
    ///
    /// # Errors
    /// There is no such consumer group, and none can come of it.
    pub(crate) fn beat(
        &mut self,
        now: Now,
        group_id: &str,
        joins: bool,
        make: impl FnOnce(Waiter) -> Beat,
    ) -> Result<oneshot::Receiver<Reply>, Refused> {
        let id = self.consumer_group(now, group_id, joins)?;
        let (waiter, receiver) = self.wait();
        let beat = make(waiter);
        self.with_consumer(now, &id, |group, at| group.heartbeat(at, &beat));
        Ok(receiver)
    }

    /// A heartbeat that leaves.
    ///
    /// # Errors
    /// There is no such consumer group.
    pub(crate) fn leave(
        &mut self,
        now: Now,
        group_id: &str,
        leaving: &Leaving,
        epoch: i32,
    ) -> Result<oneshot::Receiver<Reply>, Refused> {
        let id = self.consumer_group(now, group_id, false)?;
        let (waiter, receiver) = self.wait();
        self.with_consumer(now, &id, |group, at| {
            group.leave(at, waiter, leaving, epoch)
        });
        Ok(receiver)
    }

    /// Expressions to be matched; the answers come back through [`Registry::resolved`].
    pub(crate) fn take_resolves(&mut self) -> Vec<Resolve> {
        std::mem::take(&mut self.resolves)
    }

    pub(crate) fn has_resolves(&self) -> bool {
        !self.resolves.is_empty()
    }

    pub(crate) fn resolved(&mut self, now: Now, group: &Arc<str>, revision: u64, found: Matches) {
        self.with_consumer(now, group, |group, at| group.resolved(at, revision, found));
    }

    fn with_consumer(
        &mut self,
        now: Now,
        id: &Arc<str>,
        change: impl FnOnce(&mut ConsumerGroup, Moment<'_>) -> Vec<ConsumerEffect>,
    ) {
        let topics = Arc::clone(&self.topics);
        let at = Moment {
            now,
            topics: &*topics,
            revision: self.revision,
        };
        let Some(Entry {
            group: Kind::Consumer(group),
            ..
        }) = self.groups.get_mut(id)
        else {
            return;
        };
        group.follow(self.rules.consumer.with(topics.settings_of(id)));
        let effects = change(group, at);
        self.perform_consumer(now, id, effects);
        self.drop_if_unused(id);
    }

    /// The consumer group of this id; with `joins` it is made, or made of a classic one.
    fn consumer_group(
        &mut self,
        now: Now,
        group_id: &str,
        joins: bool,
    ) -> Result<Arc<str>, Refused> {
        if self.closed {
            let message = "This broker is stopping.";
            return Err(Refused::new(ErrorCode::CoordinatorNotAvailable, message));
        }
        let Some((id, entry)) = self.groups.get_key_value(group_id) else {
            if !joins {
                let message = format!("Group {group_id} not found.");
                return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
            }
            return self.new_consumer_group(group_id);
        };
        let id = id.clone();
        if let Kind::Classic(_) = &entry.group {
            if !joins {
                return Err(ConsumerGroup::not_a_consumer_group(group_id));
            }
            self.upgrade(now, &id)?;
        }
        Ok(id)
    }

    /// The rules of one group: the broker's, with what was set for the group.
    pub(super) fn consumer_rules(&self, id: &str) -> ConsumerRules {
        self.rules.consumer.with(self.topics.settings_of(id))
    }

    fn new_consumer_group(&mut self, group_id: &str) -> Result<Arc<str>, Refused> {
        if !self.has_room() {
            let message = "This broker holds as many groups as it may.";
            return Err(Refused::new(ErrorCode::CoordinatorNotAvailable, message));
        }
        let id: Arc<str> = Arc::from(group_id);
        let entry = Entry {
            group: Kind::Consumer(Box::new(ConsumerGroup::new(
                self.consumer_rules(&id),
                Ticket(0),
            ))),
            offsets: GroupOffsets::default(),
            writes_under_way: 0,
            stored: false,
        };
        self.groups.insert(id.clone(), entry);
        Ok(id)
    }

    /// Makes a consumer group of a classic one.
    fn upgrade(&mut self, now: Now, id: &Arc<str>) -> Result<(), Refused> {
        let rules = self.consumer_rules(id);
        let topics = Arc::clone(&self.topics);
        let at = Moment {
            now,
            topics: &*topics,
            revision: self.revision,
        };
        let Some(Entry {
            group: kind @ Kind::Classic(_),
            stored,
            ..
        }) = self.groups.get_mut(id)
        else {
            return Ok(());
        };
        let Kind::Classic(group) = kind else {
            return Ok(());
        };
        let ticket = group.next_ticket();
        if group.is_empty() {
            let next = ConsumerGroup::replacing(rules, ticket, *stored);
            *kind = Kind::Consumer(Box::new(next));
            return Ok(());
        }
        if !rules.upgrade || !group.is_for_consumers() {
            return Err(ConsumerGroup::not_a_consumer_group(id));
        }
        if group.size() >= rules.max_size {
            let message = format!("The group has its {} members already.", rules.max_size);
            return Err(Refused::new(ErrorCode::GroupMaxSizeReached, message));
        }
        let members = group.views();
        let Some(next) =
            ConsumerGroup::from_classic(rules, at, (group.generation(), ticket), members)
        else {
            let message =
                format!("Group {id} cannot be upgraded: a member's subscription is malformed.");
            return Err(Refused::new(ErrorCode::GroupIdNotFound, message));
        };
        let effects = group.dissolve(now);
        *kind = Kind::Consumer(Box::new(next));
        info!(group = &**id, "upgrading to the consumer protocol");
        self.perform(now, id, effects);
        Ok(())
    }

    /// A classic group for a JoinGroup that meets a consumer group without members.
    pub(super) fn make_classic_if_empty(&mut self, now: Now, id: &Arc<str>) {
        let limits = self.rules.limits;
        let Some(entry) = self.groups.get_mut(id) else {
            return;
        };
        let Kind::Consumer(group) = &mut entry.group else {
            return;
        };
        if !group.is_empty() {
            return;
        }
        let (answers, parts) = group.take_apart();
        entry.group = Kind::Classic(Box::new(Group::following(limits, now, group.next_ticket())));
        let stored = std::mem::replace(&mut entry.stored, false);
        match records::consumer::tombstones(id, &parts) {
            Ok(tombstones) if stored => self.queue(id.clone(), tombstones, Then::Answer(answers)),
            Ok(_) => self.send(answers),
            Err(source) => error!(group = &**id, "tombstone cannot be written: {source}"),
        }
    }

    pub(super) fn perform_consumer(
        &mut self,
        now: Now,
        id: &Arc<str>,
        effects: Vec<ConsumerEffect>,
    ) {
        for effect in effects {
            match effect {
                ConsumerEffect::Reply { waiter, reply } => self.send(vec![(waiter, reply)]),
                ConsumerEffect::Store { ticket, parts } => {
                    self.store_parts(now, id, ticket, &parts);
                }
                ConsumerEffect::WakeAt { tick_ms } => self.wake_at(tick_ms, id),
                ConsumerEffect::Resolve { patterns } => self.resolves.push(Resolve {
                    group: id.clone(),
                    patterns,
                    topics: Arc::clone(&self.topics),
                    revision: self.revision,
                }),
                ConsumerEffect::Rebalancing => self.tally.rebalances += 1,
                ConsumerEffect::Downgrade { answers, rebalance } => {
                    self.downgrade(now, id, rebalance, answers);
                }
            }
        }
    }

    fn store_parts(
        &mut self,
        now: Now,
        id: &Arc<str>,
        ticket: Ticket,
        parts: &BTreeSet<crate::group::consumer::Part>,
    ) {
        let Some(Entry {
            group: Kind::Consumer(group),
            stored,
            ..
        }) = self.groups.get_mut(id)
        else {
            return;
        };
        match records::consumer::records(id, group, parts) {
            Ok(records) => {
                *stored = true;
                self.queue(id.clone(), records, Then::Persisted(ticket));
            }
            Err(source) => {
                error!(group = &**id, "group cannot be written: {source}");
                let effects = group.persisted(ticket, Err(ErrorCode::UnknownServerError));
                self.perform_consumer(now, id, effects);
            }
        }
    }

    /// Makes a classic group of a consumer group whose members are all classic.
    fn downgrade(
        &mut self,
        now: Now,
        id: &Arc<str>,
        rebalance: bool,
        answers: Vec<(Waiter, Reply)>,
    ) {
        let limits = self.rules.limits;
        let topics = Arc::clone(&self.topics);
        let at = Moment {
            now,
            topics: &*topics,
            revision: self.revision,
        };
        let Some(entry) = self.groups.get_mut(id) else {
            return;
        };
        let Kind::Consumer(group) = &mut entry.group else {
            return;
        };
        let members = group.classic_members(at);
        let (mut waiting, parts) = group.take_apart();
        waiting.extend(answers);
        let mut next = Group::adopt(limits, now, (group.epoch(), group.next_ticket()), members);
        let written = records::consumer::tombstones(id, &parts).and_then(|mut written| {
            written.push(records::group_record(id, Some(&next.snapshot()))?);
            Ok(written)
        });
        let effects = next.begin(now, rebalance);
        entry.group = Kind::Classic(Box::new(next));
        entry.stored = true;
        info!(group = &**id, "downgrading to the classic protocol");
        match written {
            Ok(written) => self.queue(id.clone(), written, Then::Answer(waiting)),
            Err(source) => {
                error!(group = &**id, "group cannot be written: {source}");
                self.send_failed(waiting, ErrorCode::UnknownServerError);
            }
        }
        self.perform(now, id, effects);
    }
}
