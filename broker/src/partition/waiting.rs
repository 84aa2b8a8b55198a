//! Fetches that wait for bytes. Invariant: an append wakes only those who wait for that partition,
//! and only when enough bytes have come; nobody polls. Step 10 of the hallway.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One waiting fetch, registered at each of its partitions.
#[derive(Debug)]
pub(crate) struct FetchWaiter {
    /// Bytes that must still come before it is worth waking.
    missing: AtomicI64,
    notify: Notify,
}

impl FetchWaiter {
    /// A waiter for `missing` bytes.
    pub(crate) fn new(missing: i64) -> Arc<FetchWaiter> {
        Arc::new(FetchWaiter {
            missing: AtomicI64::new(missing),
            notify: Notify::new(),
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

/// The waiting fetches of one partition.
#[derive(Debug, Default)]
pub(crate) struct FetchWaiters {
    /// Number of waiters, so that an append without any takes no lock.
    count: AtomicUsize,
    waiters: Mutex<Vec<Arc<FetchWaiter>>>,
}

impl FetchWaiters {
    pub(crate) fn register(&self, waiter: &Arc<FetchWaiter>) {
        let mut waiters = self.waiters.lock();
        waiters.push(Arc::clone(waiter));
        self.count.store(waiters.len(), Ordering::SeqCst);
    }

    pub(crate) fn unregister(&self, waiter: &Arc<FetchWaiter>) {
        let mut waiters = self.waiters.lock();
        waiters.retain(|other| !Arc::ptr_eq(other, waiter));
        if waiters.is_empty() {
            *waiters = Vec::new();
        }
        self.count.store(waiters.len(), Ordering::SeqCst);
    }

    /// Tells all waiters that `bytes` more are readable. The log's end must already be published.
    pub(crate) fn arrived(&self, bytes: i64) {
        if self.count.load(Ordering::SeqCst) > 0 {
            for waiter in self.waiters.lock().iter() {
                waiter.arrived(bytes);
            }
        }
    }

    /// Wakes all waiters: the partition failed or is gone.
    pub(crate) fn wake_all(&self) {
        self.arrived(i64::MAX / 2);
    }
}
