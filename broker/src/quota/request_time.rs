//! How long a request keeps a thread busy, and how long its connection is silenced.
//! Invariant: only the time inside polls counts, not the time that a request waits for a disk or for
//! news. Beside step 6 of the hallway.

use std::future::Future;
use std::pin::pin;
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

/// Runs `work` and counts its polls' time, if there is a clock.
pub(crate) async fn timed<T>(time: Option<Arc<RequestTime>>, work: impl Future<Output = T>) -> T {
    let Some(time) = time else {
        return work.await;
    };
    let mut work = pin!(work);
    std::future::poll_fn(move |task| {
        time.begin();
        let polled = work.as_mut().poll(task);
        time.end();
        polled
    })
    .await
}

/// Until when nothing is read from one connection.
#[derive(Debug, Default)]
pub(crate) struct Silence(Mutex<Option<Instant>>);

impl Silence {
    /// Silences the connection for so long from now on, if it is not for longer already.
    pub(crate) fn extend(&self, silence: Duration) {
        if silence.is_zero() {
            return;
        }
        let until = Instant::now() + silence;
        let mut now = self.0.lock();
        if now.is_none_or(|present| present < until) {
            *now = Some(until);
        }
    }

    /// When the silence ends; none if there is none.
    pub(crate) fn until(&self) -> Option<Instant> {
        let mut until = self.0.lock();
        if until.is_some_and(|until| until <= Instant::now()) {
            *until = None;
        }
        *until
    }
}
