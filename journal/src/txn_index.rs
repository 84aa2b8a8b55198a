//! `.txnindex`: the aborted transactions whose markers lie in a segment.
//!
//! Invariant: entries are in the order of their markers, each is written when its marker has been;
//! what lies past the recovery point is dropped at opening and noted again by whoever knows what
//! transactions are. The file comes with its first entry, so most segments have none.
//! Hallway: beside step 8; readers of committed records ask it in step 10.
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{self, Durability};
use crate::disk::{Disk, DiskFile};
use crate::error::{DiskError, ReadError};
use crate::index::{Entry, IndexView};
use crate::log::Log;
use crate::reader::{LogReader, read_error};
use crate::recovery::{FoundSegment, Recoverer};
use crate::segment::{SegmentView, TXN_INDEX_SUFFIX, path_of};
use crate::walk::WalkError;

/// The only version of an entry.
const VERSION: i16 = 0;

/// One aborted transaction of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// The producer.
    pub producer_id: i64,
    /// Offset of the transaction's first record.
    pub first_offset: i64,
    /// Offset of the marker that aborted it.
    pub last_offset: i64,
    /// Below this offset no transaction was open once the marker was there.
    pub last_stable_offset: i64,
}

impl Entry for AbortedTxn {
    const SIZE: usize = 34;

    fn encode(self, _base_offset: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_be_bytes());
        for field in [
            self.producer_id,
            self.first_offset,
            self.last_offset,
            self.last_stable_offset,
        ] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    fn decode(mut bytes: &[u8], _base_offset: i64) -> Option<Self> {
        let (version, rest) = bytes.split_first_chunk()?;
        bytes = rest;
        let mut field = || {
            let (head, rest) = bytes.split_first_chunk()?;
            bytes = rest;
            Some(i64::from_be_bytes(*head))
        };
        let entry = AbortedTxn {
            producer_id: field()?,
            first_offset: field()?,
            last_offset: field()?,
            last_stable_offset: field()?,
        };
        (i16::from_be_bytes(*version) == VERSION).then_some(entry)
    }
}

/// The index of one segment at one moment.
#[derive(Debug, Clone)]
pub(crate) struct TxnIndex {
    file: Arc<dyn DiskFile>,
    entries: IndexView<AbortedTxn>,
    /// Marker of the last entry; -1 without entries.
    last_offset: i64,
    /// The file was found damaged: all entries wait in memory until they replace it as a whole.
    is_rebuilt: bool,
}

/// Where a segment's index ends: entries of markers at or after either are not taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Base offset of the segment.
    pub(crate) base_offset: i64,
    /// Where the segment ends, or where trust ends.
    pub(crate) below: i64,
}

impl TxnIndex {
    fn new(disk: &dyn Disk, dir: &Path, base_offset: i64) -> TxnIndex {
        TxnIndex {
            file: disk.file(&path_of(dir, base_offset, TXN_INDEX_SUFFIX)),
            entries: IndexView::empty(),
            last_offset: -1,
            is_rebuilt: false,
        }
    }

    /// An index whose file has been written, under its final name, with exactly these entries.
    pub(crate) fn of_file(
        disk: &dyn Disk,
        dir: &Path,
        base_offset: i64,
        entries: &[AbortedTxn],
    ) -> Option<Arc<TxnIndex>> {
        let last = entries.last()?;
        let mut index = TxnIndex::new(disk, dir, base_offset);
        index.entries = IndexView::of_file(u32::try_from(entries.len()).ok()?);
        index.last_offset = last.last_offset;
        Some(Arc::new(index))
    }

