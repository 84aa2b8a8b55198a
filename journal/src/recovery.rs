//! Finding out how much of each segment is sound, and making its indexes again where they are not.
//!
//! Invariant: below the recovery point only headers are followed, past it every checksum is
//! verified; the log ends with the last batch before the first fault. An input/output error is
//! never taken for a fault: it stops the opening.
//! Hallway: step 8, at start.
use std::path::Path;
use std::sync::Arc;

use logway_protocol::batch::BatchHeader;

use crate::active::ActiveSegment;
use crate::config::LogConfig;
use crate::disk::Disk;
use crate::epoch::Epochs;
use crate::error::{DiskError, OpenError};
use crate::index::{Entry, IndexView, OffsetEntry, TimeEntry};
use crate::open::{Recovery, remove_segments};
use crate::room::STEP_BYTES_MIN;
use crate::segment::{LOG_SUFFIX, NO_TIMESTAMP, SegmentFiles, SegmentView, path_of, youngest_of};
use crate::walk::{BatchFault, HEADER_BLOCK, SCAN_BLOCK, Walk, WalkError, offsets_fault};

/// A segment as the folder's listing shows it; lengths in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FoundSegment {
    pub(crate) base_offset: i64,
    pub(crate) len: u32,
    pub(crate) offset_index_len: Option<u64>,
    pub(crate) time_index_len: Option<u64>,
    pub(crate) txn_index_len: Option<u64>,
}

impl FoundSegment {
    pub(crate) fn new(base_offset: i64, len: u32) -> FoundSegment {
        FoundSegment {
            base_offset,
            len,
            offset_index_len: None,
            time_index_len: None,
            txn_index_len: None,
        }
    }

    fn offsets(&self) -> IndexView<OffsetEntry> {
        IndexView::of_file(entries_in::<OffsetEntry>(self.offset_index_len))
    }

    fn times(&self) -> IndexView<TimeEntry> {
        IndexView::of_file(entries_in::<TimeEntry>(self.time_index_len))
    }
}

fn entries_in<E: Entry>(len: Option<u64>) -> u32 {
    u32::try_from(len.unwrap_or(0) / E::SIZE as u64).unwrap_or(u32::MAX)
}

/// The sound part of a log.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) closed: Vec<SegmentView>,
    pub(crate) active: ActiveSegment,
    pub(crate) log_end_offset: i64,
    /// Something was not as the clean mark, or the recovery point, promised.
    pub(crate) repaired: bool,
}

/// One scan of a segment.
struct Scanned {
    segment: ActiveSegment,
    next_offset: i64,
    /// Why it ended before the file does.
    fault: Option<BatchFault>,
    /// The indexes were made again, below the recovery point too.
    reindexed: bool,
}

/// Opens the segments of one log.
pub(crate) struct Recoverer<'a> {
    pub(crate) disk: &'a dyn Disk,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a LogConfig,
    pub(crate) recovery: Recovery,
    pub(crate) now_ms: i64,
    pub(crate) epochs: Epochs,
    /// There is no usable epoch file: every batch header is read to make it again.
    pub(crate) rebuild_epochs: bool,
    /// The transaction indexes are complete below this offset; set by [`Recoverer::recover`].
    pub(crate) aborted_known_below: i64,
}

