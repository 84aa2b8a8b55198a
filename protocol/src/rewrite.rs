//! Batches written anew: with fewer records, as compaction leaves them, or with another compression.
//!
//! Invariant: offsets, timestamps and the producer's fields stay what they were, also those of the
//! records that go: base offset, last offset delta and base sequence are never changed. What follows
//! a record's offset delta is copied, not decoded.
//! Hallway: step 7 (`compression.type`) and the compaction of step 8.
#![warn(clippy::indexing_slicing)]

use bytes::{BufMut, Bytes, BytesMut};

use crate::batch::{
    self, BATCH_HEADER_SIZE, BATCH_OVERHEAD, BatchError, BatchHeader, TimestampType,
};
use crate::compression::{self, Compression};
use crate::input::{Input, SliceInput, Stop};
use crate::varint::{put_varint, put_varlong, varint_size, varlong_size};
use crate::walk::{self, RECORD_SIZE_MIN, RecordFault};

/// Base timestamp of a batch without records.
const NO_TIMESTAMP: i64 = -1;
/// Bytes of the attributes in front of a record.
const ATTRIBUTES_SIZE: usize = 1;

/// The records of one batch as they are stored, decompressed at once.
#[derive(Debug)]
pub struct StoredRecords<'a> {
    header: BatchHeader,
    content: Content<'a>,
}

#[derive(Debug)]
enum Content<'a> {
    Stored(&'a [u8]),
    Decompressed(Bytes),
}

/// What is looked at of a record, and the rest of its bytes.
#[derive(Debug, Clone, Copy)]
pub struct StoredRecord<'a> {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, by the clock that the batch names.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// Whether there is a value; a record of a compacted topic without one is a tombstone.
    pub has_value: bool,
    attributes: u8,
    offset_delta: i32,
    /// Key, value and headers with their lengths.
    rest: &'a [u8],
}

impl<'a> StoredRecords<'a> {
    /// Opens one whole batch, whose checksum is not looked at; decompresses at most `limit_bytes`.
    pub fn open(batch: &'a [u8], limit_bytes: usize) -> Result<StoredRecords<'a>, BatchError> {
        let (header, stored) = batch::open(batch)?;
        walk::check_count(&header, stored)?;
        let content = match header.compression()? {
            Compression::None => Content::Stored(stored),
            // Compaction leaves no record, and no frame of the codec either.
            _ if header.record_count == 0 => Content::Stored(&[]),
            codec => Content::Decompressed(compression::decompress(codec, stored, limit_bytes)?),
        };
        let records = StoredRecords { header, content };
        let available = records.bytes().len();
        let count = header.record_count;
        if count as usize > available / RECORD_SIZE_MIN {
            return Err(BatchError::InvalidRecordCount { count, available });
        }
        Ok(records)
    }

    /// The header of the batch.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Stored(bytes) => bytes,
            Content::Decompressed(bytes) => bytes,
        }
    }

    /// The records in order; ends after the first error.
    pub fn iter(&self) -> impl Iterator<Item = Result<StoredRecord<'_>, BatchError>> {
        let mut rest = self.bytes();
        let mut index = 0;
        std::iter::from_fn(move || {
            let count = self.header.record_count;
            if index == count {
                let all_read = std::mem::take(&mut rest).is_empty();
                return (!all_read).then_some(Err(BatchError::TrailingRecords { count }));
            }
            let read = read(&self.header, rest).map_err(|stop| stop.at(index));
            match read {
                Ok((record, after)) => {
                    (index, rest) = (index + 1, after);
                    Some(Ok(record))
                }
                Err(error) => {
                    (index, rest) = (count, &[]);
                    Some(Err(error))
                }
            }
        })
    }

    /// The batch with only the records `kept`, which are some of its own, in order; at least one.
    ///
    /// With `delete_horizon_ms` (milliseconds since 1970) the base timestamp becomes that time and
    /// the attributes say so (KIP-534); one that the batch has already stays. The codec is the same.
    pub fn with_only(
        &self,
        kept: &[StoredRecord<'_>],
        delete_horizon_ms: Option<i64>,
    ) -> Result<Bytes, BatchError> {
        let header = &self.header;
        let first = kept.first().ok_or(BatchError::Empty)?;
        let own_horizon = header.attributes.has_delete_horizon();
        let own_horizon = own_horizon.then_some(header.base_timestamp);
        let horizon = delete_horizon_ms.or(own_horizon);
        let base_timestamp = horizon.unwrap_or(first.timestamp);
        let mut records = Vec::with_capacity(self.bytes().len());
        for record in kept {
            put_record(&mut records, record, base_timestamp)?;
        }
        let max = kept.iter().map(|record| record.timestamp).max();
        let rebuilt = BatchHeader {
            attributes: header.attributes.with_delete_horizon(horizon.is_some()),
            base_timestamp,
            max_timestamp: match header.timestamp_type() {
                TimestampType::CreateTime => max.unwrap_or(header.max_timestamp),
                TimestampType::LogAppendTime => header.max_timestamp,
            },
            record_count: i32::try_from(kept.len())
                .map_err(|_| BatchError::TooLarge(kept.len()))?,
            ..*header
        };
        pack(&rebuilt, &records, header.compression()?, None)
    }
}

