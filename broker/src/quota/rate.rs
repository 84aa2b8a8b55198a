//! How much of something happened in the last seconds, and how long to wait when it was too much.
//! Invariant: as Kafka's `Rate` over samples (KIP-13): the sum of the samples that are not too old, by
//! the time since the oldest began, but at least by all windows less one, so that a burst at the start
//! is not taken for a rate. Pure: time is handed in. Beside step 6 of the hallway.

use std::collections::VecDeque;

/// The windows that a rate is measured over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Windows {
    /// How many are kept (`quota.window.num`), at least 1.
    pub(crate) count: u32,
    /// Length of one in milliseconds (`quota.window.size.seconds`), at least 1.
    pub(crate) size_ms: i64,
}

impl Windows {
    /// Seconds that a burst may use up at once.
    pub(crate) fn burst_seconds(self) -> f64 {
        f64::from(self.count.saturating_sub(1)) * self.size_ms as f64 / 1000.0
    }
}

/// What was counted in one window.
#[derive(Clone, Copy, Debug)]
struct Sample {
    start_ms: i64,
    sum: f64,
}

/// A rate over sliding windows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<Sample>,
}

impl Rate {
    /// Counts `amount` at that time; times never go back.
    pub(crate) fn record(&mut self, windows: Windows, now_ms: i64, amount: f64) {
        self.expire(windows, now_ms);
        match self.samples.back_mut() {
            Some(sample) if now_ms - sample.start_ms < windows.size_ms => sample.sum += amount,
            _ => self.samples.push_back(Sample {
                start_ms: now_ms,
                sum: amount,
            }),
        }
        // Windows may begin late, so that more than wanted are young enough: never here, for each
        // begins a whole window after the one before and all are younger than all windows together.
        while self.samples.len() > windows.count.max(1) as usize {
            self.samples.pop_front();
        }
    }

    /// Units per second at that time.
    pub(crate) fn per_second(&mut self, windows: Windows, now_ms: i64) -> f64 {
        self.expire(windows, now_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        sum * 1000.0 / self.measured_ms(windows, now_ms) as f64
    }

    /// How long to do nothing so that the rate comes down to `limit` per second; 0 if it is not above.
    pub(crate) fn wait_ms(&mut self, windows: Windows, now_ms: i64, limit: f64) -> u64 {
        let rate = self.per_second(windows, now_ms);
        if rate <= limit || limit <= 0.0 {
            return 0;
        }
        let wait = (rate - limit) / limit * self.measured_ms(windows, now_ms) as f64;
        // A float that is too large ends at the largest integer.
        wait.round().max(0.0) as u64
    }

    /// Whether nothing is remembered any more.
    pub(crate) fn is_idle(&mut self, windows: Windows, now_ms: i64) -> bool {
        self.expire(windows, now_ms);
        self.samples.is_empty()
    }

    /// The time that the samples stand for.
    fn measured_ms(&self, windows: Windows, now_ms: i64) -> i64 {
        let since = self.samples.front();
        let elapsed = since.map_or(0, |oldest| (now_ms - oldest.start_ms).max(0));
        let least = i64::from(windows.count.saturating_sub(1));
        let missing = (least - elapsed / windows.size_ms).max(0);
        (elapsed + missing * windows.size_ms).max(windows.size_ms)
    }

    fn expire(&mut self, windows: Windows, now_ms: i64) {
        let age = i64::from(windows.count.max(1)) * windows.size_ms;
        while self
            .samples
            .front()
            .is_some_and(|oldest| now_ms - oldest.start_ms >= age)
        {
            self.samples.pop_front();
        }
    }
}
