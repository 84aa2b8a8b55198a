//! The appender behind every front (the tracing layer now): encodes, keys, buffers, counts.
//!
//! **Invariant:** runs on the caller's thread without I/O; the only lock it takes per event is the one
//! of the caller's own shard. Step 4′ of the hallway.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tracing::Level;

use crate::{
    event::{Context, Entry, Fields, Location, Moment},
    layout::Layout,
    local::{self, Encoding},
    loss::{Cause, Loss},
    metrics::{Dropped, Metrics, Totals},
    shard::{Counts, NewRecord, Refusal, Rules, Shard},
    worker::Command,
};

/// What decides the key of a record, and by it the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keying {
    /// No key: whole batches go to one partition after the other.
    #[default]
    None,
    /// The host's name.
    Host,
    /// The service's name.
    Service,
    /// The name of the thread.
    Thread,
    /// The logger, which is tracing's target.
    Logger,
}

/// The key of an event.
#[derive(Debug)]
pub(crate) enum Key {
    None,
    Fixed(String),
    Thread,
    Logger,
}

/// An event as a front hands it over; time and thread are added here.
pub(crate) struct Source<'a> {
    pub(crate) level: Level,
    pub(crate) logger: &'a str,
    pub(crate) location: Location<'a>,
    pub(crate) fields: &'a dyn Fields,
    pub(crate) context: &'a dyn Context,
}

/// Everything about an appender that does not change after it was built.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) layout: Layout,
    pub(crate) key: Key,
    pub(crate) rules: Rules,
    /// Loggers that are not taken in, with all below them.
    pub(crate) ignored: Vec<String>,
    /// How long a batch waits for more events.
    pub(crate) linger: Duration,
}

/// Takes events in; the worker takes them out.
#[derive(Debug)]
pub(crate) struct Appender {
    id: u64,
    pub(crate) settings: Settings,
    pub(crate) wake: Wake,
    pub(crate) commands: mpsc::Sender<Command>,
    closed: AtomicBool,
    shards: Mutex<Vec<Arc<Shard>>>,
    /// For threads whose own storage is gone already.
    spare: Arc<Shard>,
    pub(crate) totals: Mutex<Totals>,
}

/// How the worker learns that there is work, without a lock or a write per event.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    some: AtomicBool,
    full: AtomicBool,
    pub(crate) notify: Notify,
}

impl Wake {
    /// There is something to do by and by.
    fn some(&self) {
        if !self.some.load(Ordering::Relaxed) && !self.some.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }

    /// There is a full batch.
    fn full(&self) {
        self.full.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    /// Whether a full batch was announced since the last call.
    pub(crate) fn take_full(&self) -> bool {
        self.full.swap(false, Ordering::AcqRel)
    }

    /// To be called before the shards are emptied: what comes later wakes again.
    fn reset(&self) {
        self.some.store(false, Ordering::Release);
    }
}

impl Appender {
    pub(crate) fn new(settings: Settings, commands: mpsc::Sender<Command>) -> Appender {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let spare = Arc::new(Shard::default());
        Appender {
            id: IDS.fetch_add(1, Ordering::Relaxed),
            settings,
            wake: Wake::default(),
            commands,
            closed: AtomicBool::new(false),
            shards: Mutex::new(vec![spare.clone()]),
            spare,
            totals: Mutex::default(),
        }
    }

    /// Takes one event in, or drops and counts it.
    pub(crate) fn append(&self, source: &Source<'_>) {
        if local::is_worker() || self.ignores(source.logger) {
            return;
        }
        let time = Moment::now();
        if self.closed.load(Ordering::Relaxed) {
            return self
                .totals
                .lock()
                .loss
                .one(source.level, time.millis(), Cause::Closed);
        }
        let Some(_entered) = local::enter() else {
            return self.lose(&self.shard(), source.level, time, Cause::Nested);
        };
        local::with_encoding(|encoding| self.encode_and_store(source, time, encoding));
    }

