//! Which leader epoch began at which offset: the file `leader-epoch-checkpoint`.
//!
//! Invariant: epochs and start offsets both rise. What is past the recovery point can be rebuilt
//! from the batches, which carry their epoch.
//! Hallway: step 8; truncation by epoch (KIP-101) in step 9 asks it.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, Content, Durability};
use crate::disk::Disk;
use crate::error::DiskError;

/// Name of the file in a log's folder.
pub(crate) const EPOCH_FILE: &str = "leader-epoch-checkpoint";

/// An epoch and the offset of its first record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochEntry {
    pub(crate) epoch: i32,
    pub(crate) start_offset: i64,
}

/// The epochs of a log, as the writer keeps them.
#[derive(Debug, Clone)]
pub(crate) struct Epochs {
    path: PathBuf,
    entries: Arc<[EpochEntry]>,
    /// What the file says, if there is a usable one.
    in_file: Option<Arc<[EpochEntry]>>,
    /// Counts the changes; the two below say which of them have reached the file and the disk.
    version: u64,
    written: u64,
    synced: u64,
}

impl Epochs {
    /// Reads the file; the second value is false if there is none or it is damaged.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> Result<(Epochs, bool), DiskError> {
        let path = dir.join(EPOCH_FILE);
        let read = match checkpoint::read(disk, &path)? {
            Content::Lines(lines) => parse(&lines),
            Content::Missing | Content::Damaged => None,
        };
        let is_there = read.is_some();
        let in_file: Option<Arc<[EpochEntry]>> = read.map(Arc::from);
        let epochs = Epochs {
            path,
            entries: in_file.clone().unwrap_or_else(|| Arc::from([])),
            in_file,
            // What was found may be in the page cache only, left there by a killed process.
            version: u64::from(is_there),
            written: u64::from(is_there),
            synced: 0,
        };
        Ok((epochs, is_there))
    }

    pub(crate) fn entries(&self) -> Arc<[EpochEntry]> {
        Arc::clone(&self.entries)
    }

    /// Notes that `epoch` begins at `start_offset`; later and larger entries are dropped, as in Kafka.
    /// True if anything changed.
    pub(crate) fn assign(&mut self, epoch: i32, start_offset: i64) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if let Some(last) = self.entries.last()
            && last.epoch == epoch
            && last.start_offset <= start_offset
        {
            return false;
        }
        let kept = self.entries.iter().copied();
        let kept = kept.filter(|old| old.epoch < epoch && old.start_offset < start_offset);
        let new = EpochEntry {
            epoch,
            start_offset,
        };
        self.set(kept.chain([new]).collect());
        true
    }

    /// Drops the epochs that begin at or after `end_offset`.
    pub(crate) fn truncate_end(&mut self, end_offset: i64) {
        let is_kept = |entry: &&EpochEntry| entry.start_offset < end_offset;
        if !self.entries.iter().all(|entry| is_kept(&entry)) {
            self.set(self.entries.iter().filter(is_kept).copied().collect());
        }
    }

    /// Drops the epochs that end before `start_offset`; the one that holds it begins there.
    pub(crate) fn truncate_start(&mut self, start_offset: i64) {
        let before = self
            .entries
            .partition_point(|entry| entry.start_offset <= start_offset);
        let Some(holder) = before.checked_sub(1).and_then(|at| self.entries.get(at)) else {
            return;
        };
        let first = EpochEntry {
            epoch: holder.epoch,
            start_offset,
        };
        if before == 1 && first == *holder {
            return;
        }
        let rest = self.entries.iter().skip(before).copied();
        self.set([first].into_iter().chain(rest).collect());
    }

    fn set(&mut self, entries: Arc<[EpochEntry]>) {
        self.entries = entries;
        self.version += 1;
    }

    /// The file is due even if it stays empty.
    pub(crate) fn make_file(&mut self) {
        self.version += 1;
    }

    /// Brings the file up to date; it is not synced.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> Result<(), DiskError> {
        if self.written == self.version {
            return Ok(());
        }
        if self.in_file.as_ref() == Some(&self.entries) {
            if self.synced == self.written {
                self.synced = self.version;
            }
            self.written = self.version;
            return Ok(());
        }
        let line = |entry: &EpochEntry| format!("{} {}", entry.epoch, entry.start_offset);
        let lines: Vec<String> = self.entries.iter().map(line).collect();
        checkpoint::write(disk, &self.path, &lines, Durability::Later)?;
        self.in_file = Some(self.entries());
        self.written = self.version;
        Ok(())
    }

    /// Whether the file has all entries.
    pub(crate) fn is_written(&self) -> bool {
        self.written == self.version
    }

    /// Where the oldest epoch begins.
    pub(crate) fn first_offset(&self) -> Option<i64> {
        self.entries.first().map(|entry| entry.start_offset)
    }

    /// Newest epoch.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.entries.last().map(|entry| entry.epoch)
    }

    /// The file's path and the version it holds, if a sync of file and folder is due.
    pub(crate) fn unsynced(&self) -> Option<(&Path, u64)> {
        (self.written > self.synced).then_some((&self.path, self.written))
    }

    /// Notes that the file was left by a clean shutdown.
    pub(crate) fn found_clean(&mut self) {
        self.synced = self.written;
    }

    /// Notes that the file was synced when it held `version`.
    pub(crate) fn synced(&mut self, version: u64) {
        self.synced = self.synced.max(version);
    }
}

fn parse(lines: &[String]) -> Option<Vec<EpochEntry>> {
    let entry = |line: &String| {
        let (epoch, start_offset) = line.split_once(' ')?;
        Some(EpochEntry {
            epoch: epoch.parse().ok()?,
            start_offset: start_offset.parse().ok()?,
        })
    };
    let entries: Vec<EpochEntry> = lines.iter().map(entry).collect::<Option<_>>()?;
    let in_order = entries
        .iter()
        .zip(entries.iter().skip(1))
        .all(|(one, next)| one.epoch < next.epoch && one.start_offset < next.start_offset);
    in_order.then_some(entries)
}

/// Kafka's rule for OffsetForLeaderEpoch: the largest epoch of at most `epoch`, and where the next
/// one begins. The newest epoch ends at the log's end; a newer one than that is unknown.
pub(crate) fn end_offset(
    entries: &[EpochEntry],
    epoch: i32,
    log_end_offset: i64,
) -> Option<(i32, i64)> {
    let after = entries.partition_point(|entry| entry.epoch <= epoch);
    let floor = after.checked_sub(1).and_then(|at| entries.get(at));
    match (floor, entries.get(after)) {
        (Some(floor), Some(next)) => Some((floor.epoch, next.start_offset)),
        (Some(last), None) if last.epoch == epoch => Some((epoch, log_end_offset)),
        (None, Some(next)) if epoch >= 0 => Some((epoch, next.start_offset)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
