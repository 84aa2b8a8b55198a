//! Rates and latencies of records that were acknowledged.
//!
//! Invariant: latencies are counted by the millisecond, so that any number of records costs the
//! same memory.

use std::time::{Duration, Instant};

/// Latencies beyond this are counted as this, in milliseconds.
const LATENCY_MAX_MS: usize = 60_000;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What was seen since the beginning.
#[derive(Debug)]
pub(super) struct Figures {
    begun: Instant,
    records: u64,
    bytes: u64,
    latency_ms: f64,
    latency_ms_max: u64,
    /// How many records took so many milliseconds.
    histogram: Vec<u64>,
}

impl Figures {
    pub(super) fn begin(begun: Instant) -> Self {
        Self {
            begun,
            records: 0,
            bytes: 0,
            latency_ms: 0.0,
            latency_ms_max: 0,
            histogram: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, latency: Duration, bytes: usize) {
        let ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.records += 1;
        self.bytes += bytes as u64;
        self.latency_ms += ms as f64;
        self.latency_ms_max = self.latency_ms_max.max(ms);
        let bucket = usize::try_from(ms)
            .unwrap_or(LATENCY_MAX_MS)
            .min(LATENCY_MAX_MS);
        if self.histogram.len() <= bucket {
            self.histogram.resize(bucket + 1, 0);
        }
        self.histogram[bucket] += 1;
    }

    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    fn rates(&self) -> (f64, f64, f64) {
        let seconds = self.age().as_secs_f64().max(1e-3);
        let average = self.latency_ms / (self.records.max(1) as f64);
        (
            self.records as f64 / seconds,
            self.bytes as f64 / MEBIBYTE / seconds,
            average,
        )
    }

    /// The line of one interval.
    pub(super) fn report(&self) -> String {
        let (records, bytes, average) = self.rates();
        format!(
            "{} records sent, {records:.1} records/sec ({bytes:.2} MB/sec), {average:.1} ms avg \
             latency, {:.1} ms max latency.",
            self.records, self.latency_ms_max as f64
        )
    }

    /// The line of the whole run; `kind` stands before "records".
    pub(super) fn summary(&self, kind: &str) -> String {
        let (records, bytes, average) = self.rates();
        format!(
            "{}{kind} records sent, {records:.6} records/sec ({bytes:.2} MB/sec), {average:.2} ms \
             avg latency, {:.2} ms max latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.records,
            self.latency_ms_max as f64,
            self.percentile(500),
            self.percentile(950),
            self.percentile(990),
            self.percentile(999),
        )
    }

    /// The latency in milliseconds that so many records of a thousand did not exceed.
    fn percentile(&self, per_mille: u64) -> usize {
        let wanted = (self.records * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (ms, count) in self.histogram.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ms;
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    //! Percentiles of known latencies.

    use std::time::{Duration, Instant};

    use super::Figures;

    #[test]
    fn percentiles_are_those_of_the_records() {
        let mut figures = Figures::begin(Instant::now());
        for ms in 1..=1000 {
            figures.add(Duration::from_millis(ms), 10);
        }
        let summary = figures.summary(" steady state");
        assert!(
            summary.starts_with("1000 steady state records sent, "),
            "{summary}"
        );
        assert!(
            summary.ends_with("500 ms 50th, 950 ms 95th, 990 ms 99th, 999 ms 99.9th."),
            "{summary}"
        );
    }
}
