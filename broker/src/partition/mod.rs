//! Partitions: one log each, one writer at a time, many readers.
//! Invariant: an append is whole or nothing, in offset order, and published before anyone is told;
//! `writer` is the only way to change a log; after a failed sync nothing is appended any more. An
//! idle partition is one struct: no task, no open file. Step 8 of the hallway.
//!
//! The high watermark is the log's end: the only replica is the whole in-sync set, so, as in Kafka,
//! consumers may read what is appended. `acks=all` is answered later, when the record is on disk.

mod append;
mod background;
mod bulk;
mod check;
mod cleaner;
mod delete_records;
mod epochs;
mod flusher;
mod keeper;
mod opening;
mod producer_state;
mod registry;
mod restore;
mod snapshot;
mod sole_batch;
mod transactions;
mod verification;
mod waiting;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use logway_journal::{Log, LogReader};
use logway_protocol::Uuid;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::metadata::TopicConfig;

use self::flusher::SyncState;
use self::producer_state::ProducerStates;
use self::verification::Verifications;
use self::waiting::FetchWaiters;

pub(crate) use self::append::{AppendError, Appended};
pub(crate) use self::background::Background;
pub(crate) use self::check::{BatchRefusal, client_batch};
pub(crate) use self::cleaner::start_cleaner;
pub(crate) use self::delete_records::DeleteRecordsError;
pub(crate) use self::keeper::start_keeper;
pub(crate) use self::opening::note_lowered;
pub(crate) use self::producer_state::{ProducerEntry, SequenceError};
pub(crate) use self::registry::Partitions;
pub use self::registry::PartitionsError;
pub(crate) use self::sole_batch::sole_batch;
pub(crate) use self::verification::{Membership, Origin, Verification};
pub(crate) use self::waiting::{FetchWaiter, Registration};

#[cfg(test)]
mod tests;

/// Whether a partition takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Availability {
    Online = 0,
    /// A sync or write failed: no appends until the broker has been started again. Reads go on.
    Failed = 1,
    /// Its topic was deleted.
    Deleted = 2,
    /// The broker stops.
    Closed = 3,
}

/// The parts that only one thread at a time may touch.
#[derive(Debug)]
struct Writer {
    /// None once the partition is deleted or closed.
    log: Option<Log>,
    producers: ProducerStates,
    /// Producers whose transactions are about to begin here.
    verifications: Verifications,
    /// Offset of the last snapshot of the producers.
    snapshot_offset: i64,
    /// Bytes of the log when its recovery point was last moved up.
    checkpoint_bytes: u64,
    /// The log's end when the keeper last looked.
    log_end_seen: i64,
}

/// One partition led by this broker.
#[derive(Debug)]
pub(crate) struct Partition {
    topic: Arc<str>,
    topic_id: Uuid,
    index: i32,
    dir: PathBuf,
    leader_epoch: i32,
    writer: Mutex<Writer>,
    reader: LogReader,
    config: ArcSwap<TopicConfig>,
    /// Every record below this offset is on disk.
    durable: AtomicI64,
    durable_changed: Notify,
    /// Offset of the first record whose transaction is open; `i64::MAX` without any.
    first_open: AtomicI64,
    sync_state: SyncState,
    availability: AtomicU8,
    fetches: FetchWaiters,
    /// When a full disk was last reported: once in a while is enough.
    full_reported_ms: AtomicI64,
    /// Held while compacted segments are swapped in, and by who takes the folder away: a swap must
    /// not meet the files of another topic of that name. Locked before `writer`.
    swapping: Mutex<()>,
}

/// What a partition is made of.
#[derive(Debug)]
struct PartitionParts {
    reader: LogReader,
    topic: Arc<str>,
    topic_id: Uuid,
    index: i32,
    dir: PathBuf,
    leader_epoch: i32,
    writer: Writer,
    config: Arc<TopicConfig>,
    durable: i64,
}

impl Partition {
    fn new(parts: PartitionParts) -> Arc<Partition> {
        let first_open = parts.writer.producers.first_open();
        Arc::new(Partition {
            topic: parts.topic,
            topic_id: parts.topic_id,
            index: parts.index,
            dir: parts.dir,
            leader_epoch: parts.leader_epoch,
            reader: parts.reader,
            writer: Mutex::new(parts.writer),
            config: ArcSwap::from(parts.config),
            durable: AtomicI64::new(parts.durable),
            durable_changed: Notify::new(),
            first_open: AtomicI64::new(first_open.unwrap_or(i64::MAX)),
            sync_state: SyncState::default(),
            availability: AtomicU8::new(Availability::Online as u8),
            fetches: FetchWaiters::default(),
            full_reported_ms: AtomicI64::new(0),
            swapping: Mutex::default(),
        })
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Ids of the producers that are remembered.
    pub(crate) fn producer_ids(&self) -> Vec<i64> {
        self.writer.lock().producers.ids().collect()
    }

    /// The log's folder below the data folder.
    fn folder(&self) -> String {
        format!("{}-{}", self.topic, self.index)
    }

    /// The partition's number in its topic.
    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    /// Epoch under which this broker leads.
    pub(crate) fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The topic's settings as they hold now.
    pub(crate) fn config(&self) -> Arc<TopicConfig> {
        self.config.load_full()
    }

    /// Other settings from now on.
    fn set_config(&self, config: Arc<TopicConfig>) {
        if **self.config.load() != *config {
            if let Some(log) = self.writer.lock().log.as_mut() {
                log.set_config(opening::log_config(&config));
            }
            self.config.store(config);
        }
    }

    /// Whether `flush.messages` asks for a sync now.
    pub(crate) fn is_flush_due(&self, config: &TopicConfig) -> bool {
        config.flush_messages < i64::MAX
            && self.reader.log_end_offset() - self.durable.load(Ordering::Acquire)
                >= config.flush_messages
    }

    /// Whether records wait to be synced.
    fn has_unsynced(&self) -> bool {
        self.reader.log_end_offset() > self.durable.load(Ordering::Acquire)
    }

    /// First offset that can be read.
    pub(crate) fn log_start_offset(&self) -> i64 {
        self.reader.log_start_offset()
    }

    /// Offset behind the last record consumers may read; see the module's text.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.reader.log_end_offset()
    }

    /// The log, for reading.
    pub(crate) fn reader(&self) -> &LogReader {
        &self.reader
    }

    pub(crate) fn availability(&self) -> Availability {
        match self.availability.load(Ordering::Acquire) {
            0 => Availability::Online,
            1 => Availability::Failed,
            2 => Availability::Deleted,
            _ => Availability::Closed,
        }
    }

    /// Changes what the partition takes; deletion and closing are final. Wakes everybody who waits.
    fn set_availability(&self, next: Availability) {
        let changed = self
            .availability
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                (now < next as u8).then_some(next as u8)
            });
        if changed.is_ok() {
            self.durable_changed.notify_waiters();
            self.fetches.wake_all();
        }
    }
}
