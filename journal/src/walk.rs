//! Goes through the batches of one `.log` file from a known batch start.
//!
//! Invariant: a length is compared with the bytes that are there before it is followed or allocated.
//! Hallway: step 8, under reading, searching and recovery.
use std::io;

use logway_protocol::batch::{BATCH_HEADER_SIZE, BatchError, BatchHeader, verify_crc};

use crate::disk::FileHandle;
use crate::residency::Access;

/// Read-ahead where only a few headers are looked at.
pub(crate) const HEADER_BLOCK: usize = 4096;
/// Read-ahead where every byte is looked at.
pub(crate) const SCAN_BLOCK: usize = 1 << 20;

/// Why the bytes at a position of a `.log` file are not a batch of it.
#[derive(Debug, thiserror::Error)]
pub enum BatchFault {
    /// The bytes are not a record batch, or its checksum does not match.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The batch announces more bytes than the segment has.
    #[error("the batch announces {announced} bytes and {available} are left in the segment")]
    CutOff {
        /// Bytes of the batch by its own header.
        announced: usize,
        /// Bytes from its start to the segment's end.
        available: usize,
    },
    /// The offsets do not follow those before.
    #[error("the batch has offsets {base_offset} to {last_offset} where {expected} or more is due")]
    Offsets {
        /// First offset of the batch.
        base_offset: i64,
        /// Last offset of the batch.
        last_offset: i64,
        /// Smallest offset that could follow.
        expected: i64,
    },
}

/// What stops a walk.
#[derive(Debug)]
pub(crate) enum WalkError {
    Io(io::Error),
    Fault(BatchFault),
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        WalkError::Io(error)
    }
}

impl From<BatchError> for WalkError {
    fn from(error: BatchError) -> Self {
        WalkError::Fault(error.into())
    }
}

/// A window over the first `end` bytes of a file.
pub(crate) struct Walk {
    handle: FileHandle,
    end: u32,
    block: usize,
    window: Vec<u8>,
    window_at: u32,
    /// How this walk, and the search it is part of, reads.
    pub(crate) access: Access,
}

impl Walk {
    pub(crate) fn new(handle: FileHandle, end: u32, block: usize) -> Walk {
        Walk {
            handle,
            end,
            block,
            window: Vec::new(),
            window_at: 0,
            access: Access::default(),
        }
    }

    /// The header of the batch that starts at `position`; none at the end.
    ///
    /// The whole batch lies before the end, its offsets are not negative and in order.
    pub(crate) fn header(&mut self, position: u32) -> Result<Option<BatchHeader>, WalkError> {
        if self.access.has_missed() {
            return Err(WalkError::Io(io::ErrorKind::WouldBlock.into()));
        }
        if position >= self.end {
            return Ok(None);
        }
        let available = (self.end - position) as usize;
        let header = BatchHeader::decode(self.bytes(position, BATCH_HEADER_SIZE)?)?;
        let announced = header.total_size();
        if announced > available {
            let fault = BatchFault::CutOff {
                announced,
                available,
            };
            return Err(WalkError::Fault(fault));
        }
        if header.base_offset < 0 || header.last_offset_delta < 0 {
            return Err(WalkError::Fault(offsets_fault(&header, 0)));
        }
        Ok(Some(header))
    }

    /// As [`Walk::header`], and the checksum of the batch is right.
    pub(crate) fn checked(&mut self, position: u32) -> Result<Option<BatchHeader>, WalkError> {
        let Some(header) = self.header(position)? else {
            return Ok(None);
        };
        verify_crc(self.batch(position, &header)?)?;
        Ok(Some(header))
    }

    /// The bytes of the batch at `position` whose header was read before.
    pub(crate) fn batch(
        &mut self,
        position: u32,
        header: &BatchHeader,
    ) -> Result<&[u8], WalkError> {
        Ok(self.bytes(position, header.total_size())?)
    }

    /// Up to `len` bytes at `position`, fewer where the file or the window's end comes first.
    fn bytes(&mut self, position: u32, len: usize) -> io::Result<&[u8]> {
        let left = self.end.saturating_sub(position) as usize;
        let len = len.min(left);
        let inside = position
            .checked_sub(self.window_at)
            .map(|skip| skip as usize)
            .filter(|skip| skip + len <= self.window.len());
        let skip = match inside {
            Some(skip) => skip,
            None => {
                self.window.clear();
                let want = self.block.max(len).min(left);
                let at = u64::from(position);
                self.access
                    .read_into(&self.handle, &mut self.window, at, (len, want))?;
                self.window_at = position;
                0
            }
        };
        let end = (skip + len).min(self.window.len());
        Ok(self.window.get(skip..end).unwrap_or_default())
    }
}

pub(crate) fn offsets_fault(header: &BatchHeader, expected: i64) -> BatchFault {
    BatchFault::Offsets {
        base_offset: header.base_offset,
        last_offset: header.last_offset(),
        expected,
    }
}
