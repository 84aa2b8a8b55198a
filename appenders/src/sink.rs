//! Where batches go: the client's producer; a trait, so that the tests can be a broker that is away.
//!
//! **Invariant:** runs on the worker's thread only; `try_send` never waits. Between steps 4′ and 5 of
//! the hallway.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use logway_client::{EncodedBatch, Producer, SendError};

use crate::keyed::{Choice, Partitions};

/// One record batch, encoded and sealed.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) key: Option<Box<[u8]>>,
    pub(crate) bytes: Bytes,
    pub(crate) records: i32,
}

/// The answer for a batch: arrived, or why not.
pub(crate) type Landing = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Why a batch was not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// Not now: try again later.
    Full,
    /// Never: this batch cannot be sent.
    Refused(String),
}

/// Takes batches and tells what became of them.
pub(crate) trait Sink: Send + 'static {
    /// Hands a batch over, without waiting.
    fn try_send(&mut self, batch: &Outgoing) -> Result<Landing, NotTaken>;
    /// Lets go of everything, within `timeout`.
    fn close(&mut self, timeout: Duration) -> impl Future<Output = ()> + Send;
}

/// Sends to one topic through the client's producer.
#[derive(Debug)]
pub(crate) struct ProducerSink {
    pub(crate) producer: Producer,
    pub(crate) topic: Arc<str>,
    /// The partition of everything, whatever the key.
    pub(crate) partition: Option<i32>,
    /// Where keys decide.
    pub(crate) partitions: Option<Partitions>,
}

impl ProducerSink {
    fn choose(&self, batch: &Outgoing) -> Choice {
        match (self.partition, &self.partitions, &batch.key) {
            (Some(partition), ..) => Choice::Partition(partition),
            (None, Some(partitions), Some(key)) => partitions.choose(key),
            _ => Choice::Any,
        }
    }
}

impl Sink for ProducerSink {
    fn try_send(&mut self, batch: &Outgoing) -> Result<Landing, NotTaken> {
        let partition = match self.choose(batch) {
            Choice::Partition(partition) => Some(partition),
            Choice::Any => None,
            Choice::NotYet => return Err(NotTaken::Full),
        };
        let encoded = EncodedBatch {
            bytes: batch.bytes.clone(),
            records: batch.records,
            when_too_large: logway_client::WhenTooLarge::Split,
        };
        match self
            .producer
            .try_send_batch(&self.topic, partition, encoded)
        {
            Ok(delivery) => Ok(Box::pin(async move {
                delivery
                    .await
                    .map(|_| ())
                    .map_err(|error| with_causes(&error))
            })),
            Err(SendError::Full) => Err(NotTaken::Full),
            Err(error) => Err(NotTaken::Refused(with_causes(&error))),
        }
    }

    async fn close(&mut self, timeout: Duration) {
        self.producer.close(timeout).await;
    }
}

/// An error and its causes on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
