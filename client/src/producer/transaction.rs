//! Transactions: records and offsets that become visible together or not at all (KIP-98, KIP-447,
//! KIP-890).
//!
//! Invariant: the engine decides, one task asks the coordinators, callers only wait; a caller that
//! goes away in the middle tears nothing. Step 5 of the hallway.

mod ask;
mod engine;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::{Delivery, Producer, ProducerRecord, Shared};
use crate::consumer::{GroupMetadata, OffsetAndMetadata, with_metadata};
use crate::coordinator::Coordinator;
use crate::error::{DeliveryError, SendError, TransactionError};
use crate::topic::TopicPartition;
use ask::Offsets;
use engine::{Ended, Engine, State};
pub(super) use task::Transactor;

/// A transactional producer's part of what handles and tasks share.
#[derive(Debug)]
pub(super) struct Transactional {
    pub(super) id: Arc<str>,
    coordinator: Coordinator,
    engine: Mutex<Engine>,
    /// Records are taken. Read while the accumulator is locked, so that nothing slips in once the
    /// end has begun.
    open: AtomicBool,
    /// There may be something to ask.
    wanted: Notify,
    /// Changes with the engine.
    changes: watch::Sender<u64>,
}

impl Transactional {
    pub(super) fn new(id: Arc<str>, coordinator: Coordinator) -> Self {
        Self {
            id,
            coordinator,
            engine: Mutex::new(Engine::new()),
            open: AtomicBool::new(false),
            wanted: Notify::new(),
            changes: watch::Sender::new(0),
        }
    }

    /// Whether records are taken now.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    /// Looks or changes without waking anyone; for the producer's own task.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&mut Engine) -> T) -> T {
        look(&mut self.engine.lock())
    }

    /// Changes the engine and tells everyone.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = self.engine.lock();
        let changed = change(&mut engine);
        self.open
            .store(matches!(engine.state(), State::Open), Ordering::Relaxed);
        drop(engine);
        self.wanted.notify_one();
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }

    /// Changes the engine without telling anyone; for the task that acts on it itself.
    fn change_quietly<T>(&self, change: impl FnOnce(&mut Engine) -> T) -> T {
        let mut engine = self.engine.lock();
        let changed = change(&mut engine);
        let is_open = matches!(engine.state(), State::Open);
        self.open.store(is_open, Ordering::Relaxed);
        drop(engine);
        // A transaction that nobody knows of ends without a request.
        self.changes.send_modify(|changes| *changes += 1);
        changed
    }

    /// Whether a batch for this partition may leave now.
    pub(super) fn admits(&self, topic: &Arc<str>, partition: i32) -> bool {
        let partition = TopicPartition::new(topic.clone(), partition);
        let admitted = self.peek(|engine| engine.admits(&partition));
        if !admitted {
            // Its partition may have to be added first.
            self.wanted.notify_one();
        }
        admitted
    }

    /// A batch was given up.
    pub(super) fn batch_failed(&self, error: &DeliveryError, sequenced: bool) {
        use logway_protocol::error_code::ErrorCode;
        let error = match error {
            DeliveryError::Rejected { code, .. } => match code {
                ErrorCode::ProducerFenced => TransactionError::Fenced { code: *code },
                ErrorCode::ClusterAuthorizationFailed
                | ErrorCode::TransactionalIdAuthorizationFailed
                | ErrorCode::UnsupportedVersion
                | ErrorCode::InvalidProducerIdMapping => TransactionError::Refused {
                    operation: "Produce",
                    code: *code,
                },
                code => TransactionError::Abort {
                    operation: "Produce",
                    code: *code,
                },
            },
            error => TransactionError::Delivery(error.clone()),
        };
        self.change(|engine| engine.batch_failed(error, sequenced));
    }

    /// Waits until `done` says something, for at most `limit`.
    async fn wait<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        mut done: impl FnMut(&mut Engine) -> Option<Result<T, TransactionError>>,
    ) -> Result<T, TransactionError> {
        let deadline = Instant::now() + limit;
        let mut changes = self.changes.subscribe();
        loop {
            changes.mark_unchanged();
            if let Some(result) = self.change_if_done(&mut done) {
                return result;
            }
            match tokio::time::timeout_at(deadline, changes.changed()).await {
                // The sender lives as long as `self`.
                Ok(_) => {}
                Err(_) => {
                    let after = limit;
                    return Err(TransactionError::TimedOut { operation, after });
                }
            }
        }
    }

    fn change_if_done<T>(
        &self,
        done: &mut impl FnMut(&mut Engine) -> Option<Result<T, TransactionError>>,
    ) -> Option<Result<T, TransactionError>> {
        let mut engine = self.engine.lock();
        let result = done(&mut engine);
        self.open
            .store(matches!(engine.state(), State::Open), Ordering::Relaxed);
        drop(engine);
        // `begin` may have asked for something.
        self.wanted.notify_one();
        result
    }
}

/// An open transaction of a [`Producer`].
///
/// Everything the producer sends while it is open belongs to it. End it with
/// [`commit`](Self::commit) or [`abort`](Self::abort). Dropping it without either aborts it in the
/// background: records that wait fail with [`DeliveryError::Aborted`], and the next
/// [`begin_transaction`](Producer::begin_transaction) waits until the abort is done. Once a commit
/// was sent to the coordinator, dropping changes nothing any more.
#[derive(Debug)]
#[must_use = "a transaction that is dropped is aborted"]
pub struct Transaction {
    producer: Producer,
    number: u64,
}

