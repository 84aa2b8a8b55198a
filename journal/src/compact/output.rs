//! The new segment, written beside the old ones under names that end with `.cleaned`.
//!
//! Invariant: when it is finished all its bytes are durable, its names too; until then it is nothing
//! that an opening of the log would keep.
//! Hallway: step 8, in compaction.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use logway_protocol::batch::BatchHeader;

use super::CleanError;
use super::swap::CLEANED_SUFFIX;
use crate::active::ActiveSegment;
use crate::checkpoint::with_suffix;
use crate::disk::Disk;
use crate::error::DiskError;
use crate::index::Entry;
use crate::segment::{
    INDEX_SUFFIX, LOG_SUFFIX, SegmentFiles, SegmentView, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX,
    path_of,
};
use crate::txn_index::{AbortedTxn, TxnIndex};
use crate::view::Shared;

/// A segment in the making.
#[derive(Debug)]
pub(super) struct Output {
    shared: Arc<Shared>,
    segment: ActiveSegment,
    index_interval_bytes: u32,
    /// What was noted and not written yet.
    buffer: Vec<u8>,
    buffer_bytes: usize,
}

/// Where a segment is written, and how.
pub(super) struct Place<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) base_offset: i64,
    pub(super) index_interval_bytes: u32,
    /// Bytes that are written at once.
    pub(super) buffer_bytes: usize,
}

/// A finished one.
#[derive(Debug)]
pub(super) struct Finished {
    /// As it will be read, under its final names.
    pub(super) view: SegmentView,
    /// Suffixes of the files there are.
    pub(super) suffixes: Vec<&'static str>,
}

impl Output {
    /// Begins a segment.
    pub(super) fn create(place: &Place<'_>, now_ms: i64) -> Result<Output, CleanError> {
        let (shared, base_offset) = (place.shared, place.base_offset);
        let (disk, dir) = (&*shared.disk, &*shared.dir);
        let files = SegmentFiles::unfinished(disk, dir, base_offset, CLEANED_SUFFIX);
        let path = cleaned_path(dir, base_offset, LOG_SUFFIX);
        files.log.create().map_err(DiskError::of("create", path))?;
        Ok(Output {
            shared: Arc::clone(shared),
            segment: ActiveSegment::empty(files, now_ms),
            index_interval_bytes: place.index_interval_bytes,
            buffer: Vec::new(),
            buffer_bytes: place.buffer_bytes,
        })
    }

    /// Bytes of the batches so far.
    pub(super) fn size(&self) -> u32 {
        self.segment.view.size
    }

    /// Appends one batch; returns the bytes that were written to disk.
    pub(super) fn push(&mut self, batch: &[u8], header: &BatchHeader) -> Result<usize, CleanError> {
        let base_offset = self.segment.base_offset();
        let size = u64::from(self.size()) + batch.len() as u64;
        if size > i32::MAX as u64 || self.segment.is_out_of_range(header.last_offset()) {
            return Err(CleanError::TooLarge { base_offset });
        }
        self.segment.note(header, self.index_interval_bytes);
        self.buffer.extend_from_slice(batch);
        self.segment.flush_due_indexes(&self.shared.dir)?;
        if self.buffer.len() < self.buffer_bytes {
            return Ok(0);
        }
        self.write()
    }

    fn write(&mut self) -> Result<usize, CleanError> {
        let position = u64::from(self.size()) - self.buffer.len() as u64;
        let written = self
            .segment
            .view
            .files
            .log
            .write_at([&self.buffer, &[]], position);
        let path = self.path(LOG_SUFFIX);
        written.map_err(DiskError::of("write", path))?;
        let bytes = self.buffer.len();
        self.buffer.clear();
        Ok(bytes)
    }

    /// Writes what is left, with the index of the aborted transactions whose markers are in the
    /// segment, and makes all of it durable.
    pub(super) fn finish(mut self, aborted: &[AbortedTxn]) -> Result<Finished, CleanError> {
        self.write()?;
        let (disk, dir) = (&*self.shared.disk, &*self.shared.dir);
        self.segment.finish(dir)?;
        let files = &self.segment.view.files;
        let mut written = vec![
            (LOG_SUFFIX, Arc::clone(&files.log)),
            (INDEX_SUFFIX, Arc::clone(&files.offset_index)),
            (TIME_INDEX_SUFFIX, Arc::clone(&files.time_index)),
        ];
        let path = self.path(TXN_INDEX_SUFFIX);
        if aborted.is_empty() {
            remove_if_there(disk, &path)?;
        } else {
            let file = disk.file(&path);
            let mut content = Vec::with_capacity(aborted.len() * AbortedTxn::SIZE);
            for entry in aborted {
                entry.encode(self.segment.base_offset(), &mut content);
            }
            let done = file
                .create()
                .and_then(|()| file.write_at([&content, &[]], 0));
            done.map_err(DiskError::of("write", &path))?;
            written.push((TXN_INDEX_SUFFIX, file));
        }
        for (suffix, file) in &written {
            let synced = file.sync_data();
            synced.map_err(DiskError::of("sync", self.path(suffix)))?;
        }
        disk.sync_dir(dir).map_err(DiskError::of("sync", dir))?;
        let view = &self.segment.view;
        view.files.release();
        let files = SegmentFiles::new(disk, dir, view.base_offset());
        let view = SegmentView {
            aborted: TxnIndex::of_file(disk, dir, view.base_offset(), aborted),
            files: Arc::new(files),
            ..view.clone()
        };
        Ok(Finished {
            view,
            suffixes: written.into_iter().map(|(suffix, _)| suffix).collect(),
        })
    }

    fn path(&self, suffix: &str) -> PathBuf {
        cleaned_path(&self.shared.dir, self.segment.base_offset(), suffix)
    }
}

/// Removes what was written of a segment that nobody needs. What stays is removed at the next start.
pub(super) fn discard(shared: &Shared, base_offset: i64) {
    for suffix in [
        LOG_SUFFIX,
        INDEX_SUFFIX,
        TIME_INDEX_SUFFIX,
        TXN_INDEX_SUFFIX,
    ] {
        let path = cleaned_path(&shared.dir, base_offset, suffix);
        if let Err(error) = remove_if_there(&*shared.disk, &path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished segment file");
        }
    }
}

fn cleaned_path(dir: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    with_suffix(&path_of(dir, base_offset, suffix), CLEANED_SUFFIX)
}

pub(super) fn remove_if_there(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    match disk.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::of("remove", path)(error))
        }
        _ => Ok(()),
    }
}
