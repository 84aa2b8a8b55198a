//! The worker: seals the threads' batches by size or age and hands them to the sink.
//!
//! It has a thread and a runtime of its own, so the application's runtime may end first. Everything it
//! may do begins in one `select!`, whose arms call synchronous methods.
//!
//! **Invariant:** a batch leaves `outstanding` exactly once, as sent, refused or unsent, and its bytes
//! go back to the budget with it. Between steps 4′ and 5 of the hallway.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc::SyncSender},
    time::Duration,
};

use logway_protocol::batch_builder::BatchBuilder;
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};

use crate::{
    appender::Appender,
    event::{Entry, Location, Moment, NoContext},
    layout::Scratch,
    loss::{Cause, Loss, Tally},
    shard::Batch,
    sink::{NotTaken, Outgoing, Sink},
    status,
};

/// Bytes that a waiting batch costs besides its content.
const BATCH_COST: usize = 256;
/// Pause before a sink that had no room is tried again, if nothing lands before.
const RETRY: Duration = Duration::from_millis(200);
/// Least time between two reports of lost events.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Most flushes that are waited for at a time.
const FLUSHES_MAX: usize = 256;
/// Logger of the reports of lost events.
const REPORT_LOGGER: &str = "logway.appenders";

/// What the application asks of the worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answer when everything buffered now has landed.
    Flush(SyncSender<()>),
    /// Send what is buffered within the time given, then end, and answer last.
    Stop(Duration, SyncSender<()>),
}

/// What is known of a batch until it has landed.
#[derive(Debug)]
struct Held {
    granted: usize,
    wire_bytes: usize,
    content: Content,
    task: Option<Id>,
}

#[derive(Debug)]
enum Content {
    Events(Tally),
    Report(Loss),
}

#[derive(Debug)]
struct Stopping {
    deadline: Instant,
    answer: SyncSender<()>,
}

/// The task that owns the sink.
#[derive(Debug)]
pub(crate) struct Worker<S> {
    appender: Arc<Appender>,
    sink: S,
    commands: mpsc::Receiver<Command>,
    /// Sealed batches that the sink has not taken yet, oldest first.
    backlog: VecDeque<(u64, Outgoing)>,
    /// Deliveries under way.
    flying: JoinSet<(u64, Result<(), String>)>,
    outstanding: BTreeMap<u64, Held>,
    next_id: u64,
    /// Flushes with the first batch id that they need not wait for.
    flushes: Vec<(u64, SyncSender<()>)>,
    stopping: Option<Stopping>,
    /// Losses not yet reported in the stream.
    losses: Loss,
    last_report: Option<Instant>,
    /// Whether the last report did not arrive: then even a flush does not hurry the next one.
    report_failed: bool,
    report_at: Option<Instant>,
    collect_at: Option<Instant>,
    retry_at: Option<Instant>,
    scratch: Scratch,
}

impl<S: Sink> Worker<S> {
    pub(crate) fn new(
        appender: Arc<Appender>,
        sink: S,
        commands: mpsc::Receiver<Command>,
    ) -> Worker<S> {
        Worker {
            appender,
            sink,
            commands,
            backlog: VecDeque::new(),
            flying: JoinSet::new(),
            outstanding: BTreeMap::new(),
            next_id: 0,
            flushes: Vec::new(),
            stopping: None,
            losses: Loss::default(),
            last_report: None,
            report_failed: false,
            report_at: None,
            collect_at: None,
            retry_at: None,
            scratch: Scratch::default(),
        }
    }

    /// Works until it is told to stop.
    pub(crate) async fn run(mut self) {
        let appender = self.appender.clone();
        loop {
            let deadline = self.stopping.as_ref().map(|stopping| stopping.deadline);
            tokio::select! {
                () = appender.wake.notify.notified() => self.woken(),
                Some(command) = self.commands.recv() => self.obey(command),
                Some(landed) = self.flying.join_next() => self.landed(landed),
                () = at(self.collect_at) => self.collect(false),
                () = at(self.retry_at) => self.retry_at = None,
                () = at(self.report_at) => self.report_at = None,
                () = at(deadline) => break,
            }
            self.push();
            self.report_losses();
            self.answer_flushes();
            if self.stopping.is_some() && self.outstanding.is_empty() {
                break;
            }
        }
        self.finish().await;
    }

