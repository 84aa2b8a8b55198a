//! What a partition remembers of producers: epoch and last five batches of each (KIP-98), and the
//! transactions that are open. Invariant: pure; fed with the headers of every batch in log order it
//! is the same after a restart as before, but for the four batches before a producer's last one,
//! which a snapshot does not hold. Step 8 of the hallway.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use logway_journal::AbortedTxn;
use logway_protocol::batch::{BatchHeader, NO_SEQUENCE};
use logway_protocol::control::EndTransaction;
use logway_protocol::record::records;
use thiserror::Error;

/// Batches of one producer that may be in flight at once and are recognised when sent again.
const BATCHES_KEPT: usize = 5;
/// Largest unpacked control batch that is looked into: a marker has a few dozen bytes.
const MARKER_BYTES_MAX: usize = 64 * 1024;
/// Epoch of a coordinator that never spoke.
pub(super) const NO_COORDINATOR_EPOCH: i32 = -1;

/// One appended batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchTrace {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) timestamp: i64,
}

/// One producer's state in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProducerEntry {
    pub(crate) epoch: i16,
    /// Epoch of the transaction coordinator that last ended a transaction.
    pub(crate) coordinator_epoch: i32,
    pub(crate) batches: VecDeque<BatchTrace>,
    /// Time of the last append, for expiry.
    pub(crate) last_timestamp: i64,
    /// First offset of its open transaction.
    pub(crate) open_from: Option<i64>,
}

/// The end of a transaction, as its control batch says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) end: EndTransaction,
    pub(crate) timestamp: i64,
}

impl Marker {
    /// The marker in a control batch; none in other batches, and in control batches that compaction
    /// has emptied.
    pub(crate) fn of(header: &BatchHeader, batch: &Bytes) -> Option<Marker> {
        if !header.is_control() || !header.has_producer() {
            return None;
        }
        let first = records(batch, MARKER_BYTES_MAX).ok()?.next()?.ok()?;
        let end = EndTransaction::of(&first).ok()??;
        let timestamp = first.timestamp;
        Some(Marker { end, timestamp })
    }
}

/// Why a batch of an idempotent producer is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SequenceError {
    #[error(
        "Epoch of producer {producer_id} at offset {offset} is {epoch}, which is smaller than the last seen epoch {current}"
    )]
    Fenced {
        producer_id: i64,
        epoch: i16,
        current: i16,
        offset: i64,
    },
    #[error(
        "Out of order sequence number for producer {producer_id} at offset {offset}: {sequence} (incoming seq. number), {last} (current end sequence number)"
    )]
    OutOfOrder {
        producer_id: i64,
        sequence: i32,
        last: i32,
        offset: i64,
    },
    #[error(
        "Invalid sequence number for new epoch of producer {producer_id} at offset {offset}: {epoch} (request epoch), {sequence} (seq. number), {current} (current producer epoch)"
    )]
    NewEpochNotAtZero {
        producer_id: i64,
        epoch: i16,
        sequence: i32,
        current: i16,
        offset: i64,
    },
    #[error("Expected transactional write from producer {producer_id} at offset {offset}")]
    NotTransactional { producer_id: i64, offset: i64 },
    #[error(
        "Invalid coordinator epoch for producer {producer_id} at offset {offset}: {epoch} (zombie), {current} (current)"
    )]
    CoordinatorFenced {
        producer_id: i64,
        epoch: i32,
        current: i32,
        offset: i64,
    },
}

/// What to do with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Append it.
    New,
    /// It is already in the log, there.
    Duplicate(BatchTrace),
}

/// All producers of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProducerStates {
    producers: HashMap<i64, ProducerEntry>,
    /// Producers of the open transactions by first offset.
    open: BTreeMap<i64, i64>,
}

