//! The task that keeps records coming: looks positions up and fetches from every leader.
//!
//! Invariant: one fetch per broker at a time; what is buffered and under way stays within
//! `queued_max_bytes` plus one batch. Step 10 of the hallway.

use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use logway_protocol::uuid::Uuid;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Shared;
use super::lookup::{self, Committed, EARLIEST, LATEST, Listed};
use super::record::Start;
use super::state::{Hold, Place};
use crate::cluster::Lane;
use crate::coordinator::Failure;
use crate::error::{ConsumeError, RequestError};
use crate::metadata::Metadata;
use crate::topic::TopicPartition;

use logway_protocol::error_code::ErrorCode;

/// First version of Fetch that names topics by id (KIP-516).
const BY_TOPIC_ID: i16 = 13;

/// The task's own state.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) shared: Arc<Shared>,
    jobs: JoinSet<Done>,
    /// Bytes that the fetch under way at each broker may bring.
    under_way: HashMap<i32, usize>,
    rotation: usize,
}

/// A partition that was asked about.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) partition: TopicPartition,
    pub(super) epoch: u64,
    /// The offset of a fetch, the time of a lookup.
    pub(super) at: i64,
    leader_epoch: i32,
}

/// What a job brings back.
#[derive(Debug)]
pub(super) enum Done {
    Fetched {
        node: i32,
        asked: Vec<Asked>,
        answer: Result<FetchResponse, RequestError>,
    },
    Listed {
        asked: Vec<Asked>,
        answer: Result<ListedAll, RequestError>,
    },
    Committed {
        asked: Vec<Asked>,
        answer: Result<Vec<Committed>, Failure>,
    },
}

type ListedAll = Vec<(TopicPartition, Result<Listed, ErrorCode>)>;

/// What one look round decided.
#[derive(Debug, Default)]
struct Plan {
    committed: Vec<Asked>,
    listed: HashMap<i32, Vec<Asked>>,
    fetched: HashMap<i32, Vec<Asked>>,
    wants_metadata: bool,
    next: Option<Instant>,
}

