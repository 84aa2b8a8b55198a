//! One transactional id: who may write under it, and how far its transaction has come (KIP-98, KIP-890).
//! Invariant: plain values; a transition makes a new value, and that value becomes the state only when
//! its record is stored. Beside the hallway.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;

/// Stands for no producer id.
pub(crate) const NO_PRODUCER_ID: i64 = -1;
/// Stands for no epoch.
pub(crate) const NO_EPOCH: i16 = -1;
/// From this epoch on the producer gets another id: the one above is kept for fencing it.
const EPOCH_MAX: i16 = i16::MAX - 1;
/// The transaction version in which every transaction has an epoch of its own (KIP-890).
pub(crate) const EPOCH_PER_TRANSACTION: i16 = 2;
/// The start of a transaction that has not begun.
pub(crate) const NOT_STARTED: i64 = -1;

/// How far a transaction has come. The numbers stand in the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Empty = 0,
    Ongoing = 1,
    PrepareCommit = 2,
    PrepareAbort = 3,
    CompleteCommit = 4,
    CompleteAbort = 5,
}

impl State {
    pub(crate) const ALL: [State; 6] = [
        State::Empty,
        State::Ongoing,
        State::PrepareCommit,
        State::PrepareAbort,
        State::CompleteCommit,
        State::CompleteAbort,
    ];

    /// Kafka's number of the state.
    pub(crate) fn id(self) -> i8 {
        self as i8
    }

    pub(crate) fn from_id(id: i8) -> Option<State> {
        State::ALL.into_iter().find(|state| state.id() == id)
    }

    /// Kafka's name of the state, as tools show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::Ongoing => "Ongoing",
            State::PrepareCommit => "PrepareCommit",
            State::PrepareAbort => "PrepareAbort",
            State::CompleteCommit => "CompleteCommit",
            State::CompleteAbort => "CompleteAbort",
        }
    }

    /// The end is decided and not yet told to all partitions.
    pub(crate) fn is_prepared(self) -> bool {
        matches!(self, State::PrepareCommit | State::PrepareAbort)
    }

    /// No transaction is open.
    pub(crate) fn is_idle(self) -> bool {
        !self.is_prepared() && self != State::Ongoing
    }
}

/// A topic's partition.
pub(crate) type TopicPartition = (Arc<str>, i32);

/// A producer as it names itself: id and epoch.
pub(crate) type Producer = (i64, i16);

/// What is known of one transactional id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) producer_id: i64,
    /// The id before this one, when the epochs of that one were used up.
    pub(crate) previous_producer_id: i64,
    /// The id that follows when the transaction is complete.
    pub(crate) next_producer_id: i64,
    pub(crate) epoch: i16,
    /// The epoch before, by which a repeated request is recognised. Not in the record.
    pub(crate) last_epoch: i16,
    pub(crate) timeout_ms: i32,
    pub(crate) state: State,
    pub(crate) partitions: BTreeSet<TopicPartition>,
    /// Wall clock of the transaction's begin.
    pub(crate) started_ms: i64,
    /// Wall clock of the last change.
    pub(crate) updated_ms: i64,
    /// Transaction version of whoever made the last change.
    pub(crate) client_version: i16,
}

