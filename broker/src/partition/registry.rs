//! All partitions of this broker, by topic. Invariant: after the metadata thread has reported an
//! image, exactly its partitions are here; a partition whose log cannot be opened is an empty place,
//! the rest is served. Step 8 of the hallway.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use logway_config::broker::Broker as Settings;
use logway_journal::{DataDir, Disk, LogState};
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tracing::{info, warn};

use super::bulk::Wanted;
use super::flusher::Flusher;
use super::opening::{Opener, Opening};
use super::{Availability, Partition};
use crate::metadata::{
    Image, InForce, LiveSettings, METADATA_TOPIC, Observer, Topic, TopicConfig, is_internal_topic,
};
use crate::metrics::Metrics;

/// Why the partitions cannot be served.
#[derive(Debug, Error)]
pub enum PartitionsError {
    /// The threads that sync cannot be started.
    #[error("start sync threads: {0}")]
    Threads(#[source] io::Error),
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
    opener: Opener,
    flusher: Flusher,
    topics: RwLock<HashMap<Arc<str>, Served>>,
    /// Held by who adds or removes partitions.
    changing: Mutex<()>,
    /// Counts changes of topics and their settings.
    settings_version: AtomicU64,
}

impl Partitions {
    /// An empty set; `load` fills it.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        data_dir: Arc<Mutex<DataDir>>,
        (settings, live): (Arc<Settings>, Arc<LiveSettings>),
        metrics: Arc<Metrics>,
    ) -> Result<Partitions, PartitionsError> {
        let flusher = Flusher::start(Arc::clone(&metrics)).map_err(PartitionsError::Threads)?;
        Ok(Partitions {
            opener: Opener {
                disk,
                data_dir,
                settings,
                live,
                metrics,
                deleted: Mutex::default(),
            },
            flusher,
            topics: RwLock::default(),
            changing: Mutex::default(),
            settings_version: AtomicU64::new(0),
        })
    }

    /// Opens every partition of the image; called once, before anything is served.
    pub(crate) fn load(&self, image: &Image) {
        warn_of_strangers(image, &self.opener.data_dir.lock());
        self.opener.live.take(image);
        let topics = image.topics();
        let topics = topics.map(|topic| (Arc::clone(topic), TopicPartitions::default()));
        self.bring_up(topics.collect(), Opening::Start);
        self.count();
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
        let (lines, all_clean) = self.opener.close_all(&self.all());
        // What could not be opened was not closed either: it needs its recovery.
        (lines, all_clean && !self.has_missing())
    }

    /// The threads that sync.
    pub(crate) fn flusher(&self) -> &Flusher {
        &self.flusher
    }

    /// The settings in force.
    pub(super) fn settings(&self) -> Arc<InForce> {
        self.opener.live.get()
    }

    /// Another number whenever topics or their settings have changed.
    pub(super) fn settings_version(&self) -> u64 {
        self.settings_version.load(Ordering::Acquire)
    }

    /// Checkpoints of all logs; never locked by who holds a partition's writer.
    pub(super) fn data_dir(&self) -> &Mutex<DataDir> {
        &self.opener.data_dir
    }

    /// Whether clients may not write to the topic: it is a coordinator's.
    pub(crate) fn is_reserved(&self, topic: &str) -> bool {
        is_internal_topic(topic)
    }

    fn has_missing(&self) -> bool {
        let topics = self.topics.read();
        topics
            .values()
            .any(|served| served.partitions.iter().any(Option::is_none))
    }

    /// Folders of the partitions that could not be opened.
    pub(super) fn missing_folders(&self) -> Vec<String> {
        let topics = self.topics.read();
        let of = |served: &Served| -> Vec<String> {
            let missing = (0..).zip(served.partitions.iter());
            let missing = missing.filter(|(_, partition): &(usize, _)| partition.is_none());
            missing
                .map(|(index, _)| format!("{}-{index}", served.topic.name))
                .collect()
        };
        topics.values().flat_map(of).collect()
    }

