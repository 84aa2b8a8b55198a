//! A batch on its way: being filled, waiting, in flight, or waiting to be sent again.
//!
//! Invariant: its memory permit and its deliveries go with it wherever it goes; whatever happens,
//! each delivery is answered. Step 5 of the hallway.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use logway_protocol::batch::{self, BatchError, BatchHeader};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::error_code::ErrorCode;
use logway_protocol::record::decode_records;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::delivery::{Delivery, Outcome, Part};
use super::idempotence::Sequence;
use super::record::{EncodedBatch, ProducerRecord, WhenTooLarge};

/// Largest decompressed batch that is taken apart to be sent in halves.
const SPLIT_BYTES_MAX: usize = 256 << 20;

/// One batch and all that belongs to it.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Its number in the ledger of `flush`.
    pub(crate) serial: u64,
    pub(crate) created: Instant,
    body: Body,
    /// Records in it.
    pub(crate) records: u32,
    pub(crate) parts: Vec<Part>,
    own: Option<Arc<Outcome>>,
    own_records: u32,
    permit: OwnedSemaphorePermit,
    when_too_large: WhenTooLarge,
    /// No more records: it may be sent at once.
    pub(crate) closed: bool,
    /// Records of its partition that were sent before it; set when first sent.
    pub(crate) order: Option<u64>,
    pub(crate) sequence: Option<Sequence>,
    /// It is part of a transaction; set before it is first sent.
    pub(crate) transactional: bool,
    pub(crate) attempts: u32,
    /// Times that a broker found it corrupt.
    pub(crate) corrupt: u32,
    pub(crate) not_before: Option<Instant>,
    pub(crate) last_error: Option<ErrorCode>,
    /// It was sent once and the answer was lost.
    pub(crate) maybe_stored: bool,
}

#[derive(Debug)]
enum Body {
    Open(Box<BatchBuilder>),
    Encoded {
        bytes: Bytes,
        written: Option<Sequence>,
    },
}

impl Batch {
    /// An empty batch for single records.
    pub(crate) fn open(
        serial: u64,
        compression: Compression,
        capacity: usize,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let builder = BatchBuilder::with_capacity(compression, capacity);
        Self::new(serial, Body::Open(Box::new(builder)), permit)
    }

    /// A whole batch from the edge, and its delivery.
    pub(crate) fn encoded(
        serial: u64,
        encoded: EncodedBatch,
        base_timestamp: i64,
        permit: OwnedSemaphorePermit,
    ) -> (Self, Delivery) {
        let body = Body::Encoded {
            bytes: encoded.bytes,
            written: None,
        };
        let mut batch = Self::new(serial, body, permit);
        let outcome = Arc::new(Outcome::default());
        batch.records = encoded.records.unsigned_abs();
        batch.when_too_large = encoded.when_too_large;
        batch
            .parts
            .push(Part::new(outcome.clone(), 0..batch.records));
        batch.closed = true;
        let delivery = Delivery::new(outcome, 0..batch.records, base_timestamp);
        (batch, delivery)
    }

    fn new(serial: u64, body: Body, permit: OwnedSemaphorePermit) -> Self {
        Self {
            serial,
            created: Instant::now(),
            body,
            records: 0,
            parts: Vec::new(),
            own: None,
            own_records: 0,
            permit,
            when_too_large: WhenTooLarge::Split,
            closed: false,
            order: None,
            sequence: None,
            transactional: false,
            attempts: 0,
            corrupt: 0,
            not_before: None,
            last_error: None,
            maybe_stored: false,
        }
    }

    /// Its size in bytes: before compression while it is open.
    pub(crate) fn size(&self) -> usize {
        match &self.body {
            Body::Open(builder) => builder.size(),
            Body::Encoded { bytes, .. } => bytes.len(),
        }
    }

    /// Whether its halves are sent when the broker finds it too large.
    pub(crate) fn is_divisible(&self) -> bool {
        self.records > 1 && self.when_too_large == WhenTooLarge::Split
    }

    /// Whether a record of `size` bytes still fits into a batch of `batch_size`.
    pub(crate) fn has_room(&self, size: usize, batch_size: usize) -> bool {
        !self.closed
            && matches!(self.body, Body::Open(_))
            && (self.records == 0 || self.size() + size <= batch_size)
    }

