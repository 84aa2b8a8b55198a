//! How a transaction begins: a producer gets its epoch, partitions join.
//! Invariant: the checks come in Kafka's order, which decides what a request with several faults is
//! answered.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::{Add, Engine, Entry, IDS_MAX, Reply, Waiter};
use crate::transaction::state::{Producer, State, TopicPartition, Transaction};

/// An InitProducerId request with a transactional id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Init {
    pub(crate) waiter: Waiter,
    pub(crate) timeout_ms: i32,
    /// Who the producer says it is.
    pub(crate) expected: Option<Producer>,
    /// A producer id that nobody has, if one is at hand.
    pub(crate) fresh: Option<i64>,
}

impl Engine {
    /// Gives the producer an epoch that fences all before it; an open transaction is aborted first.
    pub(crate) fn init(&mut self, id: &Arc<str>, now_ms: i64, request: &Init) {
        let Init {
            waiter, timeout_ms, ..
        } = *request;
        if timeout_ms <= 0 || timeout_ms > self.rules.timeout_max_ms {
            return self.refuse(waiter, ErrorCode::InvalidTransactionTimeout);
        }
        if !self.entries.contains_key(id) {
            if self.entries.len() >= IDS_MAX {
                return self.refuse(waiter, ErrorCode::CoordinatorNotAvailable);
            }
            let Some(fresh) = request.fresh else {
                return self.reply(waiter, Reply::NeedsProducerId);
            };
            let entry = Entry {
                transaction: Transaction::new(fresh, timeout_ms, now_ms),
                pending: None,
                marking: false,
                parked: Vec::new(),
            };
            self.entries.insert(id.clone(), entry);
        }
        let Some(entry) = self.entries.get(id) else {
            return;
        };
        let transaction = &entry.transaction;
        if entry.pending.is_some() {
            return self.refuse(waiter, ErrorCode::ConcurrentTransactions);
        }
        if request
            .expected
            .is_some_and(|producer| !transaction.admits(producer))
        {
            return self.refuse(waiter, ErrorCode::ProducerFenced);
        }
        match transaction.state {
            State::PrepareCommit | State::PrepareAbort => {
                self.refuse(waiter, ErrorCode::ConcurrentTransactions);
            }
            State::Ongoing => self.abort(id, now_ms, Some(waiter)),
            _ => match next_session(transaction, now_ms, request) {
                Ok(Some(next)) => {
                    let done = Reply::Done((next.producer_id, next.epoch));
                    self.persist(id, next, Some((waiter, done)));
                }
                Ok(None) => self.reply(waiter, Reply::NeedsProducerId),
                Err(error) => self.refuse(waiter, error),
            },
        }
    }

    /// Adds partitions to the producer's transaction, which begins with the first of them. While the
    /// transaction before is being completed the request waits; see `unpark`.
    pub(crate) fn add(&mut self, id: &Arc<str>, now_ms: i64, request: Add) {
        let waiter = request.waiter;
        let Some(entry) = self.entries.get_mut(id) else {
            return self.refuse(waiter, ErrorCode::InvalidProducerIdMapping);
        };
        let transaction = &entry.transaction;
        if let Err(error) = check(transaction, request.producer) {
            return self.refuse(waiter, error);
        }
        if entry.pending.is_some() || transaction.state.is_prepared() {
            entry.parked.push(request);
            return;
        }
        let done = Reply::Done(request.producer);
        if transaction.state == State::Ongoing
            && request.partitions.is_subset(&transaction.partitions)
        {
            return self.reply(waiter, done);
        }
        let next = transaction.with_partitions(&request.partitions, request.version, now_ms);
        self.persist(id, next, Some((waiter, done)));
    }

    /// Takes back a request that waits for the transaction before; false if it does not wait any more.
    pub(crate) fn unpark(&mut self, id: &str, waiter: Waiter) -> bool {
        let Some(entry) = self.entries.get_mut(id) else {
            return false;
        };
        let before = entry.parked.len();
        entry.parked.retain(|parked| parked.waiter != waiter);
        entry.parked.len() < before
    }

    /// Whether partitions are in the producer's open transaction: for each, why not.
    pub(crate) fn verify(
        &self,
        id: &str,
        producer: Producer,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Vec<(TopicPartition, ErrorCode)> {
        let verdict = |partition: &TopicPartition| {
            let Some(entry) = self.entries.get(id) else {
                return ErrorCode::InvalidProducerIdMapping;
            };
            let transaction = &entry.transaction;
            if let Err(error) = check(transaction, producer) {
                return error;
            }
            if transaction.state.is_prepared() {
                ErrorCode::ConcurrentTransactions
            } else if transaction.partitions.contains(partition) {
                ErrorCode::None
            } else {
                ErrorCode::TransactionAbortable
            }
        };
        let verdicts = partitions.iter();
        verdicts.map(|at| (at.clone(), verdict(at))).collect()
    }

    /// Goes on with the requests that waited, as far as they can go.
    pub(super) fn resume(&mut self, id: &Arc<str>, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(id) else {
            return;
        };
        if entry.pending.is_some() || entry.transaction.state.is_prepared() {
            return;
        }
        // In their order; all but the first may wait again.
        for parked in std::mem::take(&mut entry.parked) {
            self.add(id, now_ms, parked);
        }
    }

    pub(super) fn reply(&mut self, waiter: Waiter, reply: Reply) {
        self.effects.push(super::Effect::Reply { waiter, reply });
    }
}

/// Whether the producer is the present one.
fn check(transaction: &Transaction, (id, epoch): Producer) -> Result<(), ErrorCode> {
    if transaction.producer_id != id {
        Err(ErrorCode::InvalidProducerIdMapping)
    } else if transaction.epoch != epoch {
        Err(ErrorCode::ProducerFenced)
    } else {
        Ok(())
    }
}

/// The state with the next epoch; none if a fresh producer id is needed for it.
fn next_session(
    transaction: &Transaction,
    now_ms: i64,
    request: &Init,
) -> Result<Option<Transaction>, ErrorCode> {
    let expected = request.expected.map(|(_, epoch)| epoch);
    let rotates =
        transaction.is_exhausted() && expected.is_none_or(|epoch| epoch == transaction.epoch);
    if rotates {
        let times = (request.timeout_ms, now_ms);
        let next = |fresh| transaction.next_producer(fresh, expected.is_some(), times);
        return Ok(request.fresh.map(next));
    }
    let next = transaction.next_epoch(expected, request.timeout_ms, now_ms)?;
    Ok(Some(next))
}
