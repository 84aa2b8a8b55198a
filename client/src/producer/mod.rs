//! The producer: records and batches in, acknowledgements out.
//!
//! Invariant: what `send` took is delivered in order per partition, or reported; memory is bounded
//! by `buffer.memory`. Step 5 of the hallway.

mod accumulator;
mod batch;
mod delivery;
mod idempotence;
mod ledger;
mod partitioner;
mod plan;
mod record;
mod sender;
mod settle;
mod transaction;
mod verdict;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

pub use delivery::Delivery;
pub use record::{EncodedBatch, ProducerRecord, RecordMetadata, WhenTooLarge};
pub use transaction::Transaction;

use crate::cluster::Cluster;
use crate::config::{ConfigError, ProducerConfig};
use crate::connection::Scope;
use crate::coordinator::Coordinator;
use crate::error::{DeliveryError, SendError};
use crate::topic::is_topic_name;
use accumulator::Accumulator;
use ledger::Ledger;
use plan::Plan;
use sender::Sender;
use transaction::{Transactional, Transactor};

/// Sends records to the partitions of a cluster. A cheap handle: clone it freely.
///
/// Records are taken whether or not a broker is there, until `buffer_memory` is used up; they are
/// sent in batches, again and again until they are stored or `delivery_timeout` has passed. With
/// idempotence, the default, brokers drop the repeats. Records for one partition, and records with
/// equal keys, stay in the order in which they were taken; records without both go where it suits.
///
/// Dropping the last handle ends the producer; what is not delivered by then fails with
/// [`DeliveryError::Closed`]. Call [`close`](Self::close) first.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use logway_client::{ClientConfig, Producer, ProducerConfig, ProducerRecord};
/// use std::time::Duration;
///
/// let client = ClientConfig::new(["127.0.0.1:9092"]);
/// let producer = Producer::new(ProducerConfig { client, ..Default::default() })?;
/// let delivery = producer.send(ProducerRecord::new("GameLog", "player 7 jumps")).await?;
/// let stored = delivery.await?;
/// println!("at {} of partition {}", stored.offset, stored.partition);
/// producer.close(Duration::from_secs(10)).await;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Producer {
    handle: Arc<Handle>,
}

/// Ends the producer when the last clone of [`Producer`] goes.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    scope: Scope,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.scope.cancel.cancel();
    }
}

/// What handles and task share.
#[derive(Debug)]
struct Shared {
    config: ProducerConfig,
    cluster: Cluster,
    accumulator: Mutex<Accumulator>,
    memory: Arc<Semaphore>,
    /// Senders that wait for memory.
    waiting: AtomicUsize,
    /// There is something new for the task.
    wake: Notify,
    /// Some batch was answered for.
    settled: Notify,
    closed: AtomicBool,
    /// With a `transactional.id`.
    transactional: Option<Arc<Transactional>>,
    delivered: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
}

/// Figures of a producer since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerStats {
    /// Records taken and not yet answered for.
    pub buffered_records: u64,
    /// Bytes of `buffer.memory` in use.
    pub buffered_bytes: u64,
    /// Bytes of `buffer.memory` that are free.
    pub buffer_available: u64,
    /// Records acknowledged.
    pub delivered_records: u64,
    /// Records reported as not delivered.
    pub failed_records: u64,
    /// Batches sent again.
    pub retries: u64,
}

impl Producer {
    /// A producer for the cluster behind the configuration; connects when something is sent.
    ///
    /// Must be called inside a tokio runtime, where its task runs from then on.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(config: ProducerConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let scope = Scope::default();
        let auto_create = config.allow_auto_create_topics;
        let cluster = Cluster::new(config.client.clone(), auto_create, scope.clone());
        let transactional = config.transactional_id.as_deref().map(|id| {
            let id: Arc<str> = id.into();
            let coordinator = Coordinator::of_transactions(cluster.clone(), id.clone());
            Arc::new(Transactional::new(id, coordinator))
        });
        let shared = Arc::new(Shared {
            memory: Arc::new(Semaphore::new(config.buffer_memory)),
            config,
            cluster,
            accumulator: Mutex::default(),
            waiting: AtomicUsize::new(0),
            wake: Notify::new(),
            settled: Notify::new(),
            closed: AtomicBool::new(false),
            transactional: transactional.clone(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        });
        let task = Sender::new(shared.clone()).run(scope.cancel.clone());
        scope.tracker.spawn(task);
        if let Some(transactional) = transactional {
            let task = Transactor::new(shared.clone(), transactional).run(scope.cancel.clone());
            scope.tracker.spawn(task);
        }
        Ok(Self {
            handle: Arc::new(Handle { shared, scope }),
        })
    }

