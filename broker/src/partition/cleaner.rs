//! The thread that compacts logs: the dirtiest first, one at a time (Kafka's LogCleaner).
//! Invariant: appends never wait for it, but for the moments in which a swap is allowed and shown;
//! what cannot be compacted is reported, counted and left as it is; it ends within one batch when
//! the broker stops. Beside step 8 of the hallway.

use std::collections::{HashMap, HashSet};
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logway_config::broker::Broker as Settings;
use logway_journal::{
    CleanError, Cleanable, Cleaner, CleanerConfig, CompactConfig, DataDir, LastRecord, Replacement,
    RoundInputs, RoundStats,
};
use logway_protocol::Uuid;
use parking_lot::Mutex;
use tracing::{debug, error, info, warn};

use super::background::{Background, Signal};
use super::opening::log_config;
use super::{Availability, Partition, Partitions};
use crate::clock::now_ms;
use crate::metadata::TopicConfig;
use crate::metrics::Metrics;

/// A batch from a time with larger limits is still unpacked to so many bytes.
const UNPACKED_BYTES_MIN: usize = 256 * 1024 * 1024;

/// Starts the cleaner's thread, if the settings want one. Told to end, it gives up what it is writing;
/// a swap under way is finished.
pub(crate) fn start_cleaner(
    partitions: Arc<Partitions>,
    data_dir: Arc<Mutex<DataDir>>,
    settings: &Settings,
    metrics: Arc<Metrics>,
) -> io::Result<Option<Background>> {
    if !settings.log.cleaner.enable {
        return Ok(None);
    }
    let work = move |signal| {
        let mut work = Work {
            partitions,
            data_dir,
            metrics,
            signal,
            uncleanable: HashSet::new(),
        };
        work.run();
    };
    Background::start("logway-cleaner", work).map(Some)
}

struct Work {
    partitions: Arc<Partitions>,
    data_dir: Arc<Mutex<DataDir>>,
    metrics: Arc<Metrics>,
    signal: Arc<Signal>,
    /// Partitions, by topic id, whose compaction has failed; until the next start.
    uncleanable: HashSet<(Uuid, i32)>,
}

impl Work {
    fn run(&mut self) {
        let mut pause = self.backoff();
        while !self.signal.wait(pause) {
            let now_ms = now_ms();
            let cleaned = match self.dirtiest(now_ms) {
                Some((partition, cleanable)) => self.clean(&partition, cleanable, now_ms),
                None => false,
            };
            // Others may be due as well.
            pause = if cleaned {
                Duration::ZERO
            } else {
                self.backoff()
            };
        }
    }

    fn backoff(&self) -> Duration {
        let in_force = self.partitions.settings();
        Duration::from_millis(in_force.settings.log.cleaner.backoff_ms)
    }

    /// The log with the largest dirty share of those that are due.
    fn dirtiest(&mut self, now_ms: i64) -> Option<(Arc<Partition>, Cleanable)> {
        let mut dirtiest: Option<(Arc<Partition>, Cleanable)> = None;
        for partition in self.partitions.all() {
            let key = (partition.topic_id, partition.index);
            let is_served = partition.availability() == Availability::Online;
            if !is_served || !partition.config().compacted || self.uncleanable.contains(&key) {
                continue;
            }
            let cleaned_to = self.data_dir.lock().cleaned_to(&partition.folder());
            let config = compact_config(&partition.config());
            let stable = partition.last_stable_offset();
            match partition
                .reader()
                .cleanable(cleaned_to, stable, &config, now_ms)
            {
                Ok(cleanable) => {
                    let before = dirtiest.as_ref().map_or(0.0, |(_, one)| one.dirty_ratio());
                    if cleanable.is_due() && cleanable.dirty_ratio() > before {
                        dirtiest = Some((partition, cleanable));
                    }
                }
                Err(error) => self.failed(&partition, &error.into()),
            }
        }
        dirtiest
    }

    /// One round; true if the log was compacted to where the map of its keys reached.
    fn clean(&mut self, partition: &Partition, cleanable: Cleanable, now_ms: i64) -> bool {
        let began = Instant::now();
        let mut stats = RoundStats::default();
        let cleaned = self.try_clean(partition, cleanable, now_ms, &mut stats);
        let compaction = &self.metrics.compaction;
        compaction.read_bytes.inc_by(stats.bytes_read);
        compaction.read_records.inc_by(stats.records_read);
        partition.reader().release_files();
        let end_offset = match cleaned {
            Ok(end_offset) => end_offset,
            Err(error) => {
                self.failed(partition, &error);
                return false;
            }
        };
        let removed_bytes = stats.bytes_read.saturating_sub(stats.bytes_kept);
        let removed_records = stats.records_read - stats.records_kept;
        compaction.removed_bytes.inc_by(removed_bytes);
        compaction.removed_records.inc_by(removed_records);
        info!(
            topic = partition.topic(),
            partition = partition.index(),
            below = end_offset,
            bytes = stats.bytes_read,
            removed_bytes,
            removed_records,
            ms = began.elapsed().as_millis(),
            "log compacted"
        );
        true
    }

