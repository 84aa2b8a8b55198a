//! Tokens that work is paid with, so many per second (KIP-599). Invariant: as Kafka's `TokenBucket`: it
//! may be overdrawn by one piece of work, however large, and holds no more than all windows are worth;
//! what is overdrawn is waited for. Pure: time is handed in. Beside step 7 of the hallway.

/// A bucket of tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    filled_ms: i64,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(limit: f64, burst_seconds: f64, now_ms: i64) -> Bucket {
        Bucket {
            tokens: limit * burst_seconds,
            filled_ms: now_ms,
        }
    }

    /// Milliseconds until nothing is overdrawn any more; 0 if nothing is.
    pub(crate) fn wait_ms(&mut self, limit: f64, burst_seconds: f64, now_ms: i64) -> u64 {
        self.fill(limit, burst_seconds, now_ms);
        // A float that is too large ends at the largest integer.
        (-self.tokens / limit * 1000.0).round().max(0.0) as u64
    }

    /// Pays for work.
    pub(crate) fn take(&mut self, amount: f64) {
        self.tokens -= amount;
    }

    /// Whether it is as full as it can be: then it need not be remembered.
    pub(crate) fn is_full(&mut self, limit: f64, burst_seconds: f64, now_ms: i64) -> bool {
        self.fill(limit, burst_seconds, now_ms);
        self.tokens >= limit * burst_seconds
    }

    fn fill(&mut self, limit: f64, burst_seconds: f64, now_ms: i64) {
        let passed = (now_ms - self.filled_ms).max(0) as f64 / 1000.0;
        self.tokens = (self.tokens + limit * passed).min(limit * burst_seconds);
        self.filled_ms = now_ms;
    }
}
