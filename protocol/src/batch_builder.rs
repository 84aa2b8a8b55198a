//! Builds record batches: every record is framed straight into one growing buffer.
//!
//! Invariant: no allocation per record; all lengths are known before the first byte is written, and
//! [`BatchBuilder::size_with`] tells the exact size in advance, so that callers can bound batches.
//! Hallway: step 4, where a batch is encoded once.
#![warn(clippy::indexing_slicing)]

use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::{
    self, Attributes, BATCH_HEADER_SIZE, BATCH_OVERHEAD, BatchError, BatchHeader, MAGIC,
    NO_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE,
};
use crate::compression::{self, Compression};
use crate::varint::{put_varint, put_varlong, varint_size, varlong_size};

/// The record attributes byte: Kafka defines no bit of it.
const RECORD_ATTRIBUTES: u8 = 0;

/// A header of a record to be appended: name and value, which may be null.
pub type HeaderRef<'a> = (&'a str, Option<&'a [u8]>);

/// A record batch in the making.
///
/// After [`build`](Self::build) the builder is empty and keeps its settings and its buffers.
#[derive(Debug)]
pub struct BatchBuilder {
    /// Room for the header, then the records as they stand in an uncompressed batch.
    buffer: Vec<u8>,
    /// The compressed batch, until it is copied out.
    packed: BytesMut,
    compression: Compression,
    attributes: Attributes,
    records: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
}

/// The lengths of one record, all within `i32`.
struct Frame {
    /// Value of the record's length field.
    length: i32,
    timestamp_delta: i64,
}

