//! Threads that sync logs for those who wait (design D7). Invariant: at most one sync of a partition
//! runs at a time, and one sync serves every append that was there when it began, so the rate of
//! syncs does not grow with the number of producers; no tokio worker ever waits for a disk. Step 8.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use logway_journal::{Log, SyncTarget};
use parking_lot::{Condvar, Mutex};
use tracing::{debug, error, warn};

use super::{Availability, Partition};
use crate::metrics::Metrics;
use crate::patient_sync::sync_patiently;

/// Threads that sync: different partitions' syncs overlap, the file system groups them.
const THREADS: usize = 4;

const IDLE: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
/// Running, and something was appended since it began.
const RUNNING_AGAIN: u8 = 3;

/// Where a partition stands with the flusher.
#[derive(Debug, Default)]
pub(super) struct SyncState(AtomicU8);

impl SyncState {
    /// True if the caller must queue the partition.
    fn request(&self) -> bool {
        let step = |state| match state {
            IDLE => Some(QUEUED),
            RUNNING => Some(RUNNING_AGAIN),
            _ => None,
        };
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
            == Ok(IDLE)
    }

    fn begin(&self) {
        self.0.store(RUNNING, Ordering::Release);
    }

    /// True if the partition must be queued again.
    fn end(&self) -> bool {
        let step = |state| Some(if state == RUNNING_AGAIN { QUEUED } else { IDLE });
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
            == Ok(RUNNING_AGAIN)
    }
}

#[derive(Debug, Default)]
struct Queue {
    partitions: VecDeque<Arc<Partition>>,
    stopping: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    metrics: Arc<Metrics>,
}

/// Handle of the sync threads.
#[derive(Debug)]
pub(crate) struct Flusher {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Flusher {
    /// Starts the threads.
    pub(crate) fn start(metrics: Arc<Metrics>) -> io::Result<Flusher> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            filled: Condvar::new(),
            metrics,
        });
        let mut threads = Vec::with_capacity(THREADS);
        for number in 0..THREADS {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new()
                .name(format!("logway-sync-{number}"))
                .spawn(move || shared.work())?;
            threads.push(thread);
        }
        Ok(Flusher {
            shared,
            threads: Mutex::new(threads),
        })
    }

    /// Has everything that is in the partition's log now synced soon.
    pub(crate) fn request(&self, partition: &Arc<Partition>) {
        if partition.sync_state.request() {
            self.shared.push(Arc::clone(partition));
        }
    }

    /// Has the threads end when the queue is empty, without waiting for them.
    pub(crate) fn abandon(&self) {
        self.shared.queue.lock().stopping = true;
        self.shared.filled.notify_all();
    }

    /// Finishes the queue and ends the threads. Blocks; called once, at the end.
    pub(crate) fn stop(&self) {
        self.abandon();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            if thread.join().is_err() {
                error!("a sync thread panicked; some acknowledgements were not sent");
            }
        }
    }
}

impl Shared {
    fn push(&self, partition: Arc<Partition>) {
        self.queue.lock().partitions.push_back(partition);
        self.filled.notify_one();
    }

    fn work(&self) {
        while let Some(partition) = self.next() {
            partition.sync_state.begin();
            partition.sync(&self.metrics);
            if partition.sync_state.end() {
                self.push(partition);
            }
        }
    }

    fn next(&self) -> Option<Arc<Partition>> {
        let mut queue = self.queue.lock();
        loop {
            if let Some(partition) = queue.partitions.pop_front() {
                return Some(partition);
            }
            if queue.stopping {
                return None;
            }
            self.filled.wait(&mut queue);
        }
    }
}

impl Partition {
    /// Syncs the log on this thread and tells those who wait. A failure stops the writer for good.
    pub(super) fn sync(&self, metrics: &Metrics) {
        let target = self.writer.lock().log.as_ref().map(Log::sync_handle);
        if let Some(target) = target {
            self.finish_sync(&target, metrics);
        }
    }

    /// Syncs the segments that have ended since the recovery point; true if that moved it.
    pub(super) fn sync_ended(&self, metrics: &Metrics) -> bool {
        let target = {
            let writer = self.writer.lock();
            let log = writer.log.as_ref().filter(|log| log.has_ended_segments());
            log.map(Log::ended_handle)
        };
        target.is_some_and(|target| {
            self.finish_sync(&target, metrics);
            self.availability() == Availability::Online
        })
    }

    /// As `sync`, with everything that the next start would otherwise read again.
    pub(super) fn sync_for_recovery(&self, metrics: &Metrics) {
        let target = {
            let mut writer = self.writer.lock();
            // The next start begins there, so that it need not know what lies below.
            writer.write_snapshot_at_end();
            writer.log.as_mut().map(Log::checkpoint_handle)
        };
        match target {
            Some(Ok(target)) => self.finish_sync(&target, metrics),
            Some(Err(source)) => {
                let (topic, partition) = (self.topic(), self.index());
                warn!(
                    topic,
                    partition, "write indexes: {source}; tried again later"
                );
            }
            None => {}
        }
    }

    fn finish_sync(&self, target: &SyncTarget, metrics: &Metrics) {
        if self.availability() == Availability::Failed {
            return;
        }
        let began = Instant::now();
        match sync_patiently(target) {
            Ok(synced) => {
                metrics.synced(began.elapsed());
                if let Some(log) = self.writer.lock().log.as_mut() {
                    log.synced(synced);
                }
                self.durable.fetch_max(synced.up_to(), Ordering::AcqRel);
                self.durable_changed.notify_waiters();
            }
            Err(source) if self.availability() == Availability::Deleted => {
                let (topic, partition) = (self.topic(), self.index());
                debug!(topic, partition, "sync of a deleted partition: {source}");
            }
            // Nothing was synced and nothing is lost: who waits is told to try again by its timeout.
            Err(source) if source.is_out_of_files() => {
                let (topic, partition) = (self.topic(), self.index());
                warn!(topic, partition, "sync given up for now: {source}");
            }
            Err(source) => {
                metrics.partitions_failed.inc();
                let (topic, partition) = (self.topic(), self.index());
                error!(
                    topic,
                    partition,
                    "sync failed, the partition takes no more records until the broker is started again: {source}"
                );
                self.set_availability(Availability::Failed);
            }
        }
    }
}