    /// Takes a record; waits while `buffer.memory` is used up.
    ///
    /// # Errors
    /// The record can never be sent, or the producer is closed.
    pub async fn send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let size = self.shared().check(&record)?;
        let permit = self.shared().wait_for_memory(size).await?;
        self.shared().take(record, permit)
    }

    /// Takes a record, or says [`SendError::Full`] where `send` would wait.
    ///
    /// # Errors
    /// As `send`, and `Full`.
    pub fn try_send(&self, record: ProducerRecord) -> Result<Delivery, SendError> {
        let size = self.shared().check(&record)?;
        let permit = self.shared().try_memory(size)?;
        self.shared().take(record, permit)
    }

    /// Takes a batch encoded at the edge (design D2); waits while `buffer.memory` is used up. Its
    /// bytes go to the wire unchanged, but for the producer's numbers and the checksum when the
    /// producer is idempotent. Without a partition the producer chooses one that is served.
    ///
    /// # Errors
    /// The bytes are not one valid batch or can never be sent, or the producer is closed.
    pub async fn send_batch(
        &self,
        topic: &Arc<str>,
        partition: Option<i32>,
        batch: EncodedBatch,
    ) -> Result<Delivery, SendError> {
        let timestamp = self.shared().check_batch(topic, partition, &batch)?;
        let permit = self.shared().wait_for_memory(batch.bytes.len()).await?;
        self.shared()
            .take_batch(topic, partition, (batch, timestamp), permit)
    }

    /// Takes a batch encoded at the edge, or says [`SendError::Full`] where `send_batch` would
    /// wait.
    ///
    /// # Errors
    /// As `send_batch`, and `Full`.
    pub fn try_send_batch(
        &self,
        topic: &Arc<str>,
        partition: Option<i32>,
        batch: EncodedBatch,
    ) -> Result<Delivery, SendError> {
        let timestamp = self.shared().check_batch(topic, partition, &batch)?;
        let permit = self.shared().try_memory(batch.bytes.len())?;
        self.shared()
            .take_batch(topic, partition, (batch, timestamp), permit)
    }

    /// Waits until everything taken before this call is answered for, whether stored or failed,
    /// or the producer is closed.
    pub async fn flush(&self) {
        let shared = self.shared();
        let serial = shared.accumulator.lock().close_all();
        shared.wake.notify_one();
        loop {
            let settled = shared.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            // At the end of the task everything left is answered for at once.
            if self.handle.scope.cancel.is_cancelled()
                || shared.accumulator.lock().ledger.is_done(serial)
            {
                return;
            }
            settled.await;
        }
    }

    /// Takes nothing more, flushes for at most `timeout` and ends; an open transaction is aborted; returns how many records were
    /// not delivered: each of them fails with [`DeliveryError::Closed`].
    pub async fn close(&self, timeout: Duration) -> usize {
        let shared = self.shared();
        shared.closed.store(true, Ordering::Relaxed);
        shared.memory.close();
        let finish = async {
            shared.end_transactions(timeout).await;
            self.flush().await;
        };
        let _in_time = tokio::time::timeout(timeout, finish).await;
        let left = shared.accumulator.lock().ledger.records;
        self.handle.scope.cancel.cancel();
        self.handle.scope.tracker.close();
        self.handle.scope.tracker.wait().await;
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Figures since the start.
    pub fn stats(&self) -> ProducerStats {
        let shared = self.shared();
        let total = shared.config.buffer_memory as u64;
        let free = shared.memory.available_permits() as u64;
        ProducerStats {
            buffered_records: shared.accumulator.lock().ledger.records,
            buffered_bytes: total.saturating_sub(free),
            buffer_available: free,
            delivered_records: shared.delivered.load(Ordering::Relaxed),
            failed_records: shared.failed.load(Ordering::Relaxed),
            retries: shared.retries.load(Ordering::Relaxed),
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl Shared {
    fn check_open(&self) -> Result<(), SendError> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(SendError::Closed);
        }
        match &self.transactional {
            Some(transactional) if !transactional.is_open() => Err(SendError::NoTransaction),
            _ => Ok(()),
        }
    }

    fn check(&self, record: &ProducerRecord) -> Result<usize, SendError> {
        let size = record.size();
        self.check_target(&record.topic, record.partition, size)?;
        Ok(size)
    }

    fn check_batch(
        &self,
        topic: &str,
        partition: Option<i32>,
        batch: &EncodedBatch,
    ) -> Result<i64, SendError> {
        self.check_target(topic, partition, batch.bytes.len())?;
        let header = batch
            .check()
            .map_err(|error| SendError::InvalidBatch(Arc::new(error)))?;
        Ok(header.base_timestamp)
    }

    fn check_target(
        &self,
        topic: &str,
        partition: Option<i32>,
        size: usize,
    ) -> Result<(), SendError> {
        self.check_open()?;
        if !is_topic_name(topic) {
            return Err(SendError::InvalidTopic(topic.to_owned()));
        }
        if let Some(partition @ ..0) = partition {
            return Err(SendError::InvalidPartition(partition));
        }
        let max = self.config.max_request_size.min(self.config.buffer_memory);
        if size > max {
            Err(SendError::TooLarge { size, max })
        } else {
            Ok(())
        }
    }

    fn try_memory(&self, size: usize) -> Result<OwnedSemaphorePermit, SendError> {
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        match self.memory.clone().try_acquire_many_owned(permits) {
            Ok(permit) => Ok(permit),
            Err(tokio::sync::TryAcquireError::NoPermits) => Err(SendError::Full),
            Err(tokio::sync::TryAcquireError::Closed) => Err(SendError::Closed),
        }
    }

    async fn wait_for_memory(&self, size: usize) -> Result<OwnedSemaphorePermit, SendError> {
        match self.try_memory(size) {
            Err(SendError::Full) => {}
            taken => return taken,
        }
        let _waiting = Waiting::new(self);
        let permits = u32::try_from(size).unwrap_or(u32::MAX);
        self.memory
            .clone()
            .acquire_many_owned(permits)
            .await
            .map_err(|_| SendError::Closed)
    }

    fn take(
        &self,
        record: ProducerRecord,
        permit: OwnedSemaphorePermit,
    ) -> Result<Delivery, SendError> {
        let timestamp = record.timestamp.unwrap_or_else(now_ms);
        let count = match record.partition {
            None => self.cluster.metadata().partition_count(&record.topic),
            Some(_) => None,
        };
        let mut accumulator = self.accumulator.lock();
        self.check_open()?;
        let appended = accumulator
            .append(record, timestamp, permit, (count, &self.config))
            .map_err(|error| SendError::InvalidBatch(Arc::new(error)))?;
        drop(accumulator);
        if appended.wake {
            self.wake.notify_one();
        }
        Ok(appended.delivery)
    }

    fn take_batch(
        &self,
        topic: &Arc<str>,
        partition: Option<i32>,
        batch: (EncodedBatch, i64),
        permit: OwnedSemaphorePermit,
    ) -> Result<Delivery, SendError> {
        let mut accumulator = self.accumulator.lock();
        self.check_open()?;
        let delivery = accumulator.append_batch(topic, partition, batch, permit);
        drop(accumulator);
        self.wake.notify_one();
        Ok(delivery)
    }

    fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Fails everything that waits.
    fn fail_all(&self, error: &DeliveryError) {
        let mut plan = Plan::default();
        {
            let mut accumulator = self.accumulator.lock();
            let Accumulator { topics, ledger } = &mut *accumulator;
            for topic in topics.values_mut() {
                plan.fail_topic(topic, ledger, error);
            }
        }
        for (batch, error) in plan.failed {
            self.fail(batch, &error);
        }
        self.settled.notify_waiters();
    }

    /// The end of the task: nothing is taken any more, what waits fails as closed.
    fn abandon(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.memory.close();
        self.fail_all(&DeliveryError::Closed);
        // What was in flight is answered for where it was.
        self.accumulator.lock().ledger = Ledger::default();
    }
}

/// Counts a sender that waits for memory, as long as it does.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        shared.wake.notify_one();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
