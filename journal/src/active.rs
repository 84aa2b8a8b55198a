//! The segment that is written: what its writer knows beyond what readers see.
//!
//! Invariant: an index entry follows its batch; the index files may lag behind the log, and only
//! the log decides. Appending and recovery make the same entries for the same batches.
//! Hallway: step 8.
use std::io;
use std::path::Path;
use std::sync::Arc;

use logway_protocol::batch::BatchHeader;

use crate::config::LogConfig;
use crate::disk::{Disk, DiskFile};
use crate::error::DiskError;
use crate::index::{Entry, IndexView, OffsetEntry, TimeEntry};
use crate::room::Room;
use crate::segment::{
    INDEX_SUFFIX, LOG_SUFFIX, SegmentFiles, SegmentView, TIME_INDEX_SUFFIX, later, path_of,
};
use crate::txn_index::TxnIndex;
use crate::walk::WalkError;

/// The last segment of a log.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) view: SegmentView,
    /// Position of the batch that the last offset index entry names.
    last_indexed: u32,
    /// The last time index entry.
    last_time: Option<TimeEntry>,
    /// When the segment was made or opened.
    created_ms: i64,
    /// Largest timestamp of the first batch; none until it is needed.
    first_timestamp: Option<i64>,
    /// Both index files are there, so an empty one need not be made.
    has_index_files: bool,
    /// Room on the disk behind the file's end.
    room: Room,
}

