//! Decides about transactions: all transactional ids of this coordinator, what is being stored for
//! each, and whose markers are being written.
//! Invariant: no I/O, no clock; one change of an id is stored at a time, and it holds only once it is
//! stored. The end of a transaction is stored before the first marker is asked for, and complete only
//! after the last marker is written: wherever the process dies, the same end comes out.
//!
//! A change that completes a transaction need not be waited for: whatever is stored for the id after
//! it lies behind it in the same log, and without it the markers are only written again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::state::{EPOCH_PER_TRANSACTION, Producer, State, TopicPartition, Transaction};

mod end;
mod listing;
mod open;

pub(crate) use end::End;
pub(crate) use listing::{Filter, Listed};
pub(crate) use open::Init;

/// Transactional ids held at most; each takes a few hundred bytes.
const IDS_MAX: usize = 1_000_000;

/// Names the caller that waits for one answer. The engine answers each exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Waiter(pub(crate) u64);

/// What the broker's settings say about transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) timeout_max_ms: i32,
    pub(crate) expiration_ms: i64,
}

/// An answer to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Done; the producer is the one to go on with.
    Done(Producer),
    Refused(ErrorCode),
    /// Nothing has changed: the request must come again with a fresh producer id.
    NeedsProducerId,
}

/// Markers to be written into every partition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Markers {
    pub(crate) producer: Producer,
    pub(crate) commit: bool,
    /// Transaction version under which the end was decided.
    pub(crate) version: i16,
    pub(crate) partitions: BTreeSet<TopicPartition>,
}

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    Reply {
        waiter: Waiter,
        reply: Reply,
    },
    /// Store this as the state of the id (none: a tombstone) and report it with `stored`: when it is
    /// as durable as `acks=all` if `durable`, else as soon as it is appended.
    Persist {
        id: Arc<str>,
        transaction: Option<Transaction>,
        durable: bool,
    },
    /// Write the markers and report it with `marked`.
    Mark {
        id: Arc<str>,
        markers: Markers,
    },
}

/// Partitions that a producer wants in its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Add {
    pub(crate) waiter: Waiter,
    pub(crate) producer: Producer,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Transaction version of whoever asks.
    pub(crate) version: i16,
}

#[derive(Debug)]
enum Next {
    /// The id's new state.
    State(Transaction),
    /// The id is forgotten.
    Gone,
}

/// A change that is being stored.
#[derive(Debug)]
struct Pending {
    next: Next,
    /// Who is told, and what, if it succeeds.
    answer: Option<(Waiter, Reply)>,
}

#[derive(Debug)]
struct Entry {
    transaction: Transaction,
    pending: Option<Pending>,
    /// Markers are being written.
    marking: bool,
    /// Partitions to add when the transaction before is complete.
    parked: Vec<Add>,
}

/// All transactions of this coordinator.
#[derive(Debug)]
pub(crate) struct Engine {
    rules: Rules,
    /// The finalized transaction version: that of the ends which no client asked for.
    level: i16,
    entries: HashMap<Arc<str>, Entry>,
    effects: Vec<Effect>,
}

impl Engine {
    pub(crate) fn new(rules: Rules) -> Engine {
        Engine {
            rules,
            level: EPOCH_PER_TRANSACTION,
            entries: HashMap::new(),
            effects: Vec::new(),
        }
    }

    /// The level of `transaction.version` from now on. Requests are judged by their own versions: a
    /// client learns of another level when it connects, and may have a transaction open.
    pub(crate) fn see_level(&mut self, level: i16) {
        self.level = level;
    }

    /// What is to be done after the calls before.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Number of ids by state.
    pub(crate) fn counts(&self) -> [(State, usize); 6] {
        let mut counts = State::ALL.map(|state| (state, 0));
        for entry in self.entries.values() {
            let state = entry.transaction.state;
            if let Some((_, count)) = counts.iter_mut().find(|(of, _)| *of == state) {
                *count += 1;
            }
        }
        counts
    }

    /// Takes over what was read from the log. What was decided and is not complete goes on.
    pub(crate) fn load(&mut self, loaded: HashMap<Arc<str>, Transaction>) {
        for (id, transaction) in loaded {
            let entry = Entry {
                transaction,
                pending: None,
                marking: false,
                parked: Vec::new(),
            };
            let prepared = entry.transaction.state.is_prepared();
            self.entries.insert(id.clone(), entry);
            if prepared {
                self.ask_for_markers(&id);
            }
        }
    }

