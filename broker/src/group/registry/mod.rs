//! All groups that this broker coordinates, with their offsets and whoever waits for an answer.
//! It carries out what the engines ask for: answers go to waiters, wake-ups into one heap, writes
//! into one queue in the order in which they were decided.
//! Invariant: synchronous and without I/O; one lock around it orders everything. The queue of
//! writes is bounded by the requests in flight (each is charged to the broker's request budget
//! until it is answered) and by one write per group beyond them. Hallway: beside steps 7 and 8.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use logway_protocol::ErrorCode;
use tokio::sync::oneshot;
use tracing::{debug, error, info};

use super::consumer::{ConsumerRules, Moment, Topics, failed};
use super::engine::{Effect, Event, Group, Limits, Now, Reply, Snapshot, Ticket, Waiter};
use super::offsets::{Committed, GroupOffsets};
use super::records::{self, KeyValue};

mod commit;
mod deleting;
mod expiry;
mod kind;
mod listing;
mod load;
mod migration;
mod pending;
#[cfg(test)]
mod tests;

use kind::Kind;
pub(crate) use listing::{DescribedGroup, Found, ListedGroup};
pub(crate) use load::Loading;
pub(crate) use migration::{Matches, Resolve};

/// Groups held in memory at most; each takes about a kilobyte without members and offsets.
const GROUPS_MAX: usize = 200_000;

/// What the broker's settings say about groups and offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
    pub(crate) consumer: ConsumerRules,
    /// Milliseconds that offsets outlive their group.
    pub(crate) offsets_retention_ms: i64,
}

/// Writes and what they mean when they have ended.
#[derive(Debug)]
pub(crate) struct PendingWrite {
    pub(crate) group: Arc<str>,
    pub(crate) records: Vec<KeyValue>,
    then: Then,
}

impl PendingWrite {
    /// The places that the first records of this write are tombstones for.
    pub(crate) fn removed(&self) -> &[(Arc<str>, i32)] {
        match &self.then {
            Then::Removed { offsets, .. } => offsets,
            _ => &[],
        }
    }
}

#[derive(Debug)]
enum Then {
    /// The engine asked for it.
    Persisted(Ticket),
    Committed {
        commits: Vec<Commit>,
        done: oneshot::Sender<Result<(), ErrorCode>>,
    },
    /// Offsets are gone; with `group` the group itself as well.
    Removed {
        offsets: Vec<(Arc<str>, i32)>,
        group: bool,
        done: Option<oneshot::Sender<Result<(), ErrorCode>>>,
    },
    /// These callers waited for it.
    Answer(Vec<(Waiter, Reply)>),
}

/// One partition's offset to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) committed: Committed,
}

/// A group, its offsets, and what is known of them on disk.
#[derive(Debug)]
struct Entry {
    group: Kind,
    offsets: GroupOffsets,
    writes_under_way: usize,
    /// Its metadata is or may be in the log: leaving memory takes a tombstone.
    stored: bool,
}

/// Counters of what happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) rebalances: u64,
    pub(crate) commits: u64,
    pub(crate) expired_offsets: u64,
}

/// All groups of this coordinator.
#[derive(Debug)]
pub(crate) struct Registry {
    rules: Rules,
    groups: HashMap<Arc<str>, Entry>,
    waiters: HashMap<Waiter, oneshot::Sender<Reply>>,
    next_waiter: u64,
    wakeups: BinaryHeap<Reverse<(u64, Arc<str>)>>,
    outbox: Vec<PendingWrite>,
    tally: Tally,
    /// The topics there are, and how often they have changed.
    topics: Arc<dyn Topics>,
    revision: u64,
    resolves: Vec<Resolve>,
    closed: bool,
}

impl Registry {
    pub(crate) fn new(rules: Rules, topics: Arc<dyn Topics>) -> Registry {
        Registry {
            rules,
            groups: HashMap::new(),
            waiters: HashMap::new(),
            next_waiter: 0,
            wakeups: BinaryHeap::new(),
            outbox: Vec::new(),
            tally: Tally::default(),
            topics,
            revision: 0,
            resolves: Vec::new(),
            closed: false,
        }
    }

