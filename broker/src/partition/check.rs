//! What a client's record batch must fulfil before it is appended (Kafka's LogValidator).
//! Invariant: no record is decoded and nothing is allocated per record, unless the batch is refused
//! and its records have to be named; what passes here no consumer stumbles over, unless the broker
//! is told to trust headers (`check_records`). Step 7 of the hallway.

use std::ops::RangeInclusive;

use bytes::{Bytes, BytesMut};
use logway_config::broker::Broker as Settings;
use logway_protocol::batch::{
    BatchError, BatchHeader, TimestampType, set_max_timestamp, verify_crc,
};
use logway_protocol::compression::CompressionError;
use logway_protocol::rewrite::recompress;
use logway_protocol::walk::{
    Missed, RecordDemands, RecordFault, WalkRules, records_that_miss, walk_records_with,
};
use thiserror::Error;

use crate::metadata::TopicConfig;

/// Every batch may unpack to this much, whatever `decompressed_max_ratio` says.
const UNPACKED_BYTES_MIN: usize = 16 * 1024 * 1024;
/// Most records named in one answer; Kafka names all.
const NAMED_MAX: usize = 1000;
/// A record without a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// Why a batch is refused.
#[derive(Debug, Error)]
pub(crate) enum BatchRefusal {
    #[error("Produce requests must have at least one record batch per partition")]
    NoBatch,
    #[error("Produce requests must have exactly one record batch per partition")]
    MoreThanOne,
    #[error("Produce requests may only have record batches with magic version 2, got {0}")]
    Magic(i8),
    #[error("Record batch announces a length of {0} bytes, less than any batch has")]
    Length(i32),
    #[error("Record batch has an unknown magic version {0}")]
    UnknownMagic(i8),
    #[error("Produce requests with version {0} may not use ZStandard compression")]
    ZstdTooEarly(i16),
    #[error(
        "The record batch size is {size} bytes which exceeds the maximum configured value of {limit}"
    )]
    TooLarge { size: usize, limit: usize },
    #[error("{0}")]
    Corrupt(#[source] BatchError),
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
    #[error("Invalid epoch {0} in record batch with producer id")]
    Epoch(i16),
    #[error("{0}")]
    Codec(#[source] BatchError),
    #[error("Record batch unpacks to more than {limit} bytes (see decompressed_max_bytes)")]
    Unpacked { limit: usize },
    #[error("Timestamp {0} of the record batch is not one that the topic takes")]
    Timestamp(i64),
    #[error("One or more records have been rejected due to {} record errors", .0.len())]
    Rejected(Vec<(i32, Missed)>),
    #[error("One or more records have been rejected: {0}")]
    Records(#[source] BatchError),
}

/// Checks the one batch that a produce request holds for a partition and returns it as it is stored:
/// with the broker's clock where the topic says so, with the largest timestamp that its records
/// really have otherwise.
pub(crate) fn client_batch(
    (header, batch): (BatchHeader, Bytes),
    config: &TopicConfig,
    settings: &Settings,
    now_ms: i64,
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    if header.base_offset != 0 {
        return Err(BatchRefusal::BaseOffset(header.base_offset));
    }
    let (size, limit) = (batch.len(), config.message_bytes_max);
    if size > limit {
        return Err(BatchRefusal::TooLarge { size, limit });
    }
    verify_crc(&batch).map_err(BatchRefusal::Corrupt)?;
    check_header(&header)?;
    let window = window(&header, config, now_ms);
    let demands = RecordDemands {
        limit_bytes: unpacked_max(size, settings),
        keys: config.compacted,
        timestamps: window,
        named_max: NAMED_MAX,
    };
    let (oldest, newest) = match settings.check_records {
        true => walk(&header, &batch, &demands)?,
        false => (header.base_timestamp, header.max_timestamp),
    };
    let window = &demands.timestamps;
    let out = |timestamp| timestamp != NO_TIMESTAMP && !window.contains(&timestamp);
    if window.is_empty() || out(oldest) || out(newest) {
        return Err(match settings.check_records {
            true => rejected(&batch, &demands),
            false => BatchRefusal::Timestamp(newest),
        });
    }
    let (header, batch) = with_topics_compression(header, batch, config, demands.limit_bytes)?;
    stamped(header, batch, config, (newest, now_ms))
}

fn check_header(header: &BatchHeader) -> Result<(), BatchRefusal> {
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
    if header.has_producer() && header.base_sequence < 0 {
        return Err(BatchRefusal::Sequence(header.base_sequence));
    }
    // -1 stands for none, and Kafka takes it.
    if header.has_producer() && header.producer_epoch < -1 {
        return Err(BatchRefusal::Epoch(header.producer_epoch));
    }
    header.compression().map_err(BatchRefusal::Codec)?;
    Ok(())
}

/// Timestamps that the topic takes; empty if the batch claims a clock that is not a producer's to use.
fn window(header: &BatchHeader, config: &TopicConfig, now_ms: i64) -> RangeInclusive<i64> {
    let brokers_clock = header.timestamp_type() == TimestampType::LogAppendTime;
    if brokers_clock && (config.log_append_time || header.max_timestamp == NO_TIMESTAMP) {
        #[expect(clippy::reversed_empty_ranges, reason = "no timestamp is taken")]
        return 1..=0;
    }
    if config.log_append_time {
        return i64::MIN..=i64::MAX;
    }
    let from = now_ms.saturating_sub(config.timestamp_before_max_ms);
    from..=now_ms.saturating_add(config.timestamp_after_max_ms)
}

/// Walks over the records' lengths; smallest and largest of their timestamps.
fn walk(
    header: &BatchHeader,
    batch: &Bytes,
    demands: &RecordDemands,
) -> Result<(i64, i64), BatchRefusal> {
    let rules = WalkRules {
        limit_bytes: demands.limit_bytes,
        keys_required: demands.keys,
        gaps_allowed: false,
    };
    let walked = walk_records_with(batch, rules).map_err(|error| match error {
        BatchError::Record {
            fault: RecordFault::MissingKey,
            ..
        } => rejected(batch, demands),
        error => malformed(error),
    })?;
    Ok(match header.timestamp_type() {
        // Without any timestamp the smallest is MAX.
        TimestampType::CreateTime if walked.min_timestamp == i64::MAX => {
            (walked.max_timestamp, walked.max_timestamp)
        }
        TimestampType::CreateTime => (walked.min_timestamp, walked.max_timestamp),
        TimestampType::LogAppendTime => (header.max_timestamp, header.max_timestamp),
    })
}

/// Names the records for which a batch is refused.
fn rejected(batch: &Bytes, demands: &RecordDemands) -> BatchRefusal {
    match records_that_miss(batch, demands) {
        Ok(missed) => BatchRefusal::Rejected(missed),
        Err(error) => malformed(error),
    }
}

fn malformed(error: BatchError) -> BatchRefusal {
    match error {
        BatchError::Compression(CompressionError::LimitExceeded { limit, .. }) => {
            BatchRefusal::Unpacked { limit }
        }
        error => BatchRefusal::Records(error),
    }
}

/// Most bytes that the records of a batch of `size` bytes may unpack to.
fn unpacked_max(size: usize, settings: &Settings) -> usize {
    let ratio = usize::try_from(settings.decompressed_max_ratio).unwrap_or(usize::MAX);
    let by_ratio = size.saturating_mul(ratio).max(UNPACKED_BYTES_MIN);
    by_ratio.min(settings.decompressed_max_bytes)
}

/// The batch with the broker's clock, or with the largest timestamp of its records where it claims
/// another. Costs a copy and a checksum.
fn stamped(
    header: BatchHeader,
    batch: Bytes,
    config: &TopicConfig,
    (newest, now_ms): (i64, i64),
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let (clock, timestamp) = match config.log_append_time {
        true => (TimestampType::LogAppendTime, now_ms),
        false => (TimestampType::CreateTime, newest),
    };
    if header.timestamp_type() == clock && header.max_timestamp == timestamp {
        return Ok((header, batch));
    }
    let mut bytes = BytesMut::from(&batch[..]);
    set_max_timestamp(&mut bytes, clock, timestamp).map_err(BatchRefusal::Corrupt)?;
    let header = BatchHeader::decode(&bytes).map_err(BatchRefusal::Corrupt)?;
    Ok((header, bytes.freeze()))
}

/// The batch with the compression that the topic's `compression.type` asks for; as it is where that
/// says `producer`, or the same. The limit on a batch's size holds for the result too, as in Kafka.
fn with_topics_compression(
    header: BatchHeader,
    batch: Bytes,
    config: &TopicConfig,
    limit_bytes: usize,
) -> Result<(BatchHeader, Bytes), BatchRefusal> {
    let Some(wanted) = config.compression else {
        return Ok((header, batch));
    };
    if header.compression().map_err(BatchRefusal::Corrupt)? == wanted.codec {
        return Ok((header, batch));
    }
    let packed = recompress(&batch, wanted.codec, wanted.level, limit_bytes);
    let packed = packed.map_err(malformed)?;
    if packed.len() > config.message_bytes_max {
        return Err(BatchRefusal::TooLarge {
            size: packed.len(),
            limit: config.message_bytes_max,
        });
    }
    let header = BatchHeader::decode(&packed).map_err(BatchRefusal::Corrupt)?;
    Ok((header, packed))
}
