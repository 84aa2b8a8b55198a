//! Checks the records of a batch without decoding them.
//!
//! Invariant: no allocation per record; compressed records pass through one buffer of fixed size.
//! Hallway: step 7, before a batch is appended.
#![warn(clippy::indexing_slicing)]

use std::ops::{ControlFlow, RangeInclusive};

use crate::batch::{self, BatchError, BatchHeader, TimestampType};
use crate::compression::Compression;
use crate::input::{Input, SliceInput, Stop, StreamInput};

/// The smallest record: seven one-byte fields.
pub(crate) const RECORD_SIZE_MIN: usize = 7;
/// The smallest header: two one-byte lengths.
pub(crate) const RECORD_HEADER_SIZE_MIN: usize = 2;

/// The timestamp of a record without one.
const NO_TIMESTAMP: i64 = -1;

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The bytes end inside the record.
    #[error("its bytes end early")]
    Truncated,
    /// A variable-length integer does not end within 5 bytes (32 bit) or 10 bytes (64 bit).
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// A length is negative where that does not mean null.
    #[error("{field} has length {length}")]
    NegativeLength {
        /// Which length.
        field: &'static str,
        /// Its value.
        length: i32,
    },
    /// The fields do not fill exactly the announced length.
    #[error("its fields do not fill its announced length of {announced} bytes")]
    LengthMismatch {
        /// The record's own length field.
        announced: i32,
    },
    /// The offset delta is not the record's position in the batch.
    #[error("its offset delta is {actual}")]
    OffsetDelta {
        /// The record's field.
        actual: i32,
    },
    /// The number of headers cannot be true for the bytes that are there.
    #[error("it announces {count} headers")]
    HeaderCount {
        /// The announced number.
        count: i32,
    },
    /// The record has no key although its topic is compacted.
    #[error("it has no key, but the topic is compacted")]
    MissingKey,
}

/// What a walk demands of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalkRules {
    /// Most decompressed bytes that are looked at.
    pub limit_bytes: usize,
    /// Every record needs a key: the topic is compacted.
    pub keys_required: bool,
    /// Offsets may have gaps and the batch may be empty, as compaction leaves it.
    pub gaps_allowed: bool,
}

/// What a walk has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walked {
    /// Bytes of the records, decompressed.
    pub records_size: usize,
    /// Largest timestamp of the records themselves; -1 without records.
    pub max_timestamp: i64,
    /// Smallest timestamp of the records that have one (-1 is none); `i64::MAX` if none has.
    pub min_timestamp: i64,
    /// Offset delta of the first record with that timestamp.
    pub max_timestamp_offset_delta: i32,
}

/// The fixed fields of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordHead {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    /// Input position at which the record ends.
    pub(crate) end: usize,
    /// Known once the key was passed over.
    pub(crate) has_key: bool,
}

/// Checks the records of one whole batch as a producer may send it: as many as announced, offset
/// deltas 0, 1, 2, …, all lengths within their record, nothing behind the last one. Keys, values
/// and headers are skipped. The checksum is not looked at.
///
/// At most `limit_bytes` are decompressed.
pub fn walk_records(batch: &[u8], limit_bytes: usize) -> Result<(), BatchError> {
    let rules = WalkRules {
        limit_bytes,
        keys_required: false,
        gaps_allowed: false,
    };
    walk_records_with(batch, rules).map(|_| ())
}

/// Like [`walk_records`], by the given rules, and tells what it has seen.
pub fn walk_records_with(batch: &[u8], rules: WalkRules) -> Result<Walked, BatchError> {
    let (header, records) = batch::open(batch)?;
    let last = i64::from(header.last_offset_delta);
    let count = i64::from(header.record_count);
    let count_fits = if rules.gaps_allowed {
        (0..=last + 1).contains(&count)
    } else {
        count > 0 && count == last + 1
    };
    if !count_fits {
        return Err(BatchError::InvalidLastOffset {
            count: header.record_count,
            last_offset_delta: header.last_offset_delta,
        });
    }
    let mut walked = Walked {
        records_size: 0,
        max_timestamp: NO_TIMESTAMP,
        min_timestamp: i64::MAX,
        max_timestamp_offset_delta: -1,
    };
    let size = each_record(&header, records, rules, |head| {
        let timestamp = header.base_timestamp.wrapping_add(head.timestamp_delta);
        if timestamp != NO_TIMESTAMP {
            walked.min_timestamp = walked.min_timestamp.min(timestamp);
        }
        if timestamp > walked.max_timestamp {
            walked.max_timestamp = timestamp;
            walked.max_timestamp_offset_delta = head.offset_delta;
        }
        ControlFlow::Continue(())
    })?;
    walked.records_size = size;
    Ok(walked)
}