    fn encode_and_store(&self, source: &Source<'_>, time: Moment, encoding: &mut Encoding) {
        let Encoding { scratch, thread } = encoding;
        let entry = Entry {
            time,
            level: source.level,
            logger: source.logger,
            thread,
            location: source.location,
            fields: source.fields,
            context: source.context,
        };
        self.settings.layout.encode(&entry, scratch);
        let key = match &self.settings.key {
            Key::None => None,
            Key::Fixed(text) => Some(text.as_bytes()),
            Key::Thread => Some(thread.as_bytes()),
            Key::Logger => Some(source.logger.as_bytes()),
        };
        let record = NewRecord {
            level: source.level,
            millis: time.millis(),
            key,
            value: &scratch.out,
        };
        self.store(&record, time);
    }

    fn store(&self, record: &NewRecord<'_>, time: Moment) {
        let shard = self.shard();
        let rules = &self.settings.rules;
        let mut deadline = None;
        loop {
            match shard.append(record, rules) {
                Ok(true) => return self.wake.full(),
                Ok(false) => return self.wake.some(),
                Err(Refusal::TooLarge) => {
                    return self.lose(&shard, record.level, time, Cause::TooLarge);
                }
                Err(Refusal::Closed) => return self.lose_closed(record.level, time),
                Err(Refusal::NoRoom(bytes)) => {
                    self.wake.some();
                    deadline = deadline.or_else(|| rules.budget.deadline());
                    if !deadline.is_some_and(|deadline| rules.budget.wait_for(bytes, deadline)) {
                        return self.lose(&shard, record.level, time, Cause::Full);
                    }
                }
            }
        }
    }

    fn lose(&self, shard: &Shard, level: Level, time: Moment, cause: Cause) {
        shard.lose(level, time.millis(), cause);
        self.wake.some();
    }

    /// Counts an event that nobody will report any more.
    fn lose_closed(&self, level: Level, time: Moment) {
        self.totals
            .lock()
            .loss
            .one(level, time.millis(), Cause::Closed);
    }

    fn shard(&self) -> Arc<Shard> {
        let register = || {
            let shard = Arc::new(Shard::default());
            let mut shards = self.shards.lock();
            if self.closed.load(Ordering::Relaxed) {
                shard.close();
            }
            shards.push(shard.clone());
            shard
        };
        local::shard(self.id, register).unwrap_or_else(|| self.spare.clone())
    }

    fn ignores(&self, logger: &str) -> bool {
        self.settings.ignored.iter().any(|prefix| {
            logger.strip_prefix(prefix.as_str()).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with("::") || rest.starts_with('.')
            })
        })
    }

    /// Takes the batches of all threads, with those that are not full if `all`. Says what was counted
    /// since the last time, and whether something stays.
    pub(crate) fn take(&self, all: bool, batches: &mut Vec<crate::shard::Batch>) -> (Loss, bool) {
        self.wake.reset();
        let mut counts = Counts::default();
        let mut stays = false;
        let mut shards = self.shards.lock();
        shards.retain(|shard| {
            // Looked at first: a thread that ends in between has appended before.
            let alive = Arc::strong_count(shard) > 1;
            let open = shard.take(all, batches, &mut counts);
            stays |= open;
            alive || open
        });
        // Still under the lock of the shards, so that `metrics` sees each event on one side.
        let mut totals = self.totals.lock();
        totals.enqueued += counts.enqueued;
        totals.loss.merge(&counts.loss);
        (counts.loss, stays)
    }

    /// From now on events are dropped and counted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Nothing is appended from now on; the threads may forget their shards.
    pub(crate) fn close_shards(&self) {
        self.shards.lock().iter().for_each(|shard| shard.close());
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let shards = self.shards.lock();
        let mut waiting = Counts::default();
        for shard in shards.iter() {
            let Counts { enqueued, loss } = shard.counts();
            waiting.enqueued += enqueued;
            waiting.loss.merge(&loss);
        }
        let totals = self.totals.lock();
        let mut loss = totals.loss;
        loss.merge(&waiting.loss);
        let enqueued = totals.enqueued + waiting.enqueued;
        let failed = loss.of(Cause::Refused);
        let gone = totals.sent + failed + loss.of(Cause::Unsent);
        Metrics {
            enqueued,
            sent: totals.sent,
            failed,
            buffered: enqueued.saturating_sub(gone),
            dropped: Dropped::of(&loss),
            batches_sent: totals.batches_sent,
            bytes_sent: totals.bytes_sent,
            bytes_buffered: self.settings.rules.budget.used(),
            loss_reports: totals.loss_reports,
        }
    }
}
