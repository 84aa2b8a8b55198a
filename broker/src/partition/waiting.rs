//! Fetches that wait for bytes, and sessions that want to know what changed.
//! Invariant: an append tells only those who read that partition, and wakes them only when enough
//! bytes have come; nobody polls, and nobody looks at partitions where nothing happened. Joining and
//! leaving cost the same however many wait. Step 10 of the hallway.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Partition;

/// One fetch or session, registered at each of its partitions under a place of its own choice.
#[derive(Debug)]
pub(crate) struct FetchWaiter {
    /// Bytes that must still come before it is worth waking.
    missing: AtomicI64,
    notify: Notify,
    marks: Mutex<Marks>,
}

/// Places of the partitions that changed, each once.
#[derive(Debug, Default)]
struct Marks {
    places: Vec<u32>,
    /// One bit a place.
    marked: Vec<u64>,
}

impl Marks {
    fn add(&mut self, place: u32) {
        let (word, bit) = (place as usize / 64, 1u64 << (place % 64));
        if self.marked.len() <= word {
            self.marked.resize(word + 1, 0);
        }
        if let Some(word) = self.marked.get_mut(word)
            && *word & bit == 0
        {
            *word |= bit;
            self.places.push(place);
        }
    }

    fn take(&mut self) -> Vec<u32> {
        for place in &self.places {
            if let Some(word) = self.marked.get_mut(*place as usize / 64) {
                *word &= !(1u64 << (place % 64));
            }
        }
        std::mem::take(&mut self.places)
    }
}

impl FetchWaiter {
    /// A waiter for `missing` bytes.
    pub(crate) fn new(missing: i64) -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter {
            missing: AtomicI64::new(missing),
            notify: Notify::new(),
            marks: Mutex::default(),
        })
    }

    /// Begins a new wait for `missing` bytes; appends count from now on.
    pub(crate) fn rearm(&self, missing: i64) {
        self.missing.store(missing, Ordering::SeqCst);
    }

    /// Counts `bytes` that the waiter has found by itself.
    pub(crate) fn credit(&self, bytes: usize) {
        self.arrived(i64::try_from(bytes).unwrap_or(i64::MAX / 2));
    }

    /// Places of the partitions that changed since the last call. What changes afterwards is told
    /// by the next one.
    pub(crate) fn take_changed(&self) -> Vec<u32> {
        self.marks.lock().take()
    }

    /// Waits until enough bytes came or a partition changed its state. A wake-up between two calls
    /// is not lost.
    pub(crate) async fn wait(&self) {
        self.notify.notified().await;
    }

    fn arrived(&self, bytes: i64) {
        if self.missing.fetch_sub(bytes, Ordering::AcqRel) <= bytes {
            self.notify.notify_one();
        }
    }
}

/// A waiter's stay at a partition; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    partition: Arc<Partition>,
    key: (usize, u32),
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.partition.fetches.leave(self.key);
    }
}

impl Partition {
    /// Has `waiter` told about every append and change from now on, under `place`.
    pub(crate) fn register(
        self: &Arc<Partition>,
        waiter: &Arc<FetchWaiter>,
        place: u32,
    ) -> Registration {
        Registration {
            partition: Arc::clone(self),
            key: self.fetches.join(waiter, place),
        }
    }

    /// Tells the waiting fetches that bytes were appended.
    pub(super) fn announce(&self, bytes: usize) {
        self.fetches
            .arrived(i64::try_from(bytes).unwrap_or(i64::MAX / 2));
    }

    /// Tells the sessions that answers about this partition have changed, without new records.
    pub(super) fn announce_change(&self) {
        self.fetches.arrived(0);
    }
}

/// Address of the waiter and its place: no waiter joins twice under one place.
type Key = (usize, u32);

/// The waiting fetches and the sessions of one partition.
#[derive(Debug, Default)]
pub(crate) struct FetchWaiters {
    /// Number of waiters, so that an append without any takes no lock.
    count: AtomicUsize,
    waiters: Mutex<HashMap<Key, Arc<FetchWaiter>>>,
}

impl FetchWaiters {
    pub(super) fn join(&self, waiter: &Arc<FetchWaiter>, place: u32) -> Key {
        let key = (Arc::as_ptr(waiter).addr(), place);
        let mut waiters = self.waiters.lock();
        waiters.insert(key, Arc::clone(waiter));
        self.count.store(waiters.len(), Ordering::SeqCst);
        key
    }

    pub(super) fn leave(&self, key: Key) {
        let mut waiters = self.waiters.lock();
        waiters.remove(&key);
        if waiters.is_empty() {
            *waiters = HashMap::new();
        }
        self.count.store(waiters.len(), Ordering::SeqCst);
    }

    /// Tells all waiters that `bytes` more are readable. The log's end must already be published.
    pub(super) fn arrived(&self, bytes: i64) {
        if self.count.load(Ordering::SeqCst) > 0 {
            for ((_, place), waiter) in self.waiters.lock().iter() {
                waiter.marks.lock().add(*place);
                waiter.arrived(bytes);
            }
        }
    }

    /// Wakes all waiters: the partition failed or is gone.
    pub(super) fn wake_all(&self) {
        self.arrived(i64::MAX / 2);
    }
}
