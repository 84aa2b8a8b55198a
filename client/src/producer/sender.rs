//! The producer's task: looks round, sends, takes answers.
//!
//! Invariant: it alone moves batches between waiting and in flight; every batch it took from the
//! accumulator is sent, put back or answered for. Step 5 of the hallway.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use logway_protocol::uuid::Uuid;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::Shared;
use super::batch::Batch;
use super::idempotence::{Identification, Identity};
use super::plan::{Item, Plan, Situation};
use crate::backoff::Backoff;
use crate::cluster::Lane;
use crate::config::Acks;
use crate::connection::Connection;
use crate::error::{DeliveryError, RequestError};

/// First version of Produce that names topics by id.
const BY_TOPIC_ID: i16 = 13;
/// First version of Produce that takes zstd (KIP-110).
const WITH_ZSTD: i16 = 7;

/// Last version of Produce under the first protocol of transactions: later ones add partitions by
/// themselves (KIP-890).
const TRANSACTIONS_V1_MAX: i16 = 11;

/// The task's own state.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) shared: Arc<Shared>,
    pub(super) identity: Identification,
    identity_pause: Backoff,
    identity_not_before: Option<Instant>,
    nodes: HashMap<i32, Node>,
    jobs: JoinSet<Done>,
}

#[derive(Debug, Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    in_flight: usize,
    not_before: Option<Instant>,
}

/// However the task ends, cancelled, with its runtime or by a bug, nobody waits for it in vain.
impl Drop for Sender {
    fn drop(&mut self) {
        self.jobs.abort_all();
        self.shared.abandon();
    }
}

