//! Producer state on disk in Kafka's `.snapshot` format, so that a start need not read whole logs.
//! Invariant: a snapshot for offset N holds what the batches below N said; it is checked by its CRC,
//! written beside its name and renamed, and only ever a shortcut: without it the log is read.
//! Step 8 of the hallway.
//!
//! Kafka's format keeps the last batch of each producer, not five: retries of the four before it are
//! recognised over a clean restart only if they stand behind the snapshot's offset.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut};
use logway_protocol::crc::crc32c;
use tracing::warn;

use super::producer_state::{BatchTrace, ProducerEntry, ProducerStates};

const SUFFIX: &str = ".snapshot";
const VERSION: i16 = 1;
/// Version and CRC, then the entry count.
const HEADER_BYTES: usize = 2 + 4;
const ENTRY_BYTES: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// Snapshots kept: after a crash the older one is taken, so that the log behind it brings back more
/// than the last batch of each producer.
const KEPT: usize = 2;

/// Writes the snapshot for `offset` and removes all but the newest.
pub(super) fn write(dir: &Path, offset: i64, states: &ProducerStates) -> io::Result<()> {
    let path = dir.join(format!("{offset:020}{SUFFIX}"));
    let unfinished = path.with_extension("snapshot.tmp");
    fs::write(&unfinished, encode(states))?;
    fs::rename(&unfinished, &path)?;
    let mut found = list(dir)?;
    found.sort_by_key(|(offset, _)| std::cmp::Reverse(*offset));
    found
        .into_iter()
        .skip(KEPT)
        .try_for_each(|(_, old)| fs::remove_file(old))
}

/// Removes the snapshots above the log's end.
pub(super) fn remove_above(dir: &Path, end: i64) -> io::Result<()> {
    let found = list(dir)?;
    let above = found.into_iter().filter(|(offset, _)| *offset > end);
    above.map(|(_, path)| path).try_for_each(fs::remove_file)
}

/// A readable snapshot and its offset: the newest after a clean shutdown, else the
/// oldest. None: start from nothing.
pub(super) fn read(dir: &Path, clean: bool) -> Option<(i64, ProducerStates)> {
    let mut found = list(dir).ok()?;
    found.sort_by_key(|(offset, _)| if clean { -*offset } else { *offset });
    found.into_iter().find_map(|(offset, path)| {
        let states = fs::read(&path).ok().and_then(|bytes| decode(&bytes));
        if states.is_none() {
            warn!(path = %path.display(), "producer snapshot is not readable, older data is used");
        }
        states.map(|states| (offset, states))
    })
}

fn list(dir: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let offset = name
            .and_then(|name| name.strip_suffix(SUFFIX))
            .and_then(|n| n.parse().ok());
        if let Some(offset) = offset {
            found.push((offset, path));
        }
    }
    Ok(found)
}

fn encode(states: &ProducerStates) -> Vec<u8> {
    let mut body = Vec::new();
    let mut count = 0i32;
    for (producer_id, entry) in states.iter() {
        let Some(last) = entry.batches.back() else {
            continue;
        };
        count += 1;
        body.put_i64(*producer_id);
        body.put_i16(entry.epoch);
        body.put_i32(last.last_sequence);
        body.put_i64(last.last_offset);
        body.put_i32(i32::try_from(last.last_offset - last.base_offset).unwrap_or(0));
        body.put_i64(last.timestamp);
        // Coordinator epoch and the first offset of an open transaction: there are none.
        body.put_i32(-1);
        body.put_i64(-1);
    }
    let mut checked = Vec::with_capacity(4 + body.len());
    checked.put_i32(count);
    checked.extend_from_slice(&body);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + checked.len());
    bytes.put_i16(VERSION);
    bytes.put_u32(crc32c(&checked));
    bytes.extend_from_slice(&checked);
    bytes
}

fn decode(bytes: &[u8]) -> Option<ProducerStates> {
    let mut header = bytes.get(..HEADER_BYTES)?;
    let mut rest = bytes.get(HEADER_BYTES..)?;
    if header.get_i16() != VERSION || header.get_u32() != crc32c(rest) || rest.len() < 4 {
        return None;
    }
    let count = usize::try_from(rest.get_i32()).ok()?;
    if rest.len() != count.checked_mul(ENTRY_BYTES)? {
        return None;
    }
    let mut states = ProducerStates::default();
    for _ in 0..count {
        let producer_id = rest.get_i64();
        let epoch = rest.get_i16();
        let last_sequence = rest.get_i32();
        let last_offset = rest.get_i64();
        let delta = rest.get_i32();
        let timestamp = rest.get_i64();
        rest.advance(4 + 8);
        let first = i64::from(last_sequence) - i64::from(delta);
        let trace = BatchTrace {
            // Sequences wrap from the largest to 0.
            first_sequence: i32::try_from(if first < 0 { first + (1 << 31) } else { first })
                .ok()?,
            last_sequence,
            base_offset: last_offset - i64::from(delta),
            last_offset,
            timestamp,
        };
        let batches = VecDeque::from([trace]);
        states.restore(
            producer_id,
            ProducerEntry {
                epoch,
                batches,
                last_timestamp: timestamp,
            },
        );
    }
    Some(states)
}
