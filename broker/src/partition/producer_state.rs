//! What a partition remembers of idempotent producers: epoch and the last five batches of each.
//! Invariant: pure; fed with the headers of every batch in log order it is the same after a restart
//! as before, so a retry over a restart is still recognised (KIP-98). Step 8 of the hallway.

use std::collections::{HashMap, VecDeque};

use logway_protocol::batch::BatchHeader;
use thiserror::Error;

/// Batches of one producer that may be in flight at once and are recognised when sent again.
const BATCHES_KEPT: usize = 5;

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
    pub(crate) batches: VecDeque<BatchTrace>,
    /// Time of the last append, for expiry.
    pub(crate) last_timestamp: i64,
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
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerStates {
    producers: HashMap<i64, ProducerEntry>,
}

impl ProducerStates {
    /// Judges a batch before it is appended at `offset`. Batches without a producer are always new.
    pub(crate) fn judge(&self, batch: &BatchHeader, offset: i64) -> Result<Verdict, SequenceError> {
        if !batch.has_producer() {
            return Ok(Verdict::New);
        }
        // Unknown producers may begin anywhere: their earlier records may be gone by retention.
        let Some(entry) = self.producers.get(&batch.producer_id) else {
            return Ok(Verdict::New);
        };
        let (producer_id, epoch) = (batch.producer_id, batch.producer_epoch);
        let (current, sequence) = (entry.epoch, batch.base_sequence);
        if epoch < current {
            return Err(SequenceError::Fenced {
                producer_id,
                epoch,
                current,
                offset,
            });
        }
        if epoch > current {
            return if sequence == 0 {
                Ok(Verdict::New)
            } else {
                Err(SequenceError::NewEpochNotAtZero {
                    producer_id,
                    epoch,
                    sequence,
                    current,
                    offset,
                })
            };
        }
        let same = |trace: &&BatchTrace| {
            trace.first_sequence == sequence && trace.last_sequence == batch.last_sequence()
        };
        if let Some(trace) = entry.batches.iter().find(same) {
            return Ok(Verdict::Duplicate(*trace));
        }
        match entry.batches.back() {
            Some(last) if sequence != next_sequence(last.last_sequence) => {
                let last = last.last_sequence;
                Err(SequenceError::OutOfOrder {
                    producer_id,
                    sequence,
                    last,
                    offset,
                })
            }
            _ => Ok(Verdict::New),
        }
    }

    /// Remembers a batch that stands in the log; its header carries the assigned offsets.
    pub(crate) fn appended(&mut self, batch: &BatchHeader) {
        if !batch.has_producer() || batch.is_control() {
            return;
        }
        let entry = self
            .producers
            .entry(batch.producer_id)
            .or_insert_with(|| ProducerEntry {
                epoch: batch.producer_epoch,
                batches: VecDeque::new(),
                last_timestamp: batch.max_timestamp,
            });
        if entry.epoch != batch.producer_epoch {
            entry.epoch = batch.producer_epoch;
            entry.batches.clear();
        }
        if entry.batches.len() == BATCHES_KEPT {
            entry.batches.pop_front();
        }
        entry.batches.push_back(BatchTrace {
            first_sequence: batch.base_sequence,
            last_sequence: batch.last_sequence(),
            base_offset: batch.base_offset,
            last_offset: batch.last_offset(),
            timestamp: batch.max_timestamp,
        });
        entry.last_timestamp = batch.max_timestamp;
    }

    /// Forgets producers that have been silent since before `oldest_ms`.
    pub(crate) fn expire(&mut self, oldest_ms: i64) {
        self.producers
            .retain(|_, entry| entry.last_timestamp >= oldest_ms);
        self.producers.shrink_to_fit();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty()
    }

    /// Producers by id, for the snapshot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&i64, &ProducerEntry)> {
        self.producers.iter()
    }

    /// Puts back what a snapshot said.
    pub(crate) fn restore(&mut self, producer_id: i64, entry: ProducerEntry) {
        self.producers.insert(producer_id, entry);
    }
}

fn next_sequence(last: i32) -> i32 {
    if last == i32::MAX { 0 } else { last + 1 }
}
