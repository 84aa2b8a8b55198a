//! Membership in a group whose coordinator shares out the partitions (KIP-848): a heartbeat that
//! tells what is wanted and owned, and whose answers tell what to own.
//!
//! Invariant: partitions are given up only after the caller had its say, or after the group took
//! them; those that stay are read on. A caller that does not poll for `max.poll.interval.ms` leaves
//! the group. Step 10 of the hallway.

mod engine;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::consumer_group_heartbeat::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, TopicPartitions,
};
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::uuid::Uuid;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Shared;
use super::record::GroupMetadata;
use super::subscribe::Wanted;
use crate::backoff::{self, Backoff};
use crate::cluster::Lane;
use crate::coordinator::{Coordinator, Failure};
use crate::error::ConsumeError;
use crate::topic::TopicPartition;
use engine::{Engine, Place, Report, Verdict};

/// Epoch of a member that leaves.
const LEAVE: i32 = -1;
/// Epoch of a static member that will be back.
const LEAVE_FOR_NOW: i32 = -2;
/// Longest that leaving holds up a close; the session's end does the same later.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// The task's own state.
#[derive(Debug)]
pub(super) struct Member {
    shared: Arc<Shared>,
    coordinator: Coordinator,
    wanted: watch::Receiver<Wanted>,
    /// Chosen here, and kept for as long as this consumer lives.
    member_id: Arc<str>,
    engine: Engine,
    /// Names of the topics that the coordinator speaks of by id.
    names: HashMap<Uuid, Arc<str>>,
    backoff: Backoff,
}

/// Why a membership ended.
#[derive(Debug)]
enum End {
    /// The group no longer knows this member: join anew.
    Rejoin,
    /// The caller does not poll.
    Silent,
    /// The group refuses this member.
    Refused(ConsumeError),
}

type Answer = Result<ConsumerGroupHeartbeatResponse, Failure>;
type Beat = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Lookup = Pin<Box<dyn Future<Output = Vec<(Uuid, Arc<str>)>> + Send>>;

/// A revocation that the caller has not answered yet, and what is owned afterwards.
#[derive(Debug)]
struct Revoking {
    told: oneshot::Receiver<()>,
    then: BTreeSet<Place>,
}

impl Member {
    pub(super) fn new(
        shared: Arc<Shared>,
        coordinator: Coordinator,
        wanted: watch::Receiver<Wanted>,
    ) -> Self {
        let client = &shared.config.client;
        let backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        let engine = Engine::new(wanted.borrow().clone());
        Self {
            member_id: fresh_id(),
            engine,
            names: HashMap::new(),
            shared,
            coordinator,
            wanted,
            backoff,
        }
    }

    /// Takes part until `leave`.
    pub(super) async fn run(mut self, leave: CancellationToken) {
        tokio::select! {
            () = self.take_part() => leave.cancelled().await,
            () = leave.cancelled() => {}
        }
        self.leave().await;
    }

    async fn take_part(&mut self) {
        loop {
            let mut polls = self.shared.polls.subscribe();
            polls.wait_for(|polls| *polls > 0).await.ok();
            self.engine = Engine::new(self.wanted.borrow_and_update().clone());
            match self.serve().await {
                End::Rejoin => {
                    self.lose();
                    tokio::time::sleep(self.backoff.next()).await;
                }
                End::Silent => {
                    warn!(
                        target: "logway_client",
                        group = %self.coordinator.group(),
                        "no poll within max.poll.interval.ms, leaving the group"
                    );
                    polls.mark_unchanged();
                    self.leave().await;
                    self.lose();
                    polls.changed().await.ok();
                }
                End::Refused(error) => {
                    let mut state = self.shared.state.lock();
                    state.lose();
                    state.fatal = Some(error);
                    drop(state);
                    self.shared.ready.notify_one();
                    return;
                }
            }
        }
    }

    fn lose(&self) {
        self.shared.state.lock().lose();
        self.shared.ready.notify_one();
    }

