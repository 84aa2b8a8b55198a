//! Whether a connection looks at its socket for some microseconds before its task sleeps.
//! Invariant: decided by what was measured on this very connection, and only for one that asks, is
//! answered and asks again at once; one that is slow, or sends ahead, is never looked at. Step 6.
//!
//! Being woken costs more than a small request where a core has to leave its rest (on a virtual
//! machine tens of microseconds), and nothing where the cores are busy anyway. Nobody can tell from
//! outside, so both ways are tried and the one in which the next request is here sooner is kept.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

/// How long a connection looks at most, and at most beside others.
pub(super) const LIMITS: Limits = Limits {
    look: Duration::from_micros(30),
    turn: Duration::from_micros(10),
};

/// Exchanges between two decisions.
const WINDOW: u32 = 32;
/// Looks without success in one window that end it.
const MISSED_MAX: u32 = 4;
/// A longer wait counts as this: one hiccup says little of the others.
const WAIT_MAX: Duration = Duration::from_micros(200);
/// Average wait of a sleeper for which looking could be worth it.
const WORTH_MAX: Duration = Duration::from_micros(100);
/// Windows of looking after which sleeping is measured again.
const TRUSTED: u32 = 256;
/// Most windows of sleeping before looking is tried again.
const PAUSE_MAX: u32 = 256;

/// What a connection has learned.
#[derive(Debug, Default)]
pub(super) struct Lookout {
    looking: bool,
    exchanges: u32,
    missed: u32,
    waited: Duration,
    /// Sum of the waits of the last window in which it slept.
    asleep: Duration,
    /// Windows until the other way is tried.
    left: u32,
    pause: u32,
}

impl Lookout {
    /// Whether to look before the next sleep.
    pub(super) fn looks(&self) -> bool {
        self.looking
    }

    /// The next request came this long after the reply to the one before had left.
    pub(super) fn waited(&mut self, wait: Duration) {
        self.exchanges += 1;
        self.waited += wait.min(WAIT_MAX);
        if self.looking && wait > LIMITS.look {
            self.missed += 1;
            if self.missed > MISSED_MAX {
                return self.give_up();
            }
        }
        if self.exchanges == WINDOW {
            self.decide();
        }
    }

    /// Requests came before the one before them was answered: their sender does not wait for us.
    pub(super) fn overlapped(&mut self) {
        *self = Lookout {
            pause: self.pause,
            left: self.left,
            ..Lookout::default()
        };
    }

    fn decide(&mut self) {
        let waited = std::mem::take(&mut self.waited);
        (self.exchanges, self.missed) = (0, 0);
        if !self.looking {
            self.asleep = waited;
            if waited > WORTH_MAX * WINDOW {
                return;
            }
            if self.left > 0 {
                self.left -= 1;
                return;
            }
            self.looking = true;
            self.left = TRUSTED;
        } else if waited * 4 > self.asleep * 3 {
            // Not a quarter sooner: not worth the core.
            self.give_up();
        } else if self.left > 0 {
            self.pause = 0;
            self.left -= 1;
        } else {
            self.looking = false;
        }
    }

    fn give_up(&mut self) {
        let pause = (self.pause * 2 + 1).min(PAUSE_MAX);
        *self = Lookout {
            pause,
            left: pause,
            ..Lookout::default()
        };
    }
}

/// When a look ends without success.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Longest look.
    pub(super) look: Duration,
    /// A turn of the other tasks that took longer means that they, or other processes, have use for
    /// the core.
    pub(super) turn: Duration,
}

/// Waits for `event` without sleeping, up to the limits. All other tasks have their turn in between.
pub(super) async fn look<F: Future>(mut event: Pin<&mut F>, limits: Limits) -> Option<F::Output> {
    let mut now = Instant::now();
    let until = now + limits.look;
    while now < until {
        let looked = poll_fn(|task| Poll::Ready(event.as_mut().poll(task))).await;
        if let Poll::Ready(event) = looked {
            return Some(event);
        }
        // The runtime asks the system for news of all sockets before it comes back.
        tokio::task::yield_now().await;
        let before = std::mem::replace(&mut now, Instant::now());
        if now - before > limits.turn {
            break;
        }
    }
    None
}

/// Lets one connection of the broker look at a time: more would only take each other's core.
#[derive(Debug, Default)]
pub(crate) struct Looking(AtomicBool);

/// The right to look, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a>(&'a AtomicBool);

impl Looking {
    /// The right to look, if nobody has it.
    pub(super) fn try_begin(&self) -> Option<Turn<'_>> {
        let is_taken = self.0.swap(true, Ordering::Acquire);
        (!is_taken).then_some(Turn(&self.0))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
