//! Reading a log by offset.
//!
//! Invariant: readers never wait for the writer: they work from the last published view and notice
//! afterwards if a truncation or deletion pulled the files away beneath it.
//! Hallway: the journal's part of step 10.
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::batch::{BatchHeader, split_batches, verify_crc};

use crate::disk::FileHandle;
use crate::epoch;
use crate::error::{DiskError, ReadError};
use crate::segment::{LOG_SUFFIX, SegmentView, Wanted, path_of};
use crate::view::{Shared, View};
use crate::walk::{WalkError, offsets_fault};

/// How often a read starts again because the log was shortened beneath it.
const ATTEMPTS: usize = 3;
/// Bytes that [`Batches`] reads at once.
const BATCHES_READ_BYTES: usize = 1 << 20;

/// A cheap handle for reading a log, from any thread and while it is written.
#[derive(Debug, Clone)]
pub struct LogReader {
    shared: Arc<Shared>,
}

/// Whole batches of one segment file: a range of a file, which whoever sends it reads, or bytes.
#[derive(Debug, Clone)]
pub struct FetchSlice {
    file: Option<FileHandle>,
    position: u64,
    len: usize,
    first_offset: i64,
    next_offset: i64,
}

impl FetchSlice {
    /// No batch; reading goes on at `offset`.
    #[must_use]
    pub fn empty(offset: i64) -> FetchSlice {
        FetchSlice {
            file: None,
            position: 0,
            len: 0,
            first_offset: offset,
            next_offset: offset,
        }
    }

    /// The open segment file; none for an empty slice. It stays readable when the segment is deleted.
    #[must_use]
    pub fn file(&self) -> Option<&FileHandle> {
        self.file.as_ref()
    }

    /// Where the first batch begins in the file.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of all batches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An offset of the first batch: its base offset, or the offset that was asked for if the batch
    /// was found without being looked at.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// The offset with which reading goes on.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Reads the batches, with one `pread`, verbatim. Checksums are not checked: the consumer does.
    pub fn bytes(&self) -> io::Result<Bytes> {
        let Some(file) = &self.file else {
            return Ok(Bytes::new());
        };
        let mut bytes = Vec::with_capacity(self.len);
        if file.read_into(&mut bytes, self.position, self.len)? < self.len {
            // The log was truncated after the slice was made.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Bytes::from(bytes))
    }
}

impl LogReader {
    pub(crate) fn new(shared: Arc<Shared>) -> LogReader {
        LogReader { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The log as it is now.
    pub(crate) fn view(&self) -> Arc<View> {
        self.shared.view.load_full()
    }

    /// First offset that can be read.
    #[must_use]
    pub fn log_start_offset(&self) -> i64 {
        self.shared.view.load().log_start_offset
    }

    /// Offset that the next record will get.
    #[must_use]
    pub fn log_end_offset(&self) -> i64 {
        self.shared.view.load().log_end_offset
    }

    /// Bytes of all segments.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let view = self.shared.view.load();
        view.segments()
            .map(|(segment, _)| u64::from(segment.size))
            .sum()
    }

    /// Number of segments, the active one included.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        self.shared.view.load().closed.len() + 1
    }

    /// The newest leader epoch of the log and where it starts; none before the first.
    #[must_use]
    pub fn latest_epoch(&self) -> Option<(i32, i64)> {
        let view = self.shared.view.load();
        view.epochs
            .last()
            .map(|entry| (entry.epoch, entry.start_offset))
    }

    /// The largest epoch of at most `epoch` and the offset at which it ends: Kafka's
    /// OffsetForLeaderEpoch. None if the log does not know.
    #[must_use]
    pub fn epoch_end_offset(&self, epoch: i32) -> Option<(i32, i64)> {
        let view = self.shared.view.load();
        epoch::end_offset(&view.epochs, epoch, view.log_end_offset)
    }

    /// The leader epoch under which the record at `offset` was or will be written; none if the log
    /// does not know.
    #[must_use]
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let view = self.shared.view.load();
        let known = view.epochs.iter().rev();
        let mut covering = known.filter(|entry| entry.start_offset <= offset);
        covering.next().map(|entry| entry.epoch)
    }