    /// Keeps the membership alive until it ends.
    async fn serve(&mut self) -> End {
        let mut updates = self.shared.cluster.updates();
        let mut interval = self.shared.config.heartbeat_interval;
        let mut next_beat = Instant::now();
        let mut beat: Option<Beat> = None;
        let mut lookup: Option<Lookup> = None;
        let mut revoking: Option<Revoking> = None;
        self.follow();
        loop {
            tokio::select! {
                answer = async { beat.as_mut().expect("guarded").await }, if beat.is_some() => {
                    beat = None;
                    match self.take(answer) {
                        Ok(answered) => {
                            interval = answered.unwrap_or(interval);
                            next_beat = Instant::now() + interval;
                        }
                        Err(Some(end)) => return end,
                        Err(None) => {
                            next_beat = Instant::now() + self.backoff.next();
                            continue;
                        }
                    }
                }
                () = tokio::time::sleep_until(next_beat), if beat.is_none() => {
                    if self.shared.is_silent() { return End::Silent; }
                    let report = self.engine.report();
                    beat = Some(self.beat(&report));
                    continue;
                }
                _ = async { (&mut revoking.as_mut().expect("guarded").told).await },
                    if revoking.is_some() =>
                {
                    self.shared.state.lock().end_revoke_of();
                    if let Some(revoked) = revoking.take() {
                        self.engine.own(revoked.then);
                    }
                }
                found = async { lookup.as_mut().expect("guarded").await }, if lookup.is_some() => {
                    lookup = None;
                    self.names.extend(found);
                }
                // The other ends live as long as the consumer.
                _ = self.wanted.changed() => {
                    let wanted = self.wanted.borrow_and_update().clone();
                    self.engine.want(wanted);
                    self.follow();
                }
                _ = updates.changed() => {}
            }
            if revoking.is_none() {
                revoking = self.reconcile();
            }
            if lookup.is_none() {
                lookup = self.look_up();
            }
            if self.engine.epoch() > 0 && self.engine.has_news() {
                next_beat = Instant::now();
            }
        }
    }