impl Fetcher {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            jobs: JoinSet::new(),
            under_way: HashMap::new(),
            rotation: 0,
        }
    }

    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let mut updates = self.shared.cluster.updates();
        loop {
            let next = self.round();
            let shared = self.shared.clone();
            tokio::select! {
                () = cancel.cancelled() => return,
                () = shared.wake.notified() => {}
                Some(done) = self.jobs.join_next(), if !self.jobs.is_empty() => match done {
                    Ok(done) => self.take(done),
                    Err(error) => {
                        error!(target: "logway_client", %error, "a fetch job ended without an answer");
                    }
                },
                // The sender of updates lives as long as this task.
                _ = updates.changed() => {}
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)),
                    if next.is_some() => {}
            }
        }
    }

    fn round(&mut self) -> Option<Instant> {
        let metadata = self.shared.cluster.metadata();
        let plan = self.plan(&metadata);
        if plan.wants_metadata {
            self.shared.cluster.request_refresh();
        }
        if !plan.committed.is_empty() {
            self.ask_committed(plan.committed);
        }
        for (node, asked) in plan.listed {
            let cluster = self.shared.cluster.clone();
            let isolation = self.shared.config.isolation_level;
            self.jobs.spawn(async move {
                let wanted: Vec<_> = asked.iter().map(|a| (a.partition.clone(), a.at)).collect();
                let answer = lookup::list_offsets(&cluster, node, &wanted, isolation).await;
                Done::Listed { asked, answer }
            });
        }
        let nodes = plan.fetched.len() + self.under_way.len();
        for (node, asked) in plan.fetched {
            self.fetch((node, nodes), asked, &metadata);
        }
        plan.next
    }

    fn plan(&mut self, metadata: &Metadata) -> Plan {
        let mut plan = Plan::default();
        let now = Instant::now();
        let mut state = self.shared.state.lock();
        let mut partitions: Vec<_> = state.partitions.iter_mut().collect();
        partitions.sort_by_key(|(partition, _)| *partition);
        if !partitions.is_empty() {
            // The first partition of a fetch gets its batch whatever its size: take turns.
            self.rotation = (self.rotation + 1) % partitions.len();
            partitions.rotate_left(self.rotation);
        }
        for (partition, state) in partitions {
            if state.hold != Hold::None || state.busy {
                continue;
            }
            if let Some(at) = state.not_before.filter(|at| *at > now) {
                plan.next = Some(plan.next.map_or(at, |next| next.min(at)));
                continue;
            }
            let refused = metadata
                .topic_error(&partition.topic)
                .filter(|c| !c.is_retriable());
            if let (Some(code), Place::At(_) | Place::Unknown(_)) = (refused, &state.place) {
                let topic = partition.topic.clone();
                state.place = Place::Failed(ConsumeError::Topic { topic, code }, false);
                self.shared.ready.notify_one();
            }
            let known = metadata.partition(&partition.topic, partition.partition);
            let asked = |at| Asked {
                partition: partition.clone(),
                epoch: state.epoch,
                at,
                leader_epoch: known.map_or(-1, |known| known.leader_epoch),
            };
            let leader = metadata.leader(&partition.topic, partition.partition);
            match (&state.place, leader) {
                (Place::Unknown(Start::Committed), _) => {
                    plan.committed.push(asked(0));
                    state.busy = true;
                }
                (Place::Unknown(start), Some(leader)) => {
                    let time = match start {
                        Start::Timestamp(time) => *time,
                        Start::Beginning => EARLIEST,
                        _ => LATEST,
                    };
                    plan.listed.entry(leader).or_default().push(asked(time));
                    state.busy = true;
                }
                (Place::At(offset), Some(leader)) if !state.paused => {
                    if !self.under_way.contains_key(&leader) {
                        plan.fetched.entry(leader).or_default().push(asked(*offset));
                    }
                }
                (Place::Unknown(_) | Place::At(_), None) => plan.wants_metadata = true,
                (Place::At(_), Some(_)) | (Place::Failed(..), _) => {}
            }
        }
        plan
    }

    fn ask_committed(&mut self, asked: Vec<Asked>) {
        let Some(coordinator) = self.shared.coordinator.clone() else {
            // Without a group nothing was ever committed.
            let none = Committed {
                partition: TopicPartition::new("", 0),
                offset: -1,
                leader_epoch: None,
                metadata: None,
                code: ErrorCode::None,
            };
            let answer = asked
                .iter()
                .map(|a| Committed {
                    partition: a.partition.clone(),
                    ..none.clone()
                })
                .collect();
            return self.take(Done::Committed {
                asked,
                answer: Ok(answer),
            });
        };
        let isolation = self.shared.config.isolation_level;
        let member = self.shared.epoch_member();
        self.jobs.spawn(async move {
            let partitions: Vec<_> = asked.iter().map(|a| a.partition.clone()).collect();
            let answer =
                lookup::committed(&coordinator, Some(&partitions), isolation, member.as_ref())
                    .await;
            Done::Committed { asked, answer }
        });
    }

    fn fetch(&mut self, (node, nodes): (i32, usize), asked: Vec<Asked>, metadata: &Metadata) {
        let config = &self.shared.config;
        let buffered = self.shared.state.lock().buffered;
        let used = buffered + self.under_way.values().sum::<usize>();
        let share = (config.queued_max_bytes / nodes.max(1)).max(1);
        let left = config.queued_max_bytes.saturating_sub(used);
        // Small sips would cost a request each: wait until half a share is free.
        if used > 0 && left < share / 2 {
            return;
        }
        let max_bytes = left.min(share).max(1);
        let max_bytes = i32::try_from(max_bytes)
            .unwrap_or(i32::MAX)
            .min(config.fetch_max_bytes);
        self.under_way
            .insert(node, usize::try_from(max_bytes).unwrap_or(0));
        let mut has_ids = true;
        let topics = lookup::by_topic(asked.iter().map(|asked| {
            let fetched = FetchPartition {
                partition: asked.partition.partition,
                current_leader_epoch: asked.leader_epoch,
                fetch_offset: asked.at,
                partition_max_bytes: config.max_partition_fetch_bytes,
                ..Default::default()
            };
            (asked.partition.topic.clone(), fetched)
        }));
        let topics = topics
            .into_iter()
            .map(|(topic, partitions)| {
                let topic_id = metadata.topic(&topic).map_or(Uuid::ZERO, |topic| topic.id);
                has_ids &= !topic_id.is_zero();
                FetchTopic {
                    topic: (*topic).into(),
                    topic_id,
                    partitions,
                }
            })
            .collect();
        let request = FetchRequest {
            max_wait_ms: i32::try_from(config.fetch_max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: config.fetch_min_bytes,
            max_bytes,
            isolation_level: config.isolation_level.code(),
            topics,
            ..Default::default()
        };
        let limit = if has_ids { i16::MAX } else { BY_TOPIC_ID - 1 };
        let timeout = config.client.request_timeout + config.fetch_max_wait;
        let cluster = self.shared.cluster.clone();
        self.jobs.spawn(async move {
            let call = async {
                let connection = cluster.node(node, Lane::Fetch).await?;
                let version = connection.version_up_to::<FetchRequest>(limit)?;
                connection.start(version, &request, timeout).await?.await
            };
            let answer = call.await;
            Done::Fetched {
                node,
                asked,
                answer,
            }
        });
    }

    fn take(&mut self, done: Done) {
        if let Done::Fetched { node, .. } = &done {
            self.under_way.remove(node);
        }
        self.shared.answered(done);
    }
}