    /// The change of `id` that was under way is stored, or was not.
    pub(crate) fn stored(&mut self, id: &Arc<str>, now_ms: i64, outcome: Result<(), ErrorCode>) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let Some(Pending { next, answer }) = entry.pending.take() else {
            return;
        };
        let reply = match outcome {
            Ok(()) => answer.map(|(_, reply)| reply),
            Err(error) => Some(Reply::Refused(error)),
        };
        if let (Some((waiter, _)), Some(reply)) = (answer, reply) {
            self.effects.push(Effect::Reply { waiter, reply });
        }
        if outcome.is_ok() {
            match next {
                Next::Gone => {
                    for parked in std::mem::take(&mut entry.parked) {
                        self.refuse(parked.waiter, ErrorCode::InvalidProducerIdMapping);
                    }
                    self.entries.remove(id);
                    return;
                }
                Next::State(next) => entry.transaction = next,
            }
            if entry.transaction.state.is_prepared() {
                self.ask_for_markers(id);
            }
        } else if entry.transaction.epoch < 0 {
            // Nothing about the id was ever stored.
            for parked in std::mem::take(&mut entry.parked) {
                self.refuse(parked.waiter, ErrorCode::InvalidProducerIdMapping);
            }
            self.entries.remove(id);
            return;
        }
        self.resume(id, now_ms);
    }

    /// All partitions of the transaction have their markers.
    pub(crate) fn marked(&mut self, id: &Arc<str>, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.marking = false;
        if entry.pending.is_none() && entry.transaction.state.is_prepared() {
            let next = entry.transaction.completed(now_ms);
            self.persist(id, next, None);
        }
    }

    /// Begins the end of every transaction that has taken longer than its producer said, and tries
    /// again to complete those whose last record could not be stored. Gives the ids of the former.
    pub(crate) fn tick(&mut self, now_ms: i64) -> Vec<Arc<str>> {
        let overdue = |entry: &Entry| {
            let transaction = &entry.transaction;
            let end = transaction
                .started_ms
                .saturating_add(i64::from(transaction.timeout_ms));
            entry.pending.is_none() && transaction.state == State::Ongoing && end < now_ms
        };
        let due: Vec<Arc<str>> = (self.entries.iter())
            .filter(|(_, entry)| overdue(entry))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &due {
            self.abort(id, now_ms, None);
        }
        let incomplete = |entry: &Entry| {
            entry.pending.is_none() && !entry.marking && entry.transaction.state.is_prepared()
        };
        let again: Vec<Arc<str>> = (self.entries.iter())
            .filter(|(_, entry)| incomplete(entry))
            .map(|(id, _)| id.clone())
            .collect();
        for id in again {
            self.ask_for_markers(&id);
        }
        due
    }

    /// Forgets ids that have had no transaction for long.
    pub(crate) fn expire(&mut self, now_ms: i64) {
        let rules = self.rules;
        let lapsed = |entry: &Entry| {
            let idle_ms = now_ms.saturating_sub(entry.transaction.updated_ms);
            entry.pending.is_none()
                && entry.transaction.state.is_idle()
                && idle_ms >= rules.expiration_ms
        };
        let due: Vec<Arc<str>> = (self.entries.iter())
            .filter(|(_, entry)| lapsed(entry))
            .map(|(id, _)| id.clone())
            .collect();
        for id in due {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.pending = Some(Pending {
                    next: Next::Gone,
                    answer: None,
                });
                self.effects.push(Effect::Persist {
                    id,
                    transaction: None,
                    durable: true,
                });
            }
        }
    }

    fn refuse(&mut self, waiter: Waiter, error: ErrorCode) {
        let reply = Reply::Refused(error);
        self.effects.push(Effect::Reply { waiter, reply });
    }

    fn persist(&mut self, id: &Arc<str>, next: Transaction, answer: Option<(Waiter, Reply)>) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        let completes = entry.transaction.state.is_prepared();
        entry.pending = Some(Pending {
            next: Next::State(next.clone()),
            answer,
        });
        self.effects.push(Effect::Persist {
            id: id.clone(),
            transaction: Some(next),
            durable: !completes,
        });
    }

    fn ask_for_markers(&mut self, id: &Arc<str>) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        entry.marking = true;
        let transaction = &entry.transaction;
        let markers = Markers {
            producer: (transaction.producer_id, transaction.epoch),
            commit: transaction.state == State::PrepareCommit,
            version: transaction.client_version,
            partitions: transaction.partitions.clone(),
        };
        let id = id.clone();
        self.effects.push(Effect::Mark { id, markers });
    }
}
