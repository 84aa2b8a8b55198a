//! A new segment takes the place of old ones, in an order in which a crash loses and doubles nothing.
//!
//! Invariant: from the moment on in which the names that end with `.swap` are durable, an opening of
//! the log finishes the swap; before, it takes it back. Readers see the old segments, whose files
//! are held open, until the writer publishes the new one. (Kafka's `LocalLog.replaceSegments` and
//! `LogLoader`.)
//! Hallway: step 8, in compaction and at start.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::CleanError;
use super::output::{discard, remove_if_there};
use super::round::Replacement;
use crate::checkpoint::with_suffix;
use crate::disk::{DirEntry, Disk};
use crate::error::DiskError;
use crate::log::Log;
use crate::segment::{
    DELETED_SUFFIX, INDEX_SUFFIX, LOG_SUFFIX, SegmentView, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    parse_file_name, path_of,
};
use crate::walk::{HEADER_BLOCK, Walk, WalkError};

/// Ends the name of a segment that is being written.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";
/// Ends the name of one that is complete and takes the place of others.
const SWAP_SUFFIX: &str = ".swap";

/// The operation whose failure leaves open what is on the disk.
const SYNC: &str = "sync";

const SUFFIXES: [&str; 4] = [
    LOG_SUFFIX,
    INDEX_SUFFIX,
    TIME_INDEX_SUFFIX,
    TXN_INDEX_SUFFIX,
];

/// A swap that the log has allowed. While it is there no segment is deleted or truncated.
#[derive(Debug)]
#[must_use = "nothing is swapped before `run`"]
pub struct Swap {
    replacement: Replacement,
    allowed: Arc<()>,
}

/// The files are swapped; the log still has to be told, by [`Log::finish_swap`].
#[derive(Debug)]
#[must_use = "the log must be told"]
pub struct Swapped {
    old: Vec<Arc<SegmentView>>,
    new: SegmentView,
    _allowed: Arc<()>,
}

impl Log {
    /// Allows a swap, if all the old segments are still there and the newer records of the keys that
    /// go are durable. Touches no file.
    pub fn begin_swap(&mut self, replacement: Replacement) -> Result<Swap, CleanError> {
        let refused = if self.shared.is_poisoned() {
            let dir = self.shared.dir.to_path_buf();
            Some(CleanError::Poisoned { dir })
        } else if replacement.needed_offset > self.durable.offset {
            Some(CleanError::NotDurable {
                durable: self.durable.offset,
                needed: replacement.needed_offset,
            })
        } else if self.is_swapping() || self.find(&replacement.old).is_none() {
            Some(CleanError::Changed)
        } else {
            None
        };
        if let Some(error) = refused {
            replacement.discard();
            return Err(error);
        }
        let allowed = Arc::new(());
        self.swapping = Arc::downgrade(&allowed);
        Ok(Swap {
            replacement,
            allowed,
        })
    }

    /// Shows readers the new segment. Touches no file.
    pub fn finish_swap(&mut self, swapped: Swapped) {
        let Some(at) = self.find(&swapped.old) else {
            debug_assert!(false, "nothing goes while a swap is allowed");
            return;
        };
        let before = self.closed.iter().take(at).cloned();
        let after = self.closed.iter().skip(at + swapped.old.len()).cloned();
        self.closed = before.chain([Arc::new(swapped.new)]).chain(after).collect();
        self.publish();
    }

    /// Whether segments may not be deleted or truncated now.
    pub(crate) fn is_swapping(&self) -> bool {
        self.swapping.strong_count() > 0
    }

    /// Where the segments stand, one after the other.
    fn find(&self, old: &[Arc<SegmentView>]) -> Option<usize> {
        let first = old.first()?;
        let at = self
            .closed
            .iter()
            .position(|segment| Arc::ptr_eq(segment, first))?;
        let there = self.closed.iter().skip(at).zip(old);
        let count = there
            .take_while(|(one, other)| Arc::ptr_eq(one, other))
            .count();
        (count == old.len()).then_some(at)
    }
}

impl Replacement {
    /// Removes the new segment's files.
    pub fn discard(self) {
        discard(&self.shared, self.base_offset());
    }

    fn base_offset(&self) -> i64 {
        self.new.view.base_offset()
    }
}