impl ActiveSegment {
    /// Creates the segment's `.log` file; its indexes come with their first entry.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        now_ms: i64,
    ) -> Result<ActiveSegment, DiskError> {
        let files = SegmentFiles::new(disk, dir, base_offset);
        let path = path_of(dir, base_offset, LOG_SUFFIX);
        if let Err(error) = files.log.create() {
            // Nothing was appended to it; a file left behind would only be found empty.
            if let Err(error) = disk.remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove an unused segment file");
            }
            return Err(DiskError::of("create", path)(error));
        }
        Ok(ActiveSegment::empty(files, now_ms))
    }

    /// The segment's files hold nothing yet, or what they hold is about to be noted again.
    pub(crate) fn empty(files: SegmentFiles, now_ms: i64) -> ActiveSegment {
        let view = SegmentView {
            files: Arc::new(files),
            size: 0,
            offsets: IndexView::empty(),
            times: IndexView::empty(),
            max: None,
            aborted: None,
        };
        ActiveSegment {
            view,
            last_indexed: 0,
            last_time: None,
            created_ms: now_ms,
            first_timestamp: None,
            has_index_files: false,
            room: Room::default(),
        }
    }

    /// The segment up to the batch of an offset index entry, with the index entries that belong to
    /// it; the caller notes the batches from that entry's on.
    pub(crate) fn resume(
        files: SegmentFiles,
        indexes: (IndexView<OffsetEntry>, IndexView<TimeEntry>),
        last: (OffsetEntry, Option<TimeEntry>),
        now_ms: i64,
    ) -> ActiveSegment {
        let mut segment = ActiveSegment::empty(files, now_ms);
        let (entry, last_time) = last;
        (segment.view.offsets, segment.view.times) = indexes;
        segment.view.size = entry.position;
        segment.view.max = last_time;
        segment.last_time = last_time;
        segment.last_indexed = entry.position;
        segment
    }

    pub(crate) fn base_offset(&self) -> i64 {
        self.view.base_offset()
    }

    /// Sees to room for a batch and those that follow it, if they come fast.
    pub(crate) fn make_room(&mut self, len: usize, config: &LogConfig, now_ms: i64) {
        let position = u64::from(self.view.size);
        let limit = u64::from(config.segment_bytes);
        let wanted = self.room.wanted((position, len as u64), limit, now_ms);
        let Some(end) = wanted else { return };
        if let Err(error) = self.view.files.log.reserve(position, end - position) {
            tracing::debug!(%error, "no room ahead of the log");
            self.room.refuse();
        }
    }

    /// Gives back the room behind the file's end.
    pub(crate) fn give_back_room(&mut self) {
        let room = std::mem::take(&mut self.room);
        if room.is_left(u64::from(self.view.size))
            && let Err(error) = self.view.files.log.give_back()
        {
            tracing::debug!(%error, "cannot give back room ahead of the log");
        }
    }

    /// The file was cut, and what was behind its end is gone.
    pub(crate) fn forget_room(&mut self) {
        self.room = Room::default();
    }

    /// Takes the batch that was written, or found, at the segment's end into view and indexes.
    pub(crate) fn note(&mut self, header: &BatchHeader, index_interval_bytes: u32) {
        let position = self.view.size;
        if position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        self.view.max = later(self.view.max, header);
        if position - self.last_indexed > index_interval_bytes {
            self.view.offsets.push(OffsetEntry {
                offset: header.last_offset(),
                position,
            });
            self.last_indexed = position;
            self.note_time();
        }
        self.view.size += header.total_size() as u32;
    }

    fn note_time(&mut self) {
        let Some(max) = self.view.max else { return };
        if self
            .last_time
            .is_none_or(|last| max.timestamp > last.timestamp)
        {
            self.view.times.push(max);
            self.last_time = Some(max);
        }
    }

    /// Whether a batch has to go into a new segment: Kafka's rules.
    pub(crate) fn is_over(
        &mut self,
        header: &BatchHeader,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<bool, WalkError> {
        if self.is_out_of_range(header.last_offset()) {
            return Ok(true);
        }
        if self.view.size == 0 {
            return Ok(false);
        }
        let limit = u64::from(config.segment_bytes.min(i32::MAX as u32));
        let size = u64::from(self.view.size) + header.total_size() as u64;
        let offsets_max = config.segment_index_bytes / OffsetEntry::SIZE as u32;
        // One place is kept for the entry that is made when the segment ends.
        let times_max = (config.segment_index_bytes / TimeEntry::SIZE as u32).saturating_sub(1);
        Ok(size > limit
            || self.age_ms(header, now_ms)? > config.segment_ms
            || self.view.offsets.entries() >= offsets_max
            || self.view.times.entries() >= times_max)
    }

    /// Whether an offset is too far from the segment's base for its indexes.
    pub(crate) fn is_out_of_range(&self, last_offset: i64) -> bool {
        last_offset - self.base_offset() > i64::from(i32::MAX)
    }

    /// How much younger than the segment's first batch a batch is; by the clock if that has no
    /// timestamp.
    fn age_ms(&mut self, header: &BatchHeader, now_ms: i64) -> Result<i64, WalkError> {
        let first = match self.first_timestamp {
            Some(timestamp) => timestamp,
            None => {
                let first = self.view.headers()?.header(0)?;
                let timestamp = first.map_or(header.max_timestamp, |first| first.max_timestamp);
                *self.first_timestamp.insert(timestamp)
            }
        };
        Ok(if first >= 0 {
            header.max_timestamp.saturating_sub(first)
        } else {
            now_ms.saturating_sub(self.created_ms)
        })
    }

    /// Writes index entries once enough of them wait.
    pub(crate) fn flush_due_indexes(&mut self, dir: &Path) -> Result<(), DiskError> {
        if self.view.offsets.is_flush_due() || self.view.times.is_flush_due() {
            self.flush_indexes(dir)?;
        }
        Ok(())
    }

    /// Writes all index entries. The time index first: it must not lack an entry that the offset
    /// index has.
    pub(crate) fn flush_indexes(&mut self, dir: &Path) -> Result<(), DiskError> {
        let base = self.base_offset();
        TxnIndex::flush(&mut self.view.aborted, base, dir)?;
        let SegmentView {
            files,
            offsets,
            times,
            ..
        } = &mut self.view;
        times
            .flush(&*files.time_index, base)
            .map_err(DiskError::of(
                "write",
                path_of(dir, base, TIME_INDEX_SUFFIX),
            ))?;
        offsets
            .flush(&*files.offset_index, base)
            .map_err(DiskError::of("write", path_of(dir, base, INDEX_SUFFIX)))
    }

    /// Makes the last time index entry, writes the indexes and leaves both files there, as Kafka
    /// does when a segment ends or is closed. True if any file changed.
    pub(crate) fn finish(&mut self, dir: &Path) -> Result<bool, DiskError> {
        self.give_back_room();
        self.note_time();
        let mut changed = !self.view.offsets.is_flushed() || !self.view.times.is_flushed();
        self.flush_indexes(dir)?;
        if !self.has_index_files {
            changed = true;
            let SegmentView {
                files,
                offsets,
                times,
                ..
            } = &self.view;
            create_if_empty(offsets.entries(), &*files.offset_index).map_err(DiskError::of(
                "create",
                path_of(dir, files.base_offset, INDEX_SUFFIX),
            ))?;
            create_if_empty(times.entries(), &*files.time_index).map_err(DiskError::of(
                "create",
                path_of(dir, files.base_offset, TIME_INDEX_SUFFIX),
            ))?;
            self.has_index_files = true;
        }
        Ok(changed)
    }

    /// Whether an offset index entry that waits in memory is of a batch below `offset`.
    pub(crate) fn has_indexed_below(&self, offset: i64) -> bool {
        let first = self.view.offsets.first_waiting();
        first.is_some_and(|entry| entry.offset < offset)
    }

    /// Keeps the time index as found if all it has more is the entry that is made when a segment is
    /// closed: what was closed and opened again need not be written.
    pub(crate) fn keep_last_time(&mut self, found: IndexView<TimeEntry>) {
        let times = &self.view.times;
        if !times.is_flushed() || found.entries() != times.entries() + 1 {
            return;
        }
        let last = found.last(&*self.view.files.time_index, self.base_offset());
        if last.is_some() && last == self.view.max {
            self.view.times = found;
            self.last_time = last;
        }
    }

    /// Both index files were found on disk.
    pub(crate) fn found_index_files(&mut self) {
        self.has_index_files = true;
    }
}

fn create_if_empty(entries: u32, file: &dyn DiskFile) -> io::Result<()> {
    if entries == 0 { file.create() } else { Ok(()) }
}