impl BatchBuilder {
    /// An empty batch whose records [`build`](Self::build) will compress with `compression`.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self::with_capacity(compression, 0)
    }

    /// Like [`new`](Self::new), with a buffer for `capacity` uncompressed bytes of batch.
    #[must_use]
    pub fn with_capacity(compression: Compression, capacity: usize) -> Self {
        BatchBuilder {
            buffer: Vec::with_capacity(capacity),
            packed: BytesMut::new(),
            compression,
            attributes: Attributes::default(),
            records: 0,
            base_timestamp: 0,
            max_timestamp: i64::MIN,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
        }
    }

    /// Appends one record; `timestamp` is in milliseconds since 1970.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] when the batch would exceed 2 GiB; it is left as it was.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> Result<(), BatchError> {
        let frame = self.frame(timestamp, key, value, headers)?;
        let total = self.end_of(&frame);
        if i32::try_from(total).is_err() || self.records == i32::MAX {
            return Err(BatchError::TooLarge(total));
        }
        if self.records == 0 {
            self.buffer.clear();
            self.buffer.resize(BATCH_HEADER_SIZE, 0);
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let out = &mut self.buffer;
        out.reserve(total - out.len());
        put_varint(out, frame.length);
        out.push(RECORD_ATTRIBUTES);
        put_varlong(out, frame.timestamp_delta);
        put_varint(out, self.records);
        put_nullable(out, key);
        put_nullable(out, value);
        put_varint(out, headers.len() as i32);
        for (name, value) in headers {
            put_nullable(out, Some(name.as_bytes()));
            put_nullable(out, *value);
        }
        debug_assert_eq!(out.len(), total, "sizes are computed before writing");
        self.records += 1;
        Ok(())
    }

    /// Exact uncompressed bytes of the whole batch after appending this record too.
    ///
    /// # Errors
    /// [`BatchError::TooLarge`] when a field of the record exceeds 2 GiB.
    pub fn size_with(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> Result<usize, BatchError> {
        Ok(self.end_of(&self.frame(timestamp, key, value, headers)?))
    }

    /// Number of records so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records as usize
    }

    /// Whether no record was appended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Exact bytes of the whole batch so far, its header included, before compression.
    #[must_use]
    pub fn size(&self) -> usize {
        if self.records == 0 {
            BATCH_HEADER_SIZE
        } else {
            self.buffer.len()
        }
    }

    /// The compression that [`build`](Self::build) will apply.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Gives the batch its idempotent producer; `base_sequence` is the first record's number.
    pub fn set_producer(&mut self, id: i64, epoch: i16, base_sequence: i32) -> &mut Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Makes the batch part of a transaction, or not.
    pub fn set_transactional(&mut self, transactional: bool) -> &mut Self {
        self.attributes = self.attributes.with_transactional(transactional);
        self
    }

    /// Makes the batch a control batch, or not.
    pub fn set_control(&mut self, control: bool) -> &mut Self {
        self.attributes = self.attributes.with_control(control);
        self
    }

    /// Finishes the batch: base offset 0, leader epoch -1, records compressed, checksum set.
    ///
    /// The result is an allocation of exactly the batch's size, so that what waits to be sent costs
    /// what it weighs; the builder keeps its buffers for the next batch.
    ///
    /// # Errors
    /// [`BatchError::Empty`] without records, or what the codec says; the records stay.
    pub fn build(&mut self) -> Result<Bytes, BatchError> {
        if self.records == 0 {
            return Err(BatchError::Empty);
        }
        let mut packed = std::mem::take(&mut self.packed);
        let built = self.pack(&mut packed);
        self.packed = packed;
        let batch = built?;
        self.clear();
        Ok(batch)
    }

    /// Compresses into `packed`, if at all, completes the header and copies the batch out.
    fn pack(&mut self, packed: &mut BytesMut) -> Result<Bytes, BatchError> {
        if self.compression == Compression::None {
            let header = self.header(self.buffer.len())?;
            finish(&mut self.buffer, &header)?;
            return Ok(Bytes::copy_from_slice(&self.buffer));
        }
        let records = self.buffer.get(BATCH_HEADER_SIZE..).unwrap_or_default();
        packed.clear();
        packed.put_bytes(0, BATCH_HEADER_SIZE);
        compression::compress_into(self.compression, None, records, packed)?;
        let header = self.header(packed.len())?;
        finish(packed, &header)?;
        Ok(Bytes::copy_from_slice(packed))
    }

    /// Drops all records; settings and buffer stay.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.records = 0;
        self.max_timestamp = i64::MIN;
    }

    fn header(&self, total_size: usize) -> Result<BatchHeader, BatchError> {
        let length = total_size - BATCH_OVERHEAD;
        Ok(BatchHeader {
            base_offset: 0,
            batch_length: i32::try_from(length).map_err(|_| BatchError::TooLarge(total_size))?,
            partition_leader_epoch: NO_LEADER_EPOCH,
            magic: MAGIC,
            crc: 0,
            attributes: self.attributes.with_compression(self.compression),
            last_offset_delta: self.records - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.records,
        })
    }

    /// Lengths of the record as the batch's next one.
    fn frame(
        &self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[HeaderRef<'_>],
    ) -> Result<Frame, BatchError> {
        let base = if self.records == 0 {
            timestamp
        } else {
            self.base_timestamp
        };
        // Wraps at the far ends of i64, as the reader's addition does.
        let timestamp_delta = timestamp.wrapping_sub(base);
        let count =
            i32::try_from(headers.len()).map_err(|_| BatchError::TooLarge(headers.len()))?;
        let mut length = size_of_val(&RECORD_ATTRIBUTES)
            + varlong_size(timestamp_delta)
            + varint_size(self.records)
            + nullable_size(key)?
            + nullable_size(value)?
            + varint_size(count);
        for (name, value) in headers {
            length += nullable_size(Some(name.as_bytes()))? + nullable_size(*value)?;
        }
        let length = i32::try_from(length).map_err(|_| BatchError::TooLarge(length))?;
        Ok(Frame {
            length,
            timestamp_delta,
        })
    }

    /// Size of the batch after a record of these lengths.
    fn end_of(&self, frame: &Frame) -> usize {
        self.size() + varint_size(frame.length) + frame.length as usize
    }
}

/// Writes `header` in front of the records of `batch` and sets the checksum.
fn finish(batch: &mut [u8], header: &BatchHeader) -> Result<(), BatchError> {
    let available = batch.len();
    batch
        .get_mut(..BATCH_HEADER_SIZE)
        .ok_or(BatchError::Truncated {
            needed: BATCH_HEADER_SIZE,
            available,
        })?
        .copy_from_slice(&header.encode());
    batch::seal(batch)
}

/// Bytes of a nullable field with its length; refuses what does not fit the format.
fn nullable_size(field: Option<&[u8]>) -> Result<usize, BatchError> {
    let Some(bytes) = field else {
        return Ok(varint_size(-1));
    };
    let length = i32::try_from(bytes.len()).map_err(|_| BatchError::TooLarge(bytes.len()))?;
    Ok(varint_size(length) + bytes.len())
}

/// Writes a nullable field whose size [`nullable_size`] has accepted.
fn put_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}
