//! The one thread that writes: records in, committed transactions out.
//!
//! Invariant: a batch is answered only when it is committed or can never be; while the disk is
//! full it is kept and tried again, and the queue before it (one batch) makes its senders wait.
//! Step 11.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Advance, Applied, Claim, Counts, Placement, Store, Sweep, WriteError};
use crate::telemetry::Telemetry;
use crate::transform::{Content, Received, Row, TopicKind, transform};

/// First pause before a failed transaction is tried again; it doubles up to the last one.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// Records and the offsets they move.
#[derive(Debug, Default)]
pub struct Batch {
    /// Records in the order of their partitions.
    pub records: Vec<Received>,
    /// One move per partition that occurs.
    pub advances: Vec<Advance>,
}

/// What the writer is doing, for the status.
#[derive(Debug, Clone)]
pub struct WriterState {
    /// What the store holds.
    pub counts: Counts,
    /// Why writing waits at present.
    pub waiting: Option<String>,
    /// Why writing has stopped for good.
    pub failed: Option<String>,
}

enum Command {
    Claim {
        group: String,
        topic: String,
        partition: i32,
        reply: Reply<Claim>,
    },
    Place {
        claim: Claim,
        offset: i64,
        placement: Placement,
        reply: Reply<()>,
    },
    Apply {
        batch: Batch,
        reply: Reply<Applied>,
    },
    Expire {
        cutoff_ms: i64,
        sweep: Sweep,
        reply: Reply<(bool, Sweep)>,
    },
    /// Nothing: has the thread look whether it is to stop.
    Wake,
}

type Reply<T> = oneshot::Sender<Result<T, WriteError>>;

/// A handle to the writing thread; the thread ends when [`Writer::stop`] is called.
#[derive(Debug, Clone)]
pub struct Writer {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
    last_id: watch::Receiver<i64>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<WriterState>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Writer {
    /// Starts the thread. `metric_topics` names the topics whose records are metrics.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        store: Store,
        metric_topics: HashSet<String>,
        telemetry: Arc<Telemetry>,
    ) -> io::Result<(Writer, JoinHandle<()>)> {
        let (commands, queue) = mpsc::channel(1);
        let (last_id_out, last_id) = watch::channel(store.counts().next_id - 1);
        let state = WriterState {
            counts: store.counts().clone(),
            waiting: None,
            failed: None,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            stop: Mutex::new(false),
            stopped: Condvar::new(),
        });
        let thread = Thread {
            store,
            metric_topics,
            telemetry,
            shared: Arc::clone(&shared),
            last_id: last_id_out,
        };
        let handle = std::thread::Builder::new()
            .name("logway-store".to_owned())
            .spawn(move || thread.run(queue))?;
        Ok((
            Writer {
                commands,
                shared,
                last_id,
            },
            handle,
        ))
    }

    /// Takes a partition over, see [`Store::claim`].
    ///
    /// # Errors
    /// As [`Store::claim`]; [`WriteError::Stopped`] when the thread has ended.
    pub async fn claim(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Claim, WriteError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.ask(|reply| Command::Claim {
            group,
            topic,
            partition,
            reply,
        })
        .await
    }

    /// Sets where a claimed partition goes on, see [`Store::place`].
    ///
    /// # Errors
    /// As [`Store::place`]; [`WriteError::Stopped`] when the thread has ended.
    pub async fn place(
        &self,
        claim: &Claim,
        offset: i64,
        placement: Placement,
    ) -> Result<(), WriteError> {
        let claim = claim.clone();
        self.ask(|reply| Command::Place {
            claim,
            offset,
            placement,
            reply,
        })
        .await
    }

    /// Stores a batch and moves its offsets in one transaction; waits for the disk if need be.
    ///
    /// # Errors
    /// Only what does not pass by itself: fencing, a broken store, the end of the thread.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, WriteError> {
        self.ask(|reply| Command::Apply { batch, reply }).await
    }

    /// Removes some rows older than `cutoff_ms`; true when there is more to do.
    ///
    /// # Errors
    /// As [`Store::expire`]; [`WriteError::Stopped`] when the thread has ended.
    pub async fn expire(&self, cutoff_ms: i64, sweep: Sweep) -> Result<(bool, Sweep), WriteError> {
        self.ask(|reply| Command::Expire {
            cutoff_ms,
            sweep,
            reply,
        })
        .await
    }

    /// What the writer is doing.
    #[must_use]
    pub fn state(&self) -> WriterState {
        self.shared.state.lock().clone()
    }

    /// The newest log line's id, and a notice of each newer one.
    #[must_use]
    pub fn last_id(&self) -> watch::Receiver<i64> {
        self.last_id.clone()
    }

    /// Ends the thread after the transaction it is in; one that waits for the disk is given up
    /// and comes again after the next start.
    pub fn stop(&self) {
        *self.shared.stop.lock() = true;
        self.shared.stopped.notify_all();
        // A full queue wakes the thread as well.
        drop(self.commands.try_send(Command::Wake));
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(command(reply))
            .await
            .map_err(|_| WriteError::Stopped)?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }
}

