//! Pauses between attempts: they double up to a limit, with a jitter that spreads clients out.
//!
//! Invariant: a pause is never zero, so no failure can turn into a busy loop.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// Pauses of one thing that is tried again and again (KIP-580).
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, max: Duration) -> Self {
        Self {
            first,
            max,
            failures: 0,
        }
    }

    /// The pause after one more failure.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = pause(self.first, self.max, self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// Begins anew after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// The pause after `failures` earlier failures: doubled each time, 20% more or less by chance.
pub(crate) fn pause(first: Duration, max: Duration, failures: u32) -> Duration {
    let plain = first
        .saturating_mul(1_u32 << failures.min(20))
        .min(max.max(first));
    let percent = 80 + u32::try_from(random() % 41).unwrap_or(20);
    (plain * percent / 100).max(Duration::from_millis(1))
}

/// A number nobody can foresee well enough to matter; not for secrets.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests;
