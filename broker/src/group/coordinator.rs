//! The group coordinator as handlers know it, and the two tasks behind it: one stores what groups
//! decide, one watches the clock for all of them.
//! Invariant: the registry's lock is held for computing only, never across an await or I/O; whoever
//! changed the registry wakes the task that has to act on it. Hallway: step 7.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_protocol::ErrorCode;
use logway_protocol::batch::{BatchError, BatchHeader};
use logway_protocol::control::EndTransaction;
use logway_protocol::record::decode_records;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::engine::{Claim, Event, Now, Reply, Waiter};
use super::log::OffsetsLog;
use super::offsets::GroupOffsets;
use super::pending::{PendingOffsets, Settled};
use super::registry::{Commit, DescribedGroup, Found, ListedGroup, Loading, Registry};
use super::rules::rules;
use super::writer;

/// Least time between two looks for expired offsets.
const EXPIRY_INTERVAL_MS_MIN: u64 = 100;
/// Uncompressed bytes that one batch of the offsets topic may expand to when read back.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What becomes of a request to a group that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Create,
    Refuse,
}

/// Coordinates all groups of this broker.
#[derive(Debug)]
pub(crate) struct GroupCoordinator {
    log: Arc<dyn OffsetsLog>,
    pub(super) registry: Mutex<Registry>,
    /// Offsets of open transactions; locked before `registry`.
    pending: Mutex<PendingOffsets>,
    started: Instant,
    loaded: AtomicBool,
    expiry_interval: Duration,
    batch_max: usize,
    writes_waiting: Notify,
    pub(super) resolves_waiting: Notify,
    clock_changed: Notify,
    pub(super) stop: CancellationToken,
    tasks: TaskTracker,
}

