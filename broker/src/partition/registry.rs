//! All partitions of this broker, by topic. Invariant: after the metadata thread has reported an
//! image, exactly its partitions are here; a partition whose log cannot be opened is an empty place,
//! the rest is served. Step 8 of the hallway.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use logway_journal::{DataDir, Disk, Log, LogConfig, LogState, OpenError, Recovery};
use logway_protocol::Uuid;
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tracing::{error, info, warn};

use super::flusher::Flusher;
use super::producer_state::ProducerStates;
use super::{Availability, Partition, PartitionParts, Writer, snapshot};
use crate::clock::now_ms;
use crate::metadata::{Image, METADATA_TOPIC, Observer, Topic, TopicConfig, is_internal_topic};
use crate::metrics::Metrics;

/// Logs opened at once at the start.
const OPENERS: usize = 4;
/// Marks the folder of a deleted partition, as in Kafka; what a crash leaves behind is removed at
/// the next start.
const DELETED_SUFFIX: &str = "-delete";

/// Kafka's file that names the topic a folder belongs to.
const IDENTITY_FILE: &str = "partition.metadata";

/// Why the partitions cannot be served.
#[derive(Debug, Error)]
pub enum PartitionsError {
    /// The threads that sync cannot be started.
    #[error("start sync threads: {0}")]
    Threads(#[source] io::Error),
}

/// Why one partition cannot be served.
#[derive(Debug, Error)]
enum PartitionError {
    #[error("open log: {0}")]
    Open(#[from] OpenError),
    #[error("read log: {0}")]
    Read(#[from] logway_journal::ReadError),
    #[error("write partition.metadata: {0}")]
    Io(#[from] io::Error),
}

/// The partitions of one topic by index; `None` where a log could not be opened.
pub(crate) type TopicPartitions = Arc<[Option<Arc<Partition>>]>;

#[derive(Debug)]
struct Served {
    topic: Arc<Topic>,
    partitions: TopicPartitions,
}

/// The partitions of this broker.
#[derive(Debug)]
pub(crate) struct Partitions {
    data_dir: PathBuf,
    disk: Arc<dyn Disk>,
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    flusher: Flusher,
    topics: RwLock<HashMap<Arc<str>, Served>>,
    /// Folders of deleted partitions that the keeper still has to remove.
    pub(super) deleted: Mutex<Vec<PathBuf>>,
}

impl Partitions {
    /// An empty set; `load` fills it.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        settings: Arc<Settings>,
        metrics: Arc<Metrics>,
    ) -> Result<Partitions, PartitionsError> {
        let flusher = Flusher::start(Arc::clone(&metrics)).map_err(PartitionsError::Threads)?;
        Ok(Partitions {
            data_dir: settings.data_dir.clone(),
            disk,
            settings,
            metrics,
            flusher,
            topics: RwLock::default(),
            deleted: Mutex::default(),
        })
    }

    /// Opens every partition of the image; called once, before anything is served.
    pub(crate) fn load(&self, image: &Image, left: &DataDir) {
        warn_of_strangers(image, left);
        let wanted: Vec<(&Arc<Topic>, usize)> = image
            .topics()
            .flat_map(|topic| (0..topic.partitions.len()).map(move |index| (topic, index)))
            .collect();
        let next = std::sync::atomic::AtomicUsize::new(0);
        let opened = Mutex::new(HashMap::new());
        std::thread::scope(|scope| {
            for _ in 0..OPENERS.min(wanted.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some((topic, index)) = wanted.get(at) else {
                            return;
                        };
                        let recovery = left.recovery(&format!("{}-{index}", topic.name));
                        let partition = self.open(topic, *index, recovery);
                        opened.lock().insert((topic.id, *index), partition);
                    }
                });
            }
        });
        let mut opened = opened.into_inner();
        let mut topics = self.topics.write();
        for topic in image.topics() {
            let indexes = 0..topic.partitions.len();
            let partitions = indexes.map(|index| opened.remove(&(topic.id, index)).flatten());
            let served = Served {
                topic: Arc::clone(topic),
                partitions: partitions.collect(),
            };
            topics.insert(Arc::clone(&topic.name), served);
        }
        drop(topics);
        self.count();
    }

    /// A folder of an earlier topic of the same name, whose removal a crash prevented, must not
    /// become this topic's.
    fn move_stranger_away(&self, dir: &Path, topic: &Topic) -> io::Result<()> {
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
        let target = deleted_folder(dir, &id);
        std::fs::rename(dir, &target)?;
        self.deleted.lock().push(target);
        Ok(())
    }