    /// Hands a request to its group and gives back where the answer will arrive.
    ///
    /// # Errors
    /// There is no such group (`GroupIdNotFound`), or no more are coordinated here.
    pub(crate) fn request(
        &mut self,
        now: Now,
        group_id: &str,
        make: impl FnOnce(Waiter) -> Event,
    ) -> Result<oneshot::Receiver<Reply>, ErrorCode> {
        if self.closed {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let Some((id, _)) = self.groups.get_key_value(group_id) else {
            return Err(ErrorCode::GroupIdNotFound);
        };
        let id = id.clone();
        let (waiter, receiver) = self.wait();
        let event = make(waiter);
        if let Event::Join(join) = &event
            && self.is_empty_consumer_group(&id)
        {
            if join.member_id.is_some() {
                // Nobody has an id of it; the group stays what it is.
                self.waiters.remove(&waiter);
                return Err(ErrorCode::GroupIdNotFound);
            }
            self.make_classic_if_empty(now, &id);
        }
        self.step(now, &id, event);
        Ok(receiver)
    }

    fn is_empty_consumer_group(&self, id: &Arc<str>) -> bool {
        let entry = self.groups.get(id);
        entry.is_some_and(|entry| match &entry.group {
            Kind::Consumer(group) => group.is_empty(),
            Kind::Classic(_) => false,
        })
    }

    /// A new waiter, and where its answer will arrive.
    fn wait(&mut self) -> (Waiter, oneshot::Receiver<Reply>) {
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiters.insert(waiter, sender);
        (waiter, receiver)
    }

    fn send(&mut self, answers: Vec<(Waiter, Reply)>) {
        for (waiter, reply) in answers {
            if let Some(sender) = self.waiters.remove(&waiter) {
                // A caller whose connection is gone no longer listens.
                drop(sender.send(reply));
            }
        }
    }

    fn send_failed(&mut self, answers: Vec<(Waiter, Reply)>, error: ErrorCode) {
        let answers = answers.into_iter();
        self.send(
            answers
                .map(|(waiter, reply)| (waiter, failed(reply, error)))
                .collect(),
        );
    }

    fn wake_at(&mut self, tick_ms: u64, id: &Arc<str>) {
        self.wakeups.push(Reverse((tick_ms, id.clone())));
    }

    fn has_room(&self) -> bool {
        !self.closed && self.groups.len() < GROUPS_MAX
    }

    /// Makes a group that does not exist yet.
    ///
    /// # Errors
    /// This broker holds as many groups as it may.
    pub(crate) fn ensure_group(&mut self, now: Now, group_id: &str) -> Result<(), ErrorCode> {
        if self.groups.contains_key(group_id) {
            return Ok(());
        }
        if !self.has_room() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let entry = Entry {
            group: Kind::Classic(Box::new(Group::new(self.rules.limits, now))),
            offsets: GroupOffsets::default(),
            writes_under_way: 0,
            stored: false,
        };
        self.groups.insert(Arc::from(group_id), entry);
        Ok(())
    }

    fn step(&mut self, now: Now, id: &Arc<str>, event: Event) {
        let Some(entry) = self.groups.get_mut(id) else {
            return;
        };
        match &mut entry.group {
            Kind::Classic(group) => {
                let effects = group.step(now, event);
                self.perform(now, id, effects);
            }
            Kind::Consumer(group) => {
                let topics = Arc::clone(&self.topics);
                group.follow(self.rules.consumer.with(topics.settings_of(id)));
                let revision = self.revision;
                let at = Moment {
                    now,
                    topics: &*topics,
                    revision,
                };
                let effects = group.step(at, event);
                self.perform_consumer(now, id, effects);
            }
        }
        self.drop_if_unused(id);
    }

    fn perform(&mut self, now: Now, id: &Arc<str>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { waiter, reply } => self.send(vec![(waiter, reply)]),
                Effect::Persist { ticket, snapshot } => self.persist(now, id, ticket, &snapshot),
                Effect::WakeAt { tick_ms } => self.wake_at(tick_ms, id),
                Effect::Rebalancing { reason } => {
                    self.tally.rebalances += 1;
                    if let Some(entry) = self.groups.get(id) {
                        let generation = entry.group.generation();
                        info!(group = &**id, generation, "rebalancing: {reason}");
                    }
                }
            }
        }
    }

    fn persist(&mut self, now: Now, id: &Arc<str>, ticket: Ticket, snapshot: &Snapshot) {
        match records::group_record(id, Some(snapshot)) {
            Ok(record) => {
                if let Some(entry) = self.groups.get_mut(id) {
                    entry.stored = true;
                }
                self.queue(id.clone(), vec![record], Then::Persisted(ticket));
            }
            Err(source) => {
                error!(group = &**id, "group cannot be written: {source}");
                let outcome = Err(ErrorCode::UnknownServerError);
                self.step(now, id, Event::Persisted { ticket, outcome });
            }
        }
    }

    fn queue(&mut self, group: Arc<str>, records: Vec<KeyValue>, then: Then) {
        if let Some(entry) = self.groups.get_mut(&group) {
            entry.writes_under_way += 1;
        }
        self.outbox.push(PendingWrite {
            group,
            records,
            then,
        });
    }

    /// Takes all writes decided so far, in order.
    pub(crate) fn take_writes(&mut self) -> Vec<PendingWrite> {
        std::mem::take(&mut self.outbox)
    }

    /// Whether writes are waiting to be taken.
    pub(crate) fn has_writes(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Reports the end of a write. `outcome` holds the place of its first record in the partition.
    pub(crate) fn finish(
        &mut self,
        now: Now,
        write: PendingWrite,
        outcome: Result<i64, ErrorCode>,
    ) {
        let PendingWrite {
            group: id, then, ..
        } = write;
        if let Some(entry) = self.groups.get_mut(&id) {
            entry.writes_under_way = entry.writes_under_way.saturating_sub(1);
        }
        match then {
            Then::Persisted(ticket) => {
                let outcome = outcome.map(|_| ()).map_err(group_error);
                if let Err(error) = outcome {
                    error!(group = &*id, "group could not be stored: {error}");
                }
                self.step(now, &id, Event::Persisted { ticket, outcome });
            }
            Then::Committed { commits, done } => {
                let failed = outcome.is_err();
                self.finish_commit(&id, commits, done, outcome);
                if failed {
                    self.remove_if_bare(&id);
                }
            }
            Then::Removed {
                offsets,
                group,
                done,
            } => {
                self.finish_removal(&id, &offsets, group, outcome);
                let outcome = outcome.map(drop).map_err(group_error);
                if done.is_some_and(|done| done.send(outcome).is_err()) {
                    debug!(group = &*id, "the one who deleted is gone");
                }
                // A group that has lost its last offset goes with the next look for expired ones.
                return;
            }
            Then::Answer(answers) => match outcome {
                Ok(_) => self.send(answers),
                Err(error) => {
                    error!(group = &*id, "group could not be stored: {error}");
                    self.send_failed(answers, group_error(error));
                }
            },
        }
        self.drop_if_unused(&id);
    }

    /// The tick of the next wake-up.
    pub(crate) fn next_wake(&self) -> Option<u64> {
        self.wakeups.peek().map(|Reverse((tick_ms, _))| *tick_ms)
    }

    /// Wakes every group whose moment has come. A group that asks for this very moment again is
    /// left for the next call, so that no group can hold the lock for ever.
    pub(crate) fn wake_due(&mut self, now: Now) {
        let mut due = Vec::new();
        while let Some(Reverse((tick_ms, _))) = self.wakeups.peek() {
            if *tick_ms > now.tick_ms {
                break;
            }
            due.extend(self.wakeups.pop().map(|Reverse((_, id))| id));
        }
        for id in due {
            self.step(now, &id, Event::Wake);
        }
    }

    /// Sends everyone away who waits: this broker stops coordinating. Writes under way still end.
    pub(crate) fn close(&mut self, now: Now) {
        self.closed = true;
        let ids: Vec<Arc<str>> = self.groups.keys().cloned().collect();
        for id in ids {
            let error = ErrorCode::NotCoordinator;
            self.step(now, &id, Event::Unload { error });
        }
        self.wakeups.clear();
    }

    /// A group that holds nothing and was never stored goes with the request that made it.
    fn remove_if_bare(&mut self, id: &str) {
        let bare = self.groups.get(id).is_some_and(|entry| {
            !entry.stored
                && entry.writes_under_way == 0
                && entry.offsets.is_empty()
                && entry.group.is_unused()
        });
        if bare {
            self.groups.remove(id);
            debug!(group = id, "dropped a group that nobody uses");
        }
    }

    /// A consumer group that nobody could join leaves no trace. A classic one stays until the next
    /// look for expired offsets, as with Kafka, where a commit or a member may find it.
    fn drop_if_unused(&mut self, id: &str) {
        let entry = self.groups.get(id);
        if entry.is_some_and(|entry| matches!(entry.group, Kind::Consumer(_))) {
            self.remove_if_bare(id);
        }
    }
}

/// What a failed write means to the members of a group; Kafka's translation.
fn group_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge
        | ErrorCode::RecordListTooLarge
        | ErrorCode::InvalidFetchSize => ErrorCode::UnknownServerError,
        other => other,
    }
}
