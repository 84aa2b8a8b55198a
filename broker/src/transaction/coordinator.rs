//! The transaction coordinator as handlers know it, and what runs behind it.
//! Invariant: the engine's lock is held for deciding and for putting bytes into the page cache, never
//! across an await; records of one id are appended in the order of its changes, because it has one at
//! a time. Step 7 of the hallway.
//!
//! Each change waits for the disk in a task of its own; the sync threads group what waits, so a
//! thousand transactions at once do not cost a thousand syncs each.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use logway_config::broker::Broker as Settings;
use logway_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::engine::{
    Add, Effect, End, Engine, Filter, Init, Listed, Markers, Reply, Rules, Waiter,
};
use super::loading::Loading;
use super::log::{Appended, Participants, TransactionLog};
use super::records;
use super::state::{Producer, TopicPartition, Transaction};
use crate::clock::now_ms;

/// How long adding partitions may wait for the transaction before (Kafka's
/// `add.partitions.to.txn.retry.backoff.max.ms`); then the client is told to come again.
const PARKED_MAX: Duration = Duration::from_millis(100);
/// Pause before markers that could not be written are tried again.
const MARK_AGAIN: Duration = Duration::from_millis(100);
/// Locks that order the produce requests of transactions. Two producers may share one.
const GATES: usize = 1024;

