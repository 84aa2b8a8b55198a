//! A thread that works beside the requests until it is told to end: the keeper, the cleaner.
//! Invariant: a wait of it ends at once when it is told to, so that no stop waits for a timer. Step 8
//! of the hallway, at its end.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::error;

/// How the thread is told.
#[derive(Debug, Default)]
pub(super) struct Signal {
    stopping: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn stop(&self) {
        *self.stopping.lock() = true;
        self.changed.notify_all();
    }

    /// Waits that long; true as soon as the thread is to end.
    pub(super) fn wait(&self, time: Duration) -> bool {
        let mut stopping = self.stopping.lock();
        if !*stopping && !time.is_zero() {
            self.changed.wait_for(&mut stopping, time);
        }
        *stopping
    }
}

/// Handle of such a thread.
#[derive(Debug)]
pub(crate) struct Background {
    name: &'static str,
    signal: Arc<Signal>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Background {
    /// Starts a thread of this name that does `work`.
    pub(super) fn start(
        name: &'static str,
        work: impl FnOnce(Arc<Signal>) + Send + 'static,
    ) -> io::Result<Background> {
        let signal = Arc::new(Signal::default());
        let told = Arc::clone(&signal);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work(told))?;
        Ok(Background {
            name,
            signal,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has the thread end after what it is doing, without waiting for it.
    pub(crate) fn abandon(&self) {
        self.signal.stop();
    }

    /// Ends the thread after what it is doing. Blocks.
    pub(crate) fn stop(&self) {
        self.abandon();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            error!(
                thread = self.name,
                "a background thread panicked; its work stopped early"
            );
        }
    }
}
