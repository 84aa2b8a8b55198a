//! Where records wait: by topic and partition, in batches.
//!
//! Invariant: one lock, held for an append or a look round and never across I/O or an await. A
//! record for a topic whose partitions are unknown waits here too, so that a broker that is away
//! stops nobody before the memory is used up. Step 5 of the hallway.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use logway_protocol::batch::BatchError;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::batch::Batch;
use super::delivery::{Delivery, Outcome, Part};
use super::idempotence::Numbering;
use super::ledger::Ledger;
use super::partitioner::{Sticky, partition_of_key};
use super::record::{EncodedBatch, ProducerRecord};
use crate::config::ProducerConfig;

/// Everything that waits.
#[derive(Debug, Default)]
pub(crate) struct Accumulator {
    pub(crate) topics: HashMap<Arc<str>, TopicQueue>,
    pub(crate) ledger: Ledger,
}

/// What waits for one topic.
#[derive(Debug, Default)]
pub(crate) struct TopicQueue {
    /// Batches whose partition is not chosen yet; only the last may be open.
    pub(crate) unbound: VecDeque<Batch>,
    /// Records with keys from before the number of partitions was known.
    pub(crate) unplaced: VecDeque<Unplaced>,
    pub(crate) sticky: Sticky,
    pub(crate) partitions: HashMap<i32, PartitionQueue>,
}

/// What waits for one partition, and what of it is in flight.
#[derive(Debug, Default)]
pub(crate) struct PartitionQueue {
    /// In order; those sent before come first, only the last may be open.
    pub(crate) batches: VecDeque<Batch>,
    pub(crate) numbering: Numbering,
    /// Records sent so far, which orders batches.
    pub(crate) sent: u64,
    /// `order` of each batch in flight.
    pub(crate) in_flight: Vec<u64>,
    /// The broker they went to.
    pub(crate) in_flight_node: i32,
}

/// A record with a key that waits for the number of partitions.
#[derive(Debug)]
pub(crate) struct Unplaced {
    pub(crate) record: ProducerRecord,
    pub(crate) timestamp: i64,
    pub(crate) part: Part,
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) serial: u64,
    pub(crate) created: Instant,
}

/// What an append did.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) delivery: Delivery,
    /// Something is there to be sent, or to be watched, that was not before.
    pub(crate) wake: bool,
}

impl Accumulator {
    /// Takes a record. `count` is the topic's number of partitions, if known.
    pub(crate) fn append(
        &mut self,
        record: ProducerRecord,
        timestamp: i64,
        permit: OwnedSemaphorePermit,
        (count, config): (Option<usize>, &ProducerConfig),
    ) -> Result<Appended, BatchError> {
        let Self { topics, ledger } = self;
        let topic = match topics.get_mut(&record.topic) {
            Some(topic) => topic,
            None => topics.entry(record.topic.clone()).or_default(),
        };
        let queue = match (record.partition, &record.key, count) {
            (Some(partition), ..) => &mut topic.partitions.entry(partition).or_default().batches,
            (None, Some(key), Some(count)) if topic.unplaced.is_empty() => {
                let partition = partition_of_key(key, count);
                &mut topic.partitions.entry(partition).or_default().batches
            }
            (None, Some(_), _) => {
                return Ok(topic.hold(record, timestamp, permit, ledger));
            }
            // Where there is no choice, records with and without keys keep one order.
            (None, None, Some(1)) if topic.unbound.is_empty() && topic.unplaced.is_empty() => {
                &mut topic.partitions.entry(0).or_default().batches
            }
            (None, None, _) => &mut topic.unbound,
        };
        let (batch, is_new) = last_open(queue, &record, permit, (ledger, config), timestamp)?;
        let delivery = batch.deliver_last(timestamp);
        let wake = is_new || batch.size() >= config.batch_size;
        ledger.records += 1;
        Ok(Appended { delivery, wake })
    }

    /// Takes a whole batch.
    pub(crate) fn append_batch(
        &mut self,
        topic: &Arc<str>,
        partition: Option<i32>,
        (encoded, base_timestamp): (EncodedBatch, i64),
        permit: OwnedSemaphorePermit,
    ) -> Delivery {
        let records = u64::from(encoded.records.unsigned_abs());
        let serial = self.ledger.begin();
        self.ledger.records += records;
        let (batch, delivery) = Batch::encoded(serial, encoded, base_timestamp, permit);
        let topic = match self.topics.get_mut(topic) {
            Some(queue) => queue,
            None => self.topics.entry(topic.clone()).or_default(),
        };
        let queue = match partition {
            Some(partition) => &mut topic.partitions.entry(partition).or_default().batches,
            None => &mut topic.unbound,
        };
        close_last(queue);
        queue.push_back(batch);
        delivery
    }

