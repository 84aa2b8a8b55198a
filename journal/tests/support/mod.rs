//! Batches, and checks of a whole log against what should be in it.
#![allow(dead_code)]

use std::path::Path;

use bytes::Bytes;
use logway_journal::{FoundByTime, LogConfig, LogReader};
use logway_protocol::batch::{BatchHeader, split_batches};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;

pub(crate) const DIR: &str = "/data/GameLog-0";

pub(crate) fn dir() -> &'static Path {
    Path::new(DIR)
}

/// Small segments and many index entries, so that little data meets every rule.
pub(crate) fn small() -> LogConfig {
    LogConfig {
        segment_bytes: 2048,
        index_interval_bytes: 200,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

/// A batch of `records` records with values of `size` bytes, all with this timestamp.
pub(crate) fn batch(timestamp: i64, records: usize, size: usize) -> Bytes {
    batch_at(&vec![timestamp; records], size)
}

/// A batch with one record per timestamp.
pub(crate) fn batch_at(timestamps: &[i64], size: usize) -> Bytes {
    compressed_batch_at(timestamps, size, Compression::None)
}

pub(crate) fn compressed_batch_at(timestamps: &[i64], size: usize, with: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(with);
    for timestamp in timestamps {
        let value: Vec<u8> = (0..size)
            .map(|at| (at as i64 * 7 + timestamp) as u8)
            .collect();
        builder
            .append(*timestamp, None, Some(&value), &[])
            .expect("fits");
    }
    builder.build().expect("is not empty")
}

/// Offsets of all records in the bytes of a fetch.
pub(crate) fn offsets_of(bytes: &Bytes) -> Vec<i64> {
    let batches = split_batches(bytes).map(|batch| batch.expect("whole batches").1);
    batches
        .flat_map(|batch| decode_records(&batch, 1 << 20).expect("decodes"))
        .map(|record| record.offset)
        .collect()
}

/// A batch as the log should hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) base_offset: i64,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) bytes: Bytes,
}

impl Expected {
    /// The batch with its place in the log written into it.
    pub(crate) fn new(
        base_offset: i64,
        leader_epoch: i32,
        timestamps: &[i64],
        batch: &Bytes,
    ) -> Self {
        let mut bytes = batch.to_vec();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes[12..16].copy_from_slice(&leader_epoch.to_be_bytes());
        Expected {
            base_offset,
            timestamps: timestamps.to_vec(),
            bytes: bytes.into(),
        }
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.base_offset + self.timestamps.len() as i64
    }
}

/// Every batch in the log, checksums verified.
pub(crate) fn all_batches(reader: &LogReader) -> Vec<(BatchHeader, Bytes)> {
    reader
        .batches(reader.log_start_offset())
        .map(|batch| batch.expect("a sound batch"))
        .collect()
}

/// The log holds these batches from its start on, whichever way it is read.
pub(crate) fn check_log(reader: &LogReader, expected: &[Expected]) {
    let start = reader.log_start_offset();
    let there: Vec<&Expected> = expected
        .iter()
        .filter(|batch| batch.next_offset() > start)
        .collect();
    let bytes: Vec<Bytes> = all_batches(reader)
        .into_iter()
        .map(|batch| batch.1)
        .collect();
    let wanted: Vec<Bytes> = there.iter().map(|batch| batch.bytes.clone()).collect();
    assert!(
        bytes == wanted,
        "{} batches, {} expected",
        bytes.len(),
        wanted.len()
    );
    for (at, batch) in there.iter().enumerate() {
        let next = there.get(at + 1).map_or(0, |next| next.bytes.len());
        let len = batch.bytes.len();
        for offset in [batch.base_offset, batch.next_offset() - 1] {
            if offset < start {
                continue;
            }
            for max_bytes in [1, len, len + next, 100_000] {
                check_read(reader, offset, max_bytes, &there[at..]);
            }
        }
        assert!(
            reader
                .read(batch.base_offset.max(start), len - 1, false)
                .expect("reads")
                .is_empty()
        );
    }
    check_times(reader, &there);
}

/// One read gives whole batches from the right one on, as many as fit into the segment and request.
fn check_read(reader: &LogReader, offset: i64, max_bytes: usize, rest: &[&Expected]) {
    let slice = reader.read(offset, max_bytes, true).expect("reads");
    let bytes = slice.bytes().expect("the slice's bytes");
    let mut left = &bytes[..];
    let mut next_offset = offset;
    for batch in rest {
        let Some(after) = left.strip_prefix(&batch.bytes[..]) else {
            break;
        };
        left = after;
        next_offset = batch.next_offset();
    }
    assert!(
        left.is_empty(),
        "only whole batches, in order, from offset {offset} on"
    );
    // Where offsets are missing, any of them will do for reading on.
    let following = rest.iter().map(|batch| batch.base_offset);
    let following = following
        .chain([reader.log_end_offset()])
        .find(|base| *base >= next_offset);
    assert!((next_offset..=following.expect("the log's end")).contains(&slice.next_offset()));
    let first = rest[0].bytes.len();
    assert!(bytes.len() >= first && bytes.len() <= max_bytes.max(first));
    let bounded = reader
        .read_below(offset, rest[0].next_offset(), max_bytes, true)
        .expect("reads");
    assert_eq!(bounded.bytes().expect("bytes"), rest[0].bytes);
    let nothing = reader
        .read_below(offset, offset, max_bytes, true)
        .expect("reads");
    assert!(nothing.is_empty());
}

fn check_times(reader: &LogReader, there: &[&Expected]) {
    let start = reader.log_start_offset();
    let records: Vec<(i64, i64)> = there
        .iter()
        .flat_map(|batch| (batch.base_offset..).zip(batch.timestamps.iter().copied()))
        .filter(|(offset, _)| *offset >= start)
        .collect();
    let pair = |found: FoundByTime| (found.offset, found.timestamp);
    let mut targets: Vec<i64> = records
        .iter()
        .flat_map(|record| [record.1, record.1 + 1])
        .collect();
    targets.sort_unstable();
    targets.dedup();
    // Negative times have a meaning of their own in ListOffsets and never come here.
    targets.retain(|target| *target >= 0);
    for target in targets {
        let first = records.iter().find(|record| record.1 >= target).copied();
        let found = reader
            .offset_for_timestamp(target)
            .expect("searches")
            .map(pair);
        assert_eq!(found, first, "the first record at or after time {target}");
    }
    let max = records
        .iter()
        .map(|record| record.1)
        .max()
        .filter(|max| *max >= 0);
    let first = max.and_then(|max| records.iter().find(|record| record.1 == max).copied());
    assert_eq!(reader.max_timestamp().expect("searches").map(pair), first);
}
