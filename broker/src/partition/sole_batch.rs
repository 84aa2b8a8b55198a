//! Finds the one record batch that a produce request may hold for a partition, as Kafka finds it.
//! Invariant: only framing is judged here (length, format, number of batches), in Kafka's order, so
//! that odd bytes get Kafka's error code. Step 7 of the hallway.
//!
//! Like Kafka, bytes behind the batch that are no whole batch are dropped, not refused.

use bytes::Bytes;
use logway_protocol::batch::{BATCH_OVERHEAD, BatchHeader, MAGIC};
use logway_protocol::compression::Compression;

use super::check::BatchRefusal;

/// Bytes up to and with the format byte, the same in every format.
const UP_TO_MAGIC: usize = 17;
/// The shortest length that any format ever had.
const LENGTH_MIN: i32 = 14;
/// First version of Produce in which Zstandard may be sent (KIP-110).
const ZSTD_FROM: i16 = 7;

/// The batch in `records` of a request in `version`, without what stands behind it.
pub(crate) fn sole_batch(
    records: Option<&Bytes>,
    version: i16,
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let records = records.ok_or(BatchRefusal::NoBatch)?;
    let (magic, size) = next(records)?.ok_or(BatchRefusal::NoBatch)?;
    if magic != MAGIC {
        return Err(BatchRefusal::Magic(magic));
    }
    let batch = records.slice(..size);
    let header = BatchHeader::decode(&batch).map_err(BatchRefusal::Corrupt)?;
    if version < ZSTD_FROM && header.compression().ok() == Some(Compression::Zstd) {
        return Err(BatchRefusal::ZstdTooEarly(version));
    }
    match next(&records[size..])? {
        None => Ok((header, batch)),
        Some(_) => Err(BatchRefusal::MoreThanOne),
    }
}

/// Format and size of the batch at the start of `bytes`; none if they end before it does.
fn next(bytes: &[u8]) -> Result<Option<(i8, usize)>, BatchRefusal> {
    let Some(length) = bytes.get(8..BATCH_OVERHEAD) else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(length.try_into().unwrap_or_default());
    if length < LENGTH_MIN {
        return Err(BatchRefusal::Length(length));
    }
    if bytes.len() < UP_TO_MAGIC {
        return Ok(None);
    }
    let magic = bytes[UP_TO_MAGIC - 1] as i8;
    if !(0..=MAGIC).contains(&magic) {
        return Err(BatchRefusal::UnknownMagic(magic));
    }
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    let size = size.saturating_add(BATCH_OVERHEAD);
    Ok((size <= bytes.len()).then_some((magic, size)))
}
