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

use super::engine::{Effect, Event, Group, Limits, Now, Reply, Snapshot, Ticket, Waiter};
use super::offsets::{Committed, GroupOffsets};
use super::records::{self, KeyValue};

mod commit;
mod expiry;
mod listing;
mod load;
mod pending;
#[cfg(test)]
mod tests;

pub(crate) use listing::{CLASSIC, DescribedGroup, ListedGroup};
pub(crate) use load::Loading;

/// Groups held in memory at most; each takes about a kilobyte without members and offsets.
const GROUPS_MAX: usize = 200_000;

/// What the broker's settings say about groups and offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) limits: Limits,
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
    },
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
    group: Group,
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
    closed: bool,
}

impl Registry {
    pub(crate) fn new(rules: Rules) -> Registry {
        Registry {
            rules,
            groups: HashMap::new(),
            waiters: HashMap::new(),
            next_waiter: 0,
            wakeups: BinaryHeap::new(),
            outbox: Vec::new(),
            tally: Tally::default(),
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
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        let (sender, receiver) = oneshot::channel();
        self.waiters.insert(waiter, sender);
        self.step(now, &id, make(waiter));
        Ok(receiver)
    }

    /// Makes a group that does not exist yet.
    ///
    /// # Errors
    /// This broker holds as many groups as it may.
    pub(crate) fn ensure_group(&mut self, now: Now, group_id: &str) -> Result<(), ErrorCode> {
        if self.groups.contains_key(group_id) {
            return Ok(());
        }
        if self.closed || self.groups.len() >= GROUPS_MAX {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let entry = Entry {
            group: Group::new(self.rules.limits, now),
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
        let effects = entry.group.step(now, event);
        self.perform(now, id, effects);
        self.drop_if_unused(id);
    }

    fn perform(&mut self, now: Now, id: &Arc<str>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { waiter, reply } => {
                    if let Some(sender) = self.waiters.remove(&waiter) {
                        // A caller whose connection is gone no longer listens.
                        drop(sender.send(reply));
                    }
                }
                Effect::Persist { ticket, snapshot } => self.persist(now, id, ticket, &snapshot),
                Effect::WakeAt { tick_ms } => {
                    self.wakeups.push(Reverse((tick_ms, id.clone())));
                }
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
            Then::Committed { commits, done } => self.finish_commit(&id, commits, done, outcome),
            Then::Removed { offsets, group } => self.finish_removal(&id, &offsets, group, outcome),
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

    /// A group that holds nothing and never reached the log leaves no trace.
    fn drop_if_unused(&mut self, id: &str) {
        let unused = self.groups.get(id).is_some_and(|entry| {
            !entry.stored
                && entry.writes_under_way == 0
                && entry.offsets.is_empty()
                && entry.group.is_unused()
        });
        if unused {
            self.groups.remove(id);
            debug!(group = id, "dropped a group that nobody uses");
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
