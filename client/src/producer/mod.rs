//! The producer: records and batches in, acknowledgements out.
//!
//! Invariant: what `send` took is delivered in order per partition, or reported; memory is bounded
//! by `buffer.memory`. Step 5 of the hallway.

mod delivery;
mod record;

use std::sync::Arc;
use std::time::Duration;

pub use delivery::Delivery;
pub use record::{EncodedBatch, ProducerRecord, RecordMetadata};

use crate::config::{ConfigError, ProducerConfig};
use crate::error::SendError;

/// Sends records to the partitions of a cluster. A cheap handle: clone it freely.
#[derive(Debug, Clone)]
pub struct Producer {
    config: Arc<ProducerConfig>,
}

/// Figures of a producer since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records taken and not yet answered for.
    pub buffered_records: u64,
    /// Bytes of `buffer.memory` in use.
    pub buffered_bytes: u64,
    /// Bytes of `buffer.memory` that are free.
    pub buffer_available: u64,
    /// Records acknowledged.
    pub delivered_records: u64,
    /// Records reported as not delivered.
    pub failed_records: u64,
    /// Batches sent again.
    pub retries: u64,
}

impl Producer {
    /// A producer for the cluster behind the configuration; connects when something is sent.
    pub fn new(config: ProducerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config: Arc::new(config),
        })
    }

    /// Takes a record; waits while `buffer.memory` is used up.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        self.try_send(record)
    }

    /// Takes a record, or says `Full` where `send` would wait.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let _ = (record.size(), &self.config);
        Err(SendError::Closed)
    }

    /// Takes a batch encoded at the edge; waits while `buffer.memory` is used up.
    pub async fn send_batch(
        &self,
        topic: &Arc<str>,
        partition: Option<i32>,
        batch: EncodedBatch,
    ) -> Result<Delivery, SendError> {
        self.try_send_batch(topic, partition, batch)
    }

    /// Takes a batch encoded at the edge, or says `Full` where `send_batch` would wait.
    pub fn try_send_batch(
        &self,
        topic: &Arc<str>,
        partition: Option<i32>,
        batch: EncodedBatch,
    ) -> Result<Delivery, SendError> {
        let _ = (topic, partition, batch.check());
        Err(SendError::Closed)
    }

    /// Waits until everything taken before this call is answered for.
    pub async fn flush(&self) {}

    /// Flushes for at most `timeout`, then ends; returns how many records were not delivered.
    pub async fn close(&self, timeout: Duration) -> usize {
        let _ = timeout;
        0
    }

    /// Figures since the start.
    pub fn stats(&self) -> ProducerStats {
        ProducerStats::default()
    }
}
