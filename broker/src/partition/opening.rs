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

use super::restore::{RestoreError, restore};
use super::{Availability, Partition, PartitionParts, Writer};
use crate::clock::now_ms;
use crate::metadata::{Topic, TopicConfig};
use crate::metrics::Metrics;

/// Marks the folder of a deleted partition, as in Kafka; what a crash leaves behind is removed at
/// the next start.
const DELETED_SUFFIX: &str = "-delete";

/// Kafka's file that names the topic a folder belongs to.
const IDENTITY_FILE: &str = "partition.metadata";

/// Why one partition cannot be served.
#[derive(Debug, Error)]
enum PartitionError {
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
    pub(super) metrics: Arc<Metrics>,
    /// Folders of deleted partitions that the keeper still has to remove.
    pub(super) deleted: Mutex<Vec<PathBuf>>,
}

impl Opener {
    /// A folder of an earlier topic of the same name, whose removal a crash prevented, must not
    /// become this topic's.
    fn move_stranger_away(&self, dir: &Path, topic: &Topic) -> Result<(), DiscardError> {
        let Ok(present) = std::fs::read_to_string(dir.join(IDENTITY_FILE)) else {
            return Ok(());
        };
        let id = present
            .lines()
            .find_map(|line| line.strip_prefix("topic_id: "));
        let Some(Ok(id)) = id.map(|id| id.trim().parse::<Uuid>()) else {
            return Ok(());
        };
        if id == topic.id {
            return Ok(());
        }
        warn!(folder = %dir.display(), topic_id = %id, "folder belongs to a deleted topic and is removed");
        self.discard(dir, &id)
    }

    /// Opens a partition; a failure is logged and counted, and its place stays empty.
    pub(super) fn open(
        &self,
        topic: &Topic,
        index: usize,
        opening: Opening,
    ) -> Option<Arc<Partition>> {
        match self.try_open(topic, index, opening) {
            Ok(partition) => Some(partition),
            Err(source) => {
                self.metrics.partitions_failed.inc();
                error!(topic = %topic.name, partition = index, "partition cannot be served: {source}");
                None
            }
        }
    }

    fn try_open(
        &self,
        topic: &Topic,
        index: usize,
        opening: Opening,
    ) -> Result<Arc<Partition>, PartitionError> {
        let folder = format!("{}-{index}", topic.name);
        let dir = self.settings.data_dir.join(&folder);
        let config = TopicConfig::of_topic(topic, &self.settings);
        self.move_stranger_away(&dir, topic)?;
        let recovery = self.recovery(&folder, opening)?;
        let disk = Arc::clone(&self.disk);
        let now = now_ms();
        let mut log = Log::open(disk, &dir, log_config(&config), recovery, now)?;
        note_lowered(&self.data_dir, &folder, &log)?;
        write_identity(&dir, topic)?;
        let reader = log.reader();
        let expiry = i64::try_from(self.settings.producer_id_expiration_ms).unwrap_or(i64::MAX);
        let (producers, snapshot_offset) =
            restore(&mut log, recovery.clean, now.saturating_sub(expiry))?;
        let info = topic.partitions.get(index);
        let durable = log.durable_offset();
        reader.release_files();
        Ok(Partition::new(PartitionParts {
            topic: Arc::clone(&topic.name),
            topic_id: topic.id,
            index: i32::try_from(index).unwrap_or(i32::MAX),
            dir,
            reader,
            leader_epoch: info.map_or(0, |info| info.leader_epoch),
            writer: Writer {
                log: Some(log),
                producers,
                snapshot_offset,
                checkpoint_bytes: 0,
            },
            config: Arc::new(config),
            durable,
        }))
    }

    /// What is known of the log in a folder that is about to be opened.
    fn recovery(&self, folder: &str, opening: Opening) -> Result<Recovery, DiskError> {
        let mut data_dir = self.data_dir.lock();
        if opening == Opening::Created {
            data_dir.forget_log(folder)?;
        }
        let recovery = data_dir.recovery(folder);
        Ok(Recovery {
            clean: recovery.clean && opening == Opening::Start,
            ..recovery
        })
    }

    /// Gives a deleted partition's folder the name under which it waits for its removal. What the
    /// checkpoints say of it goes first, or a new topic of that name would be taken for the old one
    /// after a crash. Its log has been dropped.
    pub(super) fn discard(&self, dir: &Path, id: &Uuid) -> Result<(), DiscardError> {
        if let Some(folder) = dir.file_name() {
            self.data_dir.lock().forget_log(&folder.to_string_lossy())?;
        }
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
    if log.recovery_point() >= data_dir.recovery(folder).recovery_point {
        return Ok(());
    }
    let state = LogState {
        recovery_point: log.recovery_point(),
        log_start_offset: log.log_start_offset(),
    };
    data_dir.note_log(folder, state)
}

impl Partition {
    /// Closes the log; none if that failed or had failed before.
    pub(super) fn close(&self) -> Option<(String, LogState)> {
        let failed = self.availability() == Availability::Failed;
        self.set_availability(Availability::Closed);
        let log = {
            let mut writer = self.writer.lock();
            if !failed {
                writer.write_snapshot_at_end();
            }
            writer.log.take()?
        };
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
        segment_ms: config.segment_ms,
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
    let path = dir.join(IDENTITY_FILE);
    let content = format!("version: 0\ntopic_id: {}\n", topic.id);
    match std::fs::read_to_string(&path) {
        Ok(present) if present.trim_end() == content.trim_end() => Ok(()),
        _ => std::fs::write(path, content),
    }
}