/// What the thread owns.
struct Thread {
    store: Store,
    metric_topics: HashSet<String>,
    telemetry: Arc<Telemetry>,
    shared: Arc<Shared>,
    last_id: watch::Sender<i64>,
}

impl Thread {
    fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        while let Some(command) = queue.blocking_recv() {
            if *self.shared.stop.lock() {
                break;
            }
            self.store.set_now(now_ms());
            // A caller that has gone away does not want its answer.
            match command {
                Command::Claim {
                    group,
                    topic,
                    partition,
                    reply,
                } => {
                    drop(reply.send(self.retrying(|store| store.claim(&group, &topic, partition))));
                }
                Command::Place {
                    claim,
                    offset,
                    placement,
                    reply,
                } => {
                    let done = self.retrying(|store| store.place(&claim, offset, placement));
                    drop(reply.send(done));
                }
                Command::Apply { batch, reply } => drop(reply.send(self.apply(&batch))),
                Command::Wake => {}
                Command::Expire {
                    cutoff_ms,
                    mut sweep,
                    reply,
                } => {
                    // Not retried here: the next sweep does it.
                    let done = self.store.expire(cutoff_ms, &mut sweep);
                    drop(reply.send(done.map(|more| (more, sweep))));
                }
            }
            self.shared.state.lock().counts = self.store.counts().clone();
        }
    }

    fn apply(&mut self, batch: &Batch) -> Result<Applied, WriteError> {
        let started = Instant::now();
        let mut rows = Vec::with_capacity(batch.records.len());
        for record in &batch.records {
            let kind = if self.metric_topics.contains(record.topic.as_ref()) {
                TopicKind::Metrics
            } else {
                TopicKind::Logs
            };
            transform(kind, record, &mut rows);
        }
        let applied = self.retrying(|store| store.apply(&rows, &batch.advances))?;
        self.telemetry
            .stored(&applied, unparsed_reasons(&rows), started.elapsed());
        self.last_id.send_if_modified(|last| {
            let newer = *last != applied.last_id;
            *last = applied.last_id;
            newer
        });
        Ok(applied)
    }

    /// Repeats `action` until it succeeds, fails for good, or the writer is to stop.
    fn retrying<T>(
        &mut self,
        mut action: impl FnMut(&mut Store) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        let mut pause = RETRY_FIRST;
        loop {
            let error = match action(&mut self.store) {
                Ok(done) => {
                    if self.shared.state.lock().waiting.take().is_some() {
                        tracing::info!("the store can be written again, nothing was lost");
                    }
                    return Ok(done);
                }
                Err(error) => error,
            };
            let text = describe(&error);
            if !error.is_retriable() {
                if !matches!(error, WriteError::Fenced { .. }) {
                    tracing::error!(error = %text, "the store cannot be written");
                    self.shared.state.lock().failed = Some(text);
                }
                return Err(error);
            }
            self.telemetry.store_retried();
            if self
                .shared
                .state
                .lock()
                .waiting
                .replace(text.clone())
                .is_none()
            {
                tracing::error!(error = %text, "the store cannot be written now, trying again");
            }
            let mut stop = self.shared.stop.lock();
            if !*stop {
                self.shared.stopped.wait_for(&mut stop, pause);
            }
            if *stop {
                return Err(error);
            }
            pause = (pause * 2).min(RETRY_LAST);
        }
    }
}

/// An error with its causes in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

fn unparsed_reasons<'a>(
    rows: &'a [Row<'_>],
) -> impl Iterator<Item = crate::transform::Reason> + 'a {
    rows.iter().filter_map(|row| match &row.content {
        Content::Unparsed(unparsed) => Some(unparsed.reason),
        Content::Log(_) | Content::Metric(_) => None,
    })
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
