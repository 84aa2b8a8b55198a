//! Where records are read from: a slice, or a decompressing stream with a limit.
//!
//! Invariant: reading past the end is an error, never a panic; the stream holds one buffer of fixed
//! size and stops as soon as its content exceeds the limit.
//! Hallway: steps 7 and 10.
#![warn(clippy::indexing_slicing)]

use std::io::Read;

use crate::batch::BatchError;
use crate::compression::{Compression, CompressionError, Decompressor};
use crate::usual::{self, UsualRecord};
use crate::varint::{unzigzag32, unzigzag64};
use crate::walk::RecordFault;

/// Decompressed bytes that are held at once.
const WINDOW: usize = 16 * 1024;

/// Why reading a record ended early. Boxed, so that the results of the hot path fit in registers.
#[derive(Debug)]
pub(crate) struct Stop(Box<Reason>);

#[derive(Debug)]
enum Reason {
    /// The record is malformed.
    Fault(RecordFault),
    /// The compressed bytes are.
    Compression(CompressionError),
}

impl Stop {
    /// The error of the batch whose record `index` was being read.
    pub(crate) fn at(self, index: i32) -> BatchError {
        match *self.0 {
            Reason::Fault(fault) => BatchError::Record { index, fault },
            Reason::Compression(error) => BatchError::Compression(error),
        }
    }
}

impl From<RecordFault> for Stop {
    #[cold]
    fn from(fault: RecordFault) -> Self {
        Stop(Box::new(Reason::Fault(fault)))
    }
}

impl From<CompressionError> for Stop {
    #[cold]
    fn from(error: CompressionError) -> Self {
        Stop(Box::new(Reason::Compression(error)))
    }
}

/// Bytes of records, read forward.
pub(crate) trait Input {
    /// Bytes read so far.
    fn position(&self) -> usize;

    /// The next byte.
    fn byte(&mut self) -> Result<u8, Stop>;

    /// Passes over `count` bytes.
    fn skip(&mut self, count: usize) -> Result<(), Stop>;

    /// Whether no byte is left.
    fn at_end(&mut self) -> Result<bool, CompressionError>;

    /// Passes over the next record if it is of the usual shape (see [`usual::record`]); otherwise
    /// nothing is read, and whoever asks takes the long way.
    #[inline]
    fn usual_record(&mut self) -> Option<UsualRecord> {
        None
    }

    /// A zigzag integer of at most 32 bits.
    #[inline]
    fn varint(&mut self) -> Result<i32, Stop> {
        let raw = self.unsigned(u32::BITS)?;
        Ok(unzigzag32(raw as u32))
    }

    /// A zigzag integer of at most 64 bits.
    #[inline]
    fn varlong(&mut self) -> Result<i64, Stop> {
        let raw = self.unsigned(u64::BITS)?;
        Ok(unzigzag64(raw))
    }

    /// The zigzag form, of at most `bits`; one and two bytes are the usual case.
    #[inline]
    fn unsigned(&mut self, bits: u32) -> Result<u64, Stop> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let second = self.byte()?;
        let value = u64::from(first & 0x7F) | u64::from(second & 0x7F) << 7;
        if second < 0x80 {
            return Ok(value);
        }
        self.unsigned_rest(value, bits)
    }

    /// The bytes after the second, which have the continuation bit.
    fn unsigned_rest(&mut self, mut value: u64, bits: u32) -> Result<u64, Stop> {
        let mut shift = 14;
        while shift < bits {
            let byte = self.byte()?;
            let payload = u64::from(byte & 0x7F);
            if bits - shift < 7 && payload >> (bits - shift) != 0 {
                break;
            }
            value |= payload << shift;
            if byte < 0x80 {
                return Ok(value);
            }
            shift += 7;
        }
        Err(RecordFault::VarintTooLong.into())
    }
}

/// Records in a slice.
#[derive(Debug)]
pub(crate) struct SliceInput<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> SliceInput<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        SliceInput {
            rest: bytes,
            length: bytes.len(),
        }
    }
}

impl Input for SliceInput<'_> {
    #[inline]
    fn position(&self) -> usize {
        self.length - self.rest.len()
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Stop> {
        match self.rest.split_first() {
            Some((byte, rest)) => {
                self.rest = rest;
                Ok(*byte)
            }
            None => Err(RecordFault::Truncated.into()),
        }
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        match self.rest.get(count..) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(RecordFault::Truncated.into()),
        }
    }

    fn at_end(&mut self) -> Result<bool, CompressionError> {
        Ok(self.rest.is_empty())
    }

    #[inline]
    fn usual_record(&mut self) -> Option<UsualRecord> {
        let (record, size) = usual::record(self.rest)?;
        self.rest = self.rest.get(size..)?;
        Some(record)
    }
}

/// Records that are decompressed while they are read.
pub(crate) struct StreamInput<'a> {
    reader: Decompressor<'a>,
    compression: Compression,
    limit: usize,
    window: Vec<u8>,
    /// Next unread byte of the window.
    next: usize,
    /// End of the decompressed bytes in the window.
    filled: usize,
    /// Bytes decompressed before those in the window.
    passed: usize,
}

impl<'a> StreamInput<'a> {
    pub(crate) fn new(
        compression: Compression,
        compressed: &'a [u8],
        limit: usize,
    ) -> Result<Self, CompressionError> {
        Ok(StreamInput {
            reader: Decompressor::new(compression, compressed, limit)?,
            compression,
            limit,
            window: vec![0; WINDOW],
            next: 0,
            filled: 0,
            passed: 0,
        })
    }

    /// Decompresses the next bytes; false at the end of the content.
    #[inline(never)]
    fn refill(&mut self) -> Result<bool, CompressionError> {
        self.passed += self.filled;
        self.next = 0;
        self.filled = 0;
        self.filled = self
            .reader
            .read(&mut self.window)
            .map_err(|error| CompressionError::reading(self.compression, self.limit, error))?;
        if self.passed + self.filled > self.limit {
            return Err(CompressionError::LimitExceeded {
                compression: self.compression,
                limit: self.limit,
            });
        }
        Ok(self.filled > 0)
    }
}

impl Input for StreamInput<'_> {
    #[inline]
    fn position(&self) -> usize {
        self.passed + self.next
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Stop> {
        if self.next == self.filled && !self.refill()? {
            return Err(RecordFault::Truncated.into());
        }
        let byte = self.window.get(self.next).ok_or(RecordFault::Truncated)?;
        self.next += 1;
        Ok(*byte)
    }

    #[inline]
    fn skip(&mut self, mut count: usize) -> Result<(), Stop> {
        loop {
            let here = count.min(self.filled - self.next);
            self.next += here;
            count -= here;
            if count == 0 {
                return Ok(());
            }
            if !self.refill()? {
                return Err(RecordFault::Truncated.into());
            }
        }
    }

    fn at_end(&mut self) -> Result<bool, CompressionError> {
        Ok(self.next == self.filled && !self.refill()?)
    }
}
