//! The application's end of an appender: flush, figures, shutdown, panic hook.
//!
//! **Invariant:** every call here returns within the time it was given, whatever the broker does.

use std::{
    sync::{
        Arc, Weak,
        mpsc::{SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use crate::{appender::Appender, local, metrics::Metrics, status, worker::Command};

/// What became of the events logged so far, all since the appender was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct FlushReport {
    /// Events acknowledged by the broker.
    pub sent: u64,
    /// Events that the broker refused, or the client gave up.
    pub failed: u64,
    /// Events that were dropped, for any of the reasons in [`Metrics`].
    pub dropped: u64,
    /// Events still buffered when the time was over.
    pub pending: u64,
}

impl FlushReport {
    /// Whether every event ever logged has arrived.
    pub fn is_complete(&self) -> bool {
        self.failed == 0 && self.dropped == 0 && self.pending == 0
    }

    fn of(metrics: &Metrics) -> FlushReport {
        FlushReport {
            sent: metrics.sent,
            failed: metrics.failed,
            dropped: metrics.dropped.total(),
            pending: metrics.buffered,
        }
    }
}

/// Keeps an appender working. Dropped, it sends what is buffered within the time set by
/// [`Builder::flush_on_drop`](crate::Builder::flush_on_drop), and ends the appender; events logged
/// later are counted and gone. Hold it until the end of `main`.
#[derive(Debug)]
#[must_use = "when the guard is dropped, the appender flushes and ends"]
pub struct Guard {
    handle: Handle,
    worker: Option<JoinHandle<()>>,
    flush_on_drop: Duration,
}

/// Flushes and tells figures; clone it to where they are needed.
#[derive(Debug, Clone)]
pub struct Handle {
    appender: Arc<Appender>,
}

impl Guard {
    pub(crate) fn new(
        appender: Arc<Appender>,
        worker: JoinHandle<()>,
        flush_on_drop: Duration,
    ) -> Guard {
        let mut known = KNOWN.lock();
        known.retain(|appender| appender.strong_count() > 0);
        known.push(Arc::downgrade(&appender));
        Guard {
            handle: Handle { appender },
            worker: Some(worker),
            flush_on_drop,
        }
    }

    /// See [`Handle::flush`].
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        self.handle.flush(timeout)
    }

    /// Figures since the appender was built.
    pub fn metrics(&self) -> Metrics {
        self.handle.metrics()
    }

    /// A handle that does not keep the appender working.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the appender as dropping the guard does, within `timeout`, and tells what came of it.
    pub fn shutdown(mut self, timeout: Duration) -> FlushReport {
        self.stop(timeout);
        FlushReport::of(&self.metrics())
    }

    fn stop(&mut self, timeout: Duration) {
        let Some(worker) = self.worker.take() else {
            return;
        };
        self.handle.appender.close();
        let ended = self
            .handle
            .ask(timeout + GRACE, |answer| Command::Stop(timeout, answer));
        // Joining has no time limit, so a worker that did not answer is left alone.
        if ended && worker.join().is_err() {
            status::report("the worker ended by a panic");
        }
    }
}

/// What the worker may take for its own ending beyond the time for the flush.
const GRACE: Duration = Duration::from_millis(500);

impl Drop for Guard {
    fn drop(&mut self) {
        self.stop(self.flush_on_drop);
    }
}

impl Handle {
    /// Waits until everything logged before this call has landed, at most `timeout`. Blocks the thread:
    /// in asynchronous code call it where blocking is allowed.
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        self.ask(timeout, Command::Flush);
        FlushReport::of(&self.metrics())
    }

    /// Figures since the appender was built.
    pub fn metrics(&self) -> Metrics {
        self.appender.metrics()
    }

    /// Asks the worker and waits for its answer; says whether it came in time.
    fn ask(&self, timeout: Duration, command: impl Fn(SyncSender<()>) -> Command) -> bool {
        if local::is_worker() {
            return false;
        }
        let (answer, answered) = sync_channel(1);
        self.appender.commands.try_send(command(answer)).is_ok()
            && answered.recv_timeout(timeout).is_ok()
    }
}

/// The appenders of this process, for flushing without a guard at hand.
static KNOWN: Mutex<Vec<Weak<Appender>>> = Mutex::new(Vec::new());

/// Flushes every appender of this process within `timeout` altogether.
pub fn flush_all(timeout: Duration) -> Vec<FlushReport> {
    let deadline = Instant::now() + timeout;
    let known: Vec<Arc<Appender>> = KNOWN.lock().iter().filter_map(Weak::upgrade).collect();
    let flush =
        |appender| Handle { appender }.flush(deadline.saturating_duration_since(Instant::now()));
    known.into_iter().map(flush).collect()
}

/// Puts a panic hook in front of the present one's end: a panic is reported as before, then every
/// appender is flushed for at most `timeout`, so that what was logged before the panic arrives even
/// when the process ends by it. With a broker that is away, each panic costs that time.
pub fn flush_on_panic(timeout: Duration) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        before(panic);
        if !local::is_worker() {
            drop(flush_all(timeout));
        }
    }));
}