    /// Appends a record; `part` is its delivery when it was given out before.
    pub(crate) fn append(
        &mut self,
        record: &ProducerRecord,
        timestamp: i64,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<(), BatchError> {
        let Body::Open(builder) = &mut self.body else {
            return Err(BatchError::TooLarge(self.size()));
        };
        let headers: Vec<(&str, Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|header| (&*header.key, header.value.as_deref()))
            .collect();
        builder.append(
            timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            &headers,
        )?;
        self.records += 1;
        if let Some(permit) = permit {
            self.permit.merge(permit);
        }
        Ok(())
    }

    /// The delivery of the record appended last.
    pub(crate) fn deliver_last(&mut self, timestamp: i64) -> Delivery {
        let own = match &self.own {
            Some(own) => own.clone(),
            None => {
                let own = Arc::new(Outcome::default());
                self.own = Some(own.clone());
                self.own_records = 0;
                self.parts.push(Part::new(own.clone(), 0..0));
                own
            }
        };
        let index = self.own_records;
        self.own_records += 1;
        if let Some(part) = self.parts.last_mut() {
            part.extend();
        }
        Delivery::new(own, index..index + 1, timestamp)
    }

    /// The record appended last has its delivery already.
    pub(crate) fn adopt(&mut self, part: Part) {
        self.parts.push(part);
        // Parts stand in the order of the records, so the next own record begins a new outcome.
        self.own = None;
    }

    /// The bytes to send, with the producer's numbers where there are any.
    pub(crate) fn bytes(&mut self) -> Result<Bytes, BatchError> {
        let sequence = self.sequence;
        match &mut self.body {
            Body::Open(builder) => {
                if let Some(s) = sequence {
                    builder.set_producer(s.producer.id, s.producer.epoch, s.base);
                }
                builder.set_transactional(self.transactional);
                let bytes = builder.build()?;
                self.body = Body::Encoded {
                    bytes: bytes.clone(),
                    written: sequence,
                };
                self.closed = true;
                Ok(bytes)
            }
            Body::Encoded { bytes, written } => {
                if let Some(s) = sequence
                    && *written != sequence
                {
                    let mut own = std::mem::take(bytes)
                        .try_into_mut()
                        .unwrap_or_else(|shared| BytesMut::from(&*shared));
                    if self.transactional {
                        mark_transactional(&mut own);
                    }
                    // This sets the checksum, too.
                    let numbered =
                        batch::set_producer(&mut own, s.producer.id, s.producer.epoch, s.base);
                    *bytes = own.freeze();
                    numbered?;
                    *written = sequence;
                }
                Ok(bytes.clone())
            }
        }
    }

    /// Two batches with half of the records each, for a broker that found it too large.
    pub(crate) fn split(mut self) -> Result<(Self, Self), Box<Self>> {
        match self.halves() {
            Ok((first, second)) => {
                let count = self.records / 2;
                let mut rest = Vec::new();
                let mut before = 0;
                for part in &mut self.parts {
                    let here = count.saturating_sub(before).min(part.len());
                    before += part.len();
                    rest.push(part.split_off(here));
                }
                let permit = self.permit.split(self.permit.num_permits() / 2);
                let Some(permit) = permit else {
                    return Err(Box::new(self));
                };
                let body = Body::Encoded {
                    bytes: second,
                    written: None,
                };
                let mut other = Self::new(self.serial, body, permit);
                other.created = self.created;
                other.records = self.records - count;
                other.parts = rest;
                other.closed = true;
                other.order = self.order.map(|order| order + u64::from(count));
                other.transactional = self.transactional;
                other.sequence = self.sequence.map(|sequence| sequence.after(count));
                other.last_error = self.last_error;
                self.body = Body::Encoded {
                    bytes: first,
                    written: None,
                };
                self.records = count;
                self.own = None;
                Ok((self, other))
            }
            // Whatever its records are, they cannot be told apart.
            Err(_) => Err(Box::new(self)),
        }
    }

    fn halves(&mut self) -> Result<(Bytes, Bytes), BatchError> {
        let bytes = self.bytes()?;
        let compression = BatchHeader::decode(&bytes)?.compression()?;
        let records = decode_records(&bytes, SPLIT_BYTES_MAX)?;
        let (first, second) = records.split_at(records.len() / 2);
        let build = |records: &[logway_protocol::record::Record]| {
            let mut builder = BatchBuilder::new(compression);
            builder.set_transactional(self.transactional);
            for record in records {
                let headers: Vec<(&str, Option<&[u8]>)> = record
                    .headers
                    .iter()
                    .map(|h| (&*h.key, h.value.as_deref()))
                    .collect();
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                builder.append(record.timestamp, key, value, &headers)?;
            }
            builder.build()
        };
        Ok((build(first)?, build(second)?))
    }
}

/// Makes an encoded batch part of a transaction; its checksum has to be set anew.
fn mark_transactional(batch: &mut [u8]) {
    /// Where the low byte of the attributes stands, and the bit (KIP-98).
    const AT: usize = 22;
    const TRANSACTIONAL: u8 = 1 << 4;
    if let Some(attributes) = batch.get_mut(AT) {
        *attributes |= TRANSACTIONAL;
    }
}

#[cfg(test)]
mod tests;