impl Transaction {
    /// A transactional id nobody has used yet: its producer has no epoch before the first is stored.
    pub(crate) fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            producer_id,
            previous_producer_id: NO_PRODUCER_ID,
            next_producer_id: NO_PRODUCER_ID,
            epoch: NO_EPOCH,
            last_epoch: NO_EPOCH,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            started_ms: NOT_STARTED,
            updated_ms: now_ms,
            client_version: 0,
        }
    }

    /// Whether the next bump of the epoch needs another producer id.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.epoch >= EPOCH_MAX
    }

    /// Whether a producer that says it is `expected` may go on under this id.
    pub(crate) fn admits(&self, (id, epoch): Producer) -> bool {
        self.epoch == NO_EPOCH
            || id == self.producer_id
            // The answer that named the new id was lost.
            || (id == self.previous_producer_id && epoch >= EPOCH_MAX)
    }

    /// A new session of the producer: the epoch is raised, so that the session before is fenced.
    pub(crate) fn next_epoch(
        &self,
        expected: Option<i16>,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Result<Transaction, ErrorCode> {
        let raised = self.epoch.saturating_add(1);
        let (epoch, last_epoch) = match expected {
            None => (raised, NO_EPOCH),
            Some(expected) if self.epoch == NO_EPOCH || expected == self.epoch => {
                (raised, self.epoch)
            }
            // The same request again: its answer was lost.
            Some(expected) if expected == self.last_epoch => (self.epoch, self.last_epoch),
            Some(_) => return Err(ErrorCode::ProducerFenced),
        };
        Ok(Transaction {
            epoch,
            last_epoch,
            ..self.emptied(timeout_ms, now_ms)
        })
    }

    /// A new session under another producer id, because the epochs are used up.
    pub(crate) fn next_producer(
        &self,
        producer_id: i64,
        keeps_last: bool,
        (timeout_ms, now_ms): (i32, i64),
    ) -> Transaction {
        Transaction {
            producer_id,
            epoch: 0,
            last_epoch: if keeps_last { self.epoch } else { NO_EPOCH },
            ..self.emptied(timeout_ms, now_ms)
        }
    }

    fn emptied(&self, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            previous_producer_id: self.producer_id,
            next_producer_id: NO_PRODUCER_ID,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            started_ms: NOT_STARTED,
            updated_ms: now_ms,
            ..self.clone()
        }
    }

    /// Partitions join; with the first of them the transaction begins.
    pub(crate) fn with_partitions(
        &self,
        added: &BTreeSet<TopicPartition>,
        version: i16,
        now_ms: i64,
    ) -> Transaction {
        let mut next = self.clone();
        if self.state.is_idle() {
            next.partitions.clear();
            next.started_ms = now_ms;
        }
        next.partitions.extend(added.iter().cloned());
        next.next_producer_id = NO_PRODUCER_ID;
        next.state = State::Ongoing;
        next.updated_ms = now_ms;
        next.client_version = version;
        next
    }

    /// The end is decided. In version 2 the epoch is raised, so that nothing of this transaction can
    /// be mistaken for the next one's.
    pub(crate) fn prepared(
        &self,
        commit: bool,
        (version, next_producer_id): (i16, i64),
        now_ms: i64,
    ) -> Transaction {
        let mut next = self.clone();
        if version >= EPOCH_PER_TRANSACTION {
            next.last_epoch = self.epoch;
            next.epoch = self.epoch.saturating_add(1);
        }
        next.next_producer_id = next_producer_id;
        next.client_version = version;
        next.updated_ms = now_ms;
        if self.state.is_idle() {
            // Nothing was written: there is only the epoch to raise.
            next.started_ms = now_ms;
            next.partitions.clear();
        }
        next.state = match commit {
            true => State::PrepareCommit,
            false => State::PrepareAbort,
        };
        next
    }

    /// An abort that the producer did not ask for: whatever the version, the epoch is raised, so that
    /// the producer is fenced. Before version 2 it does not come back by naming its old epoch.
    pub(crate) fn fenced(&self, version: i16, now_ms: i64) -> Transaction {
        // Records and markers tell only the version that gives every transaction an epoch from none.
        let version = if version >= EPOCH_PER_TRANSACTION {
            version
        } else {
            0
        };
        let mut next = self.prepared(false, (version, NO_PRODUCER_ID), now_ms);
        next.epoch = self.epoch.saturating_add(1);
        next
    }

    /// Every partition knows of the end.
    pub(crate) fn completed(&self, now_ms: i64) -> Transaction {
        let mut next = self.clone();
        next.state = match self.state {
            State::PrepareCommit => State::CompleteCommit,
            _ => State::CompleteAbort,
        };
        next.previous_producer_id = self.producer_id;
        if self.next_producer_id != NO_PRODUCER_ID {
            next.producer_id = self.next_producer_id;
            next.last_epoch = self.epoch;
            next.epoch = 0;
        }
        next.next_producer_id = NO_PRODUCER_ID;
        next.partitions.clear();
        next.updated_ms = now_ms;
        next
    }
}
