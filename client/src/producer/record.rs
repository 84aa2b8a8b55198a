//! What is handed to the producer: single records, and batches encoded at the edge (design D2).
//!
//! Invariant: an [`EncodedBatch`] is exactly one valid record batch of format 2. Step 5 of the
//! hallway.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::batch::{BatchError, BatchHeader, verify_crc};
use logway_protocol::record::RecordHeader;

/// A record on its way to a topic.
#[derive(Debug, Clone, Default)]
pub struct ProducerRecord {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; `None` lets the key decide, or the producer where there is no key.
    pub partition: Option<i32>,
    /// The key: records with equal keys go to the same partition, as with Java's producer.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<RecordHeader>,
    /// Milliseconds since 1970; `None` is the time of sending.
    pub timestamp: Option<i64>,
}

impl ProducerRecord {
    /// A record with only a value.
    pub fn new(topic: impl Into<Arc<str>>, value: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into(),
            value: Some(value.into()),
            ..Self::default()
        }
    }

    /// The same record with a key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Upper bound of the record's size in a batch, in bytes before compression.
    pub(crate) fn size(&self) -> usize {
        // Lengths, attributes and deltas take at most 26 bytes, a header's two lengths at most 10.
        let headers: usize = self
            .headers
            .iter()
            .map(|header| 10 + header.key.len() + header.value.as_ref().map_or(0, Bytes::len))
            .sum();
        26 + headers
            + self.key.as_ref().map_or(0, Bytes::len)
            + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// A record batch encoded once, at the edge; it travels unchanged, except for the producer's id,
/// epoch and sequence when the producer is idempotent.
#[derive(Debug, Clone)]
pub struct EncodedBatch {
    /// One whole batch, as `BatchBuilder::build` makes it.
    pub bytes: Bytes,
    /// The number of records in it.
    pub records: i32,
    /// What becomes of it when the broker refuses it as too large.
    pub when_too_large: WhenTooLarge,
}

/// What becomes of an [`EncodedBatch`] of several records that a broker refuses as too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenTooLarge {
    /// The producer sends its halves, so that only records too large by themselves fail.
    Split,
    /// Nothing of it is stored and its delivery fails with `DeliveryError::TooLarge`: for those who
    /// can encode smaller batches themselves.
    Fail,
}

impl EncodedBatch {
    /// Checks frame, checksum and number of records; one pass over the bytes, no allocation.
    pub(crate) fn check(&self) -> Result<BatchHeader, BatchError> {
        let header = BatchHeader::decode(&self.bytes)?;
        let (needed, available) = (header.total_size(), self.bytes.len());
        if needed > available {
            return Err(BatchError::Truncated { needed, available });
        }
        if needed < available {
            return Err(BatchError::TrailingBytes {
                extra: available - needed,
            });
        }
        if header.record_count != self.records || self.records < 1 {
            return Err(BatchError::InvalidRecordCount {
                count: header.record_count,
                available,
            });
        }
        verify_crc(&self.bytes)?;
        Ok(header)
    }
}

/// Where a delivered record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Its partition.
    pub partition: i32,
    /// Its offset; of a batch, the offset of its first record. -1 where the broker does not say:
    /// with `acks=0`, or for a repeat it had stored before.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970, as stored.
    pub timestamp: i64,
}
