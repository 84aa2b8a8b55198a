//! How much of something happened in the last seconds, and how long to wait when it was too much.
//! Invariant: as Kafka's `Rate` over samples (KIP-13): the sum of the samples that are not too old, by
//! the time since the oldest began, but at least by all windows less one, so that a burst at the start
//! is not taken for a rate. Pure: time is handed in. Beside step 6 of the hallway.
//!
//! Samples alone forget a burst with its window, and whoever is held at his quota may burst again then:
//! over a minute he gets up to a tenth more, or nothing more, as his last burst happens to fall. So, other
//! than in Kafka, what somebody has had is remembered beyond the samples while he is being held.

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
    /// How long a sample is remembered.
    fn age_ms(self) -> i64 {
        i64::from(self.count.max(1)) * self.size_ms
    }

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
    hold: Option<Hold>,
}

/// Somebody has been told to wait, and not long ago.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// When the oldest sample of that time began.
    since_ms: i64,
    /// How much more was counted since than the limit is worth; negative if less. As of `at_ms`.
    excess: f64,
    at_ms: i64,
    /// From then on it is over, unless he must wait once more.
    until_ms: i64,
}

impl Rate {
    /// Counts `amount` at that time; times never go back.
    pub(crate) fn record(&mut self, windows: Windows, now_ms: i64, amount: f64) {
        self.expire(windows, now_ms);
        if let Some(hold) = &mut self.hold {
            hold.excess += amount;
        }
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
        if limit <= 0.0 {
            return 0;
        }
        let rate = self.per_second(windows, now_ms);
        let measured = self.measured_ms(windows, now_ms) as f64;
        let of_samples = (rate - limit) / limit * measured;
        let of_hold = self.held_ms(windows, now_ms, limit);
        // A float that is too large ends at the largest integer.
        let wait = of_hold.unwrap_or(of_samples).round().max(0.0) as u64;
        if wait > 0 {
            self.hold_on(windows, (now_ms, wait), limit);
        }
        wait
    }

    /// How long what was counted since the hold began is too much; none until the samples forget the
    /// first of it, for so long they say it themselves.
    fn held_ms(&mut self, windows: Windows, now_ms: i64, limit: f64) -> Option<f64> {
        let hold = self.hold.as_mut()?;
        let passed = (now_ms - hold.at_ms) as f64 / 1000.0;
        // What is not used is worth no more than one burst.
        let least = -limit * windows.burst_seconds();
        hold.excess = (hold.excess - limit * passed).max(least);
        hold.at_ms = now_ms;
        let speaks = now_ms - hold.since_ms >= windows.age_ms();
        speaks.then(|| hold.excess / limit * 1000.0)
    }

    /// Begins or prolongs the hold: until he has been free for as long as samples are remembered. A very
    /// long wait does not count in full, so that nobody is held for what happened long ago.
    fn hold_on(&mut self, windows: Windows, (now_ms, wait): (i64, u64), limit: f64) {
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        let until_ms = now_ms + wait.min(windows.age_ms()) + windows.age_ms();
        if let Some(hold) = &mut self.hold {
            hold.until_ms = until_ms;
            return;
        }
        let since_ms = self
            .samples
            .front()
            .map_or(now_ms, |oldest| oldest.start_ms);
        let sum: f64 = self.samples.iter().map(|sample| sample.sum).sum();
        self.hold = Some(Hold {
            since_ms,
            excess: sum - limit * (now_ms - since_ms) as f64 / 1000.0,
            at_ms: now_ms,
            until_ms,
        });
    }

    /// Whether nothing is remembered any more.
    pub(crate) fn is_idle(&mut self, windows: Windows, now_ms: i64) -> bool {
        self.expire(windows, now_ms);
        self.samples.is_empty() && self.hold.is_none()
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
        let age = windows.age_ms();
        if self.hold.is_some_and(|hold| now_ms >= hold.until_ms) {
            self.hold = None;
        }
        while self
            .samples
            .front()
            .is_some_and(|oldest| now_ms - oldest.start_ms >= age)
        {
            self.samples.pop_front();
        }
    }
}
