//! One segment: a `.log` file with its two indexes, as readers see it.
//!
//! Invariant: a [`SegmentView`] never changes. Bytes below `size` are whole batches in offset
//! order; an index entry is used only after the log has confirmed it.
//! Hallway: step 8; reading is the journal's part of step 10.
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use logway_protocol::batch::BatchHeader;

use crate::checkpoint::with_suffix;
use crate::disk::{Disk, DiskFile};
use crate::index::{IndexView, OffsetEntry, TimeEntry};
use crate::residency::Access;
use crate::txn_index::TxnIndex;
use crate::walk::{HEADER_BLOCK, SCAN_BLOCK, Walk, WalkError};

pub(crate) const LOG_SUFFIX: &str = ".log";
pub(crate) const INDEX_SUFFIX: &str = ".index";
pub(crate) const TIME_INDEX_SUFFIX: &str = ".timeindex";
pub(crate) const TXN_INDEX_SUFFIX: &str = ".txnindex";
pub(crate) const DELETED_SUFFIX: &str = ".deleted";

/// Positions that readers left behind, so that the next read need not search.
const HINTS: usize = 8;
/// Timestamp of a record without one.
pub(crate) const NO_TIMESTAMP: i64 = -1;

/// `00000000000000000042.log` for offset 42 and suffix `.log`.
pub(crate) fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}{suffix}")
}

/// The base offset in a name such as `00000000000000000042.log`, and what follows the digits.
pub(crate) fn parse_file_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_at_checked(20)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// The files of a segment and what is remembered about them.
#[derive(Debug)]
pub(crate) struct SegmentFiles {
    pub(crate) base_offset: i64,
    pub(crate) log: Arc<dyn DiskFile>,
    pub(crate) offset_index: Arc<dyn DiskFile>,
    pub(crate) time_index: Arc<dyn DiskFile>,
    /// Offset (relative, plus one so that 0 is empty) and position of batch starts, packed.
    hints: [AtomicU64; HINTS],
    /// Largest timestamp of a segment found on disk, once somebody asked.
    found_max: OnceLock<Option<TimeEntry>>,
}

impl SegmentFiles {
    pub(crate) fn new(disk: &dyn Disk, dir: &Path, base_offset: i64) -> SegmentFiles {
        SegmentFiles::unfinished(disk, dir, base_offset, "")
    }

    /// Files whose names have `ending` behind them until they are done.
    pub(crate) fn unfinished(
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        ending: &str,
    ) -> SegmentFiles {
        let file = |suffix| disk.file(&with_suffix(&path_of(dir, base_offset, suffix), ending));
        SegmentFiles {
            base_offset,
            log: file(LOG_SUFFIX),
            offset_index: file(INDEX_SUFFIX),
            time_index: file(TIME_INDEX_SUFFIX),
            hints: [const { AtomicU64::new(0) }; HINTS],
            found_max: OnceLock::new(),
        }
    }

    pub(crate) fn release(&self) {
        self.log.release();
        self.offset_index.release();
        self.time_index.release();
    }

    fn hint_slot(&self, offset: i64) -> Option<(&AtomicU64, u32)> {
        let relative = u32::try_from(offset - self.base_offset).ok()?;
        let key = relative.checked_add(1)?;
        // Fibonacci hashing: neighbours must not share a slot.
        let slot = (key.wrapping_mul(0x9E37_79B9) >> 29) as usize;
        Some((self.hints.get(slot)?, key))
    }

    fn hint(&self, offset: i64) -> Option<u32> {
        let (slot, key) = self.hint_slot(offset)?;
        let packed = slot.load(Ordering::Relaxed);
        ((packed >> 32) as u32 == key).then_some(packed as u32)
    }

    fn leave_hint(&self, offset: i64, position: u32) {
        if let Some((slot, key)) = self.hint_slot(offset) {
            let packed = u64::from(key) << 32 | u64::from(position);
            slot.store(packed, Ordering::Relaxed);
        }
    }
}

pub(crate) fn path_of(dir: &Path, base_offset: i64, suffix: &str) -> PathBuf {
    dir.join(file_name(base_offset, suffix))
}