/// One record at the start of `bytes`, and the bytes behind it.
fn read<'a>(header: &BatchHeader, bytes: &'a [u8]) -> Result<(StoredRecord<'a>, &'a [u8]), Stop> {
    let mut input = SliceInput::new(bytes);
    let mut length = SliceInput::new(bytes);
    length.varint()?;
    let attributes = bytes.get(length.position()).copied();
    let (head, announced) = walk::read_head(&mut input)?;
    let offset_delta = head.offset_delta;
    if !(0..=header.last_offset_delta).contains(&offset_delta) {
        return Err(RecordFault::OffsetDelta {
            actual: offset_delta,
        }
        .into());
    }
    let cut_off = || RecordFault::LengthMismatch { announced };
    let (whole, after) = bytes.split_at_checked(head.end).ok_or_else(cut_off)?;
    let rest = whole.get(input.position()..).ok_or_else(cut_off)?;
    let key_length = walk::read_length(&mut input, &head, "key")?;
    let key_at = input.position();
    input.skip(key_length.unwrap_or(0))?;
    let key = key_length.and_then(|length| whole.get(key_at..key_at + length));
    let has_value = walk::read_length(&mut input, &head, "value")?.is_some();
    let timestamp = match header.timestamp_type() {
        TimestampType::CreateTime => header.base_timestamp.wrapping_add(head.timestamp_delta),
        TimestampType::LogAppendTime => header.max_timestamp,
    };
    let record = StoredRecord {
        offset: header.base_offset.saturating_add(i64::from(offset_delta)),
        timestamp,
        key,
        has_value,
        attributes: attributes.unwrap_or(0),
        offset_delta,
        rest,
    };
    Ok((record, after))
}

fn put_record(
    out: &mut Vec<u8>,
    record: &StoredRecord<'_>,
    base_timestamp: i64,
) -> Result<(), BatchError> {
    // Wraps at the far ends of i64, as the reader's addition does.
    let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
    let length = ATTRIBUTES_SIZE
        + varlong_size(timestamp_delta)
        + varint_size(record.offset_delta)
        + record.rest.len();
    let length = i32::try_from(length).map_err(|_| BatchError::TooLarge(length))?;
    put_varint(out, length);
    out.push(record.attributes);
    put_varlong(out, timestamp_delta);
    put_varint(out, record.offset_delta);
    out.extend_from_slice(record.rest);
    Ok(())
}

/// The batch without its records: what keeps the place of the last offset and sequence that a
/// producer has used (Kafka's empty batch).
#[must_use]
pub fn without_records(header: &BatchHeader) -> [u8; BATCH_HEADER_SIZE] {
    let attributes = header.attributes.with_compression(Compression::None);
    let emptied = BatchHeader {
        batch_length: (BATCH_HEADER_SIZE - BATCH_OVERHEAD) as i32,
        attributes: attributes.with_delete_horizon(false),
        base_timestamp: NO_TIMESTAMP,
        record_count: 0,
        ..*header
    };
    let mut bytes = emptied.encode();
    batch::seal(&mut bytes).expect("a header is long enough for its checksum");
    bytes
}

/// The batch with its records compressed by `codec` at `level`, the codec's default if it is none
/// or the codec has no levels. At most `limit_bytes` are decompressed.
pub fn recompress(
    batch: &[u8],
    codec: Compression,
    level: Option<i32>,
    limit_bytes: usize,
) -> Result<Bytes, BatchError> {
    let (header, stored) = batch::open(batch)?;
    let from = header.compression()?;
    let content;
    let records = match from {
        Compression::None => stored,
        from => {
            content = compression::decompress(from, stored, limit_bytes)?;
            &content
        }
    };
    pack(&header, records, codec, level)
}

/// A batch of this header with these records, compressed, its length and checksum set.
fn pack(
    header: &BatchHeader,
    records: &[u8],
    codec: Compression,
    level: Option<i32>,
) -> Result<Bytes, BatchError> {
    let mut out = BytesMut::with_capacity(BATCH_HEADER_SIZE + records.len());
    out.put_bytes(0, BATCH_HEADER_SIZE);
    compression::compress_into(codec, level, records, &mut out)?;
    let total = out.len();
    let length = i32::try_from(total - BATCH_OVERHEAD).map_err(|_| BatchError::TooLarge(total))?;
    let header = BatchHeader {
        batch_length: length,
        attributes: header.attributes.with_compression(codec),
        ..*header
    };
    if let Some(place) = out.first_chunk_mut::<BATCH_HEADER_SIZE>() {
        *place = header.encode();
    }
    batch::seal(&mut out)?;
    // What waits or is kept costs what it weighs.
    Ok(Bytes::copy_from_slice(&out))
}
