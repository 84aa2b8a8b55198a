//! The consumer: batches in, records and group events out.
//!
//! Invariant: positions move only by records handed out or by the caller; what is fetched ahead is
//! bounded by `queued_max_bytes`. Step 10 of the hallway.

mod answer;
mod assignor;
mod commit;
mod fetched;
mod fetcher;
mod group;
pub(crate) mod lookup;
mod member;
mod offsets;
mod pattern;
mod record;
mod state;
mod subscribe;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

pub use commit::OffsetAndMetadata;
pub(crate) use commit::with_metadata;
pub use offsets::OffsetAndTimestamp;
pub use record::{ConsumerRecord, GroupMetadata, Polled, Start, Watermarks, next_offsets};
pub(crate) use subscription::decode_assignment;

use crate::cluster::Cluster;
use crate::config::{ConfigError, ConsumerConfig, IsolationLevel};
use crate::connection::Scope;
use crate::coordinator::Coordinator;
use crate::error::ConsumeError;
use crate::topic::TopicPartition;
use fetcher::Fetcher;
use state::{Mode, State};
use subscribe::Subscribed;

/// Reads records from partitions, alone or as a member of a group.
///
/// All methods take `&self`; share a consumer between tasks in an `Arc`. Only one `poll` runs at a
/// time, a second one waits for the first. A broker that is away makes `poll` return
/// [`Polled::Idle`], never an error: errors are what only the caller can decide.
///
/// Dropping a consumer without [`close`](Self::close) leaves its group waiting for the session's
/// end.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use logway_client::{AutoOffsetReset, ClientConfig, Consumer, ConsumerConfig, Polled};
/// use std::time::Duration;
///
/// let consumer = Consumer::new(ConsumerConfig {
///     client: ClientConfig::new(["127.0.0.1:9092"]),
///     group_id: Some("scores".to_owned()),
///     auto_offset_reset: AutoOffsetReset::Earliest,
///     ..Default::default()
/// })?;
/// consumer.subscribe(["GameLog"]).await?;
/// loop {
///     match consumer.poll(Duration::from_secs(1)).await? {
///         Polled::Records(records) => {
///             for record in &records {
///                 println!("{}: {:?}", record.offset, record.value);
///             }
///             consumer.commit_positions().await?;
///         }
///         Polled::Revoked(partitions) => println!("others take over {partitions:?}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Consumer {
    shared: Arc<Shared>,
    scope: Scope,
    /// Held by the one poll that runs.
    turn: tokio::sync::Mutex<Turn>,
    member: Mutex<Option<Subscribed>>,
}

/// What only polls touch.
#[derive(Debug)]
struct Turn {
    committed_at: Instant,
}

/// What the caller's side and the tasks share.
#[derive(Debug)]
struct Shared {
    config: Arc<ConsumerConfig>,
    cluster: Cluster,
    coordinator: Option<Coordinator>,
    state: Mutex<State>,
    /// There may be something for `poll`.
    ready: Notify,
    /// There may be something for the fetcher.
    wake: Notify,
    /// Polls begun so far.
    polls: watch::Sender<u64>,
    /// When the last poll ended; nothing while one runs.
    idle_since: Mutex<Option<Instant>>,
    /// Held by the one automatic commit that is under way.
    committing: Arc<tokio::sync::Mutex<()>>,
}

impl Shared {
    /// Whether the caller has not polled for too long.
    fn is_silent(&self) -> bool {
        let idle_since = *self.idle_since.lock();
        idle_since.is_some_and(|since| since.elapsed() > self.config.max_poll_interval)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.scope.cancel.cancel();
    }
}

/// Marks a poll as running, for `max.poll.interval.ms`.
struct Polling<'a>(&'a Shared);

impl<'a> Polling<'a> {
    fn new(shared: &'a Shared) -> Self {
        *shared.idle_since.lock() = None;
        shared.polls.send_modify(|polls| *polls += 1);
        Self(shared)
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        *self.0.idle_since.lock() = Some(Instant::now());
    }
}

