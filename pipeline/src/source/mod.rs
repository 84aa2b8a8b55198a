//! Step 11 of the hallway, its first part: a member of a consumer group that hands records to the
//! store and moves on only with it.
//!
//! Invariant: a partition is read from the offset the store holds, never from Kafka's commit. At
//! most one batch is being stored and one being filled, so memory is bounded by two batches. A
//! batch that cannot be stored is never skipped.

mod feed;
mod kafka;
mod lag;
mod placing;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use feed::{Event, Feed, FeedError, Partition};
pub(crate) use kafka::KafkaFeed;
pub use kafka::KafkaFeedError;
pub(crate) use lag::{PartitionLag, SharedState};

use crate::store::{Advance, Applied, Batch, Claim, WriteError, Writer};
use crate::telemetry::Telemetry;
use crate::transform::Received;

/// Pause after the feed failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// How often offsets are copied to Kafka.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a commit may hold up giving partitions back.
const LAST_COMMIT_TIME: Duration = Duration::from_secs(2);

/// When a batch is full.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) lag_interval: Duration,
}

/// What the source works with.
pub(crate) struct Source<F> {
    feed: Arc<F>,
    writer: Writer,
    group: String,
    limits: Limits,
    telemetry: Arc<Telemetry>,
    state: SharedState,
    cancel: CancellationToken,
    owned: HashMap<Partition, Owned>,
    /// Assigned, but not placed yet: tried again.
    unplaced: Vec<Partition>,
    filling: Filling,
    storing: JoinSet<Stored>,
    committing: JoinSet<Result<(), FeedError>>,
    uncommitted: HashMap<Partition, i64>,
    committed_at: Instant,
    lag_at: Instant,
}

/// A partition this member owns and has placed.
struct Owned {
    claim: Claim,
    /// First offset that is not stored.
    stored: i64,
}

/// How far a batch takes a partition.
#[derive(Debug, Clone, Copy)]
struct Progress {
    next: i64,
    last_timestamp: i64,
}

/// The batch being filled.
#[derive(Default)]
struct Filling {
    records: Vec<Received>,
    bytes: usize,
    since: Option<Instant>,
    progress: HashMap<Partition, Progress>,
}

/// What became of a batch.
type Stored = (Vec<(Partition, Progress)>, Result<Applied, WriteError>);

/// What ends the source.
type Ended = WriteError;

impl<F: Feed> Source<F> {
    pub(crate) fn new(
        feed: F,
        writer: Writer,
        group: String,
        limits: Limits,
        telemetry: Arc<Telemetry>,
    ) -> Source<F> {
        Source {
            feed: Arc::new(feed),
            writer,
            group,
            limits,
            telemetry,
            state: SharedState::default(),
            cancel: CancellationToken::new(),
            owned: HashMap::new(),
            unplaced: Vec::new(),
            filling: Filling::default(),
            storing: JoinSet::new(),
            committing: JoinSet::new(),
            uncommitted: HashMap::new(),
            committed_at: Instant::now(),
            lag_at: Instant::now(),
        }
    }

    /// What the source is doing, for the page.
    pub(crate) fn state(&self) -> SharedState {
        Arc::clone(&self.state)
    }

    /// Has the source end when `cancel` is cancelled: it stores what it has, commits and leaves
    /// the group.
    pub(crate) fn cancelled_by(mut self, cancel: CancellationToken) -> Source<F> {
        self.cancel = cancel;
        self
    }

    /// Reads until cancelled, or until the store can never be written again.
    pub(crate) async fn run(mut self) {
        let ended = self.consume().await;
        let flushed = match ended {
            Ok(()) => self.settle_all().await,
            Err(error) => Err(error),
        };
        self.last_commit().await;
        self.feed.close().await;
        if let Err(error) = flushed {
            // The writer has logged it; what was not stored is read again after the next start.
            self.state.lock().stopped = Some(error.to_string());
        }
    }