/// A segment at one moment.
#[derive(Debug, Clone)]
pub(crate) struct SegmentView {
    pub(crate) files: Arc<SegmentFiles>,
    /// Bytes of whole batches in the `.log` file.
    pub(crate) size: u32,
    pub(crate) offsets: IndexView<OffsetEntry>,
    pub(crate) times: IndexView<TimeEntry>,
    /// Largest timestamp and the last offset of the first batch that has it, where known without
    /// looking; see [`SegmentView::max_timestamp`].
    pub(crate) max: Option<TimeEntry>,
    /// Aborted transactions whose markers are in the segment; none for most segments.
    pub(crate) aborted: Option<Arc<TxnIndex>>,
}

/// What a read inside one segment found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) position: u32,
    pub(crate) len: u32,
    pub(crate) first_offset: i64,
    pub(crate) next_offset: i64,
}

/// What a read asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) offset: i64,
    /// No record at or after this offset.
    pub(crate) below: i64,
    pub(crate) max_bytes: usize,
    /// The first batch even if it is larger than `max_bytes`.
    pub(crate) min_one: bool,
    /// Fails with `WouldBlock` where a disk would have to be waited for.
    pub(crate) memory_only: bool,
}

impl SegmentView {
    pub(crate) fn base_offset(&self) -> i64 {
        self.files.base_offset
    }

    /// A walk over the segment's headers.
    pub(crate) fn headers(&self) -> Result<Walk, WalkError> {
        Ok(Walk::new(self.files.log.open()?, self.size, HEADER_BLOCK))
    }

    /// Whole batches from the first one that ends at or after `wanted.offset`; none if no batch of
    /// the segment does, no bytes if none may be given. `end_offset` is where the segment ends.
    pub(crate) fn extent(
        &self,
        wanted: &Wanted,
        end_offset: i64,
    ) -> Result<Option<Extent>, WalkError> {
        let mut walk = self.headers()?;
        if wanted.memory_only {
            walk.access = Access::memory_only();
        }
        let hint = self.files.hint(wanted.offset).filter(|at| *at <= self.size);
        let (position, first) = match hint {
            Some(position) => (position, None),
            None => match self.find(&mut walk, wanted.offset)? {
                Some((position, header)) => (position, Some(header)),
                None => return Ok(None),
            },
        };
        if position == self.size {
            return Ok(None);
        }
        let first_offset = first.map_or(wanted.offset, |header| header.base_offset);
        let left = self.size - position;
        if left as usize <= wanted.max_bytes && wanted.below >= end_offset {
            self.files.leave_hint(end_offset, self.size);
            return Ok(Some(Extent {
                position,
                len: left,
                first_offset,
                next_offset: end_offset,
            }));
        }
        let (end, next_offset) = self.boundary(&mut walk, position, wanted)?;
        self.files.leave_hint(next_offset, end);
        Ok(Some(Extent {
            position,
            len: end - position,
            first_offset,
            next_offset,
        }))
    }

    /// The first batch that ends at or after `offset`.
    pub(crate) fn find(
        &self,
        walk: &mut Walk,
        offset: i64,
    ) -> Result<Option<(u32, BatchHeader)>, WalkError> {
        let mut position = self
            .indexed(walk, |entry| entry.offset <= offset)
            .unwrap_or(0);
        while let Some(header) = walk.header(position)? {
            if header.last_offset() >= offset {
                return Ok(Some((position, header)));
            }
            position += header.total_size() as u32;
        }
        Ok(None)
    }

    /// The end of the last whole batch that may be given when reading starts at `position`, and the
    /// offset that follows it.
    fn boundary(
        &self,
        walk: &mut Walk,
        position: u32,
        wanted: &Wanted,
    ) -> Result<(u32, i64), WalkError> {
        let limit = u64::from(position) + wanted.max_bytes as u64;
        let indexed = self.indexed(walk, |entry| {
            u64::from(entry.position) <= limit && entry.offset < wanted.below
        });
        let mut end = indexed.unwrap_or(0).max(position);
        let mut next_offset = wanted.offset;
        while let Some(header) = walk.header(end)? {
            // Known even where this batch does not fit: it is what follows the boundary.
            next_offset = header.base_offset.max(wanted.offset);
            let after = end + header.total_size() as u32;
            let fits = u64::from(after) <= limit || (wanted.min_one && end == position);
            if !fits || header.last_offset() >= wanted.below {
                break;
            }
            end = after;
            next_offset = header.next_offset();
        }
        Ok((end, next_offset))
    }

