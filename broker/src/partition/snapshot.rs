//! Producer state in Kafka's `.snapshot` format, so that a start need not read whole logs.
//! Invariant: a snapshot for offset N holds what the batches below N said; it is checked by its
//! CRC, and only ever a shortcut: without it the log is read. The files are the journal's.
//! Step 8 of the hallway.
//!
//! Kafka's format keeps the last batch of each producer, not five: after a restart retries of the
//! four before it are recognised only if they stand behind the snapshot's offset.

use std::collections::VecDeque;

use bytes::{Buf, BufMut};
use logway_journal::Log;
use logway_protocol::batch::NO_SEQUENCE;
use logway_protocol::crc::crc32c;
use tracing::warn;

use super::Writer;
use super::producer_state::{BatchTrace, ProducerEntry, ProducerStates};

const VERSION: i16 = 1;
/// Version and CRC, then the entry count.
const HEADER_BYTES: usize = 2 + 4;
const ENTRY_BYTES: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
/// Stands for an offset that is not there.
const NO_OFFSET: i64 = -1;

impl Writer {
    /// Keeps the state as it is, which is that of the records below `offset`, unless it was kept
    /// there before. A failure costs the next start some reading.
    pub(super) fn write_snapshot(&mut self, offset: i64) {
        if offset <= self.snapshot_offset {
            return;
        }
        let Some(log) = self.log.as_mut() else { return };
        match log.write_snapshot(offset, &encode(&self.producers)) {
            Ok(()) => self.snapshot_offset = offset,
            Err(source) => warn!(folder = %log.dir().display(), offset,
                "write producer snapshot: {source}; the next start reads more of the log"),
        }
    }

    /// Keeps the state if a segment was just begun at the log's end.
    pub(super) fn write_snapshot_if_rolled(&mut self) {
        let Some(log) = self.log.as_ref() else { return };
        let end = log.log_end_offset();
        if end == log.active_base_offset() {
            self.write_snapshot(end);
        }
    }

    /// Keeps the state at the log's end.
    pub(super) fn write_snapshot_at_end(&mut self) {
        if let Some(end) = self.log.as_ref().map(Log::log_end_offset) {
            self.write_snapshot(end);
        }
    }
}

/// The content of a snapshot file.
pub(super) fn encode(states: &ProducerStates) -> Vec<u8> {
    let entries = states.sorted();
    let mut checked = Vec::with_capacity(4 + entries.len() * ENTRY_BYTES);
    checked.put_i32(i32::try_from(entries.len()).unwrap_or(i32::MAX));
    for (producer_id, entry) in entries {
        let last = entry.batches.back();
        let delta = last.map_or(0, |last| last.last_offset - last.base_offset);
        checked.put_i64(producer_id);
        checked.put_i16(entry.epoch);
        checked.put_i32(last.map_or(NO_SEQUENCE, |last| last.last_sequence));
        checked.put_i64(last.map_or(NO_OFFSET, |last| last.last_offset));
        checked.put_i32(i32::try_from(delta).unwrap_or(0));
        checked.put_i64(entry.last_timestamp);
        checked.put_i32(entry.coordinator_epoch);
        checked.put_i64(entry.open_from.unwrap_or(NO_OFFSET));
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + checked.len());
    bytes.put_i16(VERSION);
    bytes.put_u32(crc32c(&checked));
    bytes.extend_from_slice(&checked);
    bytes
}

/// What the content of a snapshot file says; none if it is damaged.
pub(super) fn decode(bytes: &[u8]) -> Option<ProducerStates> {
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
        let (producer_id, entry) = decode_entry(&mut rest)?;
        states.restore(producer_id, entry);
    }
    Some(states)
}

/// One entry; `rest` has enough bytes.
fn decode_entry(rest: &mut &[u8]) -> Option<(i64, ProducerEntry)> {
    let producer_id = rest.get_i64();
    let epoch = rest.get_i16();
    let last_sequence = rest.get_i32();
    let last_offset = rest.get_i64();
    let delta = i64::from(rest.get_i32());
    let last_timestamp = rest.get_i64();
    let coordinator_epoch = rest.get_i32();
    let open_from = Some(rest.get_i64()).filter(|first| *first >= 0);
    let mut batches = VecDeque::new();
    if last_offset >= 0 {
        let first = i64::from(last_sequence) - delta;
        batches.push_back(BatchTrace {
            // Sequences wrap from the largest to 0.
            first_sequence: i32::try_from(if first < 0 { first + (1 << 31) } else { first })
                .ok()?,
            last_sequence,
            base_offset: last_offset - delta,
            last_offset,
            timestamp: last_timestamp,
        });
    }
    let entry = ProducerEntry {
        epoch,
        coordinator_epoch,
        batches,
        last_timestamp,
        open_from,
    };
    Some((producer_id, entry))
}
