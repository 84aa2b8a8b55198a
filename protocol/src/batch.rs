//! The record batch (magic 2, KIP-98) seen from outside: header, checksum, cutting a buffer into batches.
//!
//! Invariant: nothing here looks at the records themselves, allocates for them or trusts a length
//! before it has compared it with the bytes that are there. Base offset and partition leader epoch
//! lie before the range of the checksum, so the broker sets them without touching the rest.
//! Hallway: the unit of steps 4 to 10.
#![warn(clippy::indexing_slicing)]

mod error;
mod patch;

use bytes::{BufMut, Bytes};

use crate::compression::Compression;
use crate::crc::crc32c;

pub use error::BatchError;
pub(crate) use patch::seal;
pub use patch::{set_base_offset, set_leader_epoch, set_max_timestamp, set_producer};

/// Bytes of a batch before its first record.
pub const BATCH_HEADER_SIZE: usize = 61;
/// Bytes of a batch that its length field does not count: base offset and the length itself.
pub const BATCH_OVERHEAD: usize = 12;
/// The only record batch format there is: Kafka 4 has dropped message sets 0 and 1.
pub const MAGIC: i8 = 2;
/// Producer id of a batch without an idempotent producer.
pub const NO_PRODUCER_ID: i64 = -1;
/// Producer epoch of a batch without an idempotent producer.
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// Base sequence of a batch without an idempotent producer, and of control batches.
pub const NO_SEQUENCE: i32 = -1;
/// Leader epoch of a batch that no leader has appended yet.
pub const NO_LEADER_EPOCH: i32 = -1;

/// First byte that the checksum covers.
const CRC_START: usize = 21;

/// Which clock the timestamps of a batch come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's at append: every record has the batch's max timestamp.
    LogAppendTime,
}

/// The bit field of a batch header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes(pub i16);

impl Attributes {
    const COMPRESSION_MASK: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// How the records are compressed (bits 0 to 2).
    pub fn compression(self) -> Result<Compression, BatchError> {
        let code = self.0 & Self::COMPRESSION_MASK;
        Compression::from_code(code).ok_or(BatchError::UnknownCompression(code as u8))
    }

    /// Which clock gave the timestamps (bit 3).
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether the batch is part of a transaction (bit 4).
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, which consumers skip (bit 5).
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// Whether compaction has put a delete horizon in place of the base timestamp (bit 6, KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// The same attributes with another compression.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Attributes {
        Attributes(self.0 & !Self::COMPRESSION_MASK | compression.code())
    }

    /// The same attributes with another clock.
    #[must_use]
    pub fn with_timestamp_type(self, timestamp_type: TimestampType) -> Attributes {
        self.with(
            Self::LOG_APPEND_TIME,
            timestamp_type == TimestampType::LogAppendTime,
        )
    }

    /// The same attributes, transactional or not.
    #[must_use]
    pub fn with_transactional(self, transactional: bool) -> Attributes {
        self.with(Self::TRANSACTIONAL, transactional)
    }

    /// The same attributes, control batch or not.
    #[must_use]
    pub fn with_control(self, control: bool) -> Attributes {
        self.with(Self::CONTROL, control)
    }

    /// The same attributes, with or without a delete horizon in place of the base timestamp.
    #[must_use]
    pub fn with_delete_horizon(self, has_horizon: bool) -> Attributes {
        self.with(Self::DELETE_HORIZON, has_horizon)
    }

    fn with(self, bit: i16, on: bool) -> Attributes {
        Attributes(if on { self.0 | bit } else { self.0 & !bit })
    }
}

