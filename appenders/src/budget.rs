//! The memory that buffered events may take, and what happens when it is used up.
//!
//! **Invariant:** the bytes taken never exceed the limit; every byte taken is given back exactly once.
//! Threads take memory in pieces for many events, so the counter they share is seldom touched.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use tracing::Level;

/// What happens to an event when the buffer is full, because the broker is away or too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FullPolicy {
    /// The new event is dropped and counted. The caller never waits.
    #[default]
    DropNewest,
    /// TRACE, DEBUG and INFO are dropped when less than a fifth of the buffer is free (logback's
    /// `discardingThreshold`), so that WARN and ERROR find room longer. The caller never waits.
    KeepWarnings,
    /// The caller waits for room up to this long; then the event is dropped and counted. The whole
    /// thread waits, that of an asynchronous runtime too.
    Block {
        /// Longest wait for one event.
        timeout: Duration,
    },
}

/// Bytes in use out of a limit.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    policy: FullPolicy,
    used: AtomicUsize,
    waiting: AtomicUsize,
    gate: Mutex<()>,
    freed: Condvar,
}

impl Budget {
    pub(crate) fn new(limit: usize, policy: FullPolicy) -> Budget {
        Budget {
            limit,
            policy,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            gate: Mutex::new(()),
            freed: Condvar::new(),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// Takes `bytes` for an event of this level, or nothing.
    pub(crate) fn try_take(&self, bytes: usize, level: Level) -> bool {
        let limit = self.limit_for(level);
        let taken = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            });
        taken.is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            let _gate = self.gate.lock();
            self.freed.notify_all();
        }
    }

    /// When a caller that found no room has to give up: at once unless the policy lets it wait.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.policy {
            FullPolicy::Block { timeout } => Instant::now().checked_add(timeout),
            FullPolicy::DropNewest | FullPolicy::KeepWarnings => None,
        }
    }

    /// Waits until `bytes` are free or the deadline has passed; says which.
    pub(crate) fn wait_for(&self, bytes: usize, deadline: Instant) -> bool {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut gate = self.gate.lock();
        let mut free = self.used() + bytes <= self.limit;
        while !free && !self.freed.wait_until(&mut gate, deadline).timed_out() {
            free = self.used() + bytes <= self.limit;
        }
        drop(gate);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        free
    }

    fn limit_for(&self, level: Level) -> usize {
        match self.policy {
            FullPolicy::KeepWarnings if level > Level::WARN => self.limit / 5 * 4,
            _ => self.limit,
        }
    }
}