    fn try_clean(
        &self,
        partition: &Partition,
        cleanable: Cleanable,
        now_ms: i64,
        stats: &mut RoundStats,
    ) -> Result<i64, CleanError> {
        if !partition.is_durable_below(cleanable.first_uncleanable_offset()) {
            partition.sync_for_recovery(&self.metrics);
        }
        let config = partition.config();
        let in_force = Arc::clone(&self.partitions.settings().settings);
        let settings = &in_force.log.cleaner;
        let cleaner = Cleaner::new(CleanerConfig {
            dedupe_buffer_bytes: settings.dedupe_buffer_size,
            io_buffer_bytes: settings.io_buffer_size,
            unpacked_bytes_max: in_force.decompressed_max_bytes.max(UNPACKED_BYTES_MIN),
        });
        let inputs = RoundInputs {
            log: log_config(&config),
            delete_retention_ms: config.delete_retention_ms,
            now_ms,
        };
        let mut throttle = Throttle::new(settings.io_max_bytes_per_second);
        let pace = &mut |bytes| throttle.passed(bytes, &self.signal);
        let mut round = cleaner.begin(cleanable, inputs, pace)?;
        loop {
            let next = round.next_group(&partition.last_records(), pace);
            *stats = round.stats();
            match next? {
                Some(replacement) => partition.swap_in(replacement)?,
                None => break,
            }
        }
        let mut data_dir = self.data_dir.lock();
        if partition.availability() == Availability::Online {
            data_dir.note_cleaned_to(&partition.folder(), round.end_offset())?;
        }
        Ok(round.end_offset())
    }

    /// Reports why a log was not compacted; gives it up if that would not be another time.
    fn failed(&mut self, partition: &Partition, error: &CleanError) {
        let (topic, index) = (partition.topic(), partition.index());
        let is_gone = partition.availability() != Availability::Online;
        match error {
            CleanError::Stopped | CleanError::Changed => {
                debug!(topic, partition = index, "not compacted: {error}");
                return;
            }
            _ if is_gone => {
                debug!(
                    topic,
                    partition = index,
                    "not compacted, it is gone: {error}"
                );
                return;
            }
            CleanError::Disk(disk) if disk.is_disk_full() => {
                warn!(
                    topic,
                    partition = index,
                    "not compacted: {}",
                    reasons(error)
                );
                return;
            }
            _ => {}
        }
        error!(
            topic,
            partition = index,
            "compaction failed, the partition is not compacted any more until the broker is started again: {}",
            reasons(error)
        );
        partition.stop_if_poisoned();
        self.uncleanable.insert((partition.topic_id, index));
        let count = i64::try_from(self.uncleanable.len()).unwrap_or(i64::MAX);
        self.metrics.compaction.uncleanable.set(count);
    }
}

/// An error with what caused it.
fn reasons(error: &CleanError) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| {
        error.source()
    });
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

fn compact_config(config: &TopicConfig) -> CompactConfig {
    CompactConfig {
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        delete_retention_ms: config.delete_retention_ms,
    }
}

impl Partition {
    fn is_durable_below(&self, offset: i64) -> bool {
        let writer = self.writer.lock();
        let log = writer.log.as_ref();
        log.is_some_and(|log| log.durable_offset() >= offset)
    }

    /// The last record of each producer that is still known.
    fn last_records(&self) -> HashMap<i64, LastRecord> {
        let writer = self.writer.lock();
        let known = writer.producers.sorted().into_iter();
        let last = known.map(|(id, entry)| {
            let last = LastRecord {
                last_data_offset: entry.batches.back().map(|batch| batch.last_offset),
                producer_epoch: entry.epoch,
            };
            (id, last)
        });
        last.collect()
    }

    /// Puts compacted segments in the place of the old ones. The writer is held only before and
    /// after, not while the disk works.
    fn swap_in(&self, replacement: Replacement) -> Result<(), CleanError> {
        let _no_removal = self.swapping.lock();
        let allowed = match self.writer.lock().log.as_mut() {
            Some(log) => log.begin_swap(replacement)?,
            None => {
                replacement.discard();
                return Err(CleanError::Changed);
            }
        };
        let swapped = allowed.run()?;
        if let Some(log) = self.writer.lock().log.as_mut() {
            log.finish_swap(swapped);
        }
        Ok(())
    }

    /// A swap that failed half way has ended the log's writer.
    fn stop_if_poisoned(&self) {
        let is_poisoned = {
            let writer = self.writer.lock();
            writer
                .log
                .as_ref()
                .is_some_and(logway_journal::Log::is_poisoned)
        };
        if is_poisoned {
            self.set_availability(Availability::Failed);
        }
    }
}

/// Keeps the rate of reading and writing below a limit.
struct Throttle {
    bytes_per_second: Option<u64>,
    began: Instant,
    bytes: u64,
}

impl Throttle {
    fn new(bytes_per_second: Option<u64>) -> Throttle {
        Throttle {
            bytes_per_second,
            began: Instant::now(),
            bytes: 0,
        }
    }

    /// Waits until so many bytes more are allowed; ends the round when the broker stops.
    fn passed(&mut self, bytes: usize, signal: &Signal) -> ControlFlow<()> {
        self.bytes += bytes as u64;
        let due = self
            .bytes_per_second
            .map_or(0.0, |rate| self.bytes as f64 / rate as f64);
        let wait = Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX);
        if signal.wait(wait.saturating_sub(self.began.elapsed())) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
