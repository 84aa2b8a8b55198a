//! The one timer of all partitions: retention, checkpoints, timed flushes, expiry of producers, the
//! removal of deleted folders. Invariant: nothing here is needed for correctness of what was
//! acknowledged; it bounds disk use and the work of the next start. Step 8 of the hallway.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use logway_config::broker::Broker as Settings;
use logway_journal::{DataDir, LogState};
use parking_lot::Mutex;
use tracing::{info, warn};

use super::background::{Background, Signal};
use super::{Availability, Partition, Partitions};
use crate::clock::now_ms;
use crate::metadata::metadata_folder;
use crate::metrics::Metrics;

/// Time between writes of the checkpoint files (Kafka's `log.flush.offset.checkpoint.interval.ms`).
const CHECKPOINT: Duration = Duration::from_secs(60);
/// Time between looks for segments that have ended: they are synced, so that after a crash only the
/// last segment of each log is read (Kafka does so when a segment ends). The longest sleep, too: a
/// changed `flush.ms` is seen then.
const ENDED: Duration = Duration::from_secs(5);
/// Shortest sleep: `flush.ms` is kept to this grain.
const TICK_MIN: Duration = Duration::from_millis(100);
/// Bytes of log behind the recovery point worth a sync, so that the next start need not read them.
const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;

/// Starts the keeper's thread. Told to end, it finishes the round under way.
pub(crate) fn start_keeper(
    partitions: Arc<Partitions>,
    data_dir: Arc<Mutex<DataDir>>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
) -> io::Result<Background> {
    let round = Round {
        partitions,
        data_dir,
        settings,
        metrics,
    };
    Background::start("logway-keeper", move |signal| work(&round, &signal))
}

struct Round {
    partitions: Arc<Partitions>,
    data_dir: Arc<Mutex<DataDir>>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
}

fn work(round: &Round, signal: &Signal) {
    let retention = Duration::from_millis(round.settings.log.retention_check_interval_ms);
    let (mut retained_at, mut checkpointed_at) = (Instant::now(), Instant::now());
    let mut settings_seen = round.partitions.settings_version();
    let mut tick = round.flush_tick();
    let mut produced_bytes = 0;
    loop {
        let until_retention = retention.saturating_sub(retained_at.elapsed());
        let until_checkpoint = CHECKPOINT.saturating_sub(checkpointed_at.elapsed());
        let due = tick.min(until_retention).min(until_checkpoint);
        if signal.wait(due.clamp(TICK_MIN, ENDED)) {
            return;
        }
        round.remove_deleted();
        let settings = round.partitions.settings_version();
        if settings != settings_seen {
            settings_seen = settings;
            tick = round.flush_tick();
        }
        if tick < CHECKPOINT {
            round.flush_by_time();
        }
        let produced_before = produced_bytes;
        produced_bytes = round.metrics.produced_bytes.get();
        if produced_bytes != produced_before {
            round.sync_ended();
        }
        if retained_at.elapsed() >= retention {
            retained_at = Instant::now();
            round.retain();
        }
        if checkpointed_at.elapsed() >= CHECKPOINT {
            checkpointed_at = Instant::now();
            round.partitions.open_missing();
            round.checkpoint();
        }
    }
}

impl Round {
    /// The shortest `flush.ms` of all partitions: how often somebody must look.
    fn flush_tick(&self) -> Duration {
        let of =
            |partition: Arc<Partition>| u64::try_from(partition.config().flush_ms).unwrap_or(0);
        let shortest = self
            .partitions
            .all()
            .into_iter()
            .map(of)
            .min()
            .unwrap_or(u64::MAX);
        Duration::from_millis(shortest).max(TICK_MIN)
    }

    fn flush_by_time(&self) {
        for partition in self.partitions.all() {
            if partition.config().flush_ms < i64::MAX && partition.has_unsynced() {
                self.partitions.flusher().request(&partition);
            }
        }
    }

    fn remove_deleted(&self) {
        for folder in self.partitions.take_deleted() {
            if let Err(source) = std::fs::remove_dir_all(&folder) {
                warn!(folder = %folder.display(), "remove folder of deleted partition: {source}");
            }
        }
    }

