//! Making a log shorter: retention and DeleteRecords at its start, truncation at its end.
//!
//! Invariant: readers are sent elsewhere before files go. Segments disappear one by one, from the
//! outside in, each for good before the next, so that no crash leaves a gap; the first one goes
//! only once the name of its successor is durable, so that no crash leaves a log without offsets.
//! Hallway: step 8 for retention, step 9 for truncation.
use std::sync::Arc;

use crate::active::ActiveSegment;
use crate::error::{ChangeError, DiskError, OpenError, ReadError};
use crate::log::Log;
use crate::open::{Recovery, remove_segment};
use crate::reader::read_error;
use crate::recovery::{FoundSegment, Recoverer};
use crate::segment::{LOG_SUFFIX, SegmentFiles, SegmentView, path_of};
use crate::txn_index::TxnIndex;
use crate::view::View;

/// What a change at the log's start removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Deleted {
    /// Segments.
    pub segments: usize,
    /// Bytes of their `.log` files.
    pub bytes: u64,
}

impl Log {
    /// Deletes the oldest segments that `retention.ms` or `retention.bytes` give up and that end at
    /// or below the high watermark, and those that lie below the log start. The active segment goes
    /// too, by time, if its youngest record is too old: a new one is begun.
    pub fn enforce_retention(
        &mut self,
        now_ms: i64,
        high_watermark: i64,
    ) -> Result<Deleted, ChangeError> {
        self.check_writable()?;
        if self.is_swapping() {
            // They go the next time.
            return Ok(Deleted::default());
        }
        let by_start = self.count_below_log_start();
        let by_size = self.count_above_retention_bytes();
        let by_time = self.count_older_than_retention(now_ms)?;
        let mut count = by_start.max(by_size).max(by_time);
        while count > 0 && self.end_of(count - 1) > high_watermark {
            count -= 1;
        }
        if count > self.closed.len() {
            self.roll(now_ms)?;
        }
        self.delete_first(count)
    }

    /// Moves the log start up to `offset`, which the log must have, and deletes the segments that
    /// lie below it: DeleteRecords. The move survives a crash once the caller has written it to
    /// `log-start-offset-checkpoint`.
    pub fn delete_before(&mut self, offset: i64) -> Result<Deleted, ChangeError> {
        self.check_writable()?;
        if offset > self.log_end_offset {
            return Err(ChangeError::Read(ReadError::OffsetOutOfRange {
                offset,
                log_start_offset: self.log_start_offset,
                log_end_offset: self.log_end_offset,
            }));
        }
        self.move_log_start(offset)?;
        if self.is_swapping() {
            // Retention removes the segments.
            return Ok(Deleted::default());
        }
        let count = self.count_below_log_start();
        self.delete_first(count)
    }

    /// Removes every record at or after `offset`, with the whole batch it is in, and returns the new
    /// log end offset. The caller then writes the lowered recovery point to its checkpoint before
    /// anything is appended. An error here leaves the log poisoned.
    pub fn truncate_to(&mut self, offset: i64, now_ms: i64) -> Result<i64, ChangeError> {
        self.check_writable()?;
        if offset >= self.log_end_offset {
            return Ok(self.log_end_offset);
        }
        self.check_no_swap()?;
        let first = self
            .closed
            .first()
            .map_or(self.active.base_offset(), |s| s.base_offset());
        if offset < first {
            self.restart_at(offset, now_ms)?;
            return Ok(offset);
        }
        let kept = self
            .closed
            .partition_point(|segment| segment.base_offset() <= offset);
        let target = if self.active.base_offset() <= offset {
            self.active.view.clone()
        } else {
            let at = kept.saturating_sub(1);
            let segment = self
                .closed
                .get(at)
                .expect("the first segment begins before the offset");
            SegmentView::clone(segment)
        };
        let (position, end) = self.cut_at(&target, offset)?;
        let mut result = self.cut(&target, position, end, now_ms);
        if end == self.log_start_offset {
            // The batch that went may have held the log start. After a crash the offsets missing
            // below it would look like lost batches, so nothing that was deleted stays.
            result = result.and_then(|()| self.replace_all(end, now_ms));
        }
        if result.is_err() {
            self.shared.poison();
        }
        result.map(|()| self.log_end_offset)
    }

    /// Removes everything and begins again, empty, at `offset`: for a follower whose leader's log
    /// starts beyond its own end. An error here leaves the log poisoned.
    pub fn restart_at(&mut self, offset: i64, now_ms: i64) -> Result<(), ChangeError> {
        self.check_writable()?;
        self.check_no_swap()?;
        let result = self.replace_all(offset, now_ms);
        if result.is_err() {
            self.shared.poison();
        }
        result
    }

    fn check_no_swap(&self) -> Result<(), ChangeError> {
        if self.is_swapping() {
            let dir = self.shared.dir.to_path_buf();
            return Err(ChangeError::Swapping { dir });
        }
        Ok(())
    }