impl Producer {
    /// Makes this producer the one with its `transactional.id`: an older one is fenced, and what
    /// it left open is aborted. Call it once, before the first transaction.
    ///
    /// # Errors
    /// See [`TransactionError`]; after `TimedOut` it is tried on, call again to wait on.
    pub async fn init_transactions(&self) -> Result<(), TransactionError> {
        let transactional = self.transactional()?;
        transactional.change(Engine::initialize);
        let limit = self.shared().config.max_block;
        transactional
            .wait("InitProducerId", limit, |engine| match engine.state() {
                State::New | State::Initializing => None,
                State::Fatal(error) => Some(Err(error.clone())),
                _ => Some(Ok(())),
            })
            .await
    }

    /// Opens a transaction; waits while the one before is being ended.
    ///
    /// # Errors
    /// See [`TransactionError`]; a transaction that is still open, or that failed and was not
    /// aborted, has to be ended first.
    pub async fn begin_transaction(&self) -> Result<Transaction, TransactionError> {
        let transactional = self.transactional()?;
        let limit = self.shared().config.max_block;
        let number = transactional
            .wait("the transaction before", limit, |engine| {
                engine.begin().transpose()
            })
            .await?;
        let producer = self.clone();
        Ok(Transaction { producer, number })
    }

    fn transactional(&self) -> Result<&Arc<Transactional>, TransactionError> {
        let shared = self.shared();
        match &shared.transactional {
            Some(_) if shared.closed.load(Ordering::Relaxed) => Err(TransactionError::Closed),
            Some(transactional) => Ok(transactional),
            None => Err(TransactionError::NotTransactional),
        }
    }
}

impl Transaction {
    /// Takes a record into the transaction; waits while `buffer.memory` is used up. The same as
    /// the producer's own [`send`](Producer::send).
    ///
    /// # Errors
    /// As [`Producer::send`]; `NoTransaction` once the transaction ends or failed.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        self.producer.send(record).await
    }

    /// Commits a group's offsets with the transaction: they hold once it commits (KIP-447). Take
    /// `group` from [`Consumer::group_metadata`](crate::Consumer::group_metadata) after the poll
    /// that gave the records, so that a consumer that lost its partitions is found out. An offset
    /// is that of the next record to read, an `i64` or an [`OffsetAndMetadata`]:
    /// [`next_offsets`](crate::next_offsets) makes them from the records.
    ///
    /// # Errors
    /// See [`TransactionError`]; with an abortable one the consumer's records have to be read
    /// again from the committed offsets.
    pub async fn send_offsets<O: Into<OffsetAndMetadata> + Clone>(
        &self,
        offsets: &[(TopicPartition, O)],
        group: &GroupMetadata,
    ) -> Result<(), TransactionError> {
        let transactional = self.producer.transactional()?;
        if offsets.is_empty() {
            return transactional.peek(|engine| engine.check_open(self.number));
        }
        let given = Offsets {
            group: group.clone(),
            offsets: with_metadata(offsets),
        };
        let given = transactional.change(|engine| engine.add_offsets(self.number, given))?;
        let limit = self.producer.shared().config.max_block;
        transactional
            .wait("TxnOffsetCommit", limit, |engine| {
                engine.offsets_taken(self.number, given)
            })
            .await
    }

    /// Sends what waits and commits. With `Ok` the transaction is committed, for good; readers of
    /// committed records see it as soon as the markers are written.
    ///
    /// # Errors
    /// See [`TransactionError`]. An abortable error means that nothing is committed: abort. After
    /// `TimedOut` the commit goes on, call again to learn its outcome. After a fatal error the
    /// outcome may be unknown.
    pub async fn commit(&self) -> Result<(), TransactionError> {
        self.end(true).await
    }

    /// Drops what waits and aborts.
    ///
    /// # Errors
    /// See [`TransactionError`].
    pub async fn abort(&self) -> Result<(), TransactionError> {
        self.end(false).await
    }

    async fn end(&self, commit: bool) -> Result<(), TransactionError> {
        let shared = self.producer.shared();
        let transactional = self.producer.transactional()?;
        let ended = transactional.peek(|engine| engine.outcome(self.number));
        if !matches!(ended, Some(Ok(_))) {
            transactional.change(|engine| engine.end(self.number, commit))?;
            shared.accumulator.lock().close_all();
            shared.wake.notify_one();
        }
        let ended = transactional
            .wait("EndTxn", shared.config.max_block, |engine| {
                engine.outcome(self.number)
            })
            .await?;
        match (ended, commit) {
            (Ended::Committed, true) | (Ended::Aborted, false) => Ok(()),
            (Ended::Aborted, true) => Err(TransactionError::State {
                problem: "this transaction is aborted",
            }),
            (Ended::Committed, false) => Err(TransactionError::State {
                problem: "this transaction is committed",
            }),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let shared = self.producer.shared();
        if let Some(transactional) = &shared.transactional {
            // It may have ended, which is what is wanted.
            let _ended = transactional.change(|engine| engine.end(self.number, false));
            shared.wake.notify_one();
        }
    }
}

impl Shared {
    /// Aborts what is open, for a producer that closes; waits for at most `limit`.
    pub(super) async fn end_transactions(&self, limit: Duration) {
        let Some(transactional) = &self.transactional else {
            return;
        };
        let open = transactional.change(Engine::abort_open);
        self.wake.notify_one();
        if let Some(number) = open {
            // What is not aborted in time is aborted by the coordinator.
            let _in_time = transactional
                .wait("EndTxn", limit, |engine| engine.outcome(number))
                .await;
        }
    }
}