    /// The interval that the coordinator asks for; an end of the membership; or nothing but a
    /// passing failure.
    fn take(&mut self, answer: Answer) -> Result<Option<Duration>, Option<End>> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                debug!(target: "logway_client", ?failure, "heartbeat not answered");
                self.engine.unanswered();
                return match failure {
                    Failure::Request(error) if !error.is_retriable() => {
                        Err(Some(End::Refused(ConsumeError::Request(error))))
                    }
                    _ => Err(None),
                };
            }
        };
        let code = ErrorCode::from_code(answer.error_code);
        self.coordinator.observe(code);
        if code != ErrorCode::None {
            let detail = answer.error_message.as_deref().unwrap_or_default();
            info!(
                target: "logway_client",
                group = %self.coordinator.group(), %code, detail, "heartbeat refused"
            );
            let group = self.coordinator.group().clone();
            return Err(match self.engine.failed(code) {
                Verdict::Again => None,
                Verdict::Rejoin => Some(End::Rejoin),
                Verdict::Refused => Some(End::Refused(ConsumeError::Group { group, code })),
            });
        }
        self.backoff.reset();
        if let Some(id) = answer.member_id.as_deref().filter(|id| !id.is_empty()) {
            self.member_id = id.into();
        }
        let target = answer.assignment.map(|assignment| {
            let topics = assignment.topic_partitions.into_iter();
            topics
                .flat_map(|t| t.partitions.into_iter().map(move |p| (t.topic_id, p)))
                .collect()
        });
        self.engine.answered(answer.member_epoch, target);
        self.shared.state.lock().membership = Some(self.membership());
        let interval = u64::try_from(answer.heartbeat_interval_ms).unwrap_or(0);
        Ok((interval > 0).then(|| Duration::from_millis(interval)))
    }

    fn membership(&self) -> GroupMetadata {
        GroupMetadata {
            group_id: self.coordinator.group().clone(),
            generation: self.engine.epoch(),
            member_id: self.member_id.clone(),
            instance_id: self
                .shared
                .config
                .group_instance_id
                .as_deref()
                .map(Arc::from),
        }
    }

    /// Brings the caller's partitions to what the coordinator wants, as far as their names are
    /// known. Returns the revocation that the caller has to answer first.
    fn reconcile(&mut self) -> Option<Revoking> {
        let metadata = self.shared.cluster.metadata();
        for (name, topic) in &metadata.topics {
            if let Ok(topic) = topic {
                self.names.insert(topic.id, name.clone());
            }
        }
        let due = self.engine.due()?;
        self.names
            .retain(|id, _| due.iter().any(|(due, _)| due == id));
        let known = due.iter().filter(|(id, _)| self.names.contains_key(id));
        let known: BTreeSet<Place> = known.copied().collect();
        let target: Vec<TopicPartition> = known
            .iter()
            .filter_map(|(id, p)| Some(TopicPartition::new(self.names.get(id)?.clone(), *p)))
            .collect();
        let membership = self.membership();
        let difference = self
            .shared
            .state
            .lock()
            .install_difference(&target, membership);
        self.shared.ready.notify_one();
        debug!(target: "logway_client", partitions = target.len(), "assignment changed");
        self.follow();
        match difference.told {
            Some(told) => Some(Revoking { told, then: known }),
            None => {
                self.engine.own(known);
                None
            }
        }
    }

    /// Follows the topics wanted and those that are read.
    fn follow(&self) {
        let topics = self.wanted.borrow().topics.clone();
        let read = self
            .shared
            .state
            .lock()
            .partitions
            .keys()
            .map(|p| p.topic.clone())
            .collect();
        let read: BTreeSet<Arc<str>> = read;
        self.shared.cluster.follow(topics.into_iter().chain(read));
    }

    /// Asks for the names of topics that only the coordinator speaks of, as with a pattern.
    fn look_up(&self) -> Option<Lookup> {
        let due = self.engine.due()?;
        let unknown = due.iter().map(|(id, _)| *id);
        let unknown: BTreeSet<Uuid> = unknown.filter(|id| !self.names.contains_key(id)).collect();
        if unknown.is_empty() {
            return None;
        }
        let request = MetadataRequest {
            topics: Some(
                unknown
                    .into_iter()
                    .map(|topic_id| MetadataRequestTopic {
                        topic_id,
                        name: None,
                    })
                    .collect(),
            ),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let cluster = self.shared.cluster.clone();
        let pause = self.shared.config.client.retry_backoff_max;
        Some(Box::pin(async move {
            let mut found = Vec::new();
            if let Ok(response) = cluster.call_any(&request).await {
                for topic in response.topics {
                    if let (0, Some(name)) = (topic.error_code, topic.name.as_deref()) {
                        found.push((topic.topic_id, name.into()));
                    }
                }
            }
            if found.is_empty() {
                tokio::time::sleep(pause).await;
            }
            found
        }))
    }

    fn beat(&self, report: &Report) -> Beat {
        let config = &self.shared.config;
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: (**self.coordinator.group()).into(),
            member_id: (*self.member_id).into(),
            member_epoch: report.epoch,
            instance_id: config.group_instance_id.as_deref().map(Into::into),
            ..Default::default()
        };
        if report.full {
            request.rack_id = config.client_rack.as_deref().map(Into::into);
            request.server_assignor = config.group_remote_assignor.as_deref().map(Into::into);
            let rebalance = config.max_poll_interval.as_millis();
            request.rebalance_timeout_ms = i32::try_from(rebalance).unwrap_or(i32::MAX);
        }
        let pattern = report
            .wanted
            .as_ref()
            .and_then(|wanted| wanted.pattern.as_deref());
        if let Some(wanted) = &report.wanted {
            let topics = wanted.topics.iter().map(|topic| (**topic).into());
            request.subscribed_topic_names = Some(topics.collect());
            // An empty pattern takes an earlier one back.
            request.subscribed_topic_regex = Some(pattern.unwrap_or_default().into());
        }
        request.topic_partitions = report.owned.as_ref().map(|owned| {
            let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
            for (id, partition) in owned {
                topics.entry(*id).or_default().push(*partition);
            }
            let topics = topics.into_iter();
            topics
                .map(|(topic_id, partitions)| TopicPartitions {
                    topic_id,
                    partitions,
                })
                .collect()
        });
        let needs_pattern = pattern.is_some();
        let coordinator = self.coordinator.clone();
        Box::pin(async move {
            let timeout = coordinator.timeout();
            let build = |version| {
                if version < WITH_PATTERN && !needs_pattern {
                    request.subscribed_topic_regex = None;
                }
                request
            };
            coordinator.call(Lane::Group, timeout, build).await
        })
    }

    /// Tells the group, so that it need not wait for the session to end.
    async fn leave(&mut self) {
        if !self.engine.may_be_known() {
            return;
        }
        let instance_id = self.shared.config.group_instance_id.as_deref();
        let request = ConsumerGroupHeartbeatRequest {
            group_id: (**self.coordinator.group()).into(),
            member_id: (*self.member_id).into(),
            member_epoch: if instance_id.is_some() {
                LEAVE_FOR_NOW
            } else {
                LEAVE
            },
            instance_id: instance_id.map(Into::into),
            ..Default::default()
        };
        let timeout = self.coordinator.timeout().min(LEAVE_TIMEOUT);
        let left = self.coordinator.call(Lane::Group, timeout, |_| request);
        if let Ok(Err(failure)) = tokio::time::timeout(timeout, left).await {
            debug!(target: "logway_client", ?failure, "group not told of the leave");
        }
        self.engine = Engine::new(self.wanted.borrow().clone());
    }
}

/// First version of ConsumerGroupHeartbeat that takes a pattern.
const WITH_PATTERN: i16 = 1;

/// An id that no other member has.
fn fresh_id() -> Arc<str> {
    let mut bytes = [0; 16];
    let (high, low) = bytes.split_at_mut(8);
    high.copy_from_slice(&backoff::random().to_be_bytes());
    low.copy_from_slice(&backoff::random().to_be_bytes());
    Uuid::from_bytes(bytes).to_string().into()
}