impl Swap {
    /// Swaps the files; blocks for as long as the disk takes. If that fails half way the log takes
    /// no writes until it is opened again, which finishes the swap.
    pub fn run(self) -> Result<Swapped, CleanError> {
        let shared = Arc::clone(&self.replacement.shared);
        if let Err(error) = self.hold_old().and_then(|()| self.commit()) {
            // After a failed sync nobody knows which names are there after a crash.
            let is_unknown = error.operation == SYNC;
            if is_unknown || self.take_back().is_err() {
                shared.poison();
                tracing::error!(dir = %shared.dir.display(),
                    "cannot take back a compaction; the log takes no writes until it is recovered");
            }
            return Err(error.into());
        }
        if let Err(error) = self.replace() {
            shared.poison();
            return Err(error.into());
        }
        Ok(Swapped {
            old: self.replacement.old,
            new: self.replacement.new.view,
            _allowed: self.allowed,
        })
    }

    /// Readers, and syncs, that have the old segments keep to their files.
    fn hold_old(&self) -> Result<(), DiskError> {
        for segment in &self.replacement.old {
            let files = &segment.files;
            let path = path_of(&self.replacement.shared.dir, files.base_offset, LOG_SUFFIX);
            files.log.pin().map_err(DiskError::of("open", path))?;
            let transactions = segment.aborted.as_ref().filter(|index| index.has_file());
            if let Some(index) = transactions {
                // Readers of committed records need it.
                let path = path_of(
                    &self.replacement.shared.dir,
                    files.base_offset,
                    TXN_INDEX_SUFFIX,
                );
                index.file().pin().map_err(DiskError::of("open", path))?;
            }
            for index in [&files.offset_index, &files.time_index] {
                // Without it the log is searched.
                if let Err(error) = index.pin() {
                    tracing::debug!(base_offset = files.base_offset, %error, "cannot hold an index");
                }
            }
        }
        Ok(())
    }

    /// After this an opening finishes the swap.
    fn commit(&self) -> Result<(), DiskError> {
        for suffix in &self.replacement.new.suffixes {
            self.rename(suffix, CLEANED_SUFFIX, SWAP_SUFFIX)?;
        }
        self.sync_names()
    }

    /// In this order a crash cannot leave a part of the new segment that looks like a whole one.
    fn take_back(&self) -> Result<(), DiskError> {
        let shared = &self.replacement.shared;
        for suffix in SUFFIXES {
            remove_if_there(&*shared.disk, &self.path(suffix, SWAP_SUFFIX))?;
        }
        self.sync_names()?;
        discard(shared, self.replacement.base_offset());
        Ok(())
    }

    fn replace(&self) -> Result<(), DiskError> {
        let (disk, dir) = (
            &*self.replacement.shared.disk,
            &*self.replacement.shared.dir,
        );
        let mut deleted = Vec::new();
        for segment in &self.replacement.old {
            for suffix in SUFFIXES {
                let path = path_of(dir, segment.base_offset(), suffix);
                let gone = with_suffix(&path, DELETED_SUFFIX);
                match disk.rename(&path, &gone) {
                    Ok(()) => deleted.push(gone),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(DiskError::of("rename", path)(error)),
                }
            }
        }
        self.sync_names()?;
        // The log first: without it an opening would take the indexes for those of an old segment.
        self.rename(LOG_SUFFIX, SWAP_SUFFIX, "")?;
        self.sync_names()?;
        for suffix in &self.replacement.new.suffixes {
            if *suffix != LOG_SUFFIX {
                self.rename(suffix, SWAP_SUFFIX, "")?;
            }
        }
        self.sync_names()?;
        for path in deleted {
            // The next start removes what stays.
            if let Err(error) = disk.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a compacted segment file");
            }
        }
        Ok(())
    }

    fn rename(&self, suffix: &str, from: &str, to: &str) -> Result<(), DiskError> {
        let path = self.path(suffix, from);
        let renamed = self
            .replacement
            .shared
            .disk
            .rename(&path, &self.path(suffix, to));
        renamed.map_err(DiskError::of("rename", path))
    }

    fn path(&self, suffix: &str, ending: &str) -> PathBuf {
        let dir = &self.replacement.shared.dir;
        with_suffix(
            &path_of(dir, self.replacement.base_offset(), suffix),
            ending,
        )
    }

    fn sync_names(&self) -> Result<(), DiskError> {
        let shared = &self.replacement.shared;
        let synced = shared.disk.sync_dir(&shared.dir);
        synced.map_err(DiskError::of(SYNC, &*shared.dir))
    }
}

