//! The thread of the file input: steps its engine, sleeps in between, drains at the end. Step 2 of the
//! hallway.
//!
//! **Invariant:** files are read on this thread only, never on the runtime's.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::engine::{Clock, Engine, Parts};
use crate::signal::Signal;

/// The running file input.
#[derive(Debug)]
pub(crate) struct FileInput {
    thread: Option<JoinHandle<()>>,
    stop: Arc<Mutex<Option<Instant>>>,
    signal: Arc<Signal>,
    /// Whether all that `once` asked for is acknowledged.
    finished: watch::Receiver<bool>,
    ended: watch::Receiver<bool>,
}

impl Clock {
    pub(crate) fn read() -> Clock {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            now: Instant::now(),
            wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl FileInput {
    /// Starts the thread; `signal` is rung by the output when it has news.
    pub(crate) fn spawn(parts: Parts, signal: Arc<Signal>) -> io::Result<FileInput> {
        let stop = Arc::new(Mutex::new(None));
        let (finished_out, finished) = watch::channel(false);
        let (ended_out, ended) = watch::channel(false);
        let (its_stop, its_signal) = (stop.clone(), signal.clone());
        let body = move || {
            let mut engine = Engine::new(parts, Clock::read());
            follow(&mut engine, &its_stop, &its_signal, &finished_out);
            drain(&mut engine, &its_stop, &its_signal);
            engine.close(Clock::read());
            ended_out.send_replace(true);
        };
        let thread = std::thread::Builder::new()
            .name("logway-files".to_owned())
            .spawn(body)?;
        Ok(FileInput {
            thread: Some(thread),
            stop,
            signal,
            finished,
            ended,
        })
    }

    /// Resolves when all that `once` asked for is acknowledged, or the thread has ended.
    pub(crate) async fn finished(&mut self) {
        // An error means that the thread is gone, which is an end too.
        let _gone = self.finished.wait_for(|finished| *finished).await.is_err();
    }

    /// Reads no more, waits for acknowledgements until `deadline`, writes the state.
    pub(crate) async fn stop(&mut self, deadline: Duration) {
        *self.stop.lock() = Some(Instant::now() + deadline);
        self.signal.ring();
        // The state is written after the deadline; a disk that hangs must not hang the agent.
        let grace = deadline + Duration::from_secs(2);
        let ended = tokio::time::timeout(grace, self.ended.wait_for(|ended| *ended)).await;
        if ended.is_err() {
            tracing::warn!("the file reader did not end in time");
        } else if self
            .thread
            .take()
            .is_some_and(|thread| thread.join().is_err())
        {
            tracing::error!("the file reader panicked; its positions are those of its last write");
        }
    }
}

impl Drop for FileInput {
    fn drop(&mut self) {
        self.stop.lock().get_or_insert_with(Instant::now);
        self.signal.ring();
    }
}

fn follow(
    engine: &mut Engine,
    stop: &Mutex<Option<Instant>>,
    signal: &Signal,
    finished: &watch::Sender<bool>,
) {
    while stop.lock().is_none() {
        let step = engine.step(Clock::read());
        if step.finished && !*finished.borrow() {
            finished.send_replace(true);
        }
        if step.next > Instant::now() {
            signal.wait_until(step.next);
        }
    }
}

/// Waits for acknowledgements of what was read.
fn drain(engine: &mut Engine, stop: &Mutex<Option<Instant>>, signal: &Signal) {
    let deadline = stop.lock().unwrap_or_else(Instant::now);
    engine.drain();
    loop {
        let step = engine.step(Clock::read());
        let now = Instant::now();
        if engine.is_drained() || now >= deadline {
            break;
        }
        signal.wait_until(step.next.max(now).min(deadline));
    }
}