/// What a job brings back.
#[derive(Debug)]
enum Done {
    Connected(i32, Result<Connection, RequestError>),
    Answered {
        node: i32,
        items: Vec<Item>,
        answer: Result<ProduceResponse, RequestError>,
    },
    Identified(Result<Identity, DeliveryError>),
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let client = &shared.config.client;
        let identity_pause = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        Self {
            shared,
            identity: Identification::default(),
            identity_pause,
            identity_not_before: None,
            nodes: HashMap::new(),
            jobs: JoinSet::new(),
        }
    }

    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut updates = self.shared.cluster.updates();
        loop {
            let next = self.round().await;
            let shared = self.shared.clone();
            tokio::select! {
                () = cancel.cancelled() => break,
                () = shared.wake.notified() => {}
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => self.take(done),
                // The sender of updates lives as long as this task.
                _ = updates.changed() => {}
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)),
                    if next.is_some() => {}
            }
            while let Some(done) = self.jobs.try_join_next() {
                self.take(done);
            }
        }
    }

    /// Sends all that can be sent now; returns when to look again.
    async fn round(&mut self) -> Option<Instant> {
        loop {
            let plan = self.plan();
            for topic in &plan.topics {
                self.shared.cluster.use_topic(topic);
            }
            for (batch, error) in plan.failed {
                self.shared.fail(batch, &error);
            }
            for node in plan.connect {
                self.connect(node);
            }
            if plan.wants_identity {
                self.identify();
            }
            if plan.wants_metadata {
                self.shared.cluster.request_refresh();
            }
            if plan.requests.is_empty() {
                let paused = self.nodes.values().filter_map(|node| node.not_before);
                let paused = paused.filter(|at| *at > Instant::now());
                return plan
                    .next
                    .into_iter()
                    .chain(paused)
                    .chain(self.identity_not_before)
                    .min();
            }
            for (node, items) in plan.requests {
                self.send(node, items).await;
            }
        }
    }

    fn plan(&mut self) -> Plan {
        let now = Instant::now();
        if self.identity_not_before.is_some_and(|at| at <= now) {
            self.identity_not_before = None;
        }
        self.nodes.retain(|_, node| {
            node.connection.take_if(|connection| connection.is_closed());
            node.connection.is_some() || node.connecting || node.in_flight > 0
        });
        let max = self.shared.config.max_in_flight;
        let nodes = self
            .nodes
            .iter()
            .filter(|(_, node)| node.connection.is_some())
            .map(|(id, node)| {
                let rested = node.not_before.is_none_or(|at| at <= now);
                (*id, rested && node.in_flight < max)
            })
            .collect();
        if let Some(transactional) = &self.shared.transactional {
            let (identity, discards) = transactional.peek(|e| (e.identity(), e.discards()));
            self.identity = identity.map_or(Identification::Asked, Identification::Known);
            if discards {
                self.shared.fail_all(&DeliveryError::Aborted);
            }
        }
        let metadata = self.shared.cluster.metadata();
        let situation = Situation {
            now,
            config: &self.shared.config,
            metadata: &metadata,
            nodes: &nodes,
            pressed: self.shared.waiting.load(Ordering::Relaxed) > 0,
            transaction: self.shared.transactional.as_deref(),
        };
        Plan::make(
            &mut self.shared.accumulator.lock(),
            &mut self.identity,
            &situation,
        )
    }

    fn connect(&mut self, id: i32) {
        let node = self.nodes.entry(id).or_default();
        if !node.connecting {
            node.connecting = true;
            let cluster = self.shared.cluster.clone();
            self.jobs
                .spawn(async move { Done::Connected(id, cluster.node(id, Lane::Main).await) });
        }
    }

    fn identify(&mut self) {
        if self.identity != Identification::Unknown || self.identity_not_before.is_some() {
            return;
        }
        self.identity = Identification::Asked;
        let cluster = self.shared.cluster.clone();
        self.jobs.spawn(async move {
            let request = InitProducerIdRequest {
                transactional_id: None,
                ..Default::default()
            };
            let answer = cluster
                .call_any(&request)
                .await
                .map_err(DeliveryError::Request);
            Done::Identified(answer.and_then(|response| {
                match ErrorCode::check(response.error_code) {
                    Ok(()) => Ok(Identity {
                        id: response.producer_id,
                        epoch: response.producer_epoch,
                    }),
                    Err(code) => Err(DeliveryError::Rejected { code, detail: None }),
                }
            }))
        });
    }

    async fn send(&mut self, id: i32, mut items: Vec<Item>) {
        let Some(connection) = self.nodes.get(&id).and_then(|node| node.connection.clone()) else {
            return self.settle_unsent(items);
        };
        let (version, request) = match self.request(&connection, &mut items) {
            Ok(ready) => ready,
            Err(error) => {
                let error = DeliveryError::Request(error);
                for item in items {
                    self.settle_failed(item, &error);
                }
                return;
            }
        };
        if items.is_empty() {
            return;
        }
        let timeout = self.shared.config.client.request_timeout;
        if self.shared.config.acks == Acks::None {
            match connection.tell(version, &request, timeout).await {
                Ok(written) => self.spawn(id, items, async move {
                    written.await.map(|()| ProduceResponse::default())
                }),
                Err(error) => self.settle_all(items, Err(error)),
            }
        } else {
            match connection.start(version, &request, timeout).await {
                Ok(answer) => self.spawn(id, items, answer),
                Err(error) => self.settle_all(items, Err(error)),
            }
        }
    }

    fn spawn<F>(&mut self, node: i32, items: Vec<Item>, answer: F)
    where
        F: Future<Output = Result<ProduceResponse, RequestError>> + Send + 'static,
    {
        self.nodes.entry(node).or_default().in_flight += 1;
        self.jobs.spawn(async move {
            Done::Answered {
                node,
                items,
                answer: answer.await,
            }
        });
    }

    /// The request for these items; those that cannot be encoded are answered for and removed.
    fn request(
        &mut self,
        connection: &Connection,
        items: &mut Vec<Item>,
    ) -> Result<(i16, ProduceRequest), RequestError> {
        let metadata = self.shared.cluster.metadata();
        let id_of = |topic: &str| metadata.topic(topic).map_or(Uuid::ZERO, |topic| topic.id);
        let has_ids = items.iter().all(|item| !id_of(&item.topic).is_zero());
        let mut limit = if has_ids { i16::MAX } else { BY_TOPIC_ID - 1 };
        let transactional = self.shared.transactional.clone();
        if transactional
            .as_ref()
            .is_some_and(|t| !t.peek(|e| e.is_v2()))
        {
            limit = limit.min(TRANSACTIONS_V1_MAX);
        }
        let version = connection.version_up_to::<ProduceRequest>(limit)?;
        let mut topic_data: Vec<TopicProduceData> = Vec::new();
        let mut sendable = Vec::with_capacity(items.len());
        for mut item in items.drain(..) {
            let encoded = item.batch.bytes();
            let bytes = match encoded {
                Ok(bytes) => bytes,
                Err(source) => {
                    self.settle_failed(item, &DeliveryError::Encode(Arc::new(source)));
                    continue;
                }
            };
            if version < WITH_ZSTD && is_zstd(&bytes) {
                let code = ErrorCode::UnsupportedCompressionType;
                self.settle_failed(item, &DeliveryError::Rejected { code, detail: None });
                continue;
            }
            let data = PartitionProduceData {
                index: item.partition,
                records: Some(bytes),
            };
            match topic_data
                .iter_mut()
                .find(|topic| *topic.name == *item.topic)
            {
                Some(topic) => topic.partition_data.push(data),
                None => topic_data.push(TopicProduceData {
                    name: (*item.topic).into(),
                    topic_id: id_of(&item.topic),
                    partition_data: vec![data],
                }),
            }
            sendable.push(item);
        }
        *items = sendable;
        let timeout = self.shared.config.client.request_timeout;
        let request = ProduceRequest {
            transactional_id: transactional.map(|t| (*t.id).into()),
            acks: self.shared.config.acks.code(),
            timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data,
        };
        Ok((version, request))
    }

    fn take(&mut self, done: Result<Done, tokio::task::JoinError>) {
        match done {
            Ok(Done::Connected(id, connected)) => {
                let node = self.nodes.entry(id).or_default();
                node.connecting = false;
                match connected {
                    Ok(connection) => node.connection = Some(connection),
                    Err(error) => {
                        debug!(target: "logway_client", node = id, %error, "broker not reached");
                        self.shared.cluster.request_refresh();
                    }
                }
            }
            Ok(Done::Answered {
                node,
                items,
                answer,
            }) => {
                if let Some(node) = self.nodes.get_mut(&node) {
                    node.in_flight -= 1;
                    let throttle = answer.as_ref().map_or(0, |a| a.throttle_time_ms);
                    if let Ok(millis @ 1..) = u64::try_from(throttle) {
                        node.not_before = Some(Instant::now() + Duration::from_millis(millis));
                    }
                }
                self.settle_all(items, answer);
            }
            Ok(Done::Identified(Ok(identity))) => {
                self.identity = Identification::Known(identity);
                self.identity_pause.reset();
            }
            Ok(Done::Identified(Err(error))) => self.identity_failed(&error),
            Err(error) => {
                error!(target: "logway_client", %error, "a produce job ended without an answer");
            }
        }
    }

    fn identity_failed(&mut self, error: &DeliveryError) {
        self.identity = Identification::Unknown;
        self.identity_not_before = Some(Instant::now() + self.identity_pause.next());
        let passes = match error {
            DeliveryError::Request(error) => error.is_retriable(),
            DeliveryError::Rejected { code, .. } => code.is_retriable(),
            _ => false,
        };
        if !passes {
            self.shared.fail_all(error);
        }
    }

    /// Puts batches back whose connection was gone before they were written.
    fn settle_unsent(&mut self, items: Vec<Item>) {
        for item in items {
            self.put_back(item, None, false);
        }
    }
}

fn is_zstd(batch: &[u8]) -> bool {
    use logway_protocol::batch::BatchHeader;
    use logway_protocol::compression::Compression;
    BatchHeader::decode(batch)
        .and_then(|header| header.compression())
        .is_ok_and(|compression| compression == Compression::Zstd)
}

/// Whether a batch of this partition was sent and its answer lost.
pub(super) fn is_lost(error: &RequestError, batch: &Batch) -> bool {
    batch.maybe_stored
        || matches!(
            error,
            RequestError::Disconnected { .. }
                | RequestError::TimedOut { .. }
                | RequestError::Malformed { .. }
        )
}