    fn replace_all(&mut self, offset: i64, now_ms: i64) -> Result<(), ChangeError> {
        let (disk, dir) = (Arc::clone(&self.shared.disk), Arc::clone(&self.shared.dir));
        let empty = ActiveSegment::empty(SegmentFiles::new(&*disk, &dir, offset), now_ms);
        self.log_start_offset = offset;
        self.show(Arc::from([]), empty.view, offset);
        let old = self.closed.iter().map(|segment| segment.base_offset());
        let old: Vec<i64> = old.chain([self.active.base_offset()]).collect();
        let (older, newer) = old.split_at(old.partition_point(|base| *base < offset));
        // Some segment that knows the offset is there at any time, or a crash would begin at 0.
        let (new, newer) = match newer.split_first() {
            Some((same, newer)) if *same == offset => (None, newer),
            _ => (Some(self.create_durably(offset, now_ms)?), newer),
        };
        for base_offset in newer.iter().rev() {
            remove_segment(&*disk, &dir, *base_offset)?;
        }
        self.active = match new {
            Some(new) => new,
            None => self.create_durably(offset, now_ms)?,
        };
        for base_offset in older {
            remove_segment(&*disk, &dir, *base_offset)?;
        }
        self.closed = Arc::from([]);
        self.log_end_offset = offset;
        self.epochs.truncate_end(offset);
        self.epochs.truncate_start(offset);
        self.epochs.write(&*disk)?;
        self.durable.truncate(offset);
        self.remove_snapshots_above(offset)?;
        self.publish();
        Ok(())
    }

    /// A new, empty segment that a crash cannot take away, in place of one of the same name.
    fn create_durably(&self, offset: i64, now_ms: i64) -> Result<ActiveSegment, DiskError> {
        let (disk, dir) = (&*self.shared.disk, &*self.shared.dir);
        let segment = ActiveSegment::create(disk, dir, offset, now_ms)?;
        let synced = segment.view.files.log.sync_data();
        synced
            .and_then(|()| disk.sync_dir(dir))
            .map_err(DiskError::of("sync", path_of(dir, offset, LOG_SUFFIX)))?;
        Ok(segment)
    }

    /// Where the file has to be cut, and the offset at which the log then ends.
    fn cut_at(&self, segment: &SegmentView, offset: i64) -> Result<(u32, i64), ChangeError> {
        let found = segment
            .headers()
            .and_then(|mut walk| segment.find(&mut walk, offset));
        let found =
            found.map_err(|error| read_error(&self.shared, segment.base_offset(), error))?;
        Ok(match found {
            // An offset that was deleted at the log's start is never given again.
            Some((position, header)) => {
                let end = header.base_offset.max(self.log_start_offset);
                (position, end.min(offset))
            }
            None => (segment.size, offset),
        })
    }

    fn cut(
        &mut self,
        target: &SegmentView,
        position: u32,
        end: i64,
        now_ms: i64,
    ) -> Result<(), ChangeError> {
        let (disk, dir) = (Arc::clone(&self.shared.disk), Arc::clone(&self.shared.dir));
        let base_offset = target.base_offset();
        let before = self
            .closed
            .iter()
            .filter(|segment| segment.base_offset() < base_offset);
        self.show(before.cloned().collect(), cut_view(target, position), end);
        let later = self.closed.iter().map(|segment| segment.base_offset());
        let later = later.chain([self.active.base_offset()]);
        let later: Vec<i64> = later.filter(|base| *base > base_offset).collect();
        for later in later.into_iter().rev() {
            remove_segment(&*disk, &dir, later)?;
        }
        let log = &target.files.log;
        log.set_len(u64::from(position))
            .and_then(|()| log.sync_data())
            .map_err(DiskError::of(
                "truncate",
                path_of(&dir, base_offset, LOG_SUFFIX),
            ))?;
        self.active = self.reopen(target, position, now_ms)?;
        let kept = self
            .closed
            .iter()
            .filter(|segment| segment.base_offset() < base_offset);
        self.closed = kept.cloned().collect();
        self.log_end_offset = end;
        self.log_start_offset = self.log_start_offset.min(end);
        self.epochs.truncate_end(end);
        self.epochs.write(&*disk)?;
        self.durable.truncate(end);
        self.remove_snapshots_above(end)?;
        self.publish();
        Ok(())
    }

    /// Sends readers to the log as it will be, before its files are.
    fn show(&self, closed: Arc<[Arc<SegmentView>]>, active: SegmentView, log_end_offset: i64) {
        self.shared.view.store(Arc::new(View {
            closed,
            active,
            log_start_offset: self.log_start_offset.min(log_end_offset),
            log_end_offset,
            epochs: self.epochs.entries(),
        }));
    }

