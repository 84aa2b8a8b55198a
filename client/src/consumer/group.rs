//! Membership in a classic group: join, sync, heartbeat, leave, in a task of its own, so that the
//! member stays alive while its caller works.
//!
//! Invariant: partitions are given up only after the caller had its say, or after the group took
//! them; a caller that does not poll for `max.poll.interval.ms` leaves the group. Step 10 of the
//! hallway.

mod join;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use logway_protocol::message::leave_group::{LeaveGroupRequest, MemberIdentity};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Shared;
use super::state::Difference;
use super::subscribe::Wanted;
use crate::backoff::Backoff;
use crate::cluster::Lane;
use crate::config::Assignor;
use crate::coordinator::{Coordinator, Failure};
use crate::error::ConsumeError;
use crate::topic::TopicPartition;

/// First version of LeaveGroup that names several members.
const SEVERAL_MEMBERS: i16 = 3;
/// First version of Heartbeat and SyncGroup with static members (KIP-345).
const WITH_INSTANCE: i16 = 3;

/// The task's own state.
#[derive(Debug)]
pub(super) struct Group {
    shared: Arc<Shared>,
    coordinator: Coordinator,
    wanted: watch::Receiver<Wanted>,
    member_id: Arc<str>,
    backoff: Backoff,
    /// Every assignor is cooperative: partitions that stay are read on while the group shares out
    /// anew (KIP-429).
    cooperative: bool,
    /// What this member had in its last generation, and that generation.
    previous: (Vec<TopicPartition>, i32),
}

/// What this member has in the present generation.
#[derive(Debug)]
struct Generation {
    id: i32,
    /// Partition counts that the assignment rests on, if this member made it.
    counts: Option<BTreeMap<Arc<str>, usize>>,
    /// What it took away from this member under the cooperative assignor.
    difference: Option<Difference>,
}

/// Why a generation ended for this member.
#[derive(Debug)]
enum End {
    /// The group shares out anew.
    Rejoin,
    /// The caller does not poll.
    Silent,
    /// The group refuses this member.
    Refused(ConsumeError),
}

type Beat = Pin<Box<dyn Future<Output = Result<HeartbeatResponse, Failure>> + Send>>;