impl ProducerStates {
    /// Judges a batch before it is appended at `offset`. Batches without a producer are always new.
    pub(crate) fn judge(
        &self,
        batch: &BatchHeader,
        marker: Option<&Marker>,
        offset: i64,
    ) -> Result<Verdict, SequenceError> {
        if !batch.has_producer() {
            return Ok(Verdict::New);
        }
        // Unknown producers may begin anywhere: their earlier records may be gone by retention.
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return Ok(Verdict::New);
        };
        if batch.producer_epoch < entry.epoch {
            return Err(SequenceError::Fenced {
                producer_id: batch.producer_id,
                epoch: batch.producer_epoch,
                current: entry.epoch,
                offset,
            });
        }
        if batch.is_control() {
            entry.judge_marker(batch.producer_id, marker, offset)?;
            return Ok(Verdict::New);
        }
        if let Some(trace) = entry.find(batch) {
            return Ok(Verdict::Duplicate(trace));
        }
        entry.judge_sequence(batch, offset)?;
        if entry.open_from.is_some() && !batch.is_transactional() {
            let producer_id = batch.producer_id;
            return Err(SequenceError::NotTransactional {
                producer_id,
                offset,
            });
        }
        Ok(Verdict::New)
    }

    /// Remembers a batch that stands in the log; its header carries the assigned offsets, and
    /// `marker` is what a control batch holds. Returns the transaction that it aborts, if any.
    pub(crate) fn appended(
        &mut self,
        batch: &BatchHeader,
        marker: Option<Marker>,
    ) -> Option<AbortedTxn> {
        if !batch.has_producer() || (batch.is_control() && marker.is_none()) {
            return None;
        }
        let entry = self.producers.entry(batch.producer_id);
        let entry = entry.or_insert_with(|| ProducerEntry {
            epoch: batch.producer_epoch,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            batches: VecDeque::new(),
            last_timestamp: batch.max_timestamp,
            open_from: None,
        });
        if entry.epoch != batch.producer_epoch {
            entry.epoch = batch.producer_epoch;
            entry.batches.clear();
        }
        let Some(marker) = marker else {
            entry.add(batch);
            if batch.is_transactional() && entry.open_from.is_none() {
                entry.open_from = Some(batch.base_offset);
                self.open.insert(batch.base_offset, batch.producer_id);
            }
            return None;
        };
        entry.coordinator_epoch = marker.end.coordinator_epoch;
        entry.last_timestamp = marker.timestamp;
        let first_offset = entry.open_from.take()?;
        self.open.remove(&first_offset);
        let next_open = self.first_open();
        (!marker.end.committed).then_some(AbortedTxn {
            producer_id: batch.producer_id,
            first_offset,
            last_offset: batch.base_offset,
            last_stable_offset: next_open.unwrap_or(batch.base_offset + 1),
        })
    }

    /// Offset of the first record whose transaction has no end yet.
    pub(crate) fn first_open(&self) -> Option<i64> {
        self.open.first_key_value().map(|(first, _)| *first)
    }

    /// Forgets producers that have been silent since `oldest_ms`, but for those with an open
    /// transaction.
    pub(crate) fn expire(&mut self, oldest_ms: i64) {
        let is_kept =
            |entry: &ProducerEntry| entry.open_from.is_some() || entry.last_timestamp > oldest_ms;
        self.producers.retain(|_, entry| is_kept(entry));
        self.producers.shrink_to_fit();
    }

    /// What is known of one producer.
    pub(crate) fn get(&self, producer_id: i64) -> Option<&ProducerEntry> {
        self.producers.get(&producer_id)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// The ids of all producers.
    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.producers.keys().copied()
    }

    /// Producers in the order of their ids, for the snapshot.
    pub(crate) fn sorted(&self) -> Vec<(i64, &ProducerEntry)> {
        let all = self.producers.iter().map(|(id, entry)| (*id, entry));
        let mut all: Vec<(i64, &ProducerEntry)> = all.collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Puts back what a snapshot said.
    pub(crate) fn restore(&mut self, producer_id: i64, entry: ProducerEntry) {
        if let Some(first_offset) = entry.open_from {
            self.open.insert(first_offset, producer_id);
        }
        self.producers.insert(producer_id, entry);
    }
}

impl ProducerEntry {
    /// The batch among the last five that is the same.
    fn find(&self, batch: &BatchHeader) -> Option<BatchTrace> {
        let is_same = |trace: &&BatchTrace| {
            trace.first_sequence == batch.base_sequence
                && trace.last_sequence == batch.last_sequence()
        };
        let same_epoch = batch.producer_epoch == self.epoch;
        self.batches
            .iter()
            .find(is_same)
            .copied()
            .filter(|_| same_epoch)
    }

    fn judge_sequence(&self, batch: &BatchHeader, offset: i64) -> Result<(), SequenceError> {
        let (producer_id, sequence) = (batch.producer_id, batch.base_sequence);
        if batch.producer_epoch != self.epoch {
            return if sequence == 0 {
                Ok(())
            } else {
                Err(SequenceError::NewEpochNotAtZero {
                    producer_id,
                    epoch: batch.producer_epoch,
                    sequence,
                    current: self.epoch,
                    offset,
                })
            };
        }
        // After a marker that raised the epoch there is no batch yet: it begins at 0.
        let last = self.batches.back().map(|last| last.last_sequence);
        let last = last.unwrap_or(NO_SEQUENCE);
        if sequence == next_sequence(last) {
            return Ok(());
        }
        Err(SequenceError::OutOfOrder {
            producer_id,
            sequence,
            last,
            offset,
        })
    }

    fn judge_marker(
        &self,
        producer_id: i64,
        marker: Option<&Marker>,
        offset: i64,
    ) -> Result<(), SequenceError> {
        let current = self.coordinator_epoch;
        match marker.map(|marker| marker.end.coordinator_epoch) {
            Some(epoch) if epoch < current => Err(SequenceError::CoordinatorFenced {
                producer_id,
                epoch,
                current,
                offset,
            }),
            _ => Ok(()),
        }
    }

    fn add(&mut self, batch: &BatchHeader) {
        if self.batches.len() == BATCHES_KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(BatchTrace {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        });
        self.last_timestamp = batch.max_timestamp;
    }
}

fn next_sequence(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}
