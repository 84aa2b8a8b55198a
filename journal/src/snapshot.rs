//! `.snapshot`: what the log's owner knows of its producers at one offset, kept beside the segments.
//!
//! Invariant: a snapshot is only a shortcut: its content is the owner's and checked by it, and none
//! lies past the log's end. It is written beside its name and renamed, without waiting for the
//! disk; a checkpoint's sync covers the last one. It goes with the segment that begins at its offset.
//! Hallway: step 8.
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::checkpoint::{self, Durability};
use crate::disk::DiskFile;
use crate::error::DiskError;
use crate::log::Log;
use crate::segment::path_of;

pub(crate) const SNAPSHOT_SUFFIX: &str = ".snapshot";

/// Snapshots kept that belong to no segment: the last one and the one before, which is needed until
/// the last one is durable.
const STRAYS_KEPT: usize = 2;

/// The snapshots of a log.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    /// Their offsets, rising. Some may have gone with their segment.
    offsets: Vec<i64>,
    /// The last one written, until it is synced.
    unsynced: Option<i64>,
}

impl Snapshots {
    pub(crate) fn found(mut offsets: Vec<i64>) -> Snapshots {
        offsets.sort_unstable();
        Snapshots {
            offsets,
            unsynced: None,
        }
    }

    /// Notes that a sync covered the snapshot at that offset.
    pub(crate) fn synced(&mut self, offset: i64) {
        self.unsynced = self.unsynced.filter(|unsynced| *unsynced > offset);
    }
}

impl Log {
    /// Offsets of the snapshots in the folder, rising.
    #[must_use]
    pub fn snapshots(&self) -> &[i64] {
        &self.snapshots.offsets
    }

    /// The content of a snapshot; none if it is gone.
    pub fn read_snapshot(&self, offset: i64) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.snapshot_path(offset);
        match self.shared.disk.read_file(&path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(DiskError::of("read", path)(error)),
        }
    }

    /// Writes the snapshot for `offset`, which is not past the log's end, and forgets older ones
    /// that belong to no segment. Does not wait for the disk.
    pub fn write_snapshot(&mut self, offset: i64, content: &[u8]) -> Result<(), DiskError> {
        debug_assert!(offset <= self.log_end_offset);
        let path = self.snapshot_path(offset);
        checkpoint::replace(&*self.shared.disk, &path, content, Durability::Later)?;
        self.durable.note_dir_change();
        let offsets = &mut self.snapshots.offsets;
        if let Err(at) = offsets.binary_search(&offset) {
            offsets.insert(at, offset);
        }
        self.snapshots.unsynced = Some(offset);
        let strays = self.snapshots.offsets.iter().rev().copied();
        let strays = strays.filter(|offset| !self.begins_segment(*offset));
        let old: Vec<i64> = strays.skip(STRAYS_KEPT).collect();
        self.remove_snapshots(|offset| old.contains(&offset))
    }

    /// Removes what no start will ask for, as Kafka does when it loads a log: snapshots at or below
    /// the log's start or past its end, and those that belong to no segment, but for the last one
    /// if it is past the base of the last segment.
    pub fn prune_snapshots(&mut self) -> Result<(), DiskError> {
        let (start, end) = (self.log_start_offset, self.log_end_offset);
        let last = self.snapshots.offsets.iter().copied();
        let last = last.filter(|offset| *offset <= end).max();
        let last = last.filter(|offset| *offset > self.active.base_offset());
        let all = self.snapshots.offsets.iter().copied();
        let unwanted = all.filter(|offset| {
            let is_outside = *offset <= start || *offset > end;
            is_outside || (Some(*offset) != last && !self.begins_segment(*offset))
        });
        let unwanted: Vec<i64> = unwanted.collect();
        self.remove_snapshots(|offset| unwanted.contains(&offset))
    }

    /// Removes the snapshots past `end`, for good: what they say of the offsets there would be wrong
    /// of what follows.
    pub(crate) fn remove_snapshots_above(&mut self, end: i64) -> Result<(), DiskError> {
        let is_above = |offset| offset > end;
        if !self
            .snapshots
            .offsets
            .iter()
            .any(|offset| is_above(*offset))
        {
            return Ok(());
        }
        self.remove_snapshots(is_above)?;
        let dir = &*self.shared.dir;
        let synced = self.shared.disk.sync_dir(dir);
        synced.map_err(DiskError::of("sync", dir))
    }

    pub(crate) fn remove_snapshots(
        &mut self,
        is_unwanted: impl Fn(i64) -> bool,
    ) -> Result<(), DiskError> {
        let all = self.snapshots.offsets.iter().copied();
        let unwanted: Vec<i64> = all.filter(|offset| is_unwanted(*offset)).collect();
        for offset in unwanted {
            let path = self.snapshot_path(offset);
            match self.shared.disk.remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(DiskError::of("remove", path)(error)),
            }
            self.snapshots.offsets.retain(|kept| *kept != offset);
        }
        let unsynced = self.snapshots.unsynced;
        self.snapshots.unsynced = unsynced.filter(|offset| self.snapshots.offsets.contains(offset));
        Ok(())
    }

    /// The snapshot that the next checkpoint has to sync.
    pub(crate) fn unsynced_snapshot(&self) -> Option<(i64, Arc<dyn DiskFile>, PathBuf)> {
        let offset = self.snapshots.unsynced?;
        let path = self.snapshot_path(offset);
        Some((offset, self.shared.disk.file(&path), path))
    }

    fn begins_segment(&self, offset: i64) -> bool {
        let in_closed = self
            .closed
            .binary_search_by_key(&offset, |segment| segment.base_offset());
        in_closed.is_ok() || self.active.base_offset() == offset
    }

    fn snapshot_path(&self, offset: i64) -> PathBuf {
        path_of(&self.shared.dir, offset, SNAPSHOT_SUFFIX)
    }
}
