//! Joining a group, and sharing out its partitions when this member is the leader.
//!
//! Invariant: one attempt after the other with growing pauses; only a refusal for good ends them.
//! Step 10 of the hallway.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use logway_protocol::message::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use tracing::{debug, info};

use super::{Generation, Group, WITH_INSTANCE};
use crate::cluster::Lane;
use crate::config::Assignor;
use crate::consumer::assignor::{Member, Shares, assign};
use crate::consumer::record::GroupMetadata;
use crate::consumer::subscription::{
    Subscription, decode_assignment, decode_subscription, encode_assignment, encode_subscription,
};
use crate::coordinator::Failure;
use crate::error::{ConsumeError, RequestError};

/// Beyond the rebalance timeout, within which the coordinator answers a join.
const JOIN_MARGIN: Duration = Duration::from_secs(5);
/// Longest the leader waits for metadata of the members' topics.
const METADATA_WAIT: Duration = Duration::from_secs(5);
/// First version of JoinGroup with static members (KIP-345).
const JOIN_WITH_INSTANCE: i16 = 5;

/// The name of consumers' groups among other kinds.
const PROTOCOL_TYPE: &str = "consumer";

impl Group {
    /// Joins, however long it takes; an error is a refusal for good.
    pub(super) async fn join(&mut self) -> Result<Generation, ConsumeError> {
        loop {
            if !self.cooperative {
                self.shared.state.lock().membership = None;
            }
            let topics = self.wanted.borrow_and_update().topics.clone();
            self.shared.cluster.follow(topics.iter().cloned());
            let failure = match self.try_join(&topics).await {
                Ok(generation) => {
                    self.backoff.reset();
                    return Ok(generation);
                }
                Err(failure) => failure,
            };
            debug!(target: "logway_client", ?failure, group = %self.coordinator.group(), "not joined");
            match failure {
                Failure::Code(ErrorCode::UnknownMemberId) => {
                    self.member_id = "".into();
                    let _rejoin = self.lost();
                }
                Failure::Code(ErrorCode::IllegalGeneration) => {
                    let _rejoin = self.lost();
                }
                Failure::Code(ErrorCode::RebalanceInProgress) => {}
                failure if failure.is_retriable() => {}
                Failure::Code(code) => {
                    let group = self.coordinator.group().clone();
                    return Err(ConsumeError::Group { group, code });
                }
                Failure::Request(error) => return Err(ConsumeError::Request(error)),
            }
            tokio::time::sleep(self.backoff.next()).await;
        }
    }

    async fn try_join(&mut self, topics: &[Arc<str>]) -> Result<Generation, Failure> {
        let mut joined = self.ask_to_join(topics).await;
        if let Err(Failure::Code(ErrorCode::MemberIdRequired)) = joined {
            // The id is known now (KIP-394).
            joined = self.ask_to_join(topics).await;
        }
        let joined = joined?;
        let is_leader = *joined.leader == *joined.member_id;
        let (shares, counts) = if is_leader && joined.skip_assignment {
            // A static member that came back: what it gave out before still holds (KIP-814).
            let (_, counts) = self.share_out(&joined).await;
            (Shares::new(), Some(counts))
        } else if is_leader {
            let (shares, counts) = self.share_out(&joined).await;
            (shares, Some(counts))
        } else {
            (Shares::new(), None)
        };
        let id = joined.generation_id;
        let synced = self.sync(&joined, &shares).await?;
        let assignment =
            decode_assignment(synced.assignment).map_err(|source| self.malformed(source))?;
        info!(
            target: "logway_client",
            group = %self.coordinator.group(), generation = id, is_leader,
            partitions = assignment.len(), "joined"
        );
        let membership = GroupMetadata {
            group_id: self.coordinator.group().clone(),
            generation: id,
            member_id: self.member_id.clone(),
            instance_id: self
                .shared
                .config
                .group_instance_id
                .as_deref()
                .map(Arc::from),
        };
        // The leader follows the topics of all members, to notice when they grow.
        let all = counts
            .iter()
            .flat_map(BTreeMap::keys)
            .chain(topics)
            .cloned();
        self.shared.cluster.follow(all);
        self.previous = (assignment.clone(), id);
        let mut state = self.shared.state.lock();
        let difference = if self.cooperative {
            Some(state.install_difference(&assignment, membership))
        } else {
            state.install(assignment, membership);
            None
        };
        drop(state);
        self.shared.ready.notify_one();
        Ok(Generation {
            id,
            counts,
            difference,
        })
    }