/// Finishes, at an opening, the swaps that had got far enough, and takes back the others. Given the
/// folder's files; returns those that are there afterwards.
pub(crate) fn complete_swaps(
    disk: &dyn Disk,
    dir: &Path,
    found: Vec<DirEntry>,
) -> Result<Vec<DirEntry>, DiskError> {
    let swaps: Vec<&DirEntry> = ending_with(&found, SWAP_SUFFIX).collect();
    if swaps.is_empty() {
        return Ok(found);
    }
    let sync = || disk.sync_dir(dir).map_err(DiskError::of("sync", dir));
    let remove = |entry: &DirEntry| remove_if_there(disk, &dir.join(&entry.name));
    // Where a file has not got that far, none of its swap, or of one split into several, counts.
    let unfinished = ending_with(&found, CLEANED_SUFFIX)
        .filter_map(offset_of)
        .min();
    let is_finished = |entry: &DirEntry| {
        unfinished.is_none_or(|from| offset_of(entry).is_some_and(|at| at < from))
    };
    let (finished, taken_back): (Vec<&DirEntry>, Vec<&DirEntry>) =
        swaps.into_iter().partition(|entry| is_finished(entry));
    taken_back.iter().try_for_each(|entry| remove(entry))?;
    sync()?;
    let is_log = |entry: &&&DirEntry| entry.name.ends_with(&format!("{LOG_SUFFIX}{SWAP_SUFFIX}"));
    let logs: Vec<&DirEntry> = finished.iter().filter(is_log).copied().collect();
    let mut replaced: Option<(i64, i64)> = None;
    for log in &logs {
        let base_offset = offset_of(log).unwrap_or(0);
        let end = end_of(disk, &dir.join(&log.name), log.len, base_offset)?;
        tracing::info!(
            file = log.name,
            end,
            "finishing a compaction that was cut off"
        );
        let (from, to) = replaced.unwrap_or((base_offset, end));
        replaced = Some((from.min(base_offset), to.max(end)));
    }
    if let Some((from, to)) = replaced {
        let is_replaced = |entry: &&DirEntry| {
            let parsed = parse_file_name(&entry.name);
            parsed
                .is_some_and(|(at, suffix)| (from..to).contains(&at) && SUFFIXES.contains(&suffix))
        };
        found.iter().filter(is_replaced).try_for_each(remove)?;
        sync()?;
    }
    let rename = |entry: &DirEntry| {
        let path = dir.join(&entry.name);
        let name = entry.name.strip_suffix(SWAP_SUFFIX).unwrap_or_default();
        let renamed = disk.rename(&path, &dir.join(name));
        renamed.map_err(DiskError::of("rename", path))
    };
    logs.iter().try_for_each(|entry| rename(entry))?;
    sync()?;
    let is_other = |entry: &&&DirEntry| !is_log(entry);
    finished
        .iter()
        .filter(is_other)
        .try_for_each(|entry| rename(entry))?;
    sync()?;
    disk.list(dir).map_err(DiskError::of("list", dir))
}

fn ending_with<'a>(
    found: &'a [DirEntry],
    ending: &'static str,
) -> impl Iterator<Item = &'a DirEntry> {
    found.iter().filter(move |entry| {
        !entry.is_dir && entry.name.ends_with(ending) && offset_of(entry).is_some()
    })
}

fn offset_of(entry: &DirEntry) -> Option<i64> {
    parse_file_name(&entry.name).map(|(offset, _)| offset)
}

/// Where the batches of a segment file end.
fn end_of(disk: &dyn Disk, path: &Path, len: u64, base_offset: i64) -> Result<i64, DiskError> {
    let len = u32::try_from(len).unwrap_or(u32::MAX).min(i32::MAX as u32);
    let handle = disk
        .file(path)
        .open()
        .map_err(DiskError::of("open", path))?;
    let mut walk = Walk::new(handle, len, HEADER_BLOCK);
    let (mut position, mut end) = (0, base_offset);
    loop {
        match walk.header(position) {
            Ok(Some(header)) => {
                position += header.total_size() as u32;
                end = header.next_offset();
            }
            Ok(None) => return Ok(end),
            Err(WalkError::Io(error)) => return Err(DiskError::of("read", path)(error)),
            Err(WalkError::Fault(fault)) => {
                tracing::error!(path = %path.display(), position, reason = %fault,
                    "a compacted segment is damaged");
                return Ok(end);
            }
        }
    }
}