    /// Folders of deleted partitions, for whoever removes them.
    pub(super) fn take_deleted(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.opener.deleted.lock())
    }

    /// Tries again to open what could not be opened: the disk may have room now.
    pub(super) fn open_missing(&self) {
        let _changing = self.changing.lock();
        let incomplete: Vec<(Arc<Topic>, TopicPartitions)> = {
            let topics = self.topics.read();
            let incomplete = topics
                .values()
                .filter(|served| served.partitions.iter().any(Option::is_none));
            incomplete
                .map(|served| (Arc::clone(&served.topic), Arc::clone(&served.partitions)))
                .collect()
        };
        for (topic, present) in incomplete {
            let mut partitions = present.to_vec();
            let missing = |wanted: &Wanted| present.get(wanted.index).is_some_and(Option::is_none);
            let mut wanted = self.opener.wanted(&topic, 0..present.len());
            wanted.retain(missing);
            let opened = self.opener.open_all(&wanted, Opening::Again);
            for (wanted, opened) in wanted.iter().zip(opened) {
                if let Some(place) = partitions.get_mut(wanted.index) {
                    *place = opened;
                }
            }
            self.serve(&topic, partitions);
        }
    }

    fn serve(&self, topic: &Arc<Topic>, partitions: Vec<Option<Arc<Partition>>>) {
        let served = Served {
            topic: Arc::clone(topic),
            partitions: partitions.into(),
        };
        self.topics.write().insert(Arc::clone(&topic.name), served);
    }

    fn count(&self) {
        let topics = self.topics.read();
        let partitions: usize = topics.values().map(|served| served.partitions.len()).sum();
        self.opener
            .metrics
            .topics
            .set(i64::try_from(topics.len()).unwrap_or(i64::MAX));
        self.opener
            .metrics
            .partitions
            .set(i64::try_from(partitions).unwrap_or(i64::MAX));
    }

    /// Opens what topics have more than the partitions that are there, all together.
    fn bring_up(&self, topics: Vec<(Arc<Topic>, TopicPartitions)>, opening: Opening) {
        if topics.is_empty() {
            return;
        }
        let mut wanted = Vec::new();
        for (topic, present) in &topics {
            let config = Arc::new(TopicConfig::of_topic(topic, &self.opener.live.get()));
            for partition in present.iter().flatten() {
                partition.set_config(Arc::clone(&config));
            }
            let added = present.len()..topic.partitions.len();
            wanted.extend(self.opener.wanted(topic, added));
        }
        let mut opened = self.opener.open_all(&wanted, opening).into_iter();
        for (topic, present) in topics {
            let added = topic.partitions.len().saturating_sub(present.len());
            let added = opened.by_ref().take(added);
            let partitions = present.iter().cloned().chain(added).collect();
            self.serve(&topic, partitions);
        }
        self.settings_version.fetch_add(1, Ordering::AcqRel);
    }

    fn take_down(&self, gone: &[Served]) {
        let mut discarded = Vec::new();
        for served in gone {
            info!(topic = %served.topic.name, "topic deleted");
            for partition in served.partitions.iter().flatten() {
                partition.set_availability(Availability::Deleted);
                let _no_swap = partition.swapping.lock();
                // Nobody appends any more; readers keep their open files.
                drop(partition.writer.lock().log.take());
                discarded.push((partition.dir.clone(), partition.topic_id));
            }
        }
        self.opener.discard_all(&discarded);
    }
}

impl Observer for Arc<Partitions> {
    fn before(&mut self, image: &Image) {
        // A topic that was deleted and made again under its name is first taken down.
        self.after(image);
        let _changing = self.changing.lock();
        // Other defaults may mean other settings for every topic.
        let all = self.opener.live.take(image);
        let changed = {
            let topics = self.topics.read();
            let changed = image.topics().filter_map(|topic| {
                let present = match topics.get(&topic.name) {
                    Some(served) if !all && Arc::ptr_eq(&served.topic, topic) => return None,
                    Some(served) => Arc::clone(&served.partitions),
                    None => TopicPartitions::default(),
                };
                Some((Arc::clone(topic), present))
            });
            changed.collect()
        };
        self.bring_up(changed, Opening::Created);
        self.count();
    }

    fn after(&mut self, image: &Image) {
        let _changing = self.changing.lock();
        let gone: Vec<Served> = {
            let mut topics = self.topics.write();
            let is_gone = |served: &Served| image.topic_by_id(&served.topic.id).is_none();
            topics
                .extract_if(|_, served| is_gone(served))
                .map(|(_, served)| served)
                .collect()
        };
        if !gone.is_empty() {
            self.take_down(&gone);
            self.count();
        }
    }
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
