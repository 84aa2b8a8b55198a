//! Wakes a sleeping thread early. Between steps 5 and 2 of the hallway.
//!
//! **Invariant:** a ring between two waits is never lost: the next wait returns at once.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// A bell that one thread waits for and any may ring.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    rung: Mutex<bool>,
    condvar: Condvar,
}

impl Signal {
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.condvar.notify_one();
    }

    /// Waits for a ring, at most until `deadline`.
    pub(crate) fn wait_until(&self, deadline: Instant) {
        let mut rung = self.rung.lock();
        while !*rung {
            if self.condvar.wait_until(&mut rung, deadline).timed_out() {
                break;
            }
        }
        *rung = false;
    }
}