impl Recoverer<'_> {
    /// The sound part of the segments; none if there is no segment.
    pub(crate) fn recover(
        &mut self,
        found: &[FoundSegment],
    ) -> Result<Option<Recovered>, OpenError> {
        let trusted_below = match self.recovery.clean {
            true => i64::MAX,
            false => self.recovery.recovery_point,
        };
        let mut closed: Vec<SegmentView> = Vec::new();
        let mut last: Option<Scanned> = None;
        let mut repaired = false;
        self.aborted_known_below = trusted_below;
        self.check_epochs(found, trusted_below);
        for (at, segment) in found.iter().enumerate() {
            let next_base = found.get(at + 1).map(|next| next.base_offset);
            // One that ends right there may lack the last entries of its indexes.
            if let Some(end_offset) = next_base.filter(|end| *end < trusted_below) {
                closed.push(self.open_closed(segment, end_offset)?);
                continue;
            }
            if let Some(before) = last.take() {
                if !self.continues(&before, segment)? {
                    let rest = found.iter().skip(at).map(|lost| lost.base_offset);
                    self.drop_segments(&before, &rest.collect::<Vec<_>>())?;
                    last = Some(before);
                    repaired = true;
                    break;
                }
                closed.push(self.close(before)?);
            }
            let scanned = self.scan_or_repair(segment, trusted_below)?;
            repaired |= scanned.fault.is_some() || scanned.reindexed;
            last = Some(scanned);
        }
        Ok(last.map(|last| Recovered {
            closed,
            active: last.segment,
            log_end_offset: last.next_offset,
            repaired,
        }))
    }

    /// Past the recovery point the batches say which epochs there are; the file may be older than
    /// they, or younger than the log start. Without a usable file the whole log is read.
    fn check_epochs(&mut self, found: &[FoundSegment], trusted_below: i64) {
        let Some(first) = found.first() else { return };
        self.epochs.truncate_end(trusted_below);
        let log_start = self.recovery.log_start_offset.max(first.base_offset);
        let known_from = self.epochs.first_offset().unwrap_or(i64::MAX);
        // What begins past the recovery point is scanned anyway.
        let is_short = !self.recovery.clean && trusted_below > log_start && known_from > log_start;
        self.rebuild_epochs |= is_short;
        if self.rebuild_epochs && found.iter().any(|segment| segment.len > 0) {
            tracing::info!(dir = %self.dir.display(),
                "no usable leader epoch file: reading the whole log to make it again");
            self.epochs.truncate_end(i64::MIN);
            self.epochs.make_file();
        }
    }

    /// Whether the next segment follows the sound part of the one before. In a compacted log offsets
    /// may be missing between two segments; otherwise that means that batches are lost.
    fn continues(&self, before: &Scanned, next: &FoundSegment) -> Result<bool, OpenError> {
        if before.fault.is_some() || next.base_offset < before.next_offset {
            return Ok(false);
        }
        if next.base_offset == before.next_offset || self.config.compact {
            return Ok(true);
        }
        // A batch too far away for the index of the segment before begins one at its own offset. It
        // has to be sound: were it cut off later, the gap before it would have no reason any more.
        let files = SegmentFiles::new(self.disk, self.dir, next.base_offset);
        let handle = files
            .log
            .open()
            .map_err(self.failed("open", next.base_offset))?;
        let first = match Walk::new(handle, next.len, HEADER_BLOCK).checked(0) {
            Ok(first) => first,
            Err(WalkError::Io(error)) => {
                return Err(self.failed("read", next.base_offset)(error).into());
            }
            Err(WalkError::Fault(_)) => None,
        };
        let is_far = |first: BatchHeader| {
            first.base_offset == next.base_offset
                && first.last_offset() - before.next_offset > i64::from(i32::MAX)
        };
        Ok(first.is_some_and(is_far))
    }

    fn drop_segments(&self, before: &Scanned, lost: &[i64]) -> Result<(), OpenError> {
        tracing::warn!(dir = %self.dir.display(), log_end = before.next_offset, segments = lost.len(),
            "dropping segments that do not follow the sound part of the log");
        Ok(remove_segments(self.disk, self.dir, lost)?)
    }

    fn close(&self, scanned: Scanned) -> Result<SegmentView, OpenError> {
        let mut segment = scanned.segment;
        segment.finish(self.dir)?;
        segment.view.files.release();
        Ok(segment.view)
    }

    /// Follows the headers below `trusted_below` and verifies the batches past it; verifies all if
    /// the segment does not reach as far as was promised. What is not sound is cut off.
    fn scan_or_repair(
        &mut self,
        found: &FoundSegment,
        trusted_below: i64,
    ) -> Result<Scanned, OpenError> {
        let mut scanned = self.scan(found, trusted_below)?;
        let broke_promise = if trusted_below == i64::MAX {
            scanned.fault.is_some()
        } else {
            scanned.next_offset < trusted_below
        };
        if broke_promise {
            tracing::error!(dir = %self.dir.display(), segment = found.base_offset,
                found_end = scanned.next_offset,
                "the log is damaged in a part that was durable; verifying the whole segment");
            self.epochs.truncate_end(found.base_offset);
            scanned = self.scan(found, found.base_offset)?;
        }
        if let Some(fault) = &scanned.fault {
            let size = scanned.segment.view.size;
            tracing::warn!(dir = %self.dir.display(), segment = found.base_offset, position = size,
                cut_off = found.len - size, reason = %fault, "cutting off the end of the log");
            let log = &scanned.segment.view.files.log;
            log.set_len(u64::from(size))
                .and_then(|()| log.sync_data())
                .map_err(self.failed("cut off the end of", found.base_offset))?;
        }
        if !self.recovery.clean
            && u64::from(found.len) >= STEP_BYTES_MIN
            && let Err(error) = scanned.segment.view.files.log.give_back()
        {
            // Whoever was killed could not.
            tracing::debug!(%error, "cannot give back room ahead of the log");
        }
        let below = scanned.next_offset.min(trusted_below);
        scanned.segment.view.aborted = self.aborted(found, below)?;
        Ok(scanned)
    }

    fn scan(&mut self, found: &FoundSegment, trusted_below: i64) -> Result<Scanned, OpenError> {
        let mut segment = self.resume(found, trusted_below);
        let from_start = trusted_below > found.base_offset && segment.view.size == 0;
        let log = segment.view.files.log.open();
        let log = log.map_err(self.failed("open", found.base_offset))?;
        let block = if trusted_below == i64::MAX {
            HEADER_BLOCK
        } else {
            SCAN_BLOCK
        };
        let mut walk = Walk::new(log, found.len, block);
        let mut next_offset = found.base_offset;
        let fault = loop {
            let checked = check_next(&mut walk, &segment, next_offset, trusted_below);
            let header = match checked {
                Ok(Some(header)) => header,
                Ok(None) => break None,
                Err(WalkError::Fault(fault)) => break Some(fault),
                Err(WalkError::Io(error)) => {
                    return Err(self.failed("read", found.base_offset)(error).into());
                }
            };
            segment.note(&header, self.config.index_interval_bytes);
            next_offset = header.next_offset();
            self.note_epoch(&header);
        };
        // A short segment has no index entries: then none were made again.
        let had_entries = found.offsets().entries() > 0;
        let reindexed = from_start && (had_entries || segment.has_indexed_below(trusted_below));
        if fault.is_none() {
            segment.keep_last_time(found.times());
        }
        self.trim_indexes(found, &segment)?;
        segment.flush_due_indexes(self.dir)?;
        Ok(Scanned {
            segment,
            next_offset,
            fault,
            reindexed,
        })
    }

    fn note_epoch(&mut self, header: &BatchHeader) {
        let latest = self.epochs.latest();
        if latest.is_none_or(|latest| header.partition_leader_epoch > latest) {
            self.epochs
                .assign(header.partition_leader_epoch, header.base_offset);
        }
    }

    /// The segment as its indexes describe it up to the last entry below `trusted_below` that the
    /// log confirms; empty if there is none.
    fn resume(&self, found: &FoundSegment, trusted_below: i64) -> ActiveSegment {
        let files = SegmentFiles::new(self.disk, self.dir, found.base_offset);
        let indexed = match self.rebuild_epochs {
            true => None,
            false => self.indexed_part(found, files, trusted_below),
        };
        let mut segment = match indexed {
            Some(segment) => segment,
            None => {
                let files = SegmentFiles::new(self.disk, self.dir, found.base_offset);
                ActiveSegment::empty(files, self.now_ms)
            }
        };
        if found.offset_index_len.is_some() && found.time_index_len.is_some() {
            segment.found_index_files();
        }
        segment
    }

    /// Cuts off the index entries that were not taken over.
    fn trim_indexes(&self, found: &FoundSegment, segment: &ActiveSegment) -> Result<(), OpenError> {
        let view = &segment.view;
        let trim = |len: Option<u64>, wanted: u64, file: &dyn crate::disk::DiskFile| match len {
            Some(len) if len > wanted => file.set_len(wanted),
            _ => Ok(()),
        };
        trim(
            found.offset_index_len,
            view.offsets.file_len(),
            &*view.files.offset_index,
        )
        .and_then(|()| {
            trim(
                found.time_index_len,
                view.times.file_len(),
                &*view.files.time_index,
            )
        })
        .map_err(self.failed("trim the indexes of", found.base_offset))?;
        Ok(())
    }

    fn indexed_part(
        &self,
        found: &FoundSegment,
        files: SegmentFiles,
        trusted_below: i64,
    ) -> Option<ActiveSegment> {
        if trusted_below <= found.base_offset {
            return None;
        }
        let base = found.base_offset;
        let (mut offsets, mut times) = (found.offsets(), found.times());
        let is_trusted = |entry: &OffsetEntry| entry.offset < trusted_below;
        let count = offsets.count_while(&*files.offset_index, base, is_trusted);
        offsets = IndexView::of_file(count);
        let entry = offsets.last(&*files.offset_index, base)?;
        let up_to_entry = |time: &TimeEntry| time.offset <= entry.offset;
        let count = times.count_while(&*files.time_index, base, up_to_entry);
        times = IndexView::of_file(count);
        let time = times.last(&*files.time_index, base);
        let view = SegmentView {
            files: Arc::new(files),
            size: found.len,
            offsets: offsets.clone(),
            times: times.clone(),
            max: None,
            aborted: None,
        };
        let confirmed = confirm(&view, entry, time).ok()?;
        let files = SegmentFiles::new(self.disk, self.dir, base);
        let last = (entry, time);
        confirmed.then(|| ActiveSegment::resume(files, (offsets, times), last, self.now_ms))
    }

    /// A segment that ends below the recovery point: taken as it is, unless its indexes cannot be
    /// right; then they are made again from the headers.
    fn open_closed(
        &mut self,
        found: &FoundSegment,
        end_offset: i64,
    ) -> Result<SegmentView, OpenError> {
        let view = SegmentView {
            files: Arc::new(SegmentFiles::new(self.disk, self.dir, found.base_offset)),
            size: found.len,
            offsets: found.offsets(),
            times: found.times(),
            max: None,
            aborted: self.aborted(found, end_offset)?,
        };
        if !self.rebuild_epochs && self.has_sound_indexes(found, &view, end_offset) {
            view.files.release();
            return Ok(view);
        }
        tracing::info!(dir = %self.dir.display(), segment = found.base_offset, "making the indexes again");
        let scanned = self.scan(found, found.base_offset)?;
        if let Some(fault) = &scanned.fault {
            tracing::error!(dir = %self.dir.display(), segment = found.base_offset,
                position = scanned.segment.view.size, reason = %fault,
                "a durable segment is damaged; its records from there on cannot be read");
        }
        let mut closed = self.close(scanned)?;
        closed.aborted = view.aborted;
        // Damage is for readers to meet, not for the next segments to be dropped.
        closed.size = found.len;
        Ok(closed)
    }

    fn has_sound_indexes(&self, found: &FoundSegment, view: &SegmentView, end_offset: i64) -> bool {
        let (Some(offset_len), Some(time_len)) = (found.offset_index_len, found.time_index_len)
        else {
            return false;
        };
        if offset_len != view.offsets.file_len() || time_len != view.times.file_len() {
            return false;
        }
        let files = &view.files;
        let time = view.times.last(&*files.time_index, found.base_offset);
        let unindexed_max = u64::from(self.config.index_interval_bytes) * 16;
        if view.offsets.entries() == 0 {
            return u64::from(found.len) <= unindexed_max || self.is_one_batch(view);
        }
        let Some(entry) = view.offsets.last(&*files.offset_index, found.base_offset) else {
            return false;
        };
        let Ok(Some(header)) = view
            .headers()
            .and_then(|mut walk| walk.header(entry.position))
        else {
            return false;
        };
        let unindexed =
            u64::from(found.len) - u64::from(entry.position) - header.total_size() as u64;
        let latest = time.map_or(NO_TIMESTAMP, |time| time.timestamp);
        (found.base_offset..end_offset).contains(&entry.offset)
            && header.last_offset() == entry.offset
            && unindexed <= unindexed_max
            && youngest_of(&header) <= latest
    }

    fn is_one_batch(&self, view: &SegmentView) -> bool {
        let first = view.headers().and_then(|mut walk| walk.header(0));
        matches!(first, Ok(Some(header)) if header.total_size() == view.size as usize)
    }

    fn failed(
        &self,
        operation: &'static str,
        base_offset: i64,
    ) -> impl FnOnce(std::io::Error) -> DiskError + use<> {
        DiskError::of(operation, path_of(self.dir, base_offset, LOG_SUFFIX))
    }
}