/// What a topic demands of well-formed records.
#[derive(Debug, Clone)]
pub struct RecordDemands {
    /// Most decompressed bytes that are looked at.
    pub limit_bytes: usize,
    /// Every record needs a key.
    pub keys: bool,
    /// Timestamps that are taken; if any are, a record without one (-1) is taken too.
    pub timestamps: RangeInclusive<i64>,
    /// Most records that are named.
    pub named_max: usize,
}

/// Which demand a record misses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// It has no key.
    Key,
    /// Its timestamp is out of range.
    Timestamp(i64),
}

/// Names the records of a batch that miss a demand, by their position from 0: for the answer to a
/// producer whose batch a walk has found wanting. A malformed record is an error.
pub fn records_that_miss(
    batch: &[u8],
    demands: &RecordDemands,
) -> Result<Vec<(i32, Missed)>, BatchError> {
    let (header, records) = batch::open(batch)?;
    let rules = WalkRules {
        limit_bytes: demands.limit_bytes,
        keys_required: false,
        gaps_allowed: false,
    };
    let mut found = Vec::new();
    each_record(&header, records, rules, |head| {
        let timestamp = match header.timestamp_type() {
            TimestampType::CreateTime => header.base_timestamp.wrapping_add(head.timestamp_delta),
            TimestampType::LogAppendTime => header.max_timestamp,
        };
        let without = timestamp == NO_TIMESTAMP && !demands.timestamps.is_empty();
        let in_range = without || demands.timestamps.contains(&timestamp);
        if demands.keys && !head.has_key {
            found.push((head.offset_delta, Missed::Key));
        } else if !in_range {
            found.push((head.offset_delta, Missed::Timestamp(timestamp)));
        }
        if found.len() < demands.named_max {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    Ok(found)
}

/// Offset and timestamp of the first record that is not older than `timestamp`, if the batch has one.
///
/// The checksum is not looked at; at most `limit_bytes` are decompressed.
pub fn first_record_since(
    batch: &[u8],
    timestamp: i64,
    limit_bytes: usize,
) -> Result<Option<(i64, i64)>, BatchError> {
    let (header, records) = batch::open(batch)?;
    let appended = match header.timestamp_type() {
        TimestampType::CreateTime => None,
        TimestampType::LogAppendTime => Some(header.max_timestamp),
    };
    let rules = WalkRules {
        limit_bytes,
        keys_required: false,
        gaps_allowed: true,
    };
    let mut found = None;
    each_record(&header, records, rules, |head| {
        let record = header.base_timestamp.wrapping_add(head.timestamp_delta);
        let record = appended.unwrap_or(record);
        if record < timestamp {
            return ControlFlow::Continue(());
        }
        let offset = header
            .base_offset
            .saturating_add(i64::from(head.offset_delta));
        found = Some((offset, record));
        ControlFlow::Break(())
    })?;
    Ok(found)
}

/// Shows `visit` the head of each record until it breaks. Returns the bytes looked at.
fn each_record(
    header: &BatchHeader,
    records: &[u8],
    rules: WalkRules,
    visit: impl FnMut(RecordHead) -> ControlFlow<()>,
) -> Result<usize, BatchError> {
    check_count(header, records)?;
    let walk = Walk {
        count: header.record_count,
        last: header.last_offset_delta,
        rules,
    };
    match header.compression()? {
        Compression::None => walk.run(SliceInput::new(records), visit),
        codec => walk.run(StreamInput::new(codec, records, rules.limit_bytes)?, visit),
    }
}

/// Refuses a number of records that cannot be true, before anything is done for so many.
pub(crate) fn check_count(header: &BatchHeader, records: &[u8]) -> Result<(), BatchError> {
    let count = header.record_count;
    let invalid = BatchError::InvalidRecordCount {
        count,
        available: records.len(),
    };
    let Ok(wanted) = usize::try_from(count) else {
        return Err(invalid);
    };
    let stored = header.compression()? == Compression::None;
    if stored && wanted > records.len() / RECORD_SIZE_MIN {
        return Err(invalid);
    }
    Ok(())
}

struct Walk {
    count: i32,
    last: i32,
    rules: WalkRules,
}

impl Walk {
    fn run(
        &self,
        mut input: impl Input,
        mut visit: impl FnMut(RecordHead) -> ControlFlow<()>,
    ) -> Result<usize, BatchError> {
        let mut expected = 0;
        for index in 0..self.count {
            let head = self
                .record(&mut input, expected)
                .map_err(|stop| stop.at(index))?;
            expected = head.offset_delta.saturating_add(1);
            if visit(head).is_break() {
                return Ok(input.position());
            }
        }
        if !input.at_end()? {
            return Err(BatchError::TrailingRecords { count: self.count });
        }
        Ok(input.position())
    }

    /// Passes over one record.
    #[inline]
    fn record(&self, input: &mut impl Input, expected: i32) -> Result<RecordHead, Stop> {
        let Some(record) = input.usual_record() else {
            return self.any_record(input, expected);
        };
        let head = RecordHead {
            timestamp_delta: record.timestamp_delta,
            offset_delta: record.offset_delta,
            end: input.position(),
            has_key: record.has_key,
        };
        self.check_order(&head, expected)?;
        self.check_key(&head)?;
        Ok(head)
    }

    fn check_order(&self, head: &RecordHead, expected: i32) -> Result<(), Stop> {
        let actual = head.offset_delta;
        let in_order = if self.rules.gaps_allowed {
            (expected..=self.last).contains(&actual)
        } else {
            actual == expected
        };
        match in_order {
            true => Ok(()),
            false => Err(RecordFault::OffsetDelta { actual }.into()),
        }
    }

    fn check_key(&self, head: &RecordHead) -> Result<(), Stop> {
        match self.rules.keys_required && !head.has_key {
            true => Err(RecordFault::MissingKey.into()),
            false => Ok(()),
        }
    }

    /// Passes over one record of any shape.
    fn any_record(&self, input: &mut impl Input, expected: i32) -> Result<RecordHead, Stop> {
        let (mut head, announced) = read_head(input)?;
        self.check_order(&head, expected)?;
        head.has_key = skip_nullable(input, &head, "key")?;
        self.check_key(&head)?;
        skip_nullable(input, &head, "value")?;
        for _ in 0..read_header_count(input, &head)? {
            if !skip_nullable(input, &head, "header key")? {
                return Err(RecordFault::NegativeLength {
                    field: "header key",
                    length: -1,
                }
                .into());
            }
            skip_nullable(input, &head, "header value")?;
        }
        finish(input, &head, announced)?;
        Ok(head)
    }
}

/// Reads a record up to its offset delta; returns its announced length too.
#[inline]
pub(crate) fn read_head(input: &mut impl Input) -> Result<(RecordHead, i32), Stop> {
    let announced = input.varint()?;
    let length = usize::try_from(announced).map_err(|_| RecordFault::NegativeLength {
        field: "record",
        length: announced,
    })?;
    let end = input.position().saturating_add(length);
    input.skip(1)?;
    let timestamp_delta = input.varlong()?;
    let offset_delta = input.varint()?;
    Ok((
        RecordHead {
            timestamp_delta,
            offset_delta,
            end,
            has_key: false,
        },
        announced,
    ))
}

/// Reads the length of a nullable field; `None` is null. The field lies within its record.
#[inline]
pub(crate) fn read_length(
    input: &mut impl Input,
    head: &RecordHead,
    field: &'static str,
) -> Result<Option<usize>, Stop> {
    let length = input.varint()?;
    if length == -1 {
        return Ok(None);
    }
    let bytes =
        usize::try_from(length).map_err(|_| RecordFault::NegativeLength { field, length })?;
    if bytes > head.end.saturating_sub(input.position()) {
        return Err(RecordFault::Truncated.into());
    }
    Ok(Some(bytes))
}

/// Reads the number of headers; so many can lie within the record.
#[inline]
pub(crate) fn read_header_count(input: &mut impl Input, head: &RecordHead) -> Result<usize, Stop> {
    let count = input.varint()?;
    let room = head.end.saturating_sub(input.position()) / RECORD_HEADER_SIZE_MIN;
    match usize::try_from(count) {
        Ok(headers) if headers <= room => Ok(headers),
        _ => Err(RecordFault::HeaderCount { count }.into()),
    }
}

/// Checks that the record ends where it said.
pub(crate) fn finish(
    input: &impl Input,
    head: &RecordHead,
    announced: i32,
) -> Result<(), RecordFault> {
    if input.position() == head.end {
        Ok(())
    } else {
        Err(RecordFault::LengthMismatch { announced })
    }
}

/// Passes over a nullable field; tells whether it is there.
#[inline]
fn skip_nullable(
    input: &mut impl Input,
    head: &RecordHead,
    field: &'static str,
) -> Result<bool, Stop> {
    match read_length(input, head, field)? {
        None => Ok(false),
        Some(length) => {
            input.skip(length)?;
            Ok(true)
        }
    }
}