impl GroupCoordinator {
    /// Starts coordinating: reads the offsets topic in the background (requests meanwhile get
    /// `COORDINATOR_LOAD_IN_PROGRESS`), then serves. Needs a tokio runtime.
    pub(crate) fn start(settings: &Settings, log: Arc<dyn OffsetsLog>) -> Arc<GroupCoordinator> {
        let interval_ms = settings
            .offsets_retention_check_interval_ms
            .max(EXPIRY_INTERVAL_MS_MIN);
        let topics = log.topics();
        let coordinator = Arc::new(GroupCoordinator {
            log,
            registry: Mutex::new(Registry::new(rules(settings), topics)),
            pending: Mutex::default(),
            started: Instant::now(),
            loaded: AtomicBool::new(false),
            expiry_interval: Duration::from_millis(interval_ms),
            batch_max: usize::try_from(settings.message_max_bytes).unwrap_or(0),
            writes_waiting: Notify::new(),
            resolves_waiting: Notify::new(),
            clock_changed: Notify::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        if coordinator.log.partitions().is_none() {
            // Nobody has used groups yet: there is nothing to read.
            coordinator.loaded.store(true, Ordering::Release);
        } else {
            let loading = Arc::clone(&coordinator);
            coordinator.tasks.spawn_blocking(move || loading.load());
        }
        coordinator
            .tasks
            .spawn(Arc::clone(&coordinator).store_writes());
        coordinator
            .tasks
            .spawn(Arc::clone(&coordinator).watch_clock());
        coordinator
            .tasks
            .spawn(Arc::clone(&coordinator).match_expressions());
        coordinator
    }

    /// Sends everyone away who waits; later requests are refused.
    pub(crate) fn close(&self) {
        self.with(Registry::close);
    }

    /// Closes, stores what was decided and ends.
    pub(crate) async fn shutdown(&self) {
        self.close();
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Whether groups are known yet.
    ///
    /// # Errors
    /// `CoordinatorLoadInProgress` while the offsets topic is being read.
    pub(crate) fn ready(&self) -> Result<(), ErrorCode> {
        if self.loaded.load(Ordering::Acquire) {
            Ok(())
        } else {
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
    }

    /// Makes the offsets topic if it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn prepare(&self) -> Result<(), ErrorCode> {
        self.log.prepare().await.map(drop)
    }

    /// Puts a request to its group and waits for the answer, however long the group takes.
    ///
    /// # Errors
    /// The group was not asked: it is not known here (`GroupIdNotFound`), groups are still being
    /// read, or this broker is stopping.
    pub(crate) async fn ask(
        &self,
        group_id: &str,
        missing: Missing,
        make: impl FnOnce(Waiter) -> Event,
    ) -> Result<Reply, ErrorCode> {
        self.ready()?;
        let answer = self.with(|registry, now| {
            if missing == Missing::Create {
                registry.ensure_group(now, group_id)?;
            }
            registry.request(now, group_id, make)
        })?;
        // The registry drops a waiter unanswered only when it is dropped itself.
        answer.await.map_err(|_| ErrorCode::CoordinatorNotAvailable)
    }

    /// Stores offsets for a group and waits until they are durable.
    ///
    /// # Errors
    /// The claim does not hold, or the offsets could not be stored.
    pub(crate) async fn commit(
        &self,
        group_id: &str,
        claim: &Claim,
        commits: Vec<Commit>,
    ) -> Result<(), ErrorCode> {
        self.ready()?;
        let stored = self.with(|registry, now| registry.commit(now, group_id, claim, commits))?;
        stored
            .await
            .map_err(|_| ErrorCode::CoordinatorNotAvailable)?
    }

    /// Looks at a group's stored offsets; `None` when there is no such group.
    ///
    /// # Errors
    /// Groups are still being read.
    pub(crate) fn offsets<T>(
        &self,
        group_id: &str,
        look: impl FnOnce(Option<&GroupOffsets>) -> T,
    ) -> Result<T, ErrorCode> {
        self.ready()?;
        Ok(look(self.registry.lock().offsets(group_id)))
    }

    /// All groups in the order of their ids.
    ///
    /// # Errors
    /// Groups are still being read.
    pub(crate) fn list(&self) -> Result<Vec<ListedGroup>, ErrorCode> {
        self.ready()?;
        Ok(self.registry.lock().list())
    }

    /// One classic group with its members.
    ///
    /// # Errors
    /// Groups are still being read.
    pub(crate) fn describe(&self, group_id: &str) -> Result<Found<DescribedGroup>, ErrorCode> {
        self.ready()?;
        Ok(self.registry.lock().describe(group_id))
    }

    /// Removes the offsets that groups hold in topics which were deleted.
    pub(crate) fn forget_topics(&self, topics: &BTreeSet<Arc<str>>) {
        self.with(|registry, _| registry.forget_topics(topics));
    }

    /// Groups, offsets and what happened, as Prometheus text.
    pub(crate) fn metrics_text(&self) -> String {
        use std::fmt::Write;
        let (by_state, offsets, tally) = self.registry.lock().counts();
        let mut text = String::from("# HELP logway_broker_groups Groups by state.\n");
        text.push_str("# TYPE logway_broker_groups gauge\n");
        let mut line = |line: std::fmt::Arguments<'_>| {
            // Writing into a String cannot fail.
            text.write_fmt(line).unwrap_or_default();
        };
        for (state, count) in by_state {
            line(format_args!(
                "logway_broker_groups{{state=\"{state}\"}} {count}\n"
            ));
        }
        let values = [
            (
                "group_offsets",
                "gauge",
                "Committed offsets held",
                offsets as u64,
            ),
            (
                "group_rebalances",
                "counter",
                "Rounds of rebalancing",
                tally.rebalances,
            ),
            (
                "group_commits",
                "counter",
                "Offsets stored for groups",
                tally.commits,
            ),
            (
                "group_expired_offsets",
                "counter",
                "Offsets past their time",
                tally.expired_offsets,
            ),
        ];
        for (name, kind, help, value) in values {
            let total = if kind == "counter" { "_total" } else { "" };
            line(format_args!("# HELP logway_broker_{name} {help}.\n"));
            line(format_args!("# TYPE logway_broker_{name} {kind}\n"));
            line(format_args!("logway_broker_{name}{total} {value}\n"));
        }
        text
    }

    pub(super) fn log(&self) -> &Arc<dyn OffsetsLog> {
        &self.log
    }

    pub(super) fn pending(&self) -> &Mutex<PendingOffsets> {
        &self.pending
    }

    /// Admits a commit within a transaction; see `Registry::admit_transactional`.
    pub(super) fn admit(&self, group_id: &str, claim: &Claim) -> Result<Arc<str>, ErrorCode> {
        self.with(|registry, now| registry.admit_transactional(now, group_id, claim))
    }

    /// Takes offsets whose transaction has committed.
    pub(super) fn take_settled(&self, settled: Vec<Settled>) {
        self.with(|registry, now| registry.take_settled(now, settled));
    }

    /// Changes the registry and wakes the tasks that have to act on the change.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Registry, Now) -> T) -> T {
        let now = self.now();
        let topics = self.log.topics();
        let mut registry = self.registry.lock();
        registry.see_topics(topics);
        let next_before = registry.next_wake();
        let result = change(&mut registry, now);
        let next_after = registry.next_wake();
        let (writes, resolves) = (registry.has_writes(), registry.has_resolves());
        drop(registry);
        if resolves {
            self.resolves_waiting.notify_one();
        }
        if writes {
            self.writes_waiting.notify_one();
        }
        if next_after != next_before {
            self.clock_changed.notify_one();
        }
        result
    }

    fn now(&self) -> Now {
        let tick_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Now {
            tick_ms,
            wall_ms: crate::clock::now_ms(),
        }
    }

    /// Reads the offsets topic. Blocks on the disk.
    fn load(&self) {
        let began = Instant::now();
        for partition in 0..self.log.partitions().unwrap_or(0) {
            let mut loading = Loading::default();
            let mut unreadable = 0u64;
            let read = self.log.read(partition, &mut |batch| {
                unreadable += u64::from(take_batch(&mut loading, &batch).is_err());
            });
            if let Err(source) = read {
                warn!("groups of this partition may be missing: {source}");
            }
            if loading.unreadable + unreadable > 0 {
                let records = loading.unreadable;
                warn!(
                    partition,
                    records,
                    batches = unreadable,
                    "passed over unreadable groups"
                );
            }
            self.pending.lock().absorb(loading.take_pending());
            self.with(|registry, now| registry.load(now, loading));
        }
        self.loaded.store(true, Ordering::Release);
        let (by_state, offsets, _) = self.registry.lock().counts();
        let groups: usize = by_state.values().sum();
        let took_ms = began.elapsed().as_millis();
        info!(groups, offsets, took_ms, "groups are known");
    }

    async fn store_writes(self: Arc<Self>) {
        loop {
            let writes = self.registry.lock().take_writes();
            if writes.is_empty() {
                if self.stop.is_cancelled() {
                    return;
                }
                tokio::select! {
                    () = self.writes_waiting.notified() => {}
                    () = self.stop.cancelled() => {}
                }
                continue;
            }
            let now_ms = crate::clock::now_ms();
            let ended = writer::store(&self.log, writes, now_ms, self.batch_max).await;
            let mut pending = self.pending.lock();
            self.with(|registry, now| {
                for (write, outcome) in ended {
                    if let Ok(base_offset) = outcome {
                        for (place, offset) in write.removed().iter().zip(base_offset..) {
                            pending.forget(&write.group, place, offset);
                        }
                    }
                    registry.finish(now, write, outcome);
                }
            });
        }
    }

    async fn watch_clock(self: Arc<Self>) {
        let mut expiry = tokio::time::interval(self.expiry_interval);
        expiry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        expiry.reset();
        loop {
            let next = self.registry.lock().next_wake();
            let wake = async {
                match next {
                    Some(tick_ms) => {
                        let at = self.started + Duration::from_millis(tick_ms);
                        tokio::time::sleep_until(at.into()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.clock_changed.notified() => {}
                () = wake => self.with(Registry::wake_due),
                _ = expiry.tick() => {
                    if self.ready().is_ok() {
                        let pending = self.pending.lock();
                        self.with(|registry, now| {
                            registry.expire(now, |group| pending.has(group));
                        });
                    }
                }
            }
        }
    }
}

/// Hands the records of one batch on, or what a marker says of those before it.
fn take_batch(loading: &mut Loading, batch: &Bytes) -> Result<(), BatchError> {
    let header = BatchHeader::decode(batch)?;
    let records = decode_records(batch, BATCH_BYTES_MAX)?;
    if header.is_control() {
        for end in records
            .iter()
            .filter_map(|record| EndTransaction::of(record).ok()?)
        {
            loading.settle(header.producer_id, end.committed);
        }
        return Ok(());
    }
    let producer = header.is_transactional().then_some(header.producer_id);
    for record in records {
        if let Some(key) = &record.key {
            let (value, offset) = (record.value.as_ref(), record.offset);
            match producer {
                Some(producer) => loading.record_within(producer, (key, value), offset),
                None => loading.record(key, value, offset),
            }
        }
    }
    Ok(())
}