    async fn consume(&mut self) -> Result<(), Ended> {
        loop {
            let cancel = self.cancel.clone();
            let feed = Arc::clone(&self.feed);
            let patience = self.patience();
            let polled = tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                Some(done) = self.storing.join_next() => {
                    self.stored(done.map_err(|_| WriteError::Stopped)?).await?;
                    continue;
                }
                polled = feed.poll(patience) => polled,
            };
            match polled {
                Ok(event) => self.handle(event).await?,
                Err(error) => self.trouble(error).await?,
            }
            self.flush_if_due().await?;
            self.commit_if_due();
            if self.lag_at.elapsed() >= self.limits.lag_interval {
                self.publish_lag();
                let unplaced = std::mem::take(&mut self.unplaced);
                self.take_over(unplaced).await?;
            }
        }
    }

    /// How long a poll may wait without delaying a transaction.
    fn patience(&self) -> Duration {
        let idle = self.limits.lag_interval.min(COMMIT_INTERVAL);
        match self.filling.since {
            None => idle,
            Some(since) => self
                .limits
                .interval
                .saturating_sub(since.elapsed())
                .min(idle),
        }
    }

    async fn handle(&mut self, event: Event) -> Result<(), Ended> {
        match event {
            Event::Records(records) => self.take(records),
            Event::Assigned(partitions) => {
                self.telemetry.rebalanced();
                self.settle_all().await?;
                self.take_over(partitions).await?;
            }
            Event::Revoked(partitions) => {
                self.telemetry.rebalanced();
                self.settle_all().await?;
                self.last_commit().await;
                self.give_up(&partitions);
            }
            Event::Lost(partitions) => {
                // Another member may own them already: what is not stored yet comes to it.
                self.telemetry.rebalanced();
                self.filling.forget(&partitions);
                self.settle().await?;
                self.give_up(&partitions);
            }
            Event::Idle => {}
        }
        Ok(())
    }

    /// Adds records to the batch being filled.
    fn take(&mut self, records: Vec<Received>) {
        let mut bytes = 0;
        let count = records.len() as u64;
        for record in records {
            let partition = Partition {
                topic: Arc::clone(&record.topic),
                index: record.partition,
            };
            let Some(owned) = self.owned.get(&partition) else {
                continue;
            };
            let next = self
                .filling
                .progress
                .get(&partition)
                .map_or(owned.stored, |done| done.next);
            if record.offset < next {
                continue;
            }
            bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
            let progress = Progress {
                next: record.offset + 1,
                last_timestamp: record.timestamp,
            };
            self.filling.progress.insert(partition, progress);
            self.filling.records.push(record);
        }
        self.filling.bytes += bytes;
        if !self.filling.records.is_empty() && self.filling.since.is_none() {
            self.filling.since = Some(Instant::now());
        }
        self.telemetry.consumed(count, bytes as u64);
        self.state.lock().trouble = None;
    }

    async fn flush_if_due(&mut self) -> Result<(), Ended> {
        let Some(since) = self.filling.since else {
            return Ok(());
        };
        let full = self.filling.records.len() >= self.limits.records
            || self.filling.bytes >= self.limits.bytes;
        if full || since.elapsed() >= self.limits.interval {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits for the batch being stored, then hands the filled one over.
    async fn flush(&mut self) -> Result<(), Ended> {
        self.settle().await?;
        let filled = std::mem::take(&mut self.filling);
        if filled.records.is_empty() {
            return Ok(());
        }
        let mut advances = Vec::with_capacity(filled.progress.len());
        let mut progress = Vec::with_capacity(filled.progress.len());
        for (partition, done) in filled.progress {
            let owned = self
                .owned
                .get(&partition)
                .expect("taken only from owned partitions");
            advances.push(Advance {
                group: self.group.clone(),
                topic: partition.topic.to_string(),
                partition: partition.index,
                epoch: owned.claim.epoch,
                expected: owned.stored,
                next: done.next,
            });
            progress.push((partition, done));
        }
        let batch = Batch {
            records: filled.records,
            advances,
        };
        let writer = self.writer.clone();
        self.storing
            .spawn(async move { (progress, writer.apply(batch).await) });
        Ok(())
    }

    /// Waits until the batch being stored is committed.
    async fn settle(&mut self) -> Result<(), Ended> {
        let Some(done) = self.storing.join_next().await else {
            return Ok(());
        };
        self.stored(done.map_err(|_| WriteError::Stopped)?).await
    }

    /// Notes what a transaction did.
    async fn stored(&mut self, (progress, applied): Stored) -> Result<(), Ended> {
        match applied {
            Ok(_) => {
                let mut state = self.state.lock();
                for (partition, done) in progress {
                    if let Some(owned) = self.owned.get_mut(&partition) {
                        owned.stored = done.next;
                        self.uncommitted.insert(partition.clone(), done.next);
                        if let Some(lag) = state.partitions.get_mut(&partition) {
                            lag.stored = done.next;
                            lag.last_timestamp = Some(done.last_timestamp);
                        }
                    }
                }
                Ok(())
            }
            Err(error @ WriteError::Fenced { .. }) => {
                self.telemetry.fenced();
                tracing::warn!(%error, "batch refused, reading again from what is stored");
                self.place_again().await
            }
            Err(error) => Err(error),
        }
    }

    async fn settle_all(&mut self) -> Result<(), Ended> {
        self.flush().await?;
        self.settle().await
    }

    async fn trouble(&mut self, error: FeedError) -> Result<(), Ended> {
        self.telemetry.consume_failed();
        let text = describe(&error);
        let before = self.state.lock().trouble.replace(text.clone());
        if before.as_ref() != Some(&text) {
            tracing::warn!(error = %text, "cannot read from the broker, trying again");
        }
        self.pause().await;
        if let FeedError::OutOfRange(partition) = error {
            self.settle_all().await?;
            return self.take_over(vec![partition]).await;
        }
        Ok(())
    }

    async fn pause(&self) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = tokio::time::sleep(TROUBLE_PAUSE) => {}
        }
    }

    /// Copies stored offsets to Kafka now and then, never two commits at once.
    fn commit_if_due(&mut self) {
        while let Some(done) = self.committing.try_join_next() {
            if !matches!(done, Ok(Ok(()))) {
                self.telemetry.commit_failed();
            }
        }
        if self.uncommitted.is_empty()
            || !self.committing.is_empty()
            || self.committed_at.elapsed() < COMMIT_INTERVAL
        {
            return;
        }
        self.committed_at = Instant::now();
        let offsets = self.uncommitted.drain().collect();
        let feed = Arc::clone(&self.feed);
        self.committing
            .spawn(async move { feed.commit(offsets).await });
    }

    async fn last_commit(&mut self) {
        let deadline = tokio::time::Instant::now() + LAST_COMMIT_TIME;
        while let Ok(Some(done)) =
            tokio::time::timeout_at(deadline, self.committing.join_next()).await
        {
            if !matches!(done, Ok(Ok(()))) {
                self.telemetry.commit_failed();
            }
        }
        if self.uncommitted.is_empty() {
            return;
        }
        let offsets = self.uncommitted.drain().collect();
        let done = tokio::time::timeout_at(deadline, self.feed.commit(offsets)).await;
        if !matches!(done, Ok(Ok(()))) {
            self.telemetry.commit_failed();
        }
    }

    fn publish_lag(&mut self) {
        self.lag_at = Instant::now();
        let now_ms = crate::store::now_ms();
        for lag in self.state.lock().partitions.values_mut() {
            lag.end = self.feed.end_offset(&lag.partition).or(lag.end);
            let seconds = lag.lag_seconds(now_ms).unwrap_or(0.0);
            let Partition { topic, index } = &lag.partition;
            self.telemetry
                .set_lag(topic, *index, lag.lag().unwrap_or(0), seconds);
        }
    }
}

impl Filling {
    fn forget(&mut self, partitions: &[Partition]) {
        self.records.retain(|record| {
            !partitions.iter().any(|partition| {
                partition.topic == record.topic && partition.index == record.partition
            })
        });
        self.progress
            .retain(|partition, _| !partitions.contains(partition));
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
