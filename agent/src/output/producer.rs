//! The cluster behind the client's producer. Step 4 to 5 of the hallway.
//!
//! **Invariant:** batches of one partition are handed to the producer in order, and every one taken comes
//! back as an outcome.

use std::sync::Arc;

use logway_client::{Delivery, DeliveryError, EncodedBatch, Producer, SendError, WhenTooLarge};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::partitions::Partitions;
use super::{Batch, Outcome, Output, Refusal};
use crate::signal::Signal;

/// Sends to a Kafka-speaking cluster; may be used from any thread.
#[derive(Debug)]
pub(crate) struct Cluster {
    producer: Producer,
    partitions: Partitions,
    runtime: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
    signal: Arc<Signal>,
}

impl Cluster {
    /// An output over `producer`; rings `signal` when there are outcomes. Inside a runtime.
    pub(crate) fn new(
        producer: Producer,
        (bootstrap, client_id): (&[String], &str),
        signal: Arc<Signal>,
        stop: CancellationToken,
    ) -> Cluster {
        Cluster {
            producer,
            partitions: Partitions::new(bootstrap, client_id),
            runtime: Handle::current(),
            tracker: TaskTracker::new(),
            stop,
            outcomes: Arc::default(),
            signal,
        }
    }

    /// Waits for a delivery on the runtime. In flight are at most `buffer_memory` bytes of batches.
    fn watch(&self, ticket: u64, delivery: Delivery) {
        let (outcomes, signal) = (self.outcomes.clone(), self.signal.clone());
        let watch = async move {
            let result = delivery.await.map(|_| ()).map_err(|error| refusal(&error));
            outcomes.lock().push(Outcome { ticket, result });
            signal.ring();
        };
        self.tracker.spawn_on(watch, &self.runtime);
    }

    fn settle(&self, ticket: u64, refusal: Refusal) {
        self.outcomes.lock().push(Outcome {
            ticket,
            result: Err(refusal),
        });
    }
}

impl Output for Cluster {
    fn partitions(&mut self, topic: &Arc<str>) -> Option<i32> {
        let known = self.partitions.known(topic);
        if known.is_none() {
            self.partitions.ask(
                topic,
                (&self.tracker, &self.runtime),
                &self.signal,
                &self.stop,
            );
        }
        known
    }

    fn send(&mut self, batch: Batch) -> Result<(), Batch> {
        let encoded = EncodedBatch {
            bytes: batch.bytes.clone(),
            records: batch.records,
            when_too_large: WhenTooLarge::Fail,
        };
        match self
            .producer
            .try_send_batch(&batch.topic, Some(batch.partition), encoded)
        {
            Ok(delivery) => self.watch(batch.ticket, delivery),
            Err(SendError::Full) => return Err(batch),
            Err(SendError::TooLarge { .. }) => self.settle(batch.ticket, Refusal::TooLarge),
            Err(error) => self.settle(batch.ticket, Refusal::Failed(error.to_string())),
        }
        Ok(())
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes.lock())
    }
}

fn refusal(error: &DeliveryError) -> Refusal {
    match error {
        DeliveryError::TooLarge { .. } => Refusal::TooLarge,
        other => Refusal::Failed(other.to_string()),
    }
}