    /// Whole batches from the one that holds `offset` on, up to `max_bytes` and at most to the end
    /// of its segment; with `min_one` the first batch even if it is larger. At the log's end: empty.
    pub fn read(
        &self,
        offset: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<FetchSlice, ReadError> {
        self.read_below(offset, i64::MAX, max_bytes, min_one)
    }

    /// As [`LogReader::read`], without any record at or after the offset `below`: the high watermark
    /// or the last stable offset.
    pub fn read_below(
        &self,
        offset: i64,
        below: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<FetchSlice, ReadError> {
        self.find(&Wanted {
            offset,
            below,
            max_bytes,
            min_one,
            memory_only: false,
        })
    }

    /// As [`LogReader::read_below`], but never waits for a disk: none if it would have to.
    pub fn read_below_in_memory(
        &self,
        offset: i64,
        below: i64,
        max_bytes: usize,
        min_one: bool,
    ) -> Result<Option<FetchSlice>, ReadError> {
        let found = self.find(&Wanted {
            offset,
            below,
            max_bytes,
            min_one,
            memory_only: true,
        });
        match found {
            Err(ReadError::Disk(error)) if error.source.kind() == io::ErrorKind::WouldBlock => {
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    fn find(&self, wanted: &Wanted) -> Result<FetchSlice, ReadError> {
        self.on_a_view(|view| {
            self.check_range(view, wanted.offset)?;
            self.slice(view, wanted)
        })
    }

    /// Whole batches from `offset` on to the log's end as it is when each is read; checksums are
    /// checked. It ends after its first error.
    #[must_use]
    pub fn batches(&self, offset: i64) -> Batches {
        Batches {
            reader: self.clone(),
            next_offset: offset,
            read: None,
            failed: false,
        }
    }

    /// Closes the segment files; whoever needs one opens it again.
    pub fn release_files(&self) {
        let view = self.shared.view.load();
        view.segments()
            .for_each(|(segment, _)| segment.files.release());
    }

    fn check_range(&self, view: &View, offset: i64) -> Result<(), ReadError> {
        if (view.log_start_offset..=view.log_end_offset).contains(&offset) {
            return Ok(());
        }
        Err(ReadError::OffsetOutOfRange {
            offset,
            log_start_offset: view.log_start_offset,
            log_end_offset: view.log_end_offset,
        })
    }

    fn slice(&self, view: &View, wanted: &Wanted) -> Result<FetchSlice, ReadError> {
        if wanted.offset >= view.log_end_offset.min(wanted.below) {
            return Ok(FetchSlice::empty(wanted.offset));
        }
        for (segment, end_offset) in view.segments_from(wanted.offset) {
            let found = segment.extent(wanted, end_offset);
            let found = found.map_err(|error| self.read_error(segment, error))?;
            if let Some(extent) = found {
                if extent.len == 0 {
                    break;
                }
                let file = segment.files.log.open();
                let file = file.map_err(|error| self.read_error(segment, error.into()))?;
                return Ok(FetchSlice {
                    file: Some(file),
                    position: u64::from(extent.position),
                    len: extent.len as usize,
                    first_offset: extent.first_offset,
                    next_offset: extent.next_offset,
                });
            }
        }
        Ok(FetchSlice::empty(wanted.offset))
    }

    /// Does `work` on the current view, and again on the new one if it fails and the log changed.
    pub(crate) fn on_a_view<T>(
        &self,
        work: impl Fn(&View) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let mut view = self.shared.view.load_full();
        for _ in 1..ATTEMPTS {
            let result = work(&view);
            let newer = self.shared.view.load_full();
            let damaged = matches!(result, Err(ReadError::Disk(_) | ReadError::Corrupt { .. }));
            if !damaged || Arc::ptr_eq(&view, &newer) {
                return result;
            }
            view = newer;
        }
        work(&view)
    }

    pub(crate) fn read_error(&self, segment: &SegmentView, error: WalkError) -> ReadError {
        read_error(&self.shared, segment.base_offset(), error)
    }
}

pub(crate) fn read_error(shared: &Shared, base_offset: i64, error: WalkError) -> ReadError {
    match error {
        WalkError::Io(source) => {
            let path = path_of(&shared.dir, base_offset, LOG_SUFFIX);
            ReadError::Disk(DiskError::of("read", path)(source))
        }
        WalkError::Fault(source) => ReadError::Corrupt {
            dir: shared.dir.to_path_buf(),
            base_offset,
            source,
        },
    }
}

/// Batches one after the other; see [`LogReader::batches`].
#[derive(Debug)]
pub struct Batches {
    reader: LogReader,
    next_offset: i64,
    read: Option<logway_protocol::batch::Batches>,
    failed: bool,
}

impl Batches {
    fn advance(&mut self) -> Result<Option<(BatchHeader, Bytes)>, ReadError> {
        loop {
            if let Some(read) = &mut self.read {
                match read.next() {
                    Some(Ok((header, bytes))) => {
                        // A damaged log must not be read in circles.
                        if header.next_offset() <= self.next_offset {
                            let fault = offsets_fault(&header, self.next_offset);
                            return Err(self.damage(fault));
                        }
                        self.next_offset = header.next_offset();
                        verify_crc(&bytes).map_err(|error| self.damage(error.into()))?;
                        return Ok(Some((header, bytes)));
                    }
                    Some(Err(error)) => return Err(self.damage(error.into())),
                    None => self.read = None,
                }
            }
            let slice = self
                .reader
                .read(self.next_offset, BATCHES_READ_BYTES, true)?;
            if slice.is_empty() {
                return Ok(None);
            }
            let bytes = slice.bytes().map_err(|error| {
                let path = self.reader.shared.dir.to_path_buf();
                ReadError::Disk(DiskError::of("read", path)(error))
            })?;
            self.read = Some(split_batches(&bytes));
        }
    }

    fn damage(&self, fault: crate::walk::BatchFault) -> ReadError {
        let view = self.reader.shared.view.load();
        let segment = view.segments_from(self.next_offset).next();
        let base_offset = segment.map_or(0, |(segment, _)| segment.base_offset());
        read_error(&self.reader.shared, base_offset, WalkError::Fault(fault))
    }
}

impl Iterator for Batches {
    type Item = Result<(BatchHeader, Bytes), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let item = self.advance().transpose();
        self.failed = matches!(item, Some(Err(_)));
        item
    }
}
