//! Where records are read from: a slice, or a decompressing stream with a limit.
//!
//! Invariant: reading past the end is an error, never a panic; the stream holds one buffer of fixed
//! size and stops as soon as its content exceeds the limit.
//! Hallway: steps 7 and 10.
#![warn(clippy::indexing_slicing)]

use std::io::Read;

use crate::batch::BatchError;
use crate::compression::{Compression, CompressionError, Decompressor};
use crate::varint::{unzigzag32, unzigzag64};
use crate::walk::RecordFault;

/// Decompressed bytes that are held at once.
const WINDOW: usize = 16 * 1024;

/// Why reading a record ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The record is malformed.
    Fault(RecordFault),
    /// The compressed bytes are.
    Compression(CompressionError),
}

impl Stop {
    /// The error of the batch whose record `index` was being read.
    pub(crate) fn at(self, index: i32) -> BatchError {
        match self {
            Stop::Fault(fault) => BatchError::Record { index, fault },
            Stop::Compression(error) => BatchError::Compression(error),
        }
    }
}

impl From<RecordFault> for Stop {
    fn from(fault: RecordFault) -> Self {
        Stop::Fault(fault)
    }
}

impl From<CompressionError> for Stop {
    fn from(error: CompressionError) -> Self {
        Stop::Compression(error)
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

    /// A zigzag integer of at most 32 bits.
    #[inline]
    fn varint(&mut self) -> Result<i32, Stop> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(unzigzag32(u32::from(first)));
        }
        let raw = self.varint_rest(first, u32::BITS)?;
        Ok(unzigzag32(raw as u32))
    }

    /// A zigzag integer of at most 64 bits.
    #[inline]
    fn varlong(&mut self) -> Result<i64, Stop> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(unzigzag64(u64::from(first)));
        }
        let raw = self.varint_rest(first, u64::BITS)?;
        Ok(unzigzag64(raw))
    }

    /// The bytes of an integer after its `first`, which has the continuation bit.
    fn varint_rest(&mut self, first: u8, bits: u32) -> Result<u64, Stop> {
        let mut value = u64::from(first & 0x7F);
        let mut shift = 7;
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
        let (byte, rest) = self.rest.split_first().ok_or(RecordFault::Truncated)?;
        self.rest = rest;
        Ok(*byte)
    }

    #[inline]
    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        self.rest = self.rest.get(count..).ok_or(RecordFault::Truncated)?;
        Ok(())
    }

    fn at_end(&mut self) -> Result<bool, CompressionError> {
        Ok(self.rest.is_empty())
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
