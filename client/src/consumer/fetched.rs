//! Batches that were fetched, and the records in them.
//!
//! Invariant: records come out in order, none before the position asked for, no control records,
//! and under read_committed none of an aborted transaction. Step 10 of the hallway.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::batch::{
    BatchError, BatchHeader, Batches, TimestampType, split_batches, verify_crc,
};
use logway_protocol::control::ControlType;
use logway_protocol::message::fetch::AbortedTransaction;
use logway_protocol::record::{Records, decode_records, records};

use crate::config::IsolationLevel;
use crate::consumer::record::ConsumerRecord;
use crate::topic::TopicPartition;

/// Where a partition was read up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// Offset of the next record.
    pub(crate) offset: i64,
    /// Leader epoch of the batch read last (KIP-320); nothing before the first, or where batches
    /// carry none.
    pub(crate) leader_epoch: Option<i32>,
}

/// Batches of one partition from one fetch, partly handed out perhaps.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) partition: TopicPartition,
    /// The partition's epoch of seeks when it was fetched.
    pub(crate) epoch: u64,
    /// Bytes it holds of the consumer's buffer.
    pub(crate) bytes: usize,
    /// The next record to hand out.
    pub(crate) position: Position,
    batches: Batches,
    current: Option<Current>,
    aborted: Option<Aborted>,
    limit: usize,
}

#[derive(Debug)]
struct Current {
    records: Records,
    timestamp_type: TimestampType,
    next_offset: i64,
    leader_epoch: Option<i32>,
}

/// The aborted transactions that matter for these batches (KIP-98).
#[derive(Debug)]
struct Aborted {
    /// By first offset.
    coming: VecDeque<AbortedTransaction>,
    /// Producers in the midst of one.
    producers: HashSet<i64>,
}

/// How batches are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) isolation: IsolationLevel,
    /// Largest decompressed batch in bytes.
    pub(crate) limit: usize,
}

impl Chunk {
    /// The batches of one answer, for reading from `position` on.
    pub(crate) fn new(
        (partition, epoch, offset): (TopicPartition, u64, i64),
        bytes: &Bytes,
        aborted: Option<Vec<AbortedTransaction>>,
        reading: Reading,
    ) -> Self {
        let aborted = (reading.isolation == IsolationLevel::ReadCommitted).then(|| {
            let mut coming = aborted.unwrap_or_default();
            coming.sort_by_key(|transaction| transaction.first_offset);
            Aborted {
                coming: coming.into(),
                producers: HashSet::new(),
            }
        });
        Self {
            partition,
            epoch,
            bytes: bytes.len(),
            position: Position::at(offset),
            batches: split_batches(bytes),
            current: None,
            aborted,
            limit: reading.limit,
        }
    }

    /// Appends up to `max` records to `out`; says whether there may be more.
    pub(crate) fn read(
        &mut self,
        max: usize,
        out: &mut Vec<ConsumerRecord>,
    ) -> Result<bool, BatchError> {
        let end = out.len().saturating_add(max);
        while out.len() < end {
            let Some(current) = &mut self.current else {
                match self.next_batch()? {
                    true => continue,
                    false => return Ok(false),
                }
            };
            match current.records.next() {
                Some(record) => {
                    let record = record?;
                    if record.offset < self.position.offset {
                        continue;
                    }
                    self.position = Position {
                        offset: record.offset + 1,
                        leader_epoch: current.leader_epoch,
                    };
                    out.push(ConsumerRecord {
                        topic: Arc::clone(&self.partition.topic),
                        partition: self.partition.partition,
                        offset: record.offset,
                        leader_epoch: current.leader_epoch,
                        timestamp: record.timestamp,
                        timestamp_type: current.timestamp_type,
                        key: record.key,
                        value: record.value,
                        headers: record.headers,
                    });
                }
                None => {
                    // Compaction may have removed the last records of a batch.
                    let (end, epoch) = (current.next_offset, current.leader_epoch);
                    self.position.advance(end, epoch);
                    self.current = None;
                }
            }
        }
        Ok(true)
    }

    /// Opens the next batch whose records count; false at the end.
    fn next_batch(&mut self) -> Result<bool, BatchError> {
        for batch in self.batches.by_ref() {
            let (header, bytes) = match batch {
                Ok(batch) => batch,
                // A broker cuts the last batch off where its limit is.
                Err(BatchError::Truncated { .. }) => return Ok(false),
                Err(error) => return Err(error),
            };
            if header.next_offset() <= self.position.offset {
                if let Some(aborted) = &mut self.aborted {
                    aborted.skips(&header, &bytes)?;
                }
                continue;
            }
            verify_crc(&bytes)?;
            let skipped = match &mut self.aborted {
                Some(aborted) => aborted.skips(&header, &bytes)?,
                None => header.is_control(),
            };
            if skipped {
                self.position
                    .advance(header.next_offset(), leader_epoch_of(&header));
                continue;
            }
            self.current = Some(Current {
                records: records(&bytes, self.limit)?,
                timestamp_type: header.timestamp_type(),
                next_offset: header.next_offset(),
                leader_epoch: leader_epoch_of(&header),
            });
            return Ok(true);
        }
        Ok(false)
    }
}

impl Position {
    /// At an offset of which nothing more is known.
    pub(crate) fn at(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: None,
        }
    }

    /// Goes over a batch that ends before `end`.
    fn advance(&mut self, end: i64, leader_epoch: Option<i32>) {
        if end > self.offset {
            *self = Self {
                offset: end,
                leader_epoch,
            };
        }
    }
}

fn leader_epoch_of(header: &BatchHeader) -> Option<i32> {
    let epoch = header.partition_leader_epoch;
    (epoch >= 0).then_some(epoch)
}

impl Aborted {
    /// Whether the batch is a marker, or part of an aborted transaction.
    fn skips(&mut self, header: &BatchHeader, bytes: &Bytes) -> Result<bool, BatchError> {
        while let Some(transaction) = self
            .coming
            .pop_front_if(|t| t.first_offset <= header.last_offset())
        {
            self.producers.insert(transaction.producer_id);
        }
        if header.is_control() {
            let marker = decode_records(bytes, bytes.len().saturating_mul(4))?;
            if let Some(record) = marker.first()
                && ControlType::of(record)? == ControlType::Abort
            {
                self.producers.remove(&header.producer_id);
            }
            return Ok(true);
        }
        Ok(header.is_transactional() && self.producers.contains(&header.producer_id))
    }
}

/// The offset after the last whole batch, which is where the next fetch begins.
pub(crate) fn end_of(bytes: &Bytes) -> Option<i64> {
    split_batches(bytes)
        .map_while(Result::ok)
        .map(|(header, _)| header.next_offset())
        .last()
}

#[cfg(test)]
mod tests;