    fn retain(&self) {
        let now = now_ms();
        let in_force = self.partitions.settings();
        let expiry = in_force.settings.producer_id_expiration_ms;
        let expiry = i64::try_from(expiry).unwrap_or(i64::MAX);
        let mut bytes = 0.0;
        for partition in self.partitions.all() {
            partition.retain(now, now.saturating_sub(expiry));
            bytes += partition.reader().size_bytes() as f64;
        }
        self.metrics.log_bytes.set(bytes);
    }

    fn sync_ended(&self) {
        let synced = |partition: &Arc<Partition>| partition.sync_ended(&self.metrics);
        if self
            .partitions
            .all()
            .iter()
            .filter(|one| synced(one))
            .count()
            > 0
        {
            self.write_checkpoints();
        }
    }

    fn checkpoint(&self) {
        for partition in self.partitions.all() {
            partition.checkpoint(&self.metrics);
        }
        self.write_checkpoints();
    }

    fn write_checkpoints(&self) {
        // Locked before anybody is asked: a partition that is deleted meanwhile takes its line out
        // afterwards, so none comes back.
        let mut data_dir = self.data_dir.lock();
        let opened = self.partitions.all();
        let opened = opened.iter().filter_map(|partition| partition.log_state());
        let unopened = self.partitions.missing_folders();
        let unopened = unopened.into_iter().chain([metadata_folder()]);
        let unchanged = unopened.map(|folder| {
            let known = data_dir.recovery(&folder);
            let state = LogState {
                recovery_point: known.recovery_point,
                log_start_offset: known.log_start_offset,
            };
            (folder, state)
        });
        let points: Vec<(String, LogState)> = opened.chain(unchanged).collect();
        let points = points
            .iter()
            .map(|(folder, state)| (folder.as_str(), *state));
        if let Err(source) = data_dir.write_checkpoints(points) {
            warn!("write checkpoints: {source}; the next start reads more than it need");
        }
    }
}

impl Partition {
    fn retain(&self, now_ms: i64, oldest_producer_ms: i64) {
        if self.availability() != Availability::Online {
            return;
        }
        let high_watermark = self.high_watermark();
        let log_start = self.log_start_offset();
        let mut writer = self.writer.lock();
        if !writer.producers.is_empty() {
            writer.producers.expire(oldest_producer_ms);
        }
        let Some(log) = writer.log.as_mut() else {
            return;
        };
        match log.enforce_retention(now_ms, high_watermark) {
            Ok(deleted) if deleted.segments > 0 => {
                info!(
                    topic = self.topic(),
                    partition = self.index(),
                    segments = deleted.segments,
                    bytes = deleted.bytes,
                    "old segments deleted"
                );
            }
            Ok(_) => {}
            Err(source) => {
                warn!(
                    topic = self.topic(),
                    partition = self.index(),
                    "delete old segments: {source}"
                );
            }
        }
        log.release_files();
        writer.write_snapshot_if_rolled();
        drop(writer);
        if self.log_start_offset() != log_start {
            self.announce_change();
        }
    }

    /// Moves the recovery point up when much was written since; a log that nobody wrote to meanwhile
    /// gives its open files back, and room on the disk.
    fn checkpoint(&self, metrics: &Metrics) {
        if self.availability() != Availability::Online {
            return;
        }
        let size = self.reader().size_bytes();
        let grown = {
            let mut writer = self.writer.lock();
            if writer.log_end_seen == self.reader().log_end_offset()
                && let Some(log) = writer.log.as_mut()
            {
                log.rest();
            }
            writer.log_end_seen = self.reader().log_end_offset();
            let grown = size.saturating_sub(writer.checkpoint_bytes) >= CHECKPOINT_BYTES;
            if grown || size < writer.checkpoint_bytes {
                writer.checkpoint_bytes = size;
            }
            grown
        };
        if grown {
            self.sync_for_recovery(metrics);
        }
    }

    /// What the checkpoint files say of this partition now.
    pub(super) fn log_state(&self) -> Option<(String, LogState)> {
        let writer = self.writer.lock();
        let log = writer.log.as_ref()?;
        let state = LogState {
            recovery_point: log.recovery_point(),
            log_start_offset: log.log_start_offset(),
        };
        Some((self.folder(), state))
    }
}
