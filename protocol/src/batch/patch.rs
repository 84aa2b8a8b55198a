//! Changes to the header of a finished batch, in place.
//!
//! Invariant: the records stay as they are; where the checksum covers the change it is computed
//! anew in the same call.
//! Hallway: step 5 sets the producer, step 8 base offset and leader epoch.
#![warn(clippy::indexing_slicing)]

use super::{BATCH_HEADER_SIZE, BatchError, BatchHeader, CRC_START, TimestampType};
use crate::crc::crc32c;

const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const ATTRIBUTES_AT: usize = 21;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_AT: usize = 43;

/// Sets the base offset of a finished batch; the checksum does not cover it.
pub fn set_base_offset(batch: &mut [u8], base_offset: i64) -> Result<(), BatchError> {
    put(batch, 0, base_offset.to_be_bytes())
}

/// Sets the leader epoch of a finished batch; the checksum does not cover it.
pub fn set_leader_epoch(batch: &mut [u8], leader_epoch: i32) -> Result<(), BatchError> {
    put(batch, LEADER_EPOCH_AT, leader_epoch.to_be_bytes())
}

/// Gives a finished batch its idempotent producer and computes the checksum anew.
///
/// `sequence` is the number of the batch's first record in its partition.
pub fn set_producer(
    batch: &mut [u8],
    id: i64,
    epoch: i16,
    sequence: i32,
) -> Result<(), BatchError> {
    put(batch, PRODUCER_AT, id.to_be_bytes())?;
    put(batch, PRODUCER_AT + 8, epoch.to_be_bytes())?;
    put(batch, PRODUCER_AT + 10, sequence.to_be_bytes())?;
    seal(batch)
}

/// Says whose clock a finished batch's timestamps come from and which is the largest, and computes
/// the checksum anew. The records stay as they are; with `LogAppendTime` readers take `timestamp`
/// for each of them.
pub fn set_max_timestamp(
    batch: &mut [u8],
    timestamp_type: TimestampType,
    timestamp: i64,
) -> Result<(), BatchError> {
    let attributes = BatchHeader::decode(batch)?.attributes;
    let stamped = attributes.with_timestamp_type(timestamp_type);
    put(batch, ATTRIBUTES_AT, stamped.0.to_be_bytes())?;
    put(batch, MAX_TIMESTAMP_AT, timestamp.to_be_bytes())?;
    seal(batch)
}

/// Computes the checksum of a whole batch and writes it into the header.
pub(crate) fn seal(batch: &mut [u8]) -> Result<(), BatchError> {
    let crc = crc32c(batch.get(CRC_START..).unwrap_or_default());
    put(batch, CRC_AT, crc.to_be_bytes())
}

/// Overwrites `N` header bytes at `at`, if `batch` has a whole header.
fn put<const N: usize>(batch: &mut [u8], at: usize, bytes: [u8; N]) -> Result<(), BatchError> {
    let available = batch.len();
    let short = BatchError::Truncated {
        needed: BATCH_HEADER_SIZE,
        available,
    };
    if available < BATCH_HEADER_SIZE {
        return Err(short);
    }
    batch
        .get_mut(at..at + N)
        .ok_or(short)?
        .copy_from_slice(&bytes);
    Ok(())
}
