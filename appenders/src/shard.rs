//! One thread's part of the buffer: the batches it is filling and those that are full.
//!
//! **Invariant:** the lock is shared by one application thread and the worker only, who holds it just
//! long enough to take the batches away; encoding, compression and sending happen outside it. A batch
//! never holds more bytes than were granted to it. Step 4′ of the hallway.

use logway_protocol::{batch_builder::BatchBuilder, compression::Compression};
use parking_lot::Mutex;
use tracing::Level;

use crate::{
    budget::Budget,
    loss::{Cause, Loss, Tally},
    stamp::Stamp,
};

/// Bytes that a batch asks the budget for at a time.
const GRANT_BYTES: usize = 16 << 10;
/// Upper bound of what a record needs besides key, value and headers.
const RECORD_OVERHEAD: usize = 32;

/// A record ready to be appended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRecord<'a> {
    pub(crate) level: Level,
    /// Milliseconds since 1970.
    pub(crate) millis: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: &'a [u8],
}

/// What all shards of an appender share for appending.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) budget: Budget,
    pub(crate) stamp: Stamp,
    pub(crate) compression: Compression,
    /// Uncompressed bytes at which a batch is full.
    pub(crate) batch_bytes: usize,
    /// Most bytes of one event.
    pub(crate) event_bytes_max: usize,
}

/// Records of one key, or without keys, on their way into one record batch.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) key: Option<Box<[u8]>>,
    pub(crate) builder: BatchBuilder,
    /// Bytes taken from the budget for it.
    pub(crate) granted: usize,
    pub(crate) tally: Tally,
}

/// The batches of one thread.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    open: Vec<Batch>,
    full: Vec<Batch>,
    counts: Counts,
    closed: bool,
}

/// What happened on a thread since the worker last looked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Events taken into the buffer.
    pub(crate) enqueued: u64,
    pub(crate) loss: Loss,
}

/// Why a record was not appended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The budget has not these bytes.
    NoRoom(usize),
    /// The record is larger than an event may be.
    TooLarge,
    /// Nobody takes batches from here any more.
    Closed,
}

impl Shard {
    /// Appends a record; true when a batch became full by it.
    pub(crate) fn append(&self, record: &NewRecord<'_>, rules: &Rules) -> Result<bool, Refusal> {
        let key_bytes = record.key.map_or(0, <[u8]>::len);
        let needed = record.value.len() + key_bytes + rules.stamp.size_max() + RECORD_OVERHEAD;
        if needed > rules.event_bytes_max {
            return Err(Refusal::TooLarge);
        }
        let mut inner = self.inner.lock();
        let inner = &mut *inner;
        if inner.closed {
            return Err(Refusal::Closed);
        }
        let open = inner
            .open
            .iter()
            .position(|batch| batch.key.as_deref() == record.key);
        let full = open.filter(|at| inner.open[*at].builder.size() + needed > rules.batch_bytes);
        if let Some(at) = full {
            let mut batch = inner.open.swap_remove(at);
            batch.give_back_unused(&rules.budget);
            inner.full.push(batch);
        }
        match open.filter(|_| full.is_none()) {
            Some(at) => inner.open[at].append(record, needed, rules)?,
            None => {
                let mut batch = Batch::new(record.key, rules.compression);
                batch.append(record, needed, rules)?;
                inner.open.push(batch);
            }
        }
        inner.counts.enqueued += 1;
        Ok(full.is_some())
    }

    /// Counts an event of this thread as lost.
    pub(crate) fn lose(&self, level: Level, millis: i64, cause: Cause) {
        self.inner.lock().counts.loss.one(level, millis, cause);
    }

    /// Takes away the full batches, and the others too if `all`; true when something stays.
    pub(crate) fn take(&self, all: bool, batches: &mut Vec<Batch>, counts: &mut Counts) -> bool {
        let mut inner = self.inner.lock();
        batches.append(&mut inner.full);
        if all {
            batches.append(&mut inner.open);
        }
        let Counts { enqueued, loss } = std::mem::take(&mut inner.counts);
        counts.enqueued += enqueued;
        counts.loss.merge(&loss);
        !inner.open.is_empty()
    }

    /// Counts that the worker has not taken yet.
    pub(crate) fn counts(&self) -> Counts {
        self.inner.lock().counts
    }

    /// From now on nothing is appended.
    pub(crate) fn close(&self) {
        self.inner.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }
}

impl Batch {
    fn new(key: Option<&[u8]>, compression: Compression) -> Batch {
        Batch {
            key: key.map(Box::from),
            builder: BatchBuilder::with_capacity(compression, GRANT_BYTES),
            granted: 0,
            tally: Tally::default(),
        }
    }

    fn append(
        &mut self,
        record: &NewRecord<'_>,
        needed: usize,
        rules: &Rules,
    ) -> Result<(), Refusal> {
        let end = self.builder.size() + needed;
        if end > self.granted {
            let grant = (end - self.granted).max(GRANT_BYTES.min(rules.batch_bytes));
            if !rules.budget.try_take(grant, record.level) {
                return Err(Refusal::NoRoom(grant));
            }
            self.granted += grant;
        }
        rules
            .stamp
            .next(|headers| {
                self.builder
                    .append(record.millis, record.key, Some(record.value), headers)
            })
            .map_err(|_| Refusal::TooLarge)?;
        self.tally.add(record.level, record.millis);
        Ok(())
    }

    /// Gives the rest of the grant back once nothing more will be appended.
    fn give_back_unused(&mut self, budget: &Budget) {
        let unused = self.granted.saturating_sub(self.builder.size());
        self.granted -= unused;
        budget.give_back(unused);
    }
}