    /// Lets nothing linger that is there now; returns the newest serial.
    pub(crate) fn close_all(&mut self) -> u64 {
        for topic in self.topics.values_mut() {
            close_last(&mut topic.unbound);
            for queue in topic.partitions.values_mut() {
                close_last(&mut queue.batches);
            }
        }
        self.ledger.last()
    }
}

impl TopicQueue {
    fn hold(
        &mut self,
        record: ProducerRecord,
        timestamp: i64,
        permit: OwnedSemaphorePermit,
        ledger: &mut Ledger,
    ) -> Appended {
        let outcome = Arc::new(Outcome::default());
        let delivery = Delivery::new(outcome.clone(), 0..1, timestamp);
        let wake = self.unplaced.is_empty();
        let (serial, created) = (ledger.begin(), Instant::now());
        ledger.records += 1;
        let part = Part::new(outcome, 0..1);
        self.unplaced.push_back(Unplaced {
            record,
            timestamp,
            part,
            permit,
            serial,
            created,
        });
        Appended { delivery, wake }
    }

    /// Puts records that waited for the number of partitions where they belong. A record that
    /// cannot be encoded is dropped with its delivery answered.
    pub(crate) fn place(&mut self, count: usize, ledger: &mut Ledger, config: &ProducerConfig) {
        while let Some(waiting) = self.unplaced.pop_front() {
            let Unplaced {
                record,
                timestamp,
                part,
                permit,
                serial,
                created,
            } = waiting;
            let key = record.key.as_deref().unwrap_or_default();
            let partition = partition_of_key(key, count);
            let queue = &mut self.partitions.entry(partition).or_default().batches;
            match last_open(queue, &record, permit, (&mut *ledger, config), timestamp) {
                Ok((batch, _)) => {
                    batch.adopt(part);
                    batch.created = batch.created.min(created);
                    if serial < batch.serial {
                        ledger.end(batch.serial);
                        batch.serial = serial;
                    } else {
                        ledger.end(serial);
                    }
                }
                Err(error) => {
                    ledger.end(serial);
                    ledger.records -= 1;
                    part.answer(super::delivery::Answer::Failed(
                        crate::error::DeliveryError::Encode(Arc::new(error)),
                    ));
                }
            }
        }
    }

    /// Whether nothing of this topic is known or waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.unbound.is_empty()
            && self.unplaced.is_empty()
            && self.partitions.values().all(PartitionQueue::is_idle)
    }
}

impl PartitionQueue {
    pub(crate) fn is_idle(&self) -> bool {
        self.batches.is_empty() && self.in_flight.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.batches.iter().map(Batch::size).sum()
    }

    /// Adds a batch that was chosen for this partition.
    pub(crate) fn push(&mut self, batch: Batch) {
        close_last(&mut self.batches);
        self.batches.push_back(batch);
    }

    /// Puts a batch that was sent back to its place.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        let at = self
            .batches
            .iter()
            .position(|other| match (other.order, batch.order) {
                (Some(other), Some(own)) => other > own,
                _ => true,
            });
        self.batches.insert(at.unwrap_or(self.batches.len()), batch);
    }

    /// Whether nothing sent earlier is unanswered.
    pub(crate) fn is_earliest(&self, order: u64) -> bool {
        let waiting = self.batches.iter().filter_map(|batch| batch.order);
        self.in_flight
            .iter()
            .copied()
            .chain(waiting)
            .all(|other| other >= order)
    }
}

fn close_last(queue: &mut VecDeque<Batch>) {
    if let Some(last) = queue.back_mut() {
        last.closed = true;
    }
}

/// Appends the record to the queue's last batch, or to a new one; says whether it is new.
fn last_open<'a>(
    queue: &'a mut VecDeque<Batch>,
    record: &ProducerRecord,
    permit: OwnedSemaphorePermit,
    (ledger, config): (&mut Ledger, &ProducerConfig),
    timestamp: i64,
) -> Result<(&'a mut Batch, bool), BatchError> {
    let size = record.size();
    if queue
        .back()
        .is_some_and(|last| last.has_room(size, config.batch_size))
    {
        let last = queue
            .back_mut()
            .expect("a queue with a last batch has a last batch");
        last.append(record, timestamp, Some(permit))?;
        return Ok((last, false));
    }
    let capacity = config.batch_size.min(4096).max(size + 64);
    let mut batch = Batch::open(ledger.last() + 1, config.compression, capacity, permit);
    batch.append(record, timestamp, None)?;
    ledger.begin();
    close_last(queue);
    queue.push_back(batch);
    Ok((queue.back_mut().expect("a batch was pushed just now"), true))
}

#[cfg(test)]
mod tests;
