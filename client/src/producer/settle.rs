//! What becomes of batches once their answer, or its absence, is known.
//!
//! Invariant: a batch leaves the in-flight list exactly once, and is then stored, put back in its
//! place, or failed. Step 5 of the hallway.

use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::produce::{PartitionProduceResponse, ProduceResponse};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::batch::Batch;
use super::delivery::{Answer, answer_all};
use super::idempotence::Identity;
use super::plan::Item;
use super::sender::{Sender, is_lost};
use super::verdict::{Verdict, judge};
use crate::backoff;
use crate::config::Acks;
use crate::error::{DeliveryError, RequestError};

/// Pause while the markers of the transaction before are being written.
const CONCURRENT_PAUSE: Duration = Duration::from_millis(20);

impl Sender {
    /// Settles every item of a request.
    pub(super) fn settle_all(
        &mut self,
        items: Vec<Item>,
        answer: Result<ProduceResponse, RequestError>,
    ) {
        match answer {
            Ok(response) => {
                for item in items {
                    self.settle_answered(item, &response);
                }
            }
            Err(error) if error.is_retriable() => {
                debug!(target: "logway_client", %error, "produce request failed, trying again");
                self.shared.cluster.request_refresh();
                for item in items {
                    let lost = is_lost(&error, &item.batch);
                    self.put_back(item, None, lost);
                }
            }
            Err(RequestError::Closed) => {
                for item in items {
                    self.settle_failed(item, &DeliveryError::Closed);
                }
            }
            Err(error) => {
                let error = DeliveryError::Request(error);
                for item in items {
                    self.settle_failed(item, &error);
                }
            }
        }
    }

    fn settle_answered(&mut self, item: Item, response: &ProduceResponse) {
        if self.shared.config.acks == Acks::None {
            return self.settle_stored(item, -1, None);
        }
        let Some(answer) = self.find(&item, response) else {
            return self.put_back(item, Some(ErrorCode::UnknownServerError), true);
        };
        let order = item.batch.order.unwrap_or_default();
        let is_earliest = self.with_queue(&item, |queue| queue.is_earliest(order));
        let code = ErrorCode::from_code(answer.error_code);
        match judge(&answer, &item.batch, is_earliest.unwrap_or(true)) {
            Verdict::Stored {
                base_offset,
                log_append_time,
            } => {
                self.settle_stored(item, base_offset, log_append_time);
            }
            Verdict::Retry => {
                let after_append = [
                    ErrorCode::RequestTimedOut,
                    ErrorCode::NotEnoughReplicasAfterAppend,
                ];
                self.shared.cluster.request_refresh();
                self.put_back(item, Some(code), after_append.contains(&code));
            }
            Verdict::Renumber => {
                warn!(
                    target: "logway_client",
                    topic = %item.topic, partition = item.partition, %code,
                    "broker lost track of this producer, numbering anew under a higher epoch"
                );
                if let Some(sequence) = item.batch.sequence {
                    self.break_numbering(&item, sequence.producer);
                    self.identity.bump(sequence.producer);
                }
                self.put_back(item, Some(code), false);
            }
            Verdict::NewIdentity => {
                if let Some(sequence) = item.batch.sequence {
                    self.break_numbering(&item, sequence.producer);
                    self.identity.forget(sequence.producer);
                }
                self.put_back(item, Some(code), false);
            }
            Verdict::Split => self.split(item, code),
            Verdict::Fail(error) => self.settle_failed(item, &error),
        }
    }

    fn find(&self, item: &Item, response: &ProduceResponse) -> Option<PartitionProduceResponse> {
        let metadata = self.shared.cluster.metadata();
        let id = metadata.topic(&item.topic).map(|topic| topic.id);
        let topic = response.responses.iter().find(|topic| {
            *topic.name == *item.topic
                || (topic.name.is_empty()
                    && (response.responses.len() == 1 || Some(topic.topic_id) == id))
        })?;
        let mut partitions = topic.partition_responses.iter();
        partitions
            .find(|partition| partition.index == item.partition)
            .cloned()
    }

    fn with_queue<T>(
        &self,
        item: &Item,
        f: impl FnOnce(&mut super::accumulator::PartitionQueue) -> T,
    ) -> Option<T> {
        let mut accumulator = self.shared.accumulator.lock();
        let topic = accumulator.topics.get_mut(&item.topic)?;
        topic.partitions.get_mut(&item.partition).map(f)
    }

    fn break_numbering(&self, item: &Item, used: Identity) {
        self.with_queue(item, |queue| {
            queue.numbering.broken |= queue.numbering.producer == Some(used);
        });
    }

