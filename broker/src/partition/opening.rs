//! Opens one partition's log and puts together what is known of it; closes it again.
//! Invariant: a folder is served only as the topic it was written for, and producers' states are
//! those of exactly the records that are in the log. Step 8 of the hallway, at start and end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use logway_journal::{DataDir, Disk, DiskError, Log, LogConfig, LogState, OpenError, Recovery};
use logway_protocol::Uuid;
use parking_lot::Mutex;
use thiserror::Error;
use tracing::{error, warn};

use super::bulk::{Line, Wanted};
use super::restore::{RestoreError, restore};
use super::{Availability, Partition, PartitionParts, Writer};
use crate::clock::now_ms;
use crate::metadata::{LiveSettings, Topic, TopicConfig};
use crate::metrics::Metrics;

/// Marks the folder of a deleted partition, as in Kafka; what a crash leaves behind is removed at
/// the next start.
const DELETED_SUFFIX: &str = "-delete";

/// Kafka's file that names the topic a folder belongs to.
const IDENTITY_FILE: &str = "partition.metadata";

/// Why one partition cannot be served.
#[derive(Debug, Error)]
pub(super) enum PartitionError {
    #[error("open log: {0}")]
    Open(#[from] OpenError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("write partition.metadata: {0}")]
    Io(#[from] io::Error),
    #[error("move folder of a deleted topic away: {0}")]
    Stranger(#[from] DiscardError),
    #[error("write checkpoint: {0}")]
    Checkpoint(#[from] DiskError),
}

/// Why a deleted partition's folder keeps its name.
#[derive(Debug, Error)]
pub(super) enum DiscardError {
    #[error("take its lines out of the checkpoints: {0}")]
    Checkpoint(#[from] DiskError),
    #[error("rename it: {0}")]
    Rename(#[from] io::Error),
}

/// How a partition comes to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// At the broker's start: the clean mark of the last run counts.
    Start,
    /// Once more after a failure.
    Again,
    /// The partition was just created: what the checkpoints say is an earlier one's.
    Created,
}

/// Opens partitions below one data folder.
#[derive(Debug)]
pub(super) struct Opener {
    pub(super) disk: Arc<dyn Disk>,
    /// Never locked by who holds a partition's writer.
    pub(super) data_dir: Arc<Mutex<DataDir>>,
    pub(super) settings: Arc<Settings>,
    /// The settings that may change while running, and the defaults of topics.
    pub(super) live: Arc<LiveSettings>,
    pub(super) metrics: Arc<Metrics>,
    /// Folders of deleted partitions that the keeper still has to remove.
    pub(super) deleted: Mutex<Vec<PathBuf>>,
}

impl Opener {
    /// Whether the folder says that it is this topic's. A folder of an earlier topic of the same
    /// name, whose removal a crash prevented, must not become this topic's and is moved away.
    fn check_identity(&self, dir: &Path, topic: &Topic) -> Result<bool, DiscardError> {
        let Ok(present) = std::fs::read_to_string(dir.join(IDENTITY_FILE)) else {
            return Ok(false);
        };
        let id = present
            .lines()
            .find_map(|line| line.strip_prefix("topic_id: "));
        let Some(Ok(id)) = id.map(|id| id.trim().parse::<Uuid>()) else {
            return Ok(false);
        };
        if id == topic.id {
            return Ok(true);
        }
        warn!(folder = %dir.display(), topic_id = %id, "folder belongs to a deleted topic and is removed");
        if let Some(folder) = dir.file_name() {
            let folder = folder.to_string_lossy();
            self.data_dir.lock().forget_logs([&*folder])?;
        }
        self.rename_discarded(dir, &id)?;
        Ok(false)
    }

    /// Opens a partition. With it comes its line of the checkpoints, if that has to become lower
    /// before anything is appended.
    pub(super) fn try_open(
        &self,
        wanted: &Wanted,
        opening: Opening,
    ) -> Result<(Arc<Partition>, Option<Line>), PartitionError> {
        let (topic, index) = (&wanted.topic, wanted.index);
        let folder = wanted.folder();
        let dir = self.settings.data_dir.join(&folder);
        let config = Arc::clone(&wanted.config);
        let is_known = self.check_identity(&dir, topic)?;
        let recovery = self.recovery(&folder, opening);
        let disk = Arc::clone(&self.disk);
        let now = now_ms();
        let mut log = Log::open(disk, &dir, log_config(&config), recovery, now)?;
        let lowered = lowered(&log, &recovery).map(|state| (folder, state));
        if !is_known {
            write_identity(&dir, topic)?;
        }
        let reader = log.reader();
        let expiry = i64::try_from(self.settings.producer_id_expiration_ms).unwrap_or(i64::MAX);
        let (producers, snapshot_offset) =
            restore(&mut log, recovery.clean, now.saturating_sub(expiry))?;
        let info = topic.partitions.get(index);
        let durable = log.durable_offset();
        reader.release_files();
        let partition = Partition::new(PartitionParts {
            topic: Arc::clone(&topic.name),
            topic_id: topic.id,
            index: i32::try_from(index).unwrap_or(i32::MAX),
            dir,
            reader,
            leader_epoch: info.map_or(0, |info| info.leader_epoch),
            writer: Writer {
                log: Some(log),
                producers,
                verifications: super::verification::Verifications::default(),
                snapshot_offset,
                checkpoint_bytes: 0,
                log_end_seen: 0,
            },
            config,
            durable,
        });
        Ok((partition, lowered))
    }

    /// What is known of the log in a folder that is about to be opened.
    fn recovery(&self, folder: &str, opening: Opening) -> Recovery {
        let recovery = self.data_dir.lock().recovery(folder);
        Recovery {
            clean: recovery.clean && opening == Opening::Start,
            ..recovery
        }
    }

    /// Renames the folder of a deleted partition; the checkpoints no longer speak of it.
    pub(super) fn rename_discarded(&self, dir: &Path, id: &Uuid) -> io::Result<()> {
        let mut name = dir.as_os_str().to_owned();
        let tag = u128::from_be_bytes(*id.as_bytes());
        name.push(format!(".{tag:032x}{DELETED_SUFFIX}"));
        let target = PathBuf::from(name);
        std::fs::rename(dir, &target)?;
        self.deleted.lock().push(target);
        Ok(())
    }
}

/// Lowers the log's line in the checkpoint if the log was found to have less than that promised:
/// records appended now must not pass for durable ones at the next start.
pub(crate) fn note_lowered(
    data_dir: &Mutex<DataDir>,
    folder: &str,
    log: &Log,
) -> Result<(), DiskError> {
    let mut data_dir = data_dir.lock();
    match lowered(log, &data_dir.recovery(folder)) {
        Some(state) => data_dir.note_logs([(folder, state)]),
        None => Ok(()),
    }
}

/// What the checkpoints must say of the log, if that is less than they promised.
fn lowered(log: &Log, promised: &Recovery) -> Option<LogState> {
    (log.recovery_point() < promised.recovery_point).then(|| LogState {
        recovery_point: log.recovery_point(),
        log_start_offset: log.log_start_offset(),
    })
}

impl Partition {
    /// Closes the log; none if that failed or had failed before. With `name_synced` the name of its
    /// folder is known to be on disk.
    pub(super) fn close(&self, name_synced: bool) -> Option<Line> {
        let failed = self.availability() == Availability::Failed;
        self.set_availability(Availability::Closed);
        let mut log = {
            let mut writer = self.writer.lock();
            if !failed {
                writer.write_snapshot_at_end();
            }
            writer.log.take()?
        };
        if name_synced {
            log.parent_synced();
        }
        if failed {
            return None;
        }
        match log.close_clean() {
            Ok(closed) => Some((
                self.folder(),
                LogState {
                    recovery_point: closed.recovery_point,
                    log_start_offset: closed.log_start_offset,
                },
            )),
            Err(source) => {
                error!(
                    topic = self.topic(),
                    partition = self.index(),
                    "close log: {source}"
                );
                None
            }
        }
    }
}

/// The journal's settings out of the topic's.
pub(super) fn log_config(config: &TopicConfig) -> LogConfig {
    let unsigned = |value: i64| u32::try_from(value.max(0)).unwrap_or(u32::MAX);
    LogConfig {
        segment_bytes: unsigned(config.segment_bytes),
        // A record may not wait in the active segment, which is never compacted.
        segment_ms: if config.compacted {
            config.segment_ms.min(config.max_compaction_lag_ms.max(1))
        } else {
            config.segment_ms
        },
        index_interval_bytes: unsigned(config.index_interval_bytes),
        segment_index_bytes: unsigned(config.segment_index_bytes),
        // Only `delete` gives up old records.
        retention_ms: if config.deletes {
            config.retention_ms
        } else {
            -1
        },
        retention_bytes: if config.deletes {
            config.retention_bytes
        } else {
            -1
        },
        compact: config.compacted,
    }
}

/// Kafka's `partition.metadata`: whose folder this is.
fn write_identity(dir: &Path, topic: &Topic) -> io::Result<()> {
    let content = format!("version: 0\ntopic_id: {}\n", topic.id);
    std::fs::write(dir.join(IDENTITY_FILE), content)
}