    fn woken(&mut self) {
        if self.appender.wake.take_full() {
            self.collect(false);
        } else if self.collect_at.is_none() {
            self.collect_at = Some(Instant::now() + self.appender.settings.linger);
        }
    }

    fn obey(&mut self, command: Command) {
        self.collect(true);
        match command {
            Command::Flush(answer) => self.flushes.push((self.next_id, answer)),
            Command::Stop(timeout, answer) => {
                let deadline = Instant::now() + timeout;
                self.stopping = Some(Stopping { deadline, answer });
                self.report_failed = false;
            }
        }
    }

    /// Takes the threads' batches. While the sink has no room, those that are not full stay and fill
    /// up, unless `all` are wanted.
    fn collect(&mut self, all: bool) {
        let mut batches = Vec::new();
        let all = all || self.backlog.is_empty();
        let (loss, stays) = self.appender.take(all, &mut batches);
        self.losses.merge(&loss);
        let linger = self.appender.settings.linger;
        self.collect_at = stays.then(|| Instant::now() + linger);
        for batch in batches {
            self.seal(batch);
        }
    }

    /// Compresses a batch and puts it in line.
    fn seal(&mut self, mut batch: Batch) {
        let records = i32::try_from(batch.builder.len()).unwrap_or(i32::MAX);
        match batch.builder.build() {
            Ok(bytes) => {
                let held = batch.granted.min(bytes.len() + BATCH_COST);
                self.appender
                    .settings
                    .rules
                    .budget
                    .give_back(batch.granted - held);
                let outgoing = Outgoing {
                    key: batch.key,
                    bytes,
                    records,
                };
                self.line_up(outgoing, held, Content::Events(batch.tally));
            }
            Err(error) => {
                status::report(&format!("{records} events could not be packed: {error}"));
                self.appender.settings.rules.budget.give_back(batch.granted);
                self.lost(&batch.tally, Cause::Refused);
            }
        }
    }

    fn line_up(&mut self, outgoing: Outgoing, granted: usize, content: Content) {
        let id = self.next_id;
        self.next_id += 1;
        let held = Held {
            granted,
            wire_bytes: outgoing.bytes.len(),
            content,
            task: None,
        };
        self.outstanding.insert(id, held);
        self.backlog.push_back((id, outgoing));
    }

    /// Hands batches to the sink as long as it takes them.
    fn push(&mut self) {
        while let Some((id, outgoing)) = self.backlog.front() {
            let id = *id;
            match self.sink.try_send(outgoing) {
                Ok(landing) => {
                    let task = self.flying.spawn(async move { (id, landing.await) }).id();
                    if let Some(held) = self.outstanding.get_mut(&id) {
                        held.task = Some(task);
                    }
                }
                Err(NotTaken::Full) => {
                    self.retry_at.get_or_insert_with(|| Instant::now() + RETRY);
                    return;
                }
                Err(NotTaken::Refused(problem)) => self.settle(id, Err(problem)),
            }
            self.backlog.pop_front();
        }
        self.retry_at = None;
    }

    fn landed(&mut self, landed: Result<(u64, Result<(), String>), JoinError>) {
        self.retry_at = None;
        match landed {
            Ok((id, result)) => self.settle(id, result),
            Err(error) => {
                let task = Some(error.id());
                let id = self.outstanding.iter().find(|(_, held)| held.task == task);
                if let Some(id) = id.map(|(id, _)| *id) {
                    self.settle(id, Err(error.to_string()));
                }
            }
        }
    }

    /// Closes a batch's account.
    fn settle(&mut self, id: u64, result: Result<(), String>) {
        let Some(held) = self.outstanding.remove(&id) else {
            return;
        };
        self.appender.settings.rules.budget.give_back(held.granted);
        if let Err(problem) = &result {
            status::report(&format!("a batch was not delivered: {problem}"));
        }
        match (held.content, result) {
            (Content::Events(tally), Ok(())) => {
                let mut totals = self.appender.totals.lock();
                totals.sent += tally.total();
                totals.batches_sent += 1;
                totals.bytes_sent += held.wire_bytes as u64;
            }
            (Content::Events(tally), Err(_)) => self.lost(&tally, Cause::Refused),
            (Content::Report(_), Ok(())) => {
                self.report_failed = false;
                self.appender.totals.lock().loss_reports += 1;
            }
            (Content::Report(loss), Err(_)) => {
                // The next report tells of them.
                self.report_failed = true;
                self.losses.merge(&loss);
            }
        }
    }