impl Group {
    pub(super) fn new(
        shared: Arc<Shared>,
        coordinator: Coordinator,
        wanted: watch::Receiver<Wanted>,
    ) -> Self {
        let client = &shared.config.client;
        let backoff = Backoff::new(client.retry_backoff, client.retry_backoff_max);
        let assignors = &shared.config.partition_assignors;
        let cooperative = assignors.iter().all(|a| *a == Assignor::CooperativeSticky);
        Self {
            cooperative,
            previous: (Vec::new(), -1),
            shared,
            coordinator,
            wanted,
            member_id: "".into(),
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
            self.shared
                .polls
                .subscribe()
                .wait_for(|polls| *polls > 0)
                .await
                .ok();
            let end = match self.join().await {
                Ok(generation) => self.serve(generation).await,
                Err(error) => End::Refused(error),
            };
            match end {
                End::Rejoin => {}
                End::Silent => {
                    warn!(
                        target: "logway_client",
                        group = %self.coordinator.group(),
                        "no poll within max.poll.interval.ms, leaving the group"
                    );
                    let mut polls = self.shared.polls.subscribe();
                    polls.mark_unchanged();
                    self.leave().await;
                    let _rejoin = self.lost();
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

    /// Keeps the membership alive until it ends.
    async fn serve(&mut self, mut generation: Generation) -> End {
        let config = self.shared.config.clone();
        let mut updates = self.shared.cluster.updates();
        let mut last_answer = Instant::now();
        let mut next_beat = Instant::now() + config.heartbeat_interval;
        let mut beat: Option<Beat> = None;
        let mut told: Option<oneshot::Receiver<()>> = None;
        if let Some(difference) = generation.difference.take() {
            if difference.revokes && difference.told.is_none() {
                return End::Rejoin;
            }
            told = difference.told;
        }
        loop {
            tokio::select! {
                answer = async { beat.as_mut().expect("guarded").await }, if beat.is_some() => {
                    beat = None;
                    next_beat = Instant::now() + config.heartbeat_interval;
                    let rebalancing = match self.judge(answer, generation.id) {
                        Ok(rebalancing) => rebalancing,
                        Err(Some(end)) => return end,
                        Err(None) if last_answer.elapsed() > config.session_timeout => {
                            info!(target: "logway_client", "coordinator silent for a session");
                            return self.lost();
                        }
                        Err(None) => {
                            next_beat = Instant::now() + self.backoff.next();
                            continue;
                        }
                    };
                    last_answer = Instant::now();
                    if rebalancing && told.is_none() {
                        told = self.begin_revoke();
                        if told.is_none() { return End::Rejoin; }
                    }
                }
                () = tokio::time::sleep_until(next_beat), if beat.is_none() => {
                    if self.shared.is_silent() { return End::Silent; }
                    beat = Some(self.beat(generation.id));
                }
                _ = async { told.as_mut().expect("guarded").await }, if told.is_some() => {
                    self.end_revoke();
                    return End::Rejoin;
                }
                // The other ends live as long as the consumer.
                _ = self.wanted.changed(), if told.is_none() => {
                    told = self.begin_revoke();
                    if told.is_none() { return End::Rejoin; }
                }
                _ = updates.changed(), if told.is_none() && generation.counts.is_some() => {
                    if self.is_outdated(&generation) {
                        told = self.begin_revoke();
                        if told.is_none() { return End::Rejoin; }
                    }
                }
            }
        }
    }

    /// Whether topics came, went or grew since the assignment was made.
    fn is_outdated(&self, generation: &Generation) -> bool {
        let Some(counts) = &generation.counts else {
            return false;
        };
        let metadata = self.shared.cluster.metadata();
        counts
            .iter()
            .any(|(topic, count)| match metadata.topics.get(topic) {
                Some(Ok(topic)) => topic.partitions.len() != *count,
                // An error may pass; a topic that is gone is no reason to hurry.
                Some(Err(_)) | None => false,
            })
    }

    fn end_revoke(&self) {
        let mut state = self.shared.state.lock();
        if self.cooperative {
            state.end_revoke_of();
        } else {
            state.end_revoke();
        }
    }

    /// Asks the caller to give everything up; a cooperative member gives nothing up yet.
    fn begin_revoke(&self) -> Option<oneshot::Receiver<()>> {
        if self.cooperative {
            return None;
        }
        let mut state = self.shared.state.lock();
        let told = state.begin_revoke();
        if told.is_none() {
            state.end_revoke();
        }
        drop(state);
        self.shared.ready.notify_one();
        told
    }

    fn lost(&mut self) -> End {
        self.previous = (Vec::new(), -1);
        self.shared.state.lock().lose();
        self.shared.ready.notify_one();
        End::Rejoin
    }

    fn beat(&self, generation_id: i32) -> Beat {
        let coordinator = self.coordinator.clone();
        let config = self.shared.config.clone();
        let member_id = self.member_id.clone();
        Box::pin(async move {
            let timeout = config.session_timeout.min(config.client.request_timeout);
            let build = |version| HeartbeatRequest {
                group_id: (**coordinator.group()).into(),
                generation_id,
                member_id: (*member_id).into(),
                group_instance_id: config
                    .group_instance_id
                    .as_deref()
                    .filter(|_| version >= WITH_INSTANCE)
                    .map(Into::into),
            };
            coordinator.call(Lane::Group, timeout, build).await
        })
    }

    /// Whether the group rebalances; an end of the membership; or nothing but a passing failure.
    fn judge(
        &mut self,
        answer: Result<HeartbeatResponse, Failure>,
        generation: i32,
    ) -> Result<bool, Option<End>> {
        let code = match answer {
            Ok(answer) => ErrorCode::from_code(answer.error_code),
            Err(failure) => {
                debug!(target: "logway_client", ?failure, "heartbeat not answered");
                return Err(None);
            }
        };
        self.coordinator.observe(code);
        match code {
            ErrorCode::None => {
                self.backoff.reset();
                Ok(false)
            }
            ErrorCode::RebalanceInProgress => Ok(true),
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
                info!(target: "logway_client", %code, generation, "membership lost");
                if code == ErrorCode::UnknownMemberId {
                    self.member_id = "".into();
                }
                Err(Some(self.lost()))
            }
            code if code.is_retriable() => Err(None),
            code => {
                let group = self.coordinator.group().clone();
                Err(Some(End::Refused(ConsumeError::Group { group, code })))
            }
        }
    }

    /// Tells the group, so that it need not wait for the session to end. A static member stays.
    async fn leave(&mut self) {
        if self.member_id.is_empty() || self.shared.config.group_instance_id.is_some() {
            return;
        }
        let member_id = std::mem::replace(&mut self.member_id, "".into());
        let build = |version| {
            let mut request = LeaveGroupRequest {
                group_id: (**self.coordinator.group()).into(),
                ..Default::default()
            };
            if version >= SEVERAL_MEMBERS {
                let member_id = (*member_id).into();
                request.members = vec![MemberIdentity {
                    member_id,
                    ..Default::default()
                }];
            } else {
                request.member_id = (*member_id).into();
            }
            request
        };
        // Not behind a join that may be waiting on the group's own connection.
        let timeout = self.shared.config.client.request_timeout.min(LEAVE_TIMEOUT);
        let left = self.coordinator.call(Lane::Main, timeout, build);
        if let Ok(Err(failure)) = tokio::time::timeout(timeout, left).await {
            debug!(target: "logway_client", ?failure, "group not told of the leave");
        }
    }
}

/// Longest that leaving holds up a close; the session's end does the same later.
const LEAVE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);