    /// The index in a file of `len` bytes. What is at or after `bounds.below` is cut off, for good.
    /// Of a damaged file nothing is taken; it stays until it is replaced.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        len: u64,
        bounds: Bounds,
    ) -> Result<Option<TxnIndex>, DiskError> {
        let path = path_of(dir, bounds.base_offset, TXN_INDEX_SUFFIX);
        let mut index = TxnIndex::new(disk, dir, bounds.base_offset);
        let size = AbortedTxn::SIZE as u64;
        let count = if bounds.below <= bounds.base_offset {
            Some(0)
        } else {
            let whole = u32::try_from(len / size)
                .ok()
                .filter(|_| len.is_multiple_of(size));
            whole.and_then(|entries| index.take_sound(entries, bounds))
        };
        let Some(count) = count else {
            tracing::warn!(path = %path.display(), "the transaction index is damaged; it is made again");
            index.is_rebuilt = true;
            index.entries = IndexView::empty();
            index.last_offset = -1;
            return Ok(Some(index));
        };
        let wanted = u64::from(count) * size;
        if len > wanted {
            index
                .file
                .set_len(wanted)
                .and_then(|()| index.file.sync_data())
                .map_err(DiskError::of("trim", path))?;
        }
        index.file.release();
        index.entries = IndexView::of_file(count);
        Ok((count > 0).then_some(index))
    }

    /// How many of the file's entries lie below the bound; none if any cannot be right.
    fn take_sound(&mut self, entries: u32, bounds: Bounds) -> Option<u32> {
        let mut count = 0;
        let mut sound = true;
        let all = IndexView::of_file(entries);
        all.visit_from(0, &*self.file, bounds.base_offset, |entry: AbortedTxn| {
            sound &= entry.last_offset > self.last_offset.max(bounds.base_offset - 1)
                && entry.first_offset >= 0
                && entry.first_offset < entry.last_offset
                && entry.last_stable_offset <= entry.last_offset + 1;
            let is_taken = sound && entry.last_offset < bounds.below;
            if is_taken {
                self.last_offset = entry.last_offset;
                count += 1;
            }
            is_taken
        })?;
        sound.then_some(count)
    }

    /// Whether the file waits to be replaced.
    pub(crate) fn is_rebuilt(&self) -> bool {
        self.is_rebuilt
    }

    /// Whether the file has all entries.
    pub(crate) fn is_written(&self) -> bool {
        self.entries.is_flushed()
    }

    /// Whether there is a file to sync.
    pub(crate) fn has_file(&self) -> bool {
        self.entries.file_len() > 0
    }

    /// Bytes of the file that belong to the index.
    pub(crate) fn file_len(&self) -> u64 {
        self.entries.file_len()
    }

    pub(crate) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Adds those entries that `fetch_offset` to `upper_bound` overlaps. True if no later segment
    /// can have more.
    fn collect(
        &self,
        base_offset: i64,
        range: (i64, i64),
        found: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        let (fetch_offset, upper_bound) = range;
        let ends_before = |entry: &AbortedTxn| entry.last_offset < fetch_offset;
        let first = self
            .entries
            .count_while(&*self.file, base_offset, ends_before);
        let mut complete = false;
        let read = self
            .entries
            .visit_from(first, &*self.file, base_offset, |entry| {
                if entry.last_offset >= fetch_offset && entry.first_offset < upper_bound {
                    found.push(entry);
                }
                complete = entry.last_stable_offset >= upper_bound;
                !complete
            });
        read.ok_or_else(|| io::Error::other("the transaction index cannot be read"))?;
        Ok(complete)
    }

    /// Writes the entries that wait.
    pub(crate) fn flush(
        index: &mut Option<Arc<TxnIndex>>,
        base_offset: i64,
        dir: &Path,
    ) -> Result<(), DiskError> {
        let Some(shared) = index
            .as_mut()
            .filter(|i| !i.is_rebuilt && !i.entries.is_flushed())
        else {
            return Ok(());
        };
        let flushing = Arc::make_mut(shared);
        flushing
            .entries
            .flush(&*flushing.file, base_offset)
            .map_err(DiskError::of(
                "write",
                path_of(dir, base_offset, TXN_INDEX_SUFFIX),
            ))
    }

    /// Replaces a damaged file by what was noted since, for good.
    fn replace(&mut self, disk: &dyn Disk, dir: &Path, base_offset: i64) -> Result<(), DiskError> {
        let mut bytes = Vec::new();
        let waiting = self
            .entries
            .visit_from(0, &*self.file, base_offset, |entry| {
                entry.encode(base_offset, &mut bytes);
                true
            });
        debug_assert!(waiting.is_some(), "nothing of them is in the file");
        let path = path_of(dir, base_offset, TXN_INDEX_SUFFIX);
        checkpoint::replace(disk, &path, &bytes, Durability::Synced)?;
        self.file.release();
        self.entries = IndexView::of_file(self.entries.entries());
        self.is_rebuilt = false;
        Ok(())
    }
}

impl Recoverer<'_> {
    /// The segment's transaction index as far as its markers lie below `below`.
    pub(crate) fn aborted(
        &mut self,
        found: &FoundSegment,
        below: i64,
    ) -> Result<Option<Arc<TxnIndex>>, DiskError> {
        let Some(len) = found.txn_index_len.filter(|len| *len > 0) else {
            return Ok(None);
        };
        let bounds = Bounds {
            base_offset: found.base_offset,
            below,
        };
        let index = TxnIndex::open(self.disk, self.dir, len, bounds)?;
        if index.as_ref().is_some_and(TxnIndex::is_rebuilt) {
            self.aborted_known_below = self.aborted_known_below.min(found.base_offset);
        }
        Ok(index.map(Arc::new))
    }
}

impl SegmentView {
    /// The segment with one more aborted transaction; none if its index has that already.
    fn with_aborted(&self, txn: AbortedTxn, disk: &dyn Disk, dir: &Path) -> Option<SegmentView> {
        let known = self.aborted.as_ref().map_or(-1, |index| index.last_offset);
        if txn.last_offset <= known {
            return None;
        }
        let mut index = match &self.aborted {
            Some(index) => TxnIndex::clone(index),
            None => TxnIndex::new(disk, dir, self.base_offset()),
        };
        index.entries.push(txn);
        index.last_offset = txn.last_offset;
        let mut view = self.clone();
        view.aborted = Some(Arc::new(index));
        Some(view)
    }
}