    /// Position of the last indexed batch for which `holds`, if the log agrees with the index.
    fn indexed(&self, walk: &mut Walk, holds: impl Fn(&OffsetEntry) -> bool) -> Option<u32> {
        let files = &self.files;
        let base = files.base_offset;
        let floor = self
            .offsets
            .floor(&*files.offset_index, base, &mut walk.access, holds);
        let (entry, _) = floor?;
        let header = walk.header(entry.position).ok()??;
        (header.last_offset() == entry.offset).then_some(entry.position)
    }

    /// Where to begin looking for the first record with a timestamp of at least `timestamp`.
    pub(crate) fn position_before_time(&self, walk: &mut Walk, timestamp: i64) -> u32 {
        let (files, base) = (&self.files, self.base_offset());
        let access = &mut walk.access;
        let floor = self.times.floor(&*files.time_index, base, access, |entry| {
            entry.timestamp <= timestamp
        });
        let Some((entry, after)) = floor else {
            return 0;
        };
        let in_order = after
            .is_none_or(|after| after.offset > entry.offset && after.timestamp > entry.timestamp);
        match self.find(walk, entry.offset) {
            Ok(Some((position, header))) if in_order && is_the_batch(&header, &entry) => position,
            _ => 0,
        }
    }

    /// The largest timestamp and the last offset of the first batch that has it; none without
    /// timestamps.
    ///
    /// A closed segment's last time index entry has it; where the log does not confirm the entry,
    /// or there is none, the segment's headers are read.
    pub(crate) fn max_timestamp(&self) -> Result<Option<TimeEntry>, WalkError> {
        if self.max.is_some() || self.size == 0 {
            return Ok(self.max);
        }
        if let Some(found) = self.files.found_max.get() {
            return Ok(*found);
        }
        let found = match self.indexed_max()? {
            Some(entry) => Some(entry),
            None => self.scanned_max()?,
        };
        Ok(*self.files.found_max.get_or_init(|| found))
    }

    fn indexed_max(&self) -> Result<Option<TimeEntry>, WalkError> {
        let last = self.times.last(&*self.files.time_index, self.base_offset());
        let Some(entry) = last else { return Ok(None) };
        let found = self.find(&mut self.headers()?, entry.offset)?;
        Ok(found
            .filter(|(_, header)| is_the_batch(header, &entry))
            .map(|_| entry))
    }

    fn scanned_max(&self) -> Result<Option<TimeEntry>, WalkError> {
        let mut walk = Walk::new(self.files.log.open()?, self.size, SCAN_BLOCK);
        let (mut position, mut max) = (0, None);
        while let Some(header) = walk.header(position)? {
            max = later(max, &header);
            position += header.total_size() as u32;
        }
        Ok(max)
    }
}

/// The maximum so far with one more batch: the first batch wins among equals, as in Kafka.
pub(crate) fn later(max: Option<TimeEntry>, header: &BatchHeader) -> Option<TimeEntry> {
    let before = max.map_or(NO_TIMESTAMP, |entry| entry.timestamp);
    let timestamp = youngest_of(header);
    if timestamp > before {
        return Some(TimeEntry {
            timestamp,
            offset: header.last_offset(),
        });
    }
    max
}

/// The largest timestamp of a batch's records: what compaction has emptied has none, whatever its
/// header still says.
pub(crate) fn youngest_of(header: &BatchHeader) -> i64 {
    if header.record_count == 0 {
        NO_TIMESTAMP
    } else {
        header.max_timestamp
    }
}

fn is_the_batch(header: &BatchHeader, entry: &TimeEntry) -> bool {
    header.last_offset() == entry.offset && youngest_of(header) == entry.timestamp
}
