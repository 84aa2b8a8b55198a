//! Questions about offsets: the ends of logs, offsets by time, what a group committed, and the
//! commit itself.
//!
//! Invariant: one attempt each, with an answer for every partition asked about. Step 10 of the
//! hallway.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
    OffsetFetchResponse,
};

use super::commit::OffsetAndMetadata;
use crate::cluster::{Cluster, Lane};
use crate::config::IsolationLevel;
use crate::coordinator::{Coordinator, Failure};
use crate::error::RequestError;
use crate::topic::TopicPartition;

/// The time that stands for "after the last record".
pub(crate) const LATEST: i64 = -1;
/// The time that stands for "the first record there is".
pub(crate) const EARLIEST: i64 = -2;
/// First version of OffsetFetch that takes several groups (KIP-709).
const SEVERAL_GROUPS: i16 = 8;
/// First version of OffsetFetch that can wait for transactions (KIP-447).
const WITH_STABLE: i16 = 7;
/// First version of OffsetFetch that asks as a member (KIP-848).
const WITH_MEMBER: i16 = 9;
/// First version of ListOffsets with an isolation level.
const WITH_ISOLATION: i16 = 2;

/// An answer of ListOffsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    /// -1 where no record is that late.
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

/// What a group committed for a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) partition: TopicPartition,
    /// -1 where there is none.
    pub(crate) offset: i64,
    pub(crate) leader_epoch: Option<i32>,
    pub(crate) metadata: Option<String>,
    pub(crate) code: ErrorCode,
}

impl Committed {
    /// As callers see it, where there is something.
    pub(crate) fn kept(&self) -> OffsetAndMetadata {
        OffsetAndMetadata {
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: self.metadata.clone().unwrap_or_default(),
        }
    }
}

/// A member as a commit names it.
#[derive(Debug, Clone)]
pub(crate) struct Committer {
    pub(crate) generation: i32,
    pub(crate) member_id: Arc<str>,
    pub(crate) instance_id: Option<Arc<str>>,
}

impl Committer {
    /// Someone who is no member.
    pub(crate) fn nobody() -> Self {
        Self {
            generation: -1,
            member_id: "".into(),
            instance_id: None,
        }
    }
}

/// Groups by topic, in order of topics.
pub(crate) fn by_topic<T>(
    items: impl IntoIterator<Item = (Arc<str>, T)>,
) -> Vec<(Arc<str>, Vec<T>)> {
    let mut topics = std::collections::BTreeMap::<Arc<str>, Vec<T>>::new();
    for (topic, item) in items {
        topics.entry(topic).or_default().push(item);
    }
    topics.into_iter().collect()
}

/// Offsets by time, from the leader of all these partitions.
pub(crate) async fn list_offsets(
    cluster: &Cluster,
    node: i32,
    wanted: &[(TopicPartition, i64)],
    isolation: IsolationLevel,
) -> Result<Vec<(TopicPartition, Result<Listed, ErrorCode>)>, RequestError> {
    let connection = cluster.node(node, Lane::Main).await?;
    let version = connection.version::<ListOffsetsRequest>()?;
    let timeout = cluster.config().request_timeout;
    let topics = by_topic(wanted.iter().map(|(partition, timestamp)| {
        let (partition_index, timestamp) = (partition.partition, *timestamp);
        let asked = ListOffsetsPartition {
            partition_index,
            timestamp,
            current_leader_epoch: -1,
        };
        (partition.topic.clone(), asked)
    }));
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: if version >= WITH_ISOLATION {
            isolation.code()
        } else {
            0
        },
        topics: topics
            .into_iter()
            .map(|(name, partitions)| ListOffsetsTopic {
                name: (*name).into(),
                partitions,
            })
            .collect(),
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
    };
    let response = connection.start(version, &request, timeout).await?.await?;
    let answers = wanted.iter().map(|(partition, _)| {
        let topic = response
            .topics
            .iter()
            .find(|topic| *topic.name == *partition.topic);
        let answer = topic.and_then(|topic| {
            topic
                .partitions
                .iter()
                .find(|p| p.partition_index == partition.partition)
        });
        let listed = match answer {
            Some(answer) => ErrorCode::check(answer.error_code).map(|()| Listed {
                offset: answer.offset,
                timestamp: answer.timestamp,
                leader_epoch: answer.leader_epoch,
            }),
            None => Err(ErrorCode::UnknownTopicOrPartition),
        };
        (partition.clone(), listed)
    });
    Ok(answers.collect())
}

