//! Making a log durable, off the writer's thread.
//!
//! Invariant: the writer learns of a sync only after it succeeded; one failure poisons the log for
//! good, because a second fsync may report success for data that the first has lost.
//! Hallway: step 8, between append and acknowledgement.
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::epoch::Epochs;
use crate::error::{ChangeError, DiskError, SyncError};
use crate::log::Log;
use crate::segment::{
    INDEX_SUFFIX, LOG_SUFFIX, SegmentView, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX, path_of,
};
use crate::view::Shared;

/// What the writer knows to survive a power failure.
#[derive(Debug)]
pub(crate) struct Durable {
    /// Records below this offset.
    pub(crate) offset: i64,
    /// Records below this offset and the index entries for them.
    pub(crate) recovery_point: i64,
    /// Segments that end at or below this offset are, with the last entries of their indexes: those
    /// are made when a segment ends, which may be after the recovery point has reached its end.
    closed: i64,
    /// Counts changes to the folder; `dir_synced` of them are durable.
    dir_version: u64,
    dir_synced: u64,
    /// The folder itself may be lost with its parent's entry for it.
    parent_unsynced: bool,
    /// Counts truncations: a sync begun before one says nothing about the log after it.
    incarnation: u64,
}

impl Durable {
    pub(crate) fn new(offset: i64, is_dir_durable: bool) -> Durable {
        Durable {
            offset,
            recovery_point: offset,
            // A segment that ends right at the recovery point may not have been ended durably.
            closed: if is_dir_durable { offset } else { offset - 1 },
            dir_version: u64::from(!is_dir_durable),
            dir_synced: 0,
            parent_unsynced: !is_dir_durable,
            incarnation: 0,
        }
    }

    pub(crate) fn note_dir_change(&mut self) {
        self.dir_version += 1;
    }

    pub(crate) fn is_dir_unsynced(&self) -> bool {
        self.dir_version > self.dir_synced
    }

    pub(crate) fn note_dir_synced(&mut self) {
        self.dir_synced = self.dir_version;
    }

    pub(crate) fn truncate(&mut self, offset: i64) {
        self.offset = self.offset.min(offset);
        self.recovery_point = self.recovery_point.min(offset);
        self.closed = self.closed.min(offset - 1);
        self.incarnation += 1;
    }
}

/// A sync to be done on any thread. Dropping it does nothing.
#[derive(Debug)]
#[must_use = "nothing is durable before `sync`"]
pub struct SyncTarget {
    shared: Arc<Shared>,
    files: Vec<(Arc<dyn DiskFile>, PathBuf)>,
    /// A shortcut for the next start: it may have been removed meanwhile.
    snapshot: Option<(Arc<dyn DiskFile>, PathBuf)>,
    dirs: Vec<PathBuf>,
    synced: Synced,
}

/// Proof of a successful sync, for [`Log::synced`].
#[derive(Debug, Clone, Copy)]
pub struct Synced {
    up_to: i64,
    recovery_point: i64,
    closed: i64,
    dir_version: u64,
    epoch_version: u64,
    /// Offset of the snapshot that was synced; -1 for none.
    snapshot: i64,
    incarnation: u64,
}

impl Synced {
    /// Records below this offset survive a power failure.
    #[must_use]
    pub fn up_to(&self) -> i64 {
        self.up_to
    }
}

impl SyncTarget {
    /// Records below this offset survive a power failure once the sync is done.
    #[must_use]
    pub fn up_to(&self) -> i64 {
        self.synced.up_to
    }

