//! Transactional batches and the coordinator: whether a batch belongs to its producer's open
//! transaction (KIP-890), and the markers that end one.
//! Invariant: a transaction begins in a partition only after the coordinator has said that the
//! partition belongs to it, and not if a marker was written since: no transaction is left open that
//! nobody would end. Step 8 of the hallway.

use std::collections::HashMap;

use bytes::Bytes;
use logway_protocol::batch::{BatchHeader, NO_SEQUENCE};

use super::append::{AppendError, Appended};
use super::producer_state::{ProducerEntry, SequenceError, Verdict};
use super::{Partition, Writer};

/// Producers that may be asked about at one time; far more than connections.
const ASKED_MAX: usize = 100_000;

/// The question whether a producer's transaction has this partition. It is void once a marker of the
/// producer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verification {
    producer_id: i64,
    number: u64,
}

/// Who wrote a batch, which decides what is asked of its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Client,
    /// A client whose every transaction has an epoch of its own: what is not known here begins at 0.
    ClientOfSecondProtocol,
    /// The group coordinator, for a client: its batches are not numbered.
    Coordinator,
}

/// What is known of a batch's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    /// The coordinator's yes; none if the transaction was open here already.
    pub(crate) verified: Option<Verification>,
    pub(crate) origin: Origin,
}

/// The questions of one partition that are under way.
#[derive(Debug, Default)]
pub(super) struct Verifications {
    asked: HashMap<i64, u64>,
    next: u64,
}

impl Verifications {
    /// The producer's transaction has begun here, or has ended.
    pub(super) fn end(&mut self, producer_id: i64) {
        if self.asked.remove(&producer_id).is_some() && self.asked.is_empty() {
            self.asked = HashMap::new();
        }
    }
}

impl Partition {
    /// Begins to ask whether the producer's transaction has this partition; none if the transaction is
    /// open here, so that there is nothing to ask.
    pub(crate) fn begin_verification(&self, producer_id: i64, epoch: i16) -> Option<Verification> {
        let mut writer = self.writer.lock();
        if writer.has_open(producer_id, epoch) {
            return None;
        }
        let asked = &mut writer.verifications;
        if asked.asked.len() >= ASKED_MAX {
            // Whose question is dropped is refused, and asks again.
            asked.asked.clear();
        }
        let next = asked.next;
        let number = *asked.asked.entry(producer_id).or_insert(next);
        asked.next += 1;
        Some(Verification {
            producer_id,
            number,
        })
    }

    /// Whether no marker has made the question void since it was asked.
    pub(crate) fn is_asked(&self, verification: Verification) -> bool {
        let asked = &self.writer.lock().verifications.asked;
        asked.get(&verification.producer_id) == Some(&verification.number)
    }

    /// The answer was no, or the batch is not appended.
    pub(crate) fn drop_verification(&self, verification: Verification) {
        let asked = &mut self.writer.lock().verifications;
        if asked.asked.get(&verification.producer_id) == Some(&verification.number) {
            asked.end(verification.producer_id);
        }
    }

    /// Appends a client's transactional batch.
    pub(crate) fn append_in_transaction(
        &self,
        header: &BatchHeader,
        batch: &Bytes,
        (now_ms, membership): (i64, Membership),
    ) -> Result<Appended, AppendError> {
        self.append_if(header, batch, now_ms, |writer, judged| {
            let judged = match (membership.origin, judged) {
                (Origin::Coordinator, Err(fenced @ SequenceError::Fenced { .. })) => Err(fenced),
                (Origin::Coordinator, _) => Ok(Verdict::New),
                (_, Ok(duplicate @ Verdict::Duplicate(_))) => return Ok(duplicate),
                (_, judged) => judged,
            };
            let (id, epoch) = (header.producer_id, header.producer_epoch);
            let asked = writer.verifications.asked.get(&id).copied();
            let verified = membership.verified.map(|verified| verified.number);
            if !writer.has_open(id, epoch) && (verified.is_none() || asked != verified) {
                return Err(AppendError::NotInTransaction);
            }
            let begins_late = membership.origin == Origin::ClientOfSecondProtocol
                && writer.producers.get(id).is_none()
                && header.base_sequence != 0;
            if begins_late {
                return Err(AppendError::Sequence(SequenceError::OutOfOrder {
                    producer_id: id,
                    sequence: header.base_sequence,
                    last: NO_SEQUENCE,
                    offset: self.high_watermark(),
                }));
            }
            Ok(judged?)
        })
    }

    /// Appends the marker that ends a producer's transaction. `version` is the transaction version
    /// under which it was decided: from 2 on a marker has an epoch above its transaction's, or is
    /// written again.
    pub(crate) fn append_marker(
        &self,
        header: &BatchHeader,
        batch: &Bytes,
        (now_ms, version): (i64, i16),
    ) -> Result<Appended, AppendError> {
        self.append_if(header, batch, now_ms, |writer, judged| {
            let entry = writer.producers.get(header.producer_id);
            let stale = |entry: &ProducerEntry| {
                entry.epoch == header.producer_epoch && entry.open_from.is_some()
            };
            match entry {
                Some(entry) if version >= 2 && stale(entry) => {
                    Err(AppendError::Sequence(SequenceError::Fenced {
                        producer_id: header.producer_id,
                        epoch: header.producer_epoch,
                        current: entry.epoch,
                        offset: self.high_watermark(),
                    }))
                }
                _ => Ok(judged?),
            }
        })
    }

    /// The producers that are known here, in the order of their ids.
    pub(crate) fn producers(&self) -> Vec<(i64, ProducerEntry)> {
        let writer = self.writer.lock();
        let all = writer.producers.sorted().into_iter();
        all.map(|(id, entry)| (id, entry.clone())).collect()
    }
}

impl Writer {
    fn has_open(&self, producer_id: i64, epoch: i16) -> bool {
        let entry = self.producers.get(producer_id);
        entry.is_some_and(|entry| entry.epoch == epoch && entry.open_from.is_some())
    }
}