/// What the group committed for these partitions, or for all of which there is something; asked
/// as `member` by one of a group whose coordinator checks epochs.
pub(crate) async fn committed(
    coordinator: &Coordinator,
    partitions: Option<&[TopicPartition]>,
    isolation: IsolationLevel,
    member: Option<&Committer>,
) -> Result<Vec<Committed>, Failure> {
    let timeout = coordinator.timeout();
    let topics = partitions.map(|all| by_topic(all.iter().map(|p| (p.topic.clone(), p.partition))));
    let group = coordinator.group().clone();
    let response: OffsetFetchResponse = coordinator
        .call(Lane::Group, timeout, |version| {
            let mut request = OffsetFetchRequest {
                require_stable: version >= WITH_STABLE
                    && isolation == IsolationLevel::ReadCommitted,
                ..Default::default()
            };
            if version >= SEVERAL_GROUPS {
                let topics = topics.map(|topics| {
                    let topics = topics.into_iter().map(|(name, partition_indexes)| {
                        OffsetFetchRequestTopics {
                            name: (*name).into(),
                            partition_indexes,
                            ..Default::default()
                        }
                    });
                    topics.collect()
                });
                let group_id = (*group).into();
                let member = member.filter(|_| version >= WITH_MEMBER);
                request.groups = vec![OffsetFetchRequestGroup {
                    group_id,
                    topics,
                    member_id: member.map(|member| (*member.member_id).into()),
                    member_epoch: member.map_or(-1, |member| member.generation),
                }];
            } else {
                request.group_id = (*group).into();
                request.topics = topics.map(|topics| {
                    let topics = topics.into_iter().map(|(name, partition_indexes)| {
                        OffsetFetchRequestTopic {
                            name: (*name).into(),
                            partition_indexes,
                        }
                    });
                    topics.collect()
                });
            }
            request
        })
        .await?;
    let answer = read_committed(&response);
    if let Err(Failure::Code(code)) = &answer {
        coordinator.observe(*code);
    }
    answer
}

/// A leader epoch, where the coordinator knows one.
fn known_epoch(epoch: i32) -> Option<i32> {
    (epoch >= 0).then_some(epoch)
}

fn read_committed(response: &OffsetFetchResponse) -> Result<Vec<Committed>, Failure> {
    ErrorCode::check(response.error_code).map_err(Failure::Code)?;
    let mut committed = Vec::new();
    for topic in &response.topics {
        let name: Arc<str> = (*topic.name).into();
        committed.extend(topic.partitions.iter().map(|p| Committed {
            partition: TopicPartition::new(name.clone(), p.partition_index),
            offset: p.committed_offset,
            leader_epoch: known_epoch(p.committed_leader_epoch),
            metadata: p.metadata.as_ref().map(ToString::to_string),
            code: ErrorCode::from_code(p.error_code),
        }));
    }
    for group in &response.groups {
        ErrorCode::check(group.error_code).map_err(Failure::Code)?;
        for topic in &group.topics {
            let name: Arc<str> = (*topic.name).into();
            committed.extend(topic.partitions.iter().map(|p| Committed {
                partition: TopicPartition::new(name.clone(), p.partition_index),
                offset: p.committed_offset,
                leader_epoch: known_epoch(p.committed_leader_epoch),
                metadata: p.metadata.as_ref().map(ToString::to_string),
                code: ErrorCode::from_code(p.error_code),
            }));
        }
    }
    Ok(committed)
}

/// Commits offsets; one result per partition.
pub(crate) async fn commit(
    coordinator: &Coordinator,
    committer: &Committer,
    offsets: &[(TopicPartition, OffsetAndMetadata)],
    timeout: std::time::Duration,
) -> Result<Vec<(TopicPartition, ErrorCode)>, Failure> {
    let topics = by_topic(offsets.iter().map(|(partition, offset)| {
        let committed = OffsetCommitRequestPartition {
            partition_index: partition.partition,
            committed_offset: offset.offset,
            committed_leader_epoch: offset.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(offset.metadata.as_str().into()),
        };
        (partition.topic.clone(), committed)
    }));
    let response = coordinator
        .call(Lane::Group, timeout, |version| OffsetCommitRequest {
            group_id: (**coordinator.group()).into(),
            generation_id_or_member_epoch: committer.generation,
            member_id: (*committer.member_id).into(),
            group_instance_id: committer
                .instance_id
                .as_ref()
                .filter(|_| version >= 7)
                .map(|id| (**id).into()),
            topics: topics
                .into_iter()
                .map(|(name, partitions)| OffsetCommitRequestTopic {
                    name: (*name).into(),
                    partitions,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
        .await?;
    let mut results = Vec::with_capacity(offsets.len());
    for topic in &response.topics {
        let name: Arc<str> = (*topic.name).into();
        for partition in &topic.partitions {
            let code = ErrorCode::from_code(partition.error_code);
            coordinator.observe(code);
            results.push((
                TopicPartition::new(name.clone(), partition.partition_index),
                code,
            ));
        }
    }
    Ok(results)
}