impl Log {
    /// Notes that a transaction was aborted by the marker at its last offset, which is in the log.
    /// Does nothing if that is known. Readers are to be told only afterwards that the marker's
    /// offset is stable.
    ///
    /// An entry that cannot be written now is written later, or made again at the next opening; the
    /// error concerns only a segment that is not written any more.
    pub fn note_aborted(&mut self, txn: AbortedTxn) -> Result<(), DiskError> {
        let (disk, dir) = (Arc::clone(&self.shared.disk), Arc::clone(&self.shared.dir));
        if txn.last_offset >= self.active.base_offset() {
            let Some(view) = self.active.view.with_aborted(txn, &*disk, &dir) else {
                return Ok(());
            };
            let is_first = self.active.view.aborted.is_none();
            self.active.view = view;
            let base_offset = self.active.base_offset();
            if let Err(error) = TxnIndex::flush(&mut self.active.view.aborted, base_offset, &dir) {
                tracing::warn!(%error, source = %error.source,
                    "cannot write the transaction index; it will be tried again");
            }
            if is_first {
                self.durable.note_dir_change();
            }
            self.publish();
            return Ok(());
        }
        let at = self
            .closed
            .partition_point(|segment| segment.base_offset() <= txn.last_offset);
        let holder = at.checked_sub(1).and_then(|at| self.closed.get(at));
        let Some(holder) = holder else { return Ok(()) };
        let base_offset = holder.base_offset();
        let Some(mut view) = holder.with_aborted(txn, &*disk, &dir) else {
            return Ok(());
        };
        TxnIndex::flush(&mut view.aborted, base_offset, &dir)?;
        self.replace_closed(view);
        self.durable.note_dir_change();
        self.publish();
        Ok(())
    }

    /// Transactions aborted by markers below this offset are all known. After opening the log, what
    /// was aborted later has to be noted again, in order, and then [`Log::finish_aborted`] called.
    #[must_use]
    pub fn aborted_known_below(&self) -> i64 {
        self.aborted_known_below
    }

    /// Says that every aborted transaction has been noted: damaged indexes are replaced.
    pub fn finish_aborted(&mut self) -> Result<(), DiskError> {
        let (disk, dir) = (Arc::clone(&self.shared.disk), Arc::clone(&self.shared.dir));
        let is_rebuilt = |view: &SegmentView| view.aborted.as_ref().is_some_and(|i| i.is_rebuilt());
        let closed = self.closed.iter().filter(|view| is_rebuilt(view)).cloned();
        let rebuilt: Vec<Arc<SegmentView>> = closed.collect();
        self.aborted_known_below = i64::MAX;
        if rebuilt.is_empty() && !is_rebuilt(&self.active.view) {
            return Ok(());
        }
        for segment in rebuilt {
            let mut view = SegmentView::clone(&segment);
            replace_index(&mut view, &*disk, &dir)?;
            self.replace_closed(view);
        }
        if is_rebuilt(&self.active.view) {
            replace_index(&mut self.active.view, &*disk, &dir)?;
        }
        self.publish();
        Ok(())
    }

    fn replace_closed(&mut self, view: SegmentView) {
        let base_offset = view.base_offset();
        let view = Arc::new(view);
        let replaced = self.closed.iter().map(|segment| {
            let is_it = segment.base_offset() == base_offset;
            Arc::clone(if is_it { &view } else { segment })
        });
        self.closed = replaced.collect();
    }
}

fn replace_index(view: &mut SegmentView, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let base_offset = view.base_offset();
    match view.aborted.as_mut() {
        Some(index) => Arc::make_mut(index).replace(disk, dir, base_offset),
        None => Ok(()),
    }
}

impl LogReader {
    /// The aborted transactions that have records between `fetch_offset` and `upper_bound`
    /// (exclusive), in the order of their markers; Kafka's `collectAbortedTransactions`, which may
    /// name some more.
    pub fn aborted_transactions(
        &self,
        fetch_offset: i64,
        upper_bound: i64,
    ) -> Result<Vec<AbortedTxn>, ReadError> {
        self.on_a_view(|view| {
            let mut found = Vec::new();
            for (segment, _) in view.segments_from(fetch_offset) {
                let Some(index) = &segment.aborted else {
                    continue;
                };
                let range = (fetch_offset, upper_bound);
                let complete = index.collect(segment.base_offset(), range, &mut found);
                let complete = complete.map_err(|error| {
                    read_error(self.shared(), segment.base_offset(), WalkError::Io(error))
                })?;
                if complete {
                    break;
                }
            }
            Ok(found)
        })
    }
}