    fn open(&self, topic: &Topic, index: usize, recovery: Recovery) -> Option<Arc<Partition>> {
        match self.try_open(topic, index, recovery) {
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
        recovery: Recovery,
    ) -> Result<Arc<Partition>, PartitionError> {
        let dir = self.data_dir.join(format!("{}-{index}", topic.name));
        let config = TopicConfig::of(&topic.configs, &self.settings);
        self.move_stranger_away(&dir, topic)?;
        let disk = Arc::clone(&self.disk);
        let log = Log::open(disk, &dir, log_config(&config), recovery, now_ms())?;
        write_identity(&dir, topic)?;
        let reader = log.reader();
        let end = reader.log_end_offset();
        let (from, mut producers) = snapshot::read(&dir, end, recovery.clean)
            .filter(|(offset, _)| *offset >= reader.log_start_offset())
            .unwrap_or((reader.log_start_offset(), ProducerStates::default()));
        if from < end {
            for batch in reader.batches(from) {
                let (header, _) = batch?;
                producers.appended(&header);
            }
        }
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
                snapshot_offset: from,
                checkpoint_bytes: 0,
            },
            config: Arc::new(config),
            durable,
        }))
    }

    /// The partition, if it is served here.
    pub(crate) fn find(&self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        let index = usize::try_from(index).ok()?;
        self.topics
            .read()
            .get(topic)?
            .partitions
            .get(index)?
            .clone()
    }

    /// All partitions of a topic; empty if there is no such topic.
    pub(crate) fn of_topic(&self, topic: &str) -> TopicPartitions {
        self.topics
            .read()
            .get(topic)
            .map(|served| Arc::clone(&served.partitions))
            .unwrap_or_default()
    }

    /// Every partition that is served.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        let topics = self.topics.read();
        topics
            .values()
            .flat_map(|served| served.partitions.iter().flatten().cloned())
            .collect()
    }

    /// Closes every log as at a clean shutdown: what their checkpoints must say, and whether all
    /// could be closed. Blocks.
    pub(crate) fn close(&self) -> (Vec<(String, LogState)>, bool) {
        let mut lines = Vec::new();
        let mut all_clean = true;
        for partition in self.all() {
            match partition.close() {
                Some(line) => lines.push(line),
                None => all_clean = false,
            }
        }
        (lines, all_clean)
    }

    /// The threads that sync.
    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// Whether clients may not write to the topic: it is a coordinator's.
    pub(crate) fn is_reserved(&self, topic: &str) -> bool {
        is_internal_topic(topic)
    }

    fn count(&self) {
        let topics = self.topics.read();
        let partitions: usize = topics.values().map(|served| served.partitions.len()).sum();
        self.metrics
            .topics
            .set(i64::try_from(topics.len()).unwrap_or(i64::MAX));
        self.metrics
            .partitions
            .set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    fn bring_up(&self, topic: &Arc<Topic>, present: &TopicPartitions) {
        let config = Arc::new(TopicConfig::of(&topic.configs, &self.settings));
        for partition in present.iter().flatten() {
            partition.set_config(Arc::clone(&config));
        }
        let added = present.len()..topic.partitions.len();
        let opened = added.map(|index| self.open(topic, index, Recovery::default()));
        let partitions: TopicPartitions = present.iter().cloned().chain(opened).collect();
        let served = Served {
            topic: Arc::clone(topic),
            partitions,
        };
        self.topics.write().insert(Arc::clone(&topic.name), served);
    }

    fn take_down(&self, served: &Served) {
        info!(topic = %served.topic.name, "topic deleted");
        for partition in served.partitions.iter().flatten() {
            partition.set_availability(Availability::Deleted);
            // Nobody appends any more; readers keep their open files.
            drop(partition.writer.lock().log.take());
            let target = deleted_folder(&partition.dir, &partition.topic_id);
            match std::fs::rename(&partition.dir, &target) {
                Ok(()) => self.deleted.lock().push(target),
                Err(source) => {
                    error!(folder = %partition.dir.display(), "rename folder of deleted partition: {source}");
                }
            }
        }
    }
}

impl Observer for Arc<Partitions> {
    fn before(&mut self, image: &Image) {
        // A topic that was deleted and made again under its name is first taken down.
        self.after(image);
        for topic in image.topics() {
            let present = {
                let topics = self.topics.read();
                topics.get(&topic.name).map(|served| {
                    (
                        Arc::ptr_eq(&served.topic, topic),
                        Arc::clone(&served.partitions),
                    )
                })
            };
            match present {
                Some((true, _)) => {}
                Some((false, partitions)) => self.bring_up(topic, &partitions),
                None => self.bring_up(topic, &TopicPartitions::default()),
            }
        }
        self.count();
    }

    fn after(&mut self, image: &Image) {
        let gone: Vec<Served> = {
            let mut topics = self.topics.write();
            let is_gone = |served: &Served| image.topic_by_id(&served.topic.id).is_none();
            topics
                .extract_if(|_, served| is_gone(served))
                .map(|(_, served)| served)
                .collect()
        };
        gone.iter().for_each(|served| self.take_down(served));
        if !gone.is_empty() {
            self.count();
        }
    }
}

impl Partition {
    /// Closes the log; none if that failed or had failed before.
    fn close(&self) -> Option<(String, LogState)> {
        self.write_snapshot();
        let failed = self.availability() == Availability::Failed;
        self.set_availability(Availability::Closed);
        let log = self.writer.lock().log.take()?;
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

/// Where a folder waits for its removal, under a name that no partition has.
fn deleted_folder(dir: &Path, id: &Uuid) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(
        ".{:032x}{DELETED_SUFFIX}",
        u128::from_be_bytes(*id.as_bytes())
    ));
    PathBuf::from(name)
}

fn warn_of_strangers(image: &Image, left: &DataDir) {
    for folder in left.folders() {
        let Some((topic, index)) = folder.rsplit_once('-') else {
            continue;
        };
        let Ok(index) = index.parse::<usize>() else {
            continue;
        };
        let known = image
            .topic(topic)
            .is_some_and(|topic| index < topic.partitions.len());
        if !known && topic != METADATA_TOPIC {
            warn!(
                folder,
                "folder of a partition that the metadata does not know is left alone"
            );
        }
    }
}
