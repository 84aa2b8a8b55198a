//! Quotas: how fast clients may produce, fetch, ask and connect, and how long they are silenced
//! (KIP-13, KIP-55, KIP-124, KIP-219, KIP-612). Invariant: who has no quota is not measured and never
//! waits; what is measured is bounded in number. Beside step 6 of the hallway.
//!
//! The answer goes out at once and says how long the client should be silent; for that time the
//! broker reads nothing from its connection. A fetch that is too much is answered without records.

mod bucket;
mod rate;
mod request_time;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use logway_config::broker::Broker as Settings;
use parking_lot::Mutex;

use self::bucket::Bucket;
use self::rate::{Rate, Windows};
use self::rules::{Limited, Measured, Rules};
use crate::metadata::{ClientQuotas, Image, Observer};

pub(crate) use self::request_time::{RequestTime, Silence, timed};

/// Who sends without having said who he is (Kafka's name of him).
pub(crate) const ANONYMOUS: &str = "ANONYMOUS";
/// Seconds of partitions that may be created and deleted at once (Kafka's `controller.quota.window.num`
/// windows of one second).
const MUTATION_BURST_SECONDS: f64 = 11.0;
/// Rates, and buckets, kept at once; above, those that nothing happened in are dropped.
const RATES_MAX: usize = 10_000;

/// The rates of all clients that have quotas.
#[derive(Debug)]
pub(crate) struct Quotas {
    windows: Windows,
    begin: Instant,
    rules: ArcSwap<Rules>,
    /// What the rules were made of.
    source: Mutex<Arc<ClientQuotas>>,
    rates: Mutex<HashMap<Measured, Rate>>,
    buckets: Mutex<HashMap<Measured, Bucket>>,
}

impl Quotas {
    pub(crate) fn new(settings: &Settings) -> Quotas {
        let size_ms = i64::from(settings.quota_window_size_seconds) * 1000;
        Quotas {
            windows: Windows {
                count: u32::try_from(settings.quota_window_num).unwrap_or(1),
                size_ms,
            },
            begin: Instant::now(),
            rules: ArcSwap::default(),
            source: Mutex::default(),
            rates: Mutex::default(),
            buckets: Mutex::default(),
        }
    }

    /// The quotas of this image from now on.
    pub(crate) fn take(&self, image: &Image) {
        let mut source = self.source.lock();
        if !Arc::ptr_eq(&source, image.quotas()) {
            *source = Arc::clone(image.quotas());
            self.rules.store(Arc::new(Rules::new(&source)));
        }
    }

    /// Whether the time that requests take must be measured.
    pub(crate) fn limits_requests(&self) -> bool {
        self.rules.load().limits(Limited::Requests)
    }

    /// Counts a produce request of `bytes`: how long its client is to be silent.
    pub(crate) fn produced(&self, client: &str, bytes: usize) -> Duration {
        self.count(Limited::Produce, client, bytes as f64, false)
    }

    /// Counts `bytes` that a client is about to be sent. If that is too much they are not counted and
    /// must not be sent: he asks again after the time that is returned.
    pub(crate) fn fetched(&self, client: &str, bytes: usize) -> Duration {
        self.count(Limited::Fetch, client, bytes as f64, true)
    }

    /// The most that a fetch may ask for: more would never be let through.
    pub(crate) fn fetch_bytes_max(&self, client: &str) -> Option<usize> {
        let rules = self.rules.load();
        if !rules.limits(Limited::Fetch) {
            return None;
        }
        let (limit, _) = rules.of_client(Limited::Fetch, ANONYMOUS, client)?;
        let bytes = limit * self.windows.burst_seconds().max(1.0);
        Some((bytes as usize).max(1))
    }

    /// Counts the time that a request took. At most one window of silence, as in Kafka.
    pub(crate) fn requested(&self, client: &str, took: Duration) -> Duration {
        let percent = took.as_secs_f64() * 100.0;
        let silence = self.count(Limited::Requests, client, percent, false);
        silence.min(self.window())
    }

    /// Counts a connection from `address`: none if it may come in, else how long to hold it before it
    /// is closed. One that is turned away does not count.
    pub(crate) fn connected(&self, address: IpAddr) -> Option<Duration> {
        let rules = self.rules.load();
        if !rules.limits(Limited::Connections) {
            return None;
        }
        let (limit, measured) = rules.of_address(&address.to_canonical().to_string())?;
        let held = self.measure(measured, limit, 1.0, true);
        (!held.is_zero()).then(|| held.min(self.window()))
    }

    /// Has a client pay for so many partitions that he creates or deletes: how long he is to be silent.
    ///
    /// # Errors
    /// `strict` and he has not yet waited for the last ones: how long he must.
    pub(crate) fn mutated(
        &self,
        client: &str,
        partitions: usize,
        strict: bool,
    ) -> Result<Duration, Duration> {
        let rules = self.rules.load();
        if !rules.limits(Limited::Mutations) {
            return Ok(Duration::ZERO);
        }
        let Some((limit, who)) = rules.of_client(Limited::Mutations, ANONYMOUS, client) else {
            return Ok(Duration::ZERO);
        };
        let mut buckets = self.buckets.lock();
        let now_ms = self.now_ms();
        if buckets.len() >= RATES_MAX && !buckets.contains_key(&who) {
            buckets.retain(|_, bucket| !bucket.is_full(limit, MUTATION_BURST_SECONDS, now_ms));
        }
        let full = Bucket::full(limit, MUTATION_BURST_SECONDS, now_ms);
        let bucket = buckets.entry(who).or_insert(full);
        let wait = |ms| Duration::from_millis(ms);
        let due = bucket.wait_ms(limit, MUTATION_BURST_SECONDS, now_ms);
        if strict && due > 0 {
            return Err(wait(due));
        }
        bucket.take(partitions as f64);
        match strict {
            true => Ok(Duration::ZERO),
            false => Ok(wait(bucket.wait_ms(limit, MUTATION_BURST_SECONDS, now_ms))),
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.begin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    fn window(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.windows.size_ms).unwrap_or(1000))
    }

    fn count(&self, limited: Limited, client: &str, amount: f64, takes_back: bool) -> Duration {
        let rules = self.rules.load();
        if !rules.limits(limited) {
            return Duration::ZERO;
        }
        match rules.of_client(limited, ANONYMOUS, client) {
            Some((limit, measured)) => self.measure(measured, limit, amount, takes_back),
            None => Duration::ZERO,
        }
    }

    fn measure(&self, measured: Measured, limit: f64, amount: f64, takes_back: bool) -> Duration {
        let windows = self.windows;
        let mut rates = self.rates.lock();
        // Within the lock, so that times of one rate never go back.
        let now_ms = self.now_ms();
        if rates.len() >= RATES_MAX && !rates.contains_key(&measured) {
            rates.retain(|_, rate| !rate.is_idle(windows, now_ms));
            if rates.len() >= RATES_MAX {
                return Duration::ZERO;
            }
        }
        let rate = rates.entry(measured).or_default();
        rate.record(windows, now_ms, amount);
        let wait = rate.wait_ms(windows, now_ms, limit);
        if takes_back && wait > 0 {
            rate.record(windows, now_ms, -amount);
        }
        Duration::from_millis(wait)
    }
}

impl Observer for Arc<Quotas> {
    fn before(&mut self, _image: &Image) {}

    fn after(&mut self, image: &Image) {
        self.take(image);
    }
}