    /// Whether everything is durable already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.snapshot.is_none() && self.dirs.is_empty()
    }

    /// Syncs files and folders; blocks for as long as the disk takes.
    pub fn sync(&self) -> Result<Synced, SyncError> {
        if self.shared.is_poisoned() {
            let dir = self.shared.dir.to_path_buf();
            return Err(SyncError::Poisoned { dir });
        }
        let result = self.sync_all();
        // A file that could not even be opened was not synced badly: nothing is known to be lost.
        if result.as_ref().is_err_and(|error| !error.is_out_of_files()) {
            self.shared.poison();
        }
        Ok(result.map(|()| self.synced)?)
    }

    fn sync_all(&self) -> Result<(), DiskError> {
        for (file, path) in &self.files {
            file.sync_data().map_err(DiskError::of("sync", path))?;
        }
        if let Some((file, path)) = &self.snapshot {
            match file.sync_data() {
                Ok(()) => file.release(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(DiskError::of("sync", path)(error)),
            }
        }
        for dir in &self.dirs {
            let synced = self.shared.disk.sync_dir(dir);
            synced.map_err(DiskError::of("sync", dir))?;
        }
        Ok(())
    }

    fn add(&mut self, file: &Arc<dyn DiskFile>, base_offset: i64, suffix: &str) {
        let path = path_of(&self.shared.dir, base_offset, suffix);
        if self.files.iter().all(|(_, known)| *known != path) {
            self.files.push((Arc::clone(file), path));
        }
    }

    /// The log's folder, for the names in it.
    fn add_names(&mut self) {
        if self.dirs.iter().all(|known| **known != *self.shared.dir) {
            self.dirs.push(self.shared.dir.to_path_buf());
        }
    }

    /// Epochs below the recovery point cannot be rebuilt without reading the log again.
    fn add_epochs(&mut self, epochs: &Epochs, durable: &Durable) {
        if !epochs.is_written() {
            self.synced.recovery_point = durable.recovery_point;
        } else if let Some((path, version)) = epochs.unsynced()
            && self.synced.epoch_version != version
        {
            let file = self.shared.disk.file(path);
            self.files.push((file, path.to_path_buf()));
            self.add_names();
            self.synced.epoch_version = version;
        }
    }

    fn add_indexes(&mut self, segment: &SegmentView) {
        let files = &segment.files;
        // Of an empty file only the name matters, and that is the folder's.
        if segment.offsets.entries() > 0 {
            self.add(&files.offset_index, files.base_offset, INDEX_SUFFIX);
        }
        if segment.times.entries() > 0 {
            self.add(&files.time_index, files.base_offset, TIME_INDEX_SUFFIX);
        }
        self.add_aborted(segment);
    }

    fn add_aborted(&mut self, segment: &SegmentView) {
        if let Some(index) = segment.aborted.as_ref().filter(|index| index.has_file()) {
            self.add(index.file(), segment.base_offset(), TXN_INDEX_SUFFIX);
        }
    }
}

impl Log {
    /// What has to be synced so that every record appended so far survives a power failure: usually
    /// the active segment's `.log`. For acknowledgements.
    pub fn sync_handle(&self) -> SyncTarget {
        let mut target = self.ended_handle();
        target.synced.up_to = self.log_end_offset;
        if self.log_end_offset > self.durable.offset {
            let base_offset = self.active.base_offset();
            target.add(&self.active.view.files.log, base_offset, LOG_SUFFIX);
        }
        target
    }

    /// Whether segments have ended since the recovery point: a sync of them moves it up.
    #[must_use]
    pub fn has_ended_segments(&self) -> bool {
        self.active.base_offset() > self.durable.recovery_point
    }

    /// What has to be synced so that the segments that have ended are not read again after a crash.
    /// The active segment is left out.
    pub fn ended_handle(&self) -> SyncTarget {
        let durable = &self.durable;
        let synced = Synced {
            up_to: self.active.base_offset(),
            recovery_point: self.active.base_offset(),
            closed: self.active.base_offset(),
            dir_version: durable.dir_version,
            epoch_version: 0,
            snapshot: -1,
            incarnation: durable.incarnation,
        };
        let mut target = SyncTarget {
            shared: Arc::clone(&self.shared),
            files: Vec::new(),
            snapshot: None,
            dirs: Vec::new(),
            synced,
        };
        let mut end_offset = self.active.base_offset();
        for segment in self.closed.iter().rev() {
            if end_offset <= durable.closed {
                break;
            }
            target.add(&segment.files.log, segment.base_offset(), LOG_SUFFIX);
            target.add_indexes(segment);
            end_offset = segment.base_offset();
        }
        if self.has_ended_segments() {
            target.add_epochs(&self.epochs, durable);
        }
        if durable.is_dir_unsynced() {
            target.add_names();
        }
        if durable.parent_unsynced {
            let parent = self.shared.dir.parent();
            target.dirs.extend(parent.map(PathBuf::from));
        }
        target
    }