    fn lost(&mut self, tally: &Tally, cause: Cause) {
        self.losses.all(tally, cause);
        self.appender.totals.lock().loss.all(tally, cause);
    }

    /// Tells of lost events in the stream, once what was before them has landed.
    fn report_losses(&mut self) {
        if self.losses.is_empty() || !self.backlog.is_empty() {
            return;
        }
        let waiting = self.stopping.is_some() || !self.flushes.is_empty();
        let now = Instant::now();
        let next = self.last_report.map(|last| last + REPORT_INTERVAL);
        if next.is_some_and(|next| now < next) && (self.report_failed || !waiting) {
            self.report_at = next;
            return;
        }
        let reporting = |held: &Held| matches!(held.content, Content::Report(_));
        if self.outstanding.values().any(reporting) {
            return;
        }
        let loss = std::mem::take(&mut self.losses);
        self.last_report = Some(now);
        match self.report(&loss) {
            Ok(outgoing) => {
                for (barrier, _) in &mut self.flushes {
                    *barrier = (*barrier).max(self.next_id + 1);
                }
                self.line_up(outgoing, 0, Content::Report(loss));
                self.push();
            }
            Err(problem) => status::report(&format!("{}; no report: {problem}", loss.text())),
        }
    }

    /// The record that tells of lost events.
    fn report(&mut self, loss: &Loss) -> Result<Outgoing, String> {
        let time = Moment::now();
        let entry = Entry {
            time,
            level: loss.severity(),
            logger: REPORT_LOGGER,
            thread: REPORT_LOGGER,
            location: Location::default(),
            fields: loss,
            context: &NoContext,
        };
        let settings = &self.appender.settings;
        settings.layout.encode(&entry, &mut self.scratch);
        let mut builder = BatchBuilder::new(settings.rules.compression);
        let value = Some(self.scratch.out.as_slice());
        let appended = settings
            .rules
            .stamp
            .next(|headers| builder.append(time.millis(), None, value, headers));
        let bytes = appended
            .and_then(|()| builder.build())
            .map_err(|error| error.to_string())?;
        Ok(Outgoing {
            key: None,
            bytes,
            records: 1,
        })
    }

    fn answer_flushes(&mut self) {
        let first = self.outstanding.keys().next().copied().unwrap_or(u64::MAX);
        self.flushes.retain(|(barrier, answer)| {
            let done = first >= *barrier;
            if done {
                // A caller whose time was over does not listen any more.
                answer.try_send(()).ok();
            }
            !done
        });
        // Callers that gave up leave their entries; an outage must not heap them up.
        let surplus = self.flushes.len().saturating_sub(FLUSHES_MAX);
        self.flushes.drain(..surplus);
    }

    /// Gives up what is left and lets go of the sink.
    async fn finish(mut self) {
        // What a thread appended while the shutdown began.
        self.appender.close_shards();
        let mut late = Vec::new();
        let (loss, _) = self.appender.take(true, &mut late);
        self.losses.merge(&loss);
        for batch in late {
            self.appender.settings.rules.budget.give_back(batch.granted);
            self.lost(&batch.tally, Cause::Unsent);
        }
        let left: Vec<Held> = std::mem::take(&mut self.outstanding)
            .into_values()
            .collect();
        for held in left {
            self.appender.settings.rules.budget.give_back(held.granted);
            match held.content {
                Content::Events(tally) => self.lost(&tally, Cause::Unsent),
                Content::Report(loss) => self.losses.merge(&loss),
            }
        }
        if !self.losses.is_empty() {
            status::report(&format!("at shutdown, {}", self.losses.text()));
        }
        let Some(Stopping { deadline, answer }) = self.stopping.take() else {
            return;
        };
        self.sink
            .close(deadline.saturating_duration_since(Instant::now()))
            .await;
        answer.try_send(()).ok();
    }
}

/// Sleeps until a time; for ever without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