impl Consumer {
    /// A consumer for the cluster behind the configuration; connects with the first poll.
    ///
    /// Must be called inside a tokio runtime, where its tasks run from then on.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(config: ConsumerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let scope = Scope::default();
        let auto_create = config.allow_auto_create_topics;
        let cluster = Cluster::new(config.client.clone(), auto_create, scope.clone());
        let group = config.group_id.as_deref().map(Arc::from);
        let coordinator = group.map(|group| Coordinator::new(cluster.clone(), group));
        let shared = Arc::new(Shared {
            config: Arc::new(config),
            cluster,
            coordinator,
            state: Mutex::default(),
            ready: Notify::new(),
            wake: Notify::new(),
            polls: watch::Sender::new(0),
            idle_since: Mutex::new(None),
            committing: Arc::default(),
        });
        scope
            .tracker
            .spawn(Fetcher::new(shared.clone()).run(scope.cancel.clone()));
        let turn = tokio::sync::Mutex::new(Turn {
            committed_at: Instant::now(),
        });
        Ok(Self {
            shared,
            scope,
            turn,
            member: Mutex::new(None),
        })
    }

    /// The next records or event, or [`Polled::Idle`] after `timeout`.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// What only the caller can decide, see [`ConsumeError`]; the other partitions go on with the
    /// next poll. An error that stays is told again whenever there is nothing else to tell.
    pub async fn poll(&self, timeout: Duration) -> Result<Polled, ConsumeError> {
        let deadline = Instant::now() + timeout;
        let mut turn = self.turn.lock().await;
        self.check_open()?;
        let _polling = Polling::new(&self.shared);
        if self.shared.state.lock().is_revoking() {
            self.commit_before_revocation().await;
        }
        self.shared.state.lock().acknowledge();
        self.shared.wake.notify_one();
        // Before anything more is handed out: what was, counts as done now.
        self.commit_in_time(&mut turn.committed_at);
        loop {
            let ready = self.shared.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            if let Some(polled) = self.take()? {
                return Ok(polled);
            }
            let commit_at = self.commit_in_time(&mut turn.committed_at);
            let until = commit_at.map_or(deadline, |commit_at| commit_at.min(deadline));
            if tokio::time::timeout_at(until, ready).await.is_err() && Instant::now() >= deadline {
                return match self.take()? {
                    Some(polled) => Ok(polled),
                    None => self
                        .shared
                        .state
                        .lock()
                        .failure(true)
                        .map_or(Ok(Polled::Idle), Err),
                };
            }
            self.check_open()?;
        }
    }

    /// What there is for the caller at this moment.
    fn take(&self) -> Result<Option<Polled>, ConsumeError> {
        {
            let mut state = self.shared.state.lock();
            if let Some(event) = state.next_event() {
                return Ok(Some(event));
            }
            if let Some(fatal) = &state.fatal {
                return Err(fatal.clone());
            }
            if state.mode == Mode::Idle {
                return Err(ConsumeError::NotSubscribed);
            }
            if let Some(error) = state.failure(false) {
                return Err(error);
            }
        }
        Ok(self.take_records().map(Polled::Records))
    }

    fn take_records(&self) -> Option<Vec<ConsumerRecord>> {
        let max = self.shared.config.max_poll_records;
        let mut records = Vec::new();
        while records.len() < max {
            let Some(mut chunk) = self.shared.state.lock().take_chunk() else {
                break;
            };
            let before = records.len();
            // Decompression happens here, outside the lock.
            let more = chunk.read(max - before, &mut records);
            let mut state = self.shared.state.lock();
            let (partition, epoch) = (chunk.partition.clone(), chunk.epoch);
            if !state.advance(&partition, epoch, chunk.position) {
                records.truncate(before);
                continue;
            }
            match more {
                Ok(true) => state.return_chunk(chunk),
                Ok(false) => {}
                Err(source) => {
                    let (source, offset) = (Arc::new(source), chunk.position.offset);
                    let error = ConsumeError::Corrupt {
                        partition: partition.clone(),
                        offset,
                        source,
                    };
                    state.corrupt(&partition, epoch, error);
                    break;
                }
            }
        }
        self.shared.wake.notify_one();
        (!records.is_empty()).then_some(records)
    }

    /// Reads `partition` from `offset` on.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), ConsumeError> {
        self.seek_to(partition, Start::Offset(offset))
    }

    /// Reads `partition` from `start` on.
    ///
    /// # Errors
    /// The partition is not assigned.
    pub fn seek_to(&self, partition: &TopicPartition, start: Start) -> Result<(), ConsumeError> {
        let found = self.shared.state.lock().seek(partition, start);
        self.shared.wake.notify_one();
        let partition = || partition.clone();
        if found {
            Ok(())
        } else {
            Err(ConsumeError::NotAssigned {
                partition: partition(),
            })
        }
    }

    /// Hands out no records of these partitions until they are resumed; other events go on.
    pub fn pause(&self, partitions: &[TopicPartition]) {
        let mut state = self.shared.state.lock();
        for partition in partitions {
            state.pause(partition);
        }
    }

    /// Hands out records of these partitions again.
    pub fn resume(&self, partitions: &[TopicPartition]) {
        let mut state = self.shared.state.lock();
        for partition in partitions {
            state.resume(partition);
        }
        drop(state);
        self.shared.wake.notify_one();
    }

    /// The partitions read at present, in order.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let mut all: Vec<_> = self
            .shared
            .state
            .lock()
            .partitions
            .keys()
            .cloned()
            .collect();
        all.sort_unstable();
        all
    }

    /// Offset of the next record that `poll` will hand out; nothing while it is being looked up.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state.lock();
        Some(state.partitions.get(partition)?.position?.offset)
    }

    /// Ends of the partition's log as last seen by a fetch.
    pub fn watermarks(&self, partition: &TopicPartition) -> Option<Watermarks> {
        self.shared
            .state
            .lock()
            .partitions
            .get(partition)?
            .watermarks
    }

    /// Offsets between the position and the end of what this consumer may see, as last seen by a
    /// fetch: with `isolation.level=read_committed` up to the first open transaction. Nothing
    /// before the first fetch; [`end_offsets`](Self::end_offsets) asks the broker.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let state = self.shared.state.lock();
        let partition = state.partitions.get(partition)?;
        let watermarks = partition.watermarks?;
        let end = match self.shared.config.isolation_level {
            IsolationLevel::ReadUncommitted => watermarks.high,
            IsolationLevel::ReadCommitted => watermarks.last_stable,
        };
        Some((end - partition.position?.offset).max(0))
    }

    /// This member as the coordinator knows it, for
    /// [`Transaction::send_offsets`](crate::Transaction::send_offsets); nothing while it has no
    /// assignment, or lost it and the next poll is to tell so: then records that are not committed
    /// are read by others. A consumer with a `group.id` whose partitions were assigned by the
    /// caller is no member, which this says, too.
    pub fn group_metadata(&self) -> Option<GroupMetadata> {
        let state = self.shared.state.lock();
        let group_id = self.shared.config.group_id.as_deref()?;
        let nobody = || GroupMetadata {
            group_id: group_id.into(),
            generation: -1,
            member_id: "".into(),
            instance_id: None,
        };
        match state.mode {
            Mode::Group => state.membership.clone().filter(|_| !state.has_losses()),
            Mode::Manual | Mode::Idle => Some(nobody()),
        }
    }

    /// Commits positions if that is automatic, leaves the group and ends.
    pub async fn close(&self) {
        if self.shared.config.enable_auto_commit {
            self.commit_before_revocation().await;
        }
        self.unsubscribe().await;
        self.scope.cancel.cancel();
        self.scope.tracker.close();
        self.scope.tracker.wait().await;
        self.shared.ready.notify_one();
    }

    fn check_open(&self) -> Result<(), ConsumeError> {
        if self.scope.cancel.is_cancelled() {
            Err(ConsumeError::Closed)
        } else {
            Ok(())
        }
    }
}