    /// As [`Log::sync_handle`], and indexes and epochs too, so that the recovery point moves to the
    /// log's end: what is below it is not read again after a crash.
    pub fn checkpoint_handle(&mut self) -> Result<SyncTarget, ChangeError> {
        self.check_writable()?;
        self.active.flush_indexes(&self.shared.dir)?;
        self.epochs.write(&*self.shared.disk)?;
        let mut target = self.sync_handle();
        target.synced.recovery_point = self.log_end_offset;
        if self.log_end_offset > self.durable.recovery_point {
            target.add_indexes(&self.active.view);
        }
        if let Some((offset, file, path)) = self.unsynced_snapshot() {
            target.snapshot = Some((file, path));
            target.synced.snapshot = offset;
        }
        target.add_epochs(&self.epochs, &self.durable);
        let has_files = !target.files.is_empty() || target.snapshot.is_some();
        if target.dirs.is_empty() && has_files {
            target.add_names();
        }
        Ok(target)
    }

    /// Takes note of a sync that has succeeded.
    pub fn synced(&mut self, synced: Synced) {
        let durable = &mut self.durable;
        if synced.incarnation != durable.incarnation {
            return;
        }
        durable.offset = durable.offset.max(synced.up_to);
        durable.recovery_point = durable.recovery_point.max(synced.recovery_point);
        durable.closed = durable.closed.max(synced.closed);
        durable.dir_synced = durable.dir_synced.max(synced.dir_version);
        durable.parent_unsynced = false;
        self.epochs.synced(synced.epoch_version);
        self.snapshots.synced(synced.snapshot);
    }

    /// Takes note that the folder that holds the log's own was synced after the log was opened: of
    /// many logs in one folder, one sync serves all.
    pub fn parent_synced(&mut self) {
        self.durable.parent_unsynced = false;
    }

    /// Records below this offset survive a power failure.
    #[must_use]
    pub fn durable_offset(&self) -> i64 {
        self.durable.offset
    }

    /// What is below this offset is not read again after a crash: the line for
    /// `recovery-point-offset-checkpoint`.
    #[must_use]
    pub fn recovery_point(&self) -> i64 {
        self.durable.recovery_point
    }

    /// Syncs everything on the calling thread.
    pub fn sync(&mut self) -> Result<(), ChangeError> {
        let synced = self.checkpoint_handle()?.sync()?;
        self.synced(synced);
        Ok(())
    }

    /// Ends the log's files as Kafka does at a clean shutdown and makes them durable. The folder's
    /// clean mark is for the caller to set once all logs are closed.
    pub fn close_clean(mut self) -> Result<Closed, ChangeError> {
        self.check_writable()?;
        let dir = Arc::clone(&self.shared.dir);
        let changed = self.active.finish(&dir)?;
        let mut target = self.checkpoint_handle()?;
        if changed || self.durable.is_dir_unsynced() {
            // The indexes may have got entries for records that were durable before; after a kill,
            // in the run before.
            target.add_indexes(&self.active.view);
            target.add_names();
        }
        let synced = target.sync()?;
        self.synced(synced);
        self.publish();
        self.release_files();
        Ok(Closed {
            recovery_point: self.durable.recovery_point,
            log_start_offset: self.log_start_offset,
        })
    }
}

/// What a cleanly closed log leaves for the checkpoints of its data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Line for `recovery-point-offset-checkpoint`: the log's end.
    pub recovery_point: i64,
    /// Line for `log-start-offset-checkpoint`.
    pub log_start_offset: i64,
}
