//! What becomes of one batch: it stays as it is, loses records, is emptied, or goes.
//!
//! Invariant: fed with every batch of the log up to where it is compacted, in offset order. A batch
//! with the last sequence of a producer, or the last offset of its segment, never goes. (Kafka's
//! `Cleaner.cleanInto` and `MemoryRecords.filterTo`.)
//! Hallway: step 8, in compaction.
use std::collections::HashMap;

use bytes::Bytes;
use logway_protocol::batch::{BatchError, BatchHeader};
use logway_protocol::control::ControlType;
use logway_protocol::rewrite::{StoredRecord, StoredRecords, without_records};

use super::key_map::KeyMap;
use super::transactions::Transactions;

/// What the log's writer knows last of a producer that is still active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRecord {
    /// Offset of its last data record, if it wrote any: the batch that holds it has the producer's
    /// last sequence.
    pub last_data_offset: Option<i64>,
    /// Its epoch, which a marker may say alone.
    pub producer_epoch: i16,
}

/// The batch in the new segment.
#[derive(Debug)]
pub(super) enum Outcome {
    /// As it was.
    Verbatim,
    /// With other bytes.
    Rewritten(Bytes),
    /// Not at all.
    Dropped,
}

/// By which batches are judged.
pub(super) struct Judge<'a> {
    pub(super) map: &'a KeyMap,
    /// The map knows nothing of what lies behind this offset.
    pub(super) mapped_to: i64,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    pub(super) unpacked_bytes_max: usize,
    pub(super) producers: &'a HashMap<i64, LastRecord>,
    pub(super) transactions: &'a mut Transactions,
}

impl Judge<'_> {
    /// Decides about one batch. `ends_segment`: it is the last one that goes into the new segment.
    /// The second value is how many records stay.
    pub(super) fn decide(
        &mut self,
        batch: &[u8],
        ends_segment: bool,
    ) -> Result<(Outcome, usize), BatchError> {
        let records = StoredRecords::open(batch, self.unpacked_bytes_max)?;
        let header = *records.header();
        let (unneeded, discarded) = self.discards(&records)?;
        let must_stay = ends_segment || self.is_last_of_producer(&header);
        let kept = if discarded {
            Vec::new()
        } else {
            self.kept(&records)?
        };
        if kept.is_empty() {
            return Ok((emptied(&header, must_stay), 0));
        }
        let has_tombstones = kept.iter().any(|record| !record.has_value);
        let ages = has_tombstones || (header.is_control() && unneeded);
        let horizon = (ages && header.delete_horizon_ms().is_none())
            .then(|| self.now_ms.saturating_add(self.delete_retention_ms));
        let outcome = if kept.len() == header.record_count as usize && horizon.is_none() {
            Outcome::Verbatim
        } else {
            Outcome::Rewritten(records.with_only(&kept, horizon)?)
        };
        Ok((outcome, kept.len()))
    }

    /// Whether nothing needs the batch any more, and whether its records go for that reason now:
    /// those of aborted transactions at once, markers after their horizon.
    fn discards(&mut self, records: &StoredRecords<'_>) -> Result<(bool, bool), BatchError> {
        let header = records.header();
        if !header.is_control() {
            let aborted = self.transactions.on_data(header);
            return Ok((aborted, aborted));
        }
        let unneeded = self.transactions.on_control(header, control_type(records)?);
        let horizon = header.delete_horizon_ms();
        let is_over = horizon.is_some_and(|horizon| horizon <= self.now_ms);
        Ok((unneeded, unneeded && is_over))
    }

    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        if !header.has_producer() {
            return false;
        }
        let Some(last) = self.producers.get(&header.producer_id) else {
            return false;
        };
        match last.last_data_offset {
            Some(offset) => header.last_offset() == offset,
            None => header.is_control() && header.producer_epoch == last.producer_epoch,
        }
    }

    fn kept<'r>(
        &self,
        records: &'r StoredRecords<'_>,
    ) -> Result<Vec<StoredRecord<'r>>, BatchError> {
        let header = records.header();
        let mut kept = Vec::new();
        for record in records.iter() {
            let record = record?;
            if header.is_control() || self.is_kept(header, &record) {
                kept.push(record);
            }
        }
        Ok(kept)
    }

    fn is_kept(&self, header: &BatchHeader, record: &StoredRecord<'_>) -> bool {
        if record.offset > self.mapped_to {
            return true;
        }
        // Compacted topics take no record without a key; it is there from another time.
        let Some(key) = record.key else { return false };
        let is_newest = self
            .map
            .get(key)
            .is_none_or(|newest| record.offset >= newest);
        let horizon = header.delete_horizon_ms();
        let is_current = record.has_value || horizon.is_none_or(|horizon| self.now_ms < horizon);
        is_newest && is_current
    }
}

/// What a control batch says; none if its record is gone.
pub(super) fn control_type(records: &StoredRecords<'_>) -> Result<Option<ControlType>, BatchError> {
    match records.iter().next().transpose()? {
        Some(record) => ControlType::of_key(record.key.unwrap_or_default()).map(Some),
        None => Ok(None),
    }
}

fn emptied(header: &BatchHeader, must_stay: bool) -> Outcome {
    if !must_stay {
        Outcome::Dropped
    } else if header.record_count == 0 {
        Outcome::Verbatim
    } else {
        Outcome::Rewritten(Bytes::copy_from_slice(&without_records(header)))
    }
}