/// Coordinates all transactions of this broker.
#[derive(Debug)]
pub(crate) struct TransactionCoordinator {
    log: Arc<dyn TransactionLog>,
    participants: Arc<dyn Participants>,
    engine: Mutex<Engine>,
    waiters: Mutex<HashMap<Waiter, oneshot::Sender<Reply>>>,
    next_waiter: AtomicU64,
    gates: Vec<tokio::sync::Mutex<()>>,
    loaded: AtomicBool,
    abort_interval: Duration,
    expiry_interval: Duration,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl TransactionCoordinator {
    /// Starts coordinating: reads the state topic in the background (requests meanwhile get
    /// `COORDINATOR_LOAD_IN_PROGRESS`), completes what was decided, then serves. Needs a runtime.
    pub(crate) fn start(
        settings: &Settings,
        log: Arc<dyn TransactionLog>,
        participants: Arc<dyn Participants>,
    ) -> Arc<TransactionCoordinator> {
        let interval = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
        let coordinator = Arc::new(TransactionCoordinator {
            log,
            participants,
            engine: Mutex::new(Engine::new(Rules {
                timeout_max_ms: settings.transaction_max_timeout_ms,
                expiration_ms: i64::from(settings.transactional_id_expiration_ms),
            })),
            waiters: Mutex::default(),
            next_waiter: AtomicU64::new(0),
            gates: (0..GATES).map(|_| tokio::sync::Mutex::new(())).collect(),
            loaded: AtomicBool::new(false),
            abort_interval: interval(
                settings.transaction_abort_timed_out_transaction_cleanup_interval_ms,
            ),
            expiry_interval: interval(
                settings.transaction_remove_expired_transaction_cleanup_interval_ms,
            ),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        if coordinator.log.partitions().is_none() {
            // Nobody has used transactions yet: there is nothing to read.
            coordinator.loaded.store(true, Ordering::Release);
        } else {
            let loading = Arc::clone(&coordinator);
            let runtime = tokio::runtime::Handle::current();
            coordinator.tasks.spawn_blocking(move || {
                let _runtime = runtime.enter();
                loading.load();
            });
        }
        coordinator
            .tasks
            .spawn(Arc::clone(&coordinator).watch_clock());
        coordinator
    }

    /// Ends: nothing more is decided, what is being stored is waited for.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        self.waiters.lock().clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether transactions are known yet.
    ///
    /// # Errors
    /// `CoordinatorLoadInProgress` while the state topic is being read, `CoordinatorNotAvailable`
    /// when this broker stops.
    pub(crate) fn ready(&self) -> Result<(), ErrorCode> {
        if self.stop.is_cancelled() {
            Err(ErrorCode::CoordinatorNotAvailable)
        } else if self.loaded.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
    }

    /// Makes the state topic if it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn prepare(&self) -> Result<(), ErrorCode> {
        self.log.prepare().await
    }

    /// The lock that orders the produce requests of a transactional id: they append in the order in
    /// which they ask for it.
    pub(crate) fn gate(&self, id: &str) -> Option<&tokio::sync::Mutex<()>> {
        let number = records::partition_for(id, i32::try_from(GATES).unwrap_or(i32::MAX));
        self.gates.get(usize::try_from(number).unwrap_or(0))
    }

    /// Gives a producer the id and epoch to go on with. `fresh` is a producer id nobody has: without
    /// one the answer may be that one is needed.
    ///
    /// # Errors
    /// Kafka's code for what is wrong.
    pub(crate) async fn init(
        self: &Arc<Self>,
        id: &str,
        timeout_ms: i32,
        (expected, fresh): (Option<Producer>, Option<i64>),
    ) -> Result<Option<Producer>, ErrorCode> {
        self.prepare().await?;
        let reply = self.ask(|engine, waiter| {
            let request = Init {
                waiter,
                timeout_ms,
                expected,
                fresh,
            };
            engine.init(&Arc::from(id), now_ms(), &request);
        });
        answered(reply?.1.await.ok())
    }

    /// Adds partitions to a producer's transaction; waits a moment if the one before is not complete.
    ///
    /// # Errors
    /// Kafka's code for what is wrong.
    pub(crate) async fn add(
        self: &Arc<Self>,
        id: &str,
        (producer, version): (Producer, i16),
        partitions: BTreeSet<TopicPartition>,
    ) -> Result<(), ErrorCode> {
        let id: Arc<str> = Arc::from(id);
        let (waiter, mut reply) = self.ask(|engine, waiter| {
            let request = Add {
                waiter,
                producer,
                partitions,
                version,
            };
            engine.add(&id, now_ms(), request);
        })?;
        let reply = match tokio::time::timeout(PARKED_MAX, &mut reply).await {
            Ok(reply) => reply,
            Err(_) if self.engine.lock().unpark(&id, waiter) => {
                self.waiters.lock().remove(&waiter);
                return Err(ErrorCode::ConcurrentTransactions);
            }
            // It is being stored: the answer is on its way.
            Err(_) => reply.await,
        };
        answered(reply.ok()).map(drop)
    }

    /// Whether partitions are in a producer's open transaction: for each, why not.
    ///
    /// # Errors
    /// Transactions are not known yet.
    pub(crate) fn verify(
        &self,
        id: &str,
        producer: Producer,
        partitions: &BTreeSet<TopicPartition>,
    ) -> Result<Vec<(TopicPartition, ErrorCode)>, ErrorCode> {
        self.ready()?;
        Ok(self.engine.lock().verify(id, producer, partitions))
    }

    /// Ends a transaction; the answer comes when the end is stored. `fresh` as in `init`.
    ///
    /// # Errors
    /// Kafka's code for what is wrong.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: &str,
        (producer, version): (Producer, i16),
        commit: bool,
        fresh: Option<i64>,
    ) -> Result<Option<Producer>, ErrorCode> {
        let reply = self.ask(|engine, waiter| {
            let request = End {
                waiter,
                producer,
                commit,
                version,
                fresh,
            };
            engine.end(&Arc::from(id), now_ms(), &request);
        });
        answered(reply?.1.await.ok())
    }

    /// Writes a marker that somebody else decided on into one partition.
    ///
    /// # Errors
    /// It could not be appended.
    pub(crate) fn mark_one(
        &self,
        at: &TopicPartition,
        markers: &Markers,
        coordinator_epoch: i32,
    ) -> Result<Appended, ErrorCode> {
        self.participants.mark(at, markers, coordinator_epoch)
    }

    /// Looks at one transactional id; none if it is not known.
    ///
    /// # Errors
    /// Transactions are not known yet.
    pub(crate) fn describe(&self, id: &str) -> Result<Option<Transaction>, ErrorCode> {
        self.ready()?;
        Ok(self.engine.lock().describe(id).cloned())
    }

    /// The transactions that pass the filter.
    ///
    /// # Errors
    /// Transactions are not known yet.
    pub(crate) fn list(&self, filter: &Filter) -> Result<Vec<Listed>, ErrorCode> {
        self.ready()?;
        Ok(self.engine.lock().list(filter, now_ms()))
    }

    /// Transactional ids by state, as Prometheus text.
    pub(crate) fn metrics_text(&self) -> String {
        let mut text = String::from(
            "# HELP logway_broker_transactions Transactional ids by state.\n# TYPE logway_broker_transactions gauge\n",
        );
        for (state, count) in self.engine.lock().counts() {
            let name = state.name();
            text.push_str(&format!(
                "logway_broker_transactions{{state=\"{name}\"}} {count}\n"
            ));
        }
        text
    }

    /// Puts a request to the engine and gives back where its answer will arrive.
    fn ask(
        self: &Arc<Self>,
        request: impl FnOnce(&mut Engine, Waiter),
    ) -> Result<(Waiter, oneshot::Receiver<Reply>), ErrorCode> {
        self.ready()?;
        let waiter = Waiter(self.next_waiter.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        self.waiters.lock().insert(waiter, sender);
        self.with(|engine| request(engine, waiter));
        Ok((waiter, receiver))
    }

    /// Has the engine decide and does what it wants.
    fn with(self: &Arc<Self>, decide: impl FnOnce(&mut Engine)) {
        let mut engine = self.engine.lock();
        engine.see_level(self.log.level());
        decide(&mut engine);
        loop {
            let effects = engine.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(&mut engine, effect);
            }
        }
    }

    fn perform(self: &Arc<Self>, engine: &mut Engine, effect: Effect) {
        match effect {
            Effect::Reply { waiter, reply } => {
                if let Some(sender) = self.waiters.lock().remove(&waiter) {
                    // A caller whose connection is gone no longer listens.
                    sender.send(reply).ok();
                }
            }
            Effect::Persist {
                id,
                transaction,
                durable,
            } => {
                let appended = self.append(&id, transaction.as_ref());
                match appended {
                    Ok(_) if !durable => engine.stored(&id, now_ms(), Ok(())),
                    Ok(appended) => {
                        let coordinator = Arc::clone(self);
                        self.tasks.spawn(async move {
                            let outcome = appended.await.map_err(log_error);
                            coordinator.with(|engine| engine.stored(&id, now_ms(), outcome));
                        });
                    }
                    Err(error) => {
                        error!(
                            transactional_id = &*id,
                            "transaction could not be stored: {error}"
                        );
                        engine.stored(&id, now_ms(), Err(log_error(error)));
                    }
                }
            }
            Effect::Mark { id, markers } => {
                self.tasks.spawn(Arc::clone(self).mark(id, markers));
            }
        }
    }

    fn append(&self, id: &str, transaction: Option<&Transaction>) -> Result<Appended, ErrorCode> {
        let partitions = self.log.partitions();
        let partitions = partitions.ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let batch = records::batch(id, transaction, now_ms()).map_err(|source| {
            error!(
                transactional_id = id,
                "transaction cannot be written: {source}"
            );
            ErrorCode::UnknownServerError
        })?;
        self.log
            .append(records::partition_for(id, partitions), &batch)
    }

    /// Writes markers until every partition has its own, or the broker stops.
    async fn mark(self: Arc<Self>, id: Arc<str>, mut markers: Markers) {
        let partition = records::partition_for(&id, self.log.partitions().unwrap_or(1));
        let epoch = self.log.coordinator_epoch(partition);
        loop {
            let partitions = std::mem::take(&mut markers.partitions);
            let begun: Vec<_> = partitions
                .into_iter()
                .map(|at| {
                    let appended = self.participants.mark(&at, &markers, epoch);
                    (at, appended)
                })
                .collect();
            for (at, appended) in begun {
                let outcome = match appended {
                    Ok(appended) => appended.await,
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome
                    && !is_settled(error)
                {
                    warn!(
                        transactional_id = &*id,
                        topic = &*at.0,
                        partition = at.1,
                        "marker is not written yet: {error}"
                    );
                    markers.partitions.insert(at);
                }
            }
            if markers.partitions.is_empty() {
                return self.with(|engine| engine.marked(&id, now_ms()));
            }
            tokio::select! {
                // What is missing is written at the next start.
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(MARK_AGAIN) => {}
            }
        }
    }

    /// Reads the state topic. Blocks on the disk.
    fn load(self: &Arc<Self>) {
        let began = Instant::now();
        let mut ids = 0;
        for partition in 0..self.log.partitions().unwrap_or(0) {
            let mut loading = Loading::default();
            let read = self.log.read(partition, &mut |batch| loading.batch(&batch));
            if let Err(source) = read {
                warn!("transactions of this partition may be missing: {source}");
            }
            if loading.unreadable > 0 {
                let records = loading.unreadable;
                warn!(partition, records, "passed over unreadable transactions");
            }
            ids += loading.transactions.len();
            self.with(|engine| engine.load(loading.transactions));
        }
        self.loaded.store(true, Ordering::Release);
        let took_ms = began.elapsed().as_millis();
        info!(ids, took_ms, "transactions are known");
    }

    async fn watch_clock(self: Arc<Self>) {
        let every = |interval: Duration| {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            ticks.reset();
            ticks
        };
        let (mut aborts, mut expiry) = (every(self.abort_interval), every(self.expiry_interval));
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                _ = aborts.tick() => {
                    if self.ready().is_ok() {
                        let mut overdue = Vec::new();
                        self.with(|engine| overdue = engine.tick(now_ms()));
                        for id in overdue {
                            info!(transactional_id = &*id, "transaction is aborted after its timeout");
                        }
                    }
                }
                _ = expiry.tick() => {
                    if self.ready().is_ok() {
                        self.with(|engine| engine.expire(now_ms()));
                    }
                }
            }
        }
    }
}

/// The producer to go on with; none if a fresh producer id is needed.
fn answered(reply: Option<Reply>) -> Result<Option<Producer>, ErrorCode> {
    match reply {
        Some(Reply::Done(producer)) => Ok(Some(producer)),
        Some(Reply::NeedsProducerId) => Ok(None),
        Some(Reply::Refused(error)) => Err(error),
        // The coordinator stops.
        None => Err(ErrorCode::CoordinatorNotAvailable),
    }
}

/// Whether a partition that answers so needs no marker any more: it is gone, or a later producer or
/// coordinator has written there.
fn is_settled(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::UnknownTopicOrPartition
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::TransactionCoordinatorFenced
    )
}

/// What a failed write of the state topic means to the client; Kafka's translation.
fn log_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::UnknownServerError,
        other => other,
    }
}