/// Whether the log has the batches that the last entries of both indexes name.
fn confirm(
    view: &SegmentView,
    entry: OffsetEntry,
    time: Option<TimeEntry>,
) -> Result<bool, WalkError> {
    let mut walk = view.headers()?;
    let Some(header) = walk.header(entry.position)? else {
        return Ok(false);
    };
    let latest = time.map_or(NO_TIMESTAMP, |time| time.timestamp);
    if header.last_offset() != entry.offset || youngest_of(&header) > latest {
        return Ok(false);
    }
    let Some(time) = time else { return Ok(true) };
    let found = view.find(&mut walk, time.offset)?;
    Ok(found.is_some_and(|(_, header)| {
        header.last_offset() == time.offset && youngest_of(&header) == time.timestamp
    }))
}

/// The batch at the segment's end as scanned so far, verified if it is not below `trusted_below`.
fn check_next(
    walk: &mut Walk,
    segment: &ActiveSegment,
    expected: i64,
    trusted_below: i64,
) -> Result<Option<BatchHeader>, WalkError> {
    let position = segment.view.size;
    let Some(header) = walk.header(position)? else {
        return Ok(None);
    };
    if header.base_offset < expected || segment.is_out_of_range(header.last_offset()) {
        return Err(WalkError::Fault(offsets_fault(&header, expected)));
    }
    if header.next_offset() > trusted_below {
        return walk.checked(position);
    }
    Ok(Some(header))
}