    /// The segment, cut to `size`, as the one that is written.
    fn reopen(
        &mut self,
        target: &SegmentView,
        size: u32,
        now_ms: i64,
    ) -> Result<ActiveSegment, ChangeError> {
        let (disk, dir) = (Arc::clone(&self.shared.disk), Arc::clone(&self.shared.dir));
        let found = FoundSegment {
            base_offset: target.base_offset(),
            len: size,
            offset_index_len: Some(target.offsets.file_len()).filter(|len| *len > 0),
            time_index_len: Some(target.times.file_len()).filter(|len| *len > 0),
            txn_index_len: target.aborted.as_ref().map(|index| index.file_len()),
        };
        let clean = Recovery {
            clean: true,
            ..Recovery::default()
        };
        let mut recoverer = Recoverer {
            disk: &*disk,
            dir: &dir,
            config: &self.config,
            recovery: clean,
            now_ms,
            epochs: self.epochs.clone(),
            rebuild_epochs: false,
            aborted_known_below: i64::MAX,
        };
        let recovered = recoverer.recover(&[found]).map_err(|error| match error {
            OpenError::Disk(error) => error,
            too_large @ OpenError::SegmentTooLarge { .. } => {
                DiskError::of("reopen", &*dir)(std::io::Error::other(too_large))
            }
        })?;
        // Of an index that is damaged or was not written the owner notes the entries again.
        let is_unwritten = |index: &Arc<TxnIndex>| !index.is_written();
        let known_below = match target.aborted.as_ref().is_some_and(is_unwritten) {
            true => target.base_offset(),
            false => recoverer.aborted_known_below,
        };
        self.aborted_known_below = self.aborted_known_below.min(known_below);
        let recovered = recovered.expect("one segment was given");
        Ok(recovered.active)
    }

    fn delete_first(&mut self, count: usize) -> Result<Deleted, ChangeError> {
        if count == 0 {
            return Ok(Deleted::default());
        }
        // The name of the segment that will be first may not be durable yet: if a crash took it
        // with the removed ones, the log would begin again at 0.
        self.sync_names()?;
        let deleted: Vec<Arc<SegmentView>> = self.closed.iter().take(count).cloned().collect();
        self.closed = self.closed.iter().skip(count).cloned().collect();
        let first = self
            .closed
            .first()
            .map_or(self.active.base_offset(), |s| s.base_offset());
        self.move_log_start(first)?;
        for segment in &deleted {
            remove_segment(&*self.shared.disk, &self.shared.dir, segment.base_offset())?;
        }
        self.remove_snapshots(|offset| offset < first)?;
        Ok(Deleted {
            segments: deleted.len(),
            bytes: deleted.iter().map(|segment| u64::from(segment.size)).sum(),
        })
    }

    fn move_log_start(&mut self, offset: i64) -> Result<(), ChangeError> {
        self.log_start_offset = self.log_start_offset.max(offset);
        self.epochs.truncate_start(self.log_start_offset);
        self.publish();
        Ok(self.epochs.write(&*self.shared.disk)?)
    }

    /// Where the segment with that number ends; the active one has the last number.
    fn end_of(&self, at: usize) -> i64 {
        let next = self.closed.get(at + 1).map(|next| next.base_offset());
        match next {
            Some(end_offset) => end_offset,
            None if at < self.closed.len() => self.active.base_offset(),
            None => self.log_end_offset,
        }
    }

    fn count_below_log_start(&self) -> usize {
        (0..self.closed.len())
            .take_while(|at| self.end_of(*at) <= self.log_start_offset)
            .count()
    }

    fn count_above_retention_bytes(&self) -> usize {
        let Ok(limit) = u64::try_from(self.config.retention_bytes) else {
            return 0;
        };
        let sizes = || self.closed.iter().map(|segment| u64::from(segment.size));
        let total: u64 = sizes().sum::<u64>() + u64::from(self.active.view.size);
        let mut excess = total.saturating_sub(limit);
        sizes()
            .chain([u64::from(self.active.view.size)])
            .take_while(|size| {
                let fits = *size > 0 && *size <= excess;
                excess -= if fits { *size } else { 0 };
                fits
            })
            .count()
    }

    fn count_older_than_retention(&self, now_ms: i64) -> Result<usize, ChangeError> {
        if self.config.retention_ms < 0 {
            return Ok(0);
        }
        let views = self.closed.iter().map(|segment| &**segment);
        let mut count = 0;
        for segment in views.chain([&self.active.view]) {
            let is_empty_active = segment.size == 0 && count == self.closed.len();
            if is_empty_active || now_ms - self.youngest_ms(segment)? <= self.config.retention_ms {
                break;
            }
            count += 1;
        }
        Ok(count)
    }

    /// Largest timestamp of a segment; where records have none, when its file was last written.
    fn youngest_ms(&self, segment: &SegmentView) -> Result<i64, ChangeError> {
        let base_offset = segment.base_offset();
        let max = segment.max_timestamp();
        let max = max.map_err(|error| read_error(&self.shared, base_offset, error))?;
        if let Some(max) = max.filter(|max| max.timestamp >= 0) {
            return Ok(max.timestamp);
        }
        let path = path_of(&self.shared.dir, base_offset, LOG_SUFFIX);
        let modified = self.shared.disk.modified_ms(&path);
        Ok(modified.map_err(DiskError::of("look at", path))?)
    }
}

/// The first `size` bytes of a segment. Index entries beyond them are not confirmed by the log.
fn cut_view(segment: &SegmentView, size: u32) -> SegmentView {
    SegmentView {
        size,
        max: None,
        ..segment.clone()
    }
}
