//! How long a request keeps a thread busy, and how long its connection is silenced.
//! Invariant: only the time inside polls counts, not the time that a request waits for a disk or for
//! news. Beside step 6 of the hallway.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Busy time of one request.
#[derive(Debug, Default)]
pub(crate) struct RequestTime {
    nanos: AtomicU64,
    polled_at: Mutex<Option<Instant>>,
}

impl RequestTime {
    /// The time so far, the poll under way included.
    pub(crate) fn spent(&self) -> Duration {
        let polled = self
            .polled_at
            .lock()
            .map_or(Duration::ZERO, |at| at.elapsed());
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed)) + polled
    }

    fn begin(&self) {
        *self.polled_at.lock() = Some(Instant::now());
    }

    fn end(&self) {
        let polled = self.polled_at.lock().take();
        let nanos = polled.map_or(0, |at| u64::try_from(at.elapsed().as_nanos()).unwrap_or(0));
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Runs `work` and counts its polls' time.
pub(crate) async fn timed<T>(
    time: Arc<RequestTime>,
    mut work: impl Future<Output = T> + Unpin,
) -> T {
    std::future::poll_fn(|task| {
        time.begin();
        let polled = Pin::new(&mut work).poll(task);
        time.end();
        polled
    })
    .await
}

/// Until when nothing is read from one connection. Looked at several times for each request, so that
/// not being silent must cost nothing.
#[derive(Debug)]
pub(crate) struct Silence {
    begin: Instant,
    /// Nanoseconds after `begin`; 0 without a silence.
    until: AtomicU64,
}

impl Default for Silence {
    fn default() -> Silence {
        Silence {
            begin: Instant::now(),
            until: AtomicU64::new(0),
        }
    }
}

impl Silence {
    /// Silences the connection for so long from now on, if it is not for longer already.
    pub(crate) fn extend(&self, silence: Duration) {
        if silence.is_zero() {
            return;
        }
        let until = (self.begin.elapsed() + silence).as_nanos();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.until.fetch_max(until, Ordering::Relaxed);
    }

    /// When the silence ends; none if there is none.
    pub(crate) fn until(&self) -> Option<Instant> {
        let nanos = self.until.load(Ordering::Relaxed);
        if nanos == 0 {
            return None;
        }
        let until = self.begin + Duration::from_nanos(nanos);
        if until <= Instant::now() {
            // A longer one that was asked for meanwhile stays.
            let order = Ordering::Relaxed;
            self.until.compare_exchange(nanos, 0, order, order).ok();
            return None;
        }
        Some(until)
    }
}