/// The 61 bytes in front of a batch's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; set by the leader.
    pub base_offset: i64,
    /// Bytes that follow this field.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; -1 before.
    pub partition_leader_epoch: i32,
    /// Always 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Compression, clock, transactional and control bits.
    pub attributes: Attributes,
    /// Offset of the last record minus the base offset; compaction keeps it.
    pub last_offset_delta: i32,
    /// Timestamp of the first record, milliseconds since 1970; the delete horizon if the attributes say so.
    pub base_timestamp: i64,
    /// Largest timestamp of the records.
    pub max_timestamp: i64,
    /// Id of the idempotent producer, or -1.
    pub producer_id: i64,
    /// Epoch of the idempotent producer, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the first 61 bytes of a batch; the records need not be there.
    ///
    /// The magic is looked at first, so that an older format is named as what it is.
    pub fn decode(bytes: &[u8]) -> Result<BatchHeader, BatchError> {
        if let Some(&magic) = bytes.get(16)
            && magic as i8 != MAGIC
        {
            return Err(BatchError::UnsupportedMagic(magic as i8));
        }
        let header = Self::read(bytes).ok_or(BatchError::Truncated {
            needed: BATCH_HEADER_SIZE,
            available: bytes.len(),
        })?;
        if header.batch_length < (BATCH_HEADER_SIZE - BATCH_OVERHEAD) as i32 {
            return Err(BatchError::InvalidLength(header.batch_length));
        }
        Ok(header)
    }

    fn read(mut bytes: &[u8]) -> Option<BatchHeader> {
        let input = &mut bytes;
        Some(BatchHeader {
            base_offset: i64::from_be_bytes(take(input)?),
            batch_length: i32::from_be_bytes(take(input)?),
            partition_leader_epoch: i32::from_be_bytes(take(input)?),
            magic: i8::from_be_bytes(take(input)?),
            crc: u32::from_be_bytes(take(input)?),
            attributes: Attributes(i16::from_be_bytes(take(input)?)),
            last_offset_delta: i32::from_be_bytes(take(input)?),
            base_timestamp: i64::from_be_bytes(take(input)?),
            max_timestamp: i64::from_be_bytes(take(input)?),
            producer_id: i64::from_be_bytes(take(input)?),
            producer_epoch: i16::from_be_bytes(take(input)?),
            base_sequence: i32::from_be_bytes(take(input)?),
            record_count: i32::from_be_bytes(take(input)?),
        })
    }

    /// The header's 61 bytes, exactly as its fields say.
    #[must_use]
    pub fn encode(&self) -> [u8; BATCH_HEADER_SIZE] {
        let mut bytes = [0; BATCH_HEADER_SIZE];
        let mut out = bytes.as_mut_slice();
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.partition_leader_epoch);
        out.put_i8(self.magic);
        out.put_u32(self.crc);
        out.put_i16(self.attributes.0);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.record_count);
        bytes
    }

    /// Bytes of the whole batch, header included.
    #[must_use]
    pub fn total_size(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + BATCH_OVERHEAD
    }

    /// Offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }

    /// Offset of the record after the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// How the records are compressed.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        self.attributes.compression()
    }

    /// Which clock gave the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.attributes.timestamp_type()
    }

    /// Whether the batch is part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.attributes.is_transactional()
    }

    /// Whether the batch holds control records.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.attributes.is_control()
    }

    /// From when on tombstones and markers of the batch may be removed, in milliseconds since 1970,
    /// if compaction has said so (KIP-534).
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        let has_horizon = self.attributes.has_delete_horizon();
        has_horizon.then_some(self.base_timestamp)
    }

    /// Whether an idempotent producer sent the batch.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// Sequence number of the last record; sequences wrap from `i32::MAX` to 0.
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        let last = i64::from(self.base_sequence) + i64::from(self.last_offset_delta);
        (last & i64::from(i32::MAX)) as i32
    }
}

/// The next `N` bytes of `input`, which moves on.
fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}

/// Reads the header of exactly one whole batch and returns it with the bytes of its records.
pub(crate) fn open(batch: &[u8]) -> Result<(BatchHeader, &[u8]), BatchError> {
    let header = BatchHeader::decode(batch)?;
    let needed = header.total_size();
    if batch.len() > needed {
        return Err(BatchError::TrailingBytes {
            extra: batch.len() - needed,
        });
    }
    match batch.get(BATCH_HEADER_SIZE..needed) {
        Some(records) => Ok((header, records)),
        None => Err(BatchError::Truncated {
            needed,
            available: batch.len(),
        }),
    }
}

/// Checks the checksum of exactly one whole batch.
pub fn verify_crc(batch: &[u8]) -> Result<(), BatchError> {
    let (header, _) = open(batch)?;
    let computed = crc32c(batch.get(CRC_START..).unwrap_or_default());
    if computed == header.crc {
        Ok(())
    } else {
        Err(BatchError::CrcMismatch {
            stored: header.crc,
            computed,
        })
    }
}

/// Cuts `records` into its batches without copying; neither checksums nor records are looked at.
///
/// The iterator ends after its first error. A partial batch at the end, as a fetch response may
/// carry, is `Err(Truncated)`: readers of fetch responses ignore it.
pub fn split_batches(records: &Bytes) -> Batches {
    Batches {
        rest: records.clone(),
    }
}

/// The batches of a buffer; made by [`split_batches`].
#[derive(Debug, Clone)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    fn take(&mut self) -> Result<(BatchHeader, Bytes), BatchError> {
        let header = BatchHeader::decode(&self.rest)?;
        let needed = header.total_size();
        if self.rest.len() < needed {
            return Err(BatchError::Truncated {
                needed,
                available: self.rest.len(),
            });
        }
        Ok((header, self.rest.split_to(needed)))
    }
}

impl Iterator for Batches {
    type Item = Result<(BatchHeader, Bytes), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let batch = self.take();
        if batch.is_err() {
            self.rest = Bytes::new();
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches {}
