//! What a client's record batch must fulfil before it is appended (Kafka's LogValidator).
//! Invariant: no record is decoded and nothing is allocated per record, except on compacted topics
//! where keys are looked at; what passes here no consumer stumbles over. Step 7 of the hallway.

use bytes::{Bytes, BytesMut};
use logway_protocol::batch::{
    BatchError, BatchHeader, set_log_append_time, split_batches, verify_crc,
};
use logway_protocol::rewrite::recompress;
use logway_protocol::walk::{WalkRules, walk_records_with};
use thiserror::Error;

use crate::metadata::TopicConfig;

/// Most bytes that the records of one batch may unpack to, as a multiple of what a batch may have.
const UNPACKED_FACTOR: usize = 256;
/// But never less than this.
const UNPACKED_BYTES_MIN: usize = 64 * 1024 * 1024;
/// A record without a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// Why a batch is refused.
#[derive(Debug, Error)]
pub(crate) enum BatchRefusal {
    #[error("Produce requests must have exactly one record batch per partition, got {0}")]
    NotOneBatch(usize),
    #[error(
        "The record batch size is {size} bytes which exceeds the maximum configured value of {limit}"
    )]
    TooLarge { size: usize, limit: usize },
    #[error("{0}")]
    Corrupt(#[source] BatchError),
    #[error("{0}")]
    UnsupportedFormat(#[source] BatchError),
    #[error("The base offset of the record batch should be 0, but it is {0}")]
    BaseOffset(i64),
    #[error(
        "Inconsistent batch offset range: last offset delta {last_offset_delta}, count of records {count}"
    )]
    Count { last_offset_delta: i32, count: i32 },
    #[error("Clients are not allowed to write control records")]
    Control,
    #[error("Invalid sequence number {0} in record batch with producer id")]
    Sequence(i32),
    #[error("Transactions are not served yet")]
    Transactional,
    #[error(
        "Timestamp {timestamp} of the record batch is out of range. The timestamp should be within [{from}, {to}]"
    )]
    Timestamp { timestamp: i64, from: i64, to: i64 },
    #[error("One or more records have been rejected: {0}")]
    Records(#[source] BatchError),
}

/// Checks what a produce request holds for one partition and returns the one batch in it, stamped
/// with the broker's clock where the topic says so.
pub(crate) fn client_batch(
    records: &Bytes,
    config: &TopicConfig,
    now_ms: i64,
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let (header, batch) = only_batch(records)?;
    if batch.len() > config.message_bytes_max {
        let limit = config.message_bytes_max;
        return Err(BatchRefusal::TooLarge {
            size: batch.len(),
            limit,
        });
    }
    verify_crc(&batch).map_err(BatchRefusal::Corrupt)?;
    check_header(&header)?;
    let unpacked_max = unpacked_bytes_max(config);
    let timestamp = walk(&batch, unpacked_max, config.compacted)?.max(header.max_timestamp);
    if !config.log_append_time {
        check_timestamp(timestamp, config, now_ms)?;
    }
    let (header, batch) = with_topics_compression(header, batch, config)?;
    if config.log_append_time {
        return with_log_append_time(&batch, now_ms);
    }
    Ok((header, batch))
}

/// Most bytes that the records of one batch may unpack to.
pub(super) fn unpacked_bytes_max(config: &TopicConfig) -> usize {
    let bytes = config.message_bytes_max.saturating_mul(UNPACKED_FACTOR);
    bytes.max(UNPACKED_BYTES_MIN)
}

fn only_batch(records: &Bytes) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let mut batches = split_batches(records);
    let first = batches.next().ok_or(BatchRefusal::NotOneBatch(0))?;
    let first = first.map_err(|error| match error {
        error @ BatchError::UnsupportedMagic(_) => BatchRefusal::UnsupportedFormat(error),
        error => BatchRefusal::Corrupt(error),
    })?;
    match batches.count() {
        0 => Ok(first),
        more => Err(BatchRefusal::NotOneBatch(1 + more)),
    }
}

fn check_header(header: &BatchHeader) -> Result<(), BatchRefusal> {
    if header.base_offset != 0 {
        return Err(BatchRefusal::BaseOffset(header.base_offset));
    }
    let (last_offset_delta, count) = (header.last_offset_delta, header.record_count);
    if count <= 0 || last_offset_delta != count - 1 {
        return Err(BatchRefusal::Count {
            last_offset_delta,
            count,
        });
    }
    if header.is_control() {
        return Err(BatchRefusal::Control);
    }
    if header.is_transactional() {
        return Err(BatchRefusal::Transactional);
    }
    if header.has_producer() && header.base_sequence < 0 {
        return Err(BatchRefusal::Sequence(header.base_sequence));
    }
    Ok(())
}

/// Walks over the records' lengths and returns the largest of their own timestamps.
fn walk(batch: &Bytes, unpacked_max: usize, keys_required: bool) -> Result<i64, BatchRefusal> {
    let rules = WalkRules {
        limit_bytes: unpacked_max,
        keys_required,
        gaps_allowed: false,
    };
    let walked = walk_records_with(batch, rules).map_err(BatchRefusal::Records)?;
    Ok(walked.max_timestamp)
}

fn check_timestamp(timestamp: i64, config: &TopicConfig, now_ms: i64) -> Result<(), BatchRefusal> {
    let from = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let to = now_ms.saturating_add(config.timestamp_after_max_ms);
    if timestamp != NO_TIMESTAMP && !(from..=to).contains(&timestamp) {
        return Err(BatchRefusal::Timestamp {
            timestamp,
            from,
            to,
        });
    }
    Ok(())
}

/// The batch with the compression that the topic's `compression.type` asks for; as it is where that
/// says `producer`, or the same. The limit on a batch's size holds for the result too, as in Kafka.
fn with_topics_compression(
    header: BatchHeader,
    batch: Bytes,
    config: &TopicConfig,
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let Some(wanted) = config.compression else {
        return Ok((header, batch));
    };
    if header.compression().map_err(BatchRefusal::Corrupt)? == wanted.codec {
        return Ok((header, batch));
    }
    let unpacked_max = unpacked_bytes_max(config);
    let packed = recompress(&batch, wanted.codec, wanted.level, unpacked_max);
    let packed = packed.map_err(BatchRefusal::Records)?;
    if packed.len() > config.message_bytes_max {
        return Err(BatchRefusal::TooLarge {
            size: packed.len(),
            limit: config.message_bytes_max,
        });
    }
    let header = BatchHeader::decode(&packed).map_err(BatchRefusal::Corrupt)?;
    Ok((header, packed))
}

/// `message.timestamp.type=LogAppendTime`. Costs a copy and a checksum.
fn with_log_append_time(batch: &Bytes, now_ms: i64) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let mut stamped = BytesMut::from(&batch[..]);
    set_log_append_time(&mut stamped, now_ms).map_err(BatchRefusal::Corrupt)?;
    let header = BatchHeader::decode(&stamped).map_err(BatchRefusal::Corrupt)?;
    Ok((header, stamped.freeze()))
}