    fn land(&self, item: &Item) {
        let order = item.batch.order;
        self.with_queue(item, |queue| {
            queue.in_flight.retain(|other| Some(*other) != order);
        });
    }

    fn settle_stored(&mut self, item: Item, base_offset: i64, log_append_time: Option<i64>) {
        self.land(&item);
        self.with_queue(&item, |queue| {
            let used = item.batch.sequence.map(|sequence| sequence.producer);
            queue.numbering.confirmed |= used.is_some() && used == queue.numbering.producer;
        });
        let partition = item.partition;
        self.shared
            .stored(item.batch, partition, base_offset, log_append_time);
    }

    /// Reports a batch; the numbers it had are a gap now.
    pub(super) fn settle_failed(&mut self, item: Item, error: &DeliveryError) {
        self.land(&item);
        if let Some(sequence) = item.batch.sequence {
            self.break_numbering(&item, sequence.producer);
        }
        self.shared.fail(item.batch, error);
    }

    /// Puts a batch back to be sent again after a pause.
    pub(super) fn put_back(&mut self, mut item: Item, code: Option<ErrorCode>, lost: bool) {
        self.land(&item);
        let client = &self.shared.config.client;
        let failures = item.batch.attempts;
        let pause = if code == Some(ErrorCode::ConcurrentTransactions) {
            CONCURRENT_PAUSE
        } else {
            backoff::pause(client.retry_backoff, client.retry_backoff_max, failures)
        };
        item.batch.attempts = failures.saturating_add(1);
        item.batch.corrupt += u32::from(code == Some(ErrorCode::CorruptMessage));
        item.batch.not_before = Some(Instant::now() + pause);
        item.batch.last_error = code.or(item.batch.last_error);
        item.batch.maybe_stored |= lost;
        self.shared.count_retry();
        self.return_batch(&item.topic, item.partition, item.batch);
    }

    fn return_batch(&self, topic: &std::sync::Arc<str>, partition: i32, batch: Batch) {
        let mut accumulator = self.shared.accumulator.lock();
        let topic = accumulator.topics.entry(topic.clone()).or_default();
        topic
            .partitions
            .entry(partition)
            .or_default()
            .put_back(batch);
    }

    fn split(&mut self, item: Item, code: ErrorCode) {
        debug!(
            target: "logway_client",
            topic = %item.topic, partition = item.partition, records = item.batch.records, %code,
            "batch too large for the broker, sending halves"
        );
        self.land(&item);
        let size = item.batch.size();
        let sequence = item.batch.sequence;
        match item.batch.split() {
            Ok((first, second)) => {
                self.shared.accumulator.lock().ledger.add(second.serial);
                self.shared.count_retry();
                self.return_batch(&item.topic, item.partition, first);
                self.return_batch(&item.topic, item.partition, second);
            }
            Err(batch) => {
                let batch = *batch;
                let item = Item { batch, ..item };
                if let Some(sequence) = sequence {
                    self.break_numbering(&item, sequence.producer);
                }
                self.shared
                    .fail(item.batch, &DeliveryError::TooLarge { size });
            }
        }
    }
}

impl super::Shared {
    /// Answers for a stored batch and frees its memory.
    fn stored(&self, batch: Batch, partition: i32, base_offset: i64, log_append_time: Option<i64>) {
        let answer = Answer::Stored {
            partition,
            base_offset,
            log_append_time,
        };
        self.delivered.fetch_add(
            u64::from(batch.records),
            std::sync::atomic::Ordering::Relaxed,
        );
        self.answer(batch, &answer);
    }

    /// Answers for a batch that is given up and frees its memory.
    pub(super) fn fail(&self, batch: Batch, error: &DeliveryError) {
        self.failed.fetch_add(
            u64::from(batch.records),
            std::sync::atomic::Ordering::Relaxed,
        );
        if let Some(transactional) = &self.transactional {
            transactional.batch_failed(error, batch.sequence.is_some());
        }
        self.answer(batch, &Answer::Failed(error.clone()));
    }

    fn answer(&self, mut batch: Batch, answer: &Answer) {
        let (serial, records) = (batch.serial, u64::from(batch.records));
        let parts = std::mem::take(&mut batch.parts);
        // Its memory is free before anyone hears of the answer.
        drop(batch);
        answer_all(parts, answer);
        let mut accumulator = self.accumulator.lock();
        accumulator.ledger.end(serial);
        accumulator.ledger.records -= records;
        drop(accumulator);
        self.settled.notify_waiters();
    }
}
