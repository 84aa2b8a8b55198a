//! How a transaction ends: by its producer, by another one that takes over, or by its timeout.
//! Invariant: an end that was decided never changes; who repeats a request learns how it ended.
//!
//! In the first protocol a producer keeps its epoch, and a repeated EndTxn is known by the state. In
//! KIP-890's every end raises the epoch, and a repeated EndTxn is known by the epoch before.

use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::{Engine, Reply, Waiter};
use crate::transaction::state::{
    EPOCH_PER_TRANSACTION, NO_PRODUCER_ID, Producer, State, Transaction,
};

/// An EndTxn request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) waiter: Waiter,
    pub(crate) producer: Producer,
    pub(crate) commit: bool,
    /// Transaction version that the client speaks.
    pub(crate) version: i16,
    /// A producer id that nobody has, if one is at hand.
    pub(crate) fresh: Option<i64>,
}

/// What becomes of an EndTxn.
enum Verdict {
    /// It ends now.
    Ends,
    /// The same request again: it has ended so.
    Ended,
    Refused(ErrorCode),
}

impl Engine {
    /// Decides the end of the producer's transaction. Answered when the decision is stored.
    pub(crate) fn end(&mut self, id: &Arc<str>, now_ms: i64, request: &End) {
        let waiter = request.waiter;
        let Some(entry) = self.entries.get(id) else {
            return self.refuse(waiter, ErrorCode::InvalidProducerIdMapping);
        };
        let (transaction, busy) = (&entry.transaction, entry.pending.is_some());
        let raises = request.version >= EPOCH_PER_TRANSACTION;
        let verdict = match raises {
            true => judge(transaction, busy, request),
            false => judge_first(transaction, busy, request),
        };
        match verdict {
            Verdict::Refused(error) => self.refuse(waiter, error),
            Verdict::Ended => {
                let producer = (transaction.producer_id, transaction.epoch);
                self.reply(waiter, Reply::Done(producer));
            }
            Verdict::Ends => {
                let rotates = raises && transaction.is_exhausted();
                let next_id = match (rotates, request.fresh) {
                    (true, None) => return self.reply(waiter, Reply::NeedsProducerId),
                    (true, Some(fresh)) => fresh,
                    (false, _) => NO_PRODUCER_ID,
                };
                let next = transaction.prepared(request.commit, (request.version, next_id), now_ms);
                // The next transaction goes under the id and epoch that the client is told.
                let producer = match rotates {
                    true => (next_id, 0),
                    false => (next.producer_id, next.epoch),
                };
                self.persist(id, next, Some((waiter, Reply::Done(producer))));
            }
        }
    }

    /// Aborts an open transaction from the coordinator's side: the epoch is raised, so its producer
    /// is fenced. Who waits is told to come again.
    pub(super) fn abort(&mut self, id: &Arc<str>, now_ms: i64, waiter: Option<Waiter>) {
        let Some(entry) = self.entries.get(id) else {
            return;
        };
        let next = entry.transaction.fenced(self.level, now_ms);
        let again = Reply::Refused(ErrorCode::ConcurrentTransactions);
        self.persist(id, next, waiter.map(|waiter| (waiter, again)));
    }
}

/// The first protocol: the epoch must be the present one, the state says the rest.
fn judge_first(transaction: &Transaction, busy: bool, request: &End) -> Verdict {
    let (id, epoch) = request.producer;
    if transaction.producer_id != id {
        return Verdict::Refused(ErrorCode::InvalidProducerIdMapping);
    }
    if transaction.epoch != epoch {
        return Verdict::Refused(ErrorCode::ProducerFenced);
    }
    if busy {
        return Verdict::Refused(ErrorCode::ConcurrentTransactions);
    }
    let so = |commit: bool, same: Verdict| match commit == request.commit {
        true => same,
        false => Verdict::Refused(ErrorCode::InvalidTxnState),
    };
    let concurrent = Verdict::Refused(ErrorCode::ConcurrentTransactions);
    match transaction.state {
        State::Ongoing => Verdict::Ends,
        State::CompleteCommit => so(true, Verdict::Ended),
        State::CompleteAbort => so(false, Verdict::Ended),
        State::PrepareCommit => so(true, concurrent),
        State::PrepareAbort => so(false, concurrent),
        State::Empty => Verdict::Refused(ErrorCode::InvalidTxnState),
    }
}

/// KIP-890: the present epoch ends a transaction, the one before repeats the last end.
fn judge(transaction: &Transaction, busy: bool, request: &End) -> Verdict {
    let (id, epoch) = request.producer;
    // The last end used up the epochs, and its answer with the new id was lost.
    let retry_of_rotation = transaction.previous_producer_id == id
        && epoch == i16::MAX - 1
        && transaction.epoch == 0
        && !transaction.state.is_prepared();
    let retry = transaction.producer_id == id && transaction.epoch.checked_sub(1) == Some(epoch);
    if transaction.producer_id != id && !retry_of_rotation {
        return Verdict::Refused(ErrorCode::InvalidProducerIdMapping);
    }
    let repeated = retry || retry_of_rotation;
    let valid = match transaction.state {
        State::Ongoing | State::Empty => epoch == transaction.epoch,
        State::PrepareCommit | State::PrepareAbort => retry,
        State::CompleteCommit | State::CompleteAbort => repeated || epoch == transaction.epoch,
    };
    if !valid {
        return Verdict::Refused(ErrorCode::ProducerFenced);
    }
    if busy {
        return Verdict::Refused(ErrorCode::ConcurrentTransactions);
    }
    let invalid = Verdict::Refused(ErrorCode::InvalidTxnState);
    let concurrent = Verdict::Refused(ErrorCode::ConcurrentTransactions);
    match (transaction.state, request.commit) {
        (State::Ongoing, _) | (State::Empty, false) => Verdict::Ends,
        (State::CompleteCommit, true) | (State::CompleteAbort, false) if repeated => Verdict::Ended,
        // Nothing was written since: an abort only raises the epoch.
        (State::CompleteCommit | State::CompleteAbort, false) if !repeated => Verdict::Ends,
        (State::PrepareCommit, true) | (State::PrepareAbort, false) => concurrent,
        _ => invalid,
    }
}
