//! Opening, closing and discarding partitions by the thousand. Invariant: what is the same for all
//! of them is done once (one write of the checkpoints, one sync of the data folder, one set of
//! settings per topic), the rest on several threads, for logs mostly wait for the disk. Step 8.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use logway_journal::{DiskError, LogState};
use logway_protocol::Uuid;
use parking_lot::Mutex;
use tracing::error;

use super::Partition;
use super::opening::{DiscardError, Opener, Opening, PartitionError};
use crate::metadata::{Topic, TopicConfig};

/// Logs opened at once.
const OPENERS: usize = 4;
/// Logs closed at once: the file system makes one commit of the syncs that wait together.
const CLOSERS: usize = 16;
/// Items that are worth a thread.
const SHARE: usize = 16;

/// A partition to be opened, with its topic's settings, which all partitions of it share.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) topic: Arc<Topic>,
    pub(super) index: usize,
    pub(super) config: Arc<TopicConfig>,
}

impl Wanted {
    /// The log's folder below the data folder.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}", self.topic.name, self.index)
    }
}

/// A line of the checkpoints.
pub(super) type Line = (String, LogState);

impl Opener {
    /// Partitions of the topic, to be opened.
    pub(super) fn wanted(&self, topic: &Arc<Topic>, indexes: Range<usize>) -> Vec<Wanted> {
        let config = Arc::new(TopicConfig::of_topic(topic, &self.live.get()));
        let of_index = |index| Wanted {
            topic: Arc::clone(topic),
            index,
            config: Arc::clone(&config),
        };
        indexes.map(of_index).collect()
    }

    /// Opens partitions; the result has their order. A failure is logged and counted, and its place
    /// stays empty.
    pub(super) fn open_all(
        &self,
        wanted: &[Wanted],
        opening: Opening,
    ) -> Vec<Option<Arc<Partition>>> {
        if opening == Opening::Created
            && let Err(source) = self.forget(wanted.iter().map(Wanted::folder))
        {
            let source = PartitionError::Checkpoint(source);
            return wanted.iter().map(|one| self.refuse(one, &source)).collect();
        }
        let opened = map(wanted, OPENERS, |one| self.try_open(one, opening));
        let (mut partitions, mut lowered) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (one, opened) in wanted.iter().zip(opened) {
            partitions.push(match opened {
                Ok((partition, line)) => {
                    lowered.extend(line.map(|line| (partitions.len(), line)));
                    Some(partition)
                }
                Err(source) => self.refuse(one, &source),
            });
        }
        if let Err(source) = self.note_lowered(&lowered) {
            let source = PartitionError::Checkpoint(source);
            for (at, _) in lowered {
                if let (Some(one), Some(place)) = (wanted.get(at), partitions.get_mut(at)) {
                    *place = self.refuse(one, &source);
                }
            }
        }
        partitions
    }

    fn refuse(&self, wanted: &Wanted, source: &PartitionError) -> Option<Arc<Partition>> {
        self.metrics.partitions_failed.inc();
        let (topic, partition) = (&wanted.topic.name, wanted.index);
        error!(%topic, partition, "partition cannot be served: {source}");
        None
    }

    /// Logs that were found to have less than their checkpoint promised get lower lines: records
    /// appended now must not pass for durable ones at the next start.
    fn note_lowered(&self, lowered: &[(usize, Line)]) -> Result<(), DiskError> {
        if lowered.is_empty() {
            return Ok(());
        }
        let lines = lowered
            .iter()
            .map(|(_, (folder, state))| (folder.as_str(), *state));
        self.data_dir.lock().note_logs(lines)
    }

    /// Takes what the checkpoints say of these folders out of them.
    fn forget(&self, folders: impl Iterator<Item = String>) -> Result<(), DiskError> {
        let folders: Vec<String> = folders.collect();
        let folders = folders.iter().map(String::as_str);
        self.data_dir.lock().forget_logs(folders)
    }

    /// Gives deleted partitions' folders the names under which they wait for their removal. What the
    /// checkpoints say of them goes first, or a new topic of that name would be taken for the old one
    /// after a crash. Their logs have been dropped. One that keeps its name is reported.
    pub(super) fn discard_all(&self, discarded: &[(PathBuf, Uuid)]) {
        let name = |dir: &PathBuf| Some(dir.file_name()?.to_string_lossy().into_owned());
        let forgotten = self.forget(discarded.iter().filter_map(|(dir, _)| name(dir)));
        let failed = |dir: &PathBuf, source: &DiscardError| {
            error!(folder = %dir.display(), "folder of a deleted partition stays until its name is used again: {source}");
        };
        if let Err(source) = forgotten {
            let source = DiscardError::Checkpoint(source);
            discarded.iter().for_each(|(dir, _)| failed(dir, &source));
            return;
        }
        for (dir, id) in discarded {
            if let Err(source) = self.rename_discarded(dir, id) {
                failed(dir, &DiscardError::Rename(source));
            }
        }
    }

    /// Closes logs as at a clean shutdown: what the checkpoints must say of them, and whether all
    /// could be closed. Blocks.
    pub(super) fn close_all(&self, partitions: &[Arc<Partition>]) -> (Vec<Line>, bool) {
        // One sync for the names of all folders. Without it each log syncs its own.
        let names_synced = self.data_dir.lock().sync().is_ok();
        let closed = map(partitions, CLOSERS, |partition| {
            partition.close(names_synced)
        });
        let all_clean = closed.iter().all(Option::is_some);
        (closed.into_iter().flatten().collect(), all_clean)
    }
}

/// Does `work` for every item, on at most `threads` threads, on this one if there is little to do.
/// The results have the items' order.
fn map<T: Sync, R: Send>(items: &[T], threads: usize, work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.min(items.len() / SHARE);
    if threads <= 1 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let share = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(at) else { return };
            let result = work(item);
            done.lock().push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let thread = std::thread::Builder::new().name("logway-bulk".into());
            // Where no thread is to be had, the others do its share.
            drop(thread.spawn_scoped(scope, share));
        }
        share();
    });
    let mut done = done.into_inner();
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