    async fn ask_to_join(&mut self, topics: &[Arc<str>]) -> Result<JoinGroupResponse, Failure> {
        let config = self.shared.config.clone();
        let mut subscription = Subscription {
            topics: topics.to_vec(),
            owned: self.previous.0.clone(),
            generation: self.previous.1,
        };
        if self.cooperative {
            subscription.owned = self
                .shared
                .state
                .lock()
                .partitions
                .keys()
                .cloned()
                .collect();
        }
        let mut protocols = Vec::with_capacity(config.partition_assignors.len());
        for assignor in &config.partition_assignors {
            if *assignor == Assignor::CooperativeSticky && !self.cooperative {
                // Everything was given up before this join.
                subscription.owned.clear();
            } else if *assignor == Assignor::Sticky {
                subscription.owned = self.previous.0.clone();
            }
            let rack = config.client_rack.as_deref();
            let metadata = encode_subscription(&subscription, *assignor, rack);
            protocols.push(JoinGroupRequestProtocol {
                name: assignor.name().into(),
                metadata: metadata.map_err(|source| self.unwritable(source))?,
            });
        }
        let timeout = (config.max_poll_interval + JOIN_MARGIN).max(config.client.request_timeout);
        let build = |version| JoinGroupRequest {
            group_id: (**self.coordinator.group()).into(),
            session_timeout_ms: millis(config.session_timeout),
            rebalance_timeout_ms: millis(config.max_poll_interval),
            member_id: (*self.member_id).into(),
            group_instance_id: config
                .group_instance_id
                .as_deref()
                .filter(|_| version >= JOIN_WITH_INSTANCE)
                .map(Into::into),
            protocol_type: PROTOCOL_TYPE.into(),
            protocols,
            reason: None,
        };
        let joined = self.coordinator.call(Lane::Group, timeout, build).await?;
        let code = ErrorCode::from_code(joined.error_code);
        self.coordinator.observe(code);
        if matches!(code, ErrorCode::None | ErrorCode::MemberIdRequired) {
            self.member_id = (*joined.member_id).into();
        }
        ErrorCode::check(joined.error_code).map_err(Failure::Code)?;
        Ok(joined)
    }

    async fn sync(
        &self,
        joined: &JoinGroupResponse,
        shares: &Shares,
    ) -> Result<SyncGroupResponse, Failure> {
        let config = &self.shared.config;
        let mut assignments = Vec::with_capacity(shares.len());
        for (member, partitions) in shares {
            let assignment =
                encode_assignment(partitions).map_err(|source| self.unwritable(source))?;
            let member_id = (**member).into();
            assignments.push(SyncGroupRequestAssignment {
                member_id,
                assignment,
            });
        }
        let timeout = (config.max_poll_interval + JOIN_MARGIN).max(config.client.request_timeout);
        let build = |version| SyncGroupRequest {
            group_id: (**self.coordinator.group()).into(),
            generation_id: joined.generation_id,
            member_id: (*self.member_id).into(),
            group_instance_id: config
                .group_instance_id
                .as_deref()
                .filter(|_| version >= WITH_INSTANCE)
                .map(Into::into),
            protocol_type: Some(PROTOCOL_TYPE.into()),
            protocol_name: joined.protocol_name.clone(),
            assignments,
        };
        let synced = self.coordinator.call(Lane::Group, timeout, build).await?;
        self.coordinator
            .observe(ErrorCode::from_code(synced.error_code));
        ErrorCode::check(synced.error_code).map_err(Failure::Code)?;
        Ok(synced)
    }

    /// What each member gets, and the partition counts that this rests on.
    async fn share_out(&self, joined: &JoinGroupResponse) -> (Shares, BTreeMap<Arc<str>, usize>) {
        let chosen = joined
            .protocol_name
            .as_deref()
            .and_then(Assignor::from_name);
        let members: Vec<Member> = joined
            .members
            .iter()
            .map(|member| {
                let said = decode_subscription(member.metadata.clone(), chosen);
                let instance_id = member.group_instance_id.as_ref().map(|id| (**id).into());
                // A member that cannot be understood gets nothing and stops nobody.
                let said = said.unwrap_or_else(|_| Subscription {
                    topics: Vec::new(),
                    owned: Vec::new(),
                    generation: -1,
                });
                Member {
                    id: (*member.member_id).into(),
                    instance_id,
                    topics: said.topics.into_iter().collect(),
                    owned: said.owned,
                    generation: said.generation,
                }
            })
            .collect();
        let topics: BTreeSet<Arc<str>> = members
            .iter()
            .flat_map(|member| member.topics.iter().cloned())
            .collect();
        let counts = self.counts(&topics).await;
        let existing: BTreeMap<_, _> = counts
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(t, n)| (t.clone(), *n))
            .collect();
        let mut shares = match chosen {
            Some(assignor) => assign(assignor, &members, &existing),
            None => HashMap::new(),
        };
        for member in &members {
            shares.entry(member.id.clone()).or_default();
        }
        (shares, counts)
    }

    /// Partition counts of these topics, 0 for those that do not exist (yet).
    async fn counts(&self, topics: &BTreeSet<Arc<str>>) -> BTreeMap<Arc<str>, usize> {
        let cluster = &self.shared.cluster;
        let mut updates = cluster.updates();
        cluster.follow(topics.iter().cloned());
        let complete = async {
            loop {
                let metadata = cluster.metadata();
                if topics.iter().all(|topic| metadata.topic(topic).is_some()) {
                    return;
                }
                // Errors of the last snapshot may have passed; one more answer decides.
                cluster.request_refresh();
                if updates.changed().await.is_err() {
                    return;
                }
                let metadata = cluster.metadata();
                if topics
                    .iter()
                    .all(|topic| metadata.topics.contains_key(topic))
                {
                    return;
                }
            }
        };
        // Without an answer the known topics are shared out; the others follow later.
        let _in_time = tokio::time::timeout(METADATA_WAIT, complete).await;
        let metadata = cluster.metadata();
        topics
            .iter()
            .map(|topic| (topic.clone(), metadata.partition_count(topic).unwrap_or(0)))
            .collect()
    }

    fn malformed(&self, source: logway_protocol::codec::DecodeError) -> Failure {
        let address = self.coordinator.group().clone();
        Failure::Request(RequestError::Malformed {
            address,
            api: "SyncGroup",
            source,
        })
    }

    fn unwritable(&self, source: logway_protocol::codec::EncodeError) -> Failure {
        let address = self.coordinator.group().clone();
        Failure::Request(RequestError::Unwritable {
            address,
            api: "JoinGroup",
            source,
        })
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
