//! Topics: making, deleting, listing, describing.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use logway_protocol::message::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use logway_protocol::message::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseTopic,
};
use logway_protocol::uuid::Uuid;

use super::{Admin, Results, check};
use crate::coordinator::Failure;
use crate::error::AdminError;

/// First version of DeleteTopics with structured topics.
const DELETE_BY_STATE: i16 = 6;
/// First version of Metadata that can be told not to create topics.
const WITH_AUTO_CREATE: i16 = 4;

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; -1 leaves it to the broker.
    pub partitions: i32,
    /// Replicas per partition; -1 leaves it to the broker.
    pub replication_factor: i16,
    /// Settings that differ from the broker's (`retention.ms`).
    pub configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        let (partitions, replication_factor) = (-1, -1);
        Self {
            name: name.into(),
            partitions,
            replication_factor,
            configs: Vec::new(),
        }
    }
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero where the broker knows none.
    pub id: Uuid,
    /// Whether it is the cluster's own.
    pub internal: bool,
    /// Number of partitions.
    pub partitions: usize,
}

/// A topic with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero where the broker knows none.
    pub id: Uuid,
    /// Whether it is the cluster's own.
    pub internal: bool,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition and who keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// Node id of its leader; nothing while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 where the broker does not say.
    pub leader_epoch: i32,
    /// Node ids of all replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the in-sync set.
    pub isr: Vec<i32>,
    /// Node ids of replicas that are away.
    pub offline: Vec<i32>,
}

impl Admin {
    /// Makes topics.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let wanted: Vec<_> = topics.iter().map(creatable).collect();
        let response = self
            .retry("create topics", "", || async {
                let connection = self.controller().await?;
                let response = self
                    .call(&connection, |_| CreateTopicsRequest {
                        topics: wanted.clone(),
                        timeout_ms: self.timeout_ms(),
                        validate_only: false,
                    })
                    .await?;
                not_controller(response.topics.iter().map(|topic| topic.error_code))?;
                Ok(response)
            })
            .await?;
        Ok(topics
            .iter()
            .map(|topic| {
                let what = ("create topic", topic.name.as_str());
                let answer = response
                    .topics
                    .iter()
                    .find(|answer| *answer.name == *topic.name);
                let result = match answer {
                    Some(answer) => check(what, answer.error_code, answer.error_message.as_deref()),
                    None => Err(super::rejected(what, ErrorCode::UnknownServerError, None)),
                };
                (topic.name.as_str().into(), result)
            })
            .collect())
    }

    /// Makes a topic.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub async fn create_topic(&self, topic: NewTopic) -> Result<(), AdminError> {
        let mut results = self.create_topics(&[topic]).await?;
        results.pop().map_or(Ok(()), |(_, result)| result)
    }

    /// Deletes topics.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn delete_topics(
        &self,
        topics: &[&str],
    ) -> Result<Results<Arc<str>, ()>, AdminError> {
        let response = self
            .retry("delete topics", "", || async {
                let connection = self.controller().await?;
                let response = self
                    .call(&connection, |version| {
                        let mut request = DeleteTopicsRequest {
                            timeout_ms: self.timeout_ms(),
                            ..Default::default()
                        };
                        if version >= DELETE_BY_STATE {
                            let named = |name: &&str| DeleteTopicState {
                                name: Some((*name).into()),
                                topic_id: Uuid::ZERO,
                            };
                            request.topics = topics.iter().map(named).collect();
                        } else {
                            request.topic_names = topics.iter().map(|t| (*t).into()).collect();
                        }
                        request
                    })
                    .await?;
                not_controller(response.responses.iter().map(|topic| topic.error_code))?;
                Ok(response)
            })
            .await?;
        Ok(topics
            .iter()
            .map(|topic| {
                let what = ("delete topic", *topic);
                let mut answers = response.responses.iter();
                let result = match answers.find(|a| a.name.as_deref() == Some(*topic)) {
                    Some(answer) => check(what, answer.error_code, answer.error_message.as_deref()),
                    None => Err(super::rejected(what, ErrorCode::UnknownServerError, None)),
                };
                ((*topic).into(), result)
            })
            .collect())
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// The cluster refuses or does not answer.
    pub async fn delete_topic(&self, topic: &str) -> Result<(), AdminError> {
        let mut results = self.delete_topics(&[topic]).await?;
        results.pop().map_or(Ok(()), |(_, result)| result)
    }

    /// All topics, by name.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, AdminError> {
        let response = self.ask_metadata("list topics", None).await?;
        let mut topics: Vec<_> = response
            .topics
            .iter()
            .filter(|topic| topic.error_code == ErrorCode::None.code())
            .filter_map(|topic| {
                Some(TopicListing {
                    name: topic.name.as_deref()?.into(),
                    id: topic.topic_id,
                    internal: topic.is_internal,
                    partitions: topic.partitions.len(),
                })
            })
            .collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics with their partitions.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn describe_topics(
        &self,
        topics: &[&str],
    ) -> Result<Results<Arc<str>, TopicDescription>, AdminError> {
        let response = self.ask_metadata("describe topics", Some(topics)).await?;
        Ok(topics
            .iter()
            .map(|name| {
                let what = ("describe topic", *name);
                let mut answers = response.topics.iter();
                let result = match answers.find(|a| a.name.as_deref() == Some(*name)) {
                    Some(topic) => {
                        check(what, topic.error_code, None).map(|()| describe(name, topic))
                    }
                    None => Err(super::rejected(
                        what,
                        ErrorCode::UnknownTopicOrPartition,
                        None,
                    )),
                };
                ((*name).into(), result)
            })
            .collect())
    }

    /// The number of partitions of a topic; waits for one that was made just now.
    ///
    /// # Errors
    /// There is no such topic, or no broker answers.
    pub async fn partitions(&self, topic: &str) -> Result<usize, AdminError> {
        self.retry("describe topic", topic, || async {
            let response = self.metadata_once(Some(&[topic])).await?;
            let topic = response.topics.first();
            let code = topic.map_or(ErrorCode::UnknownServerError.code(), |t| t.error_code);
            match ErrorCode::check(code) {
                Ok(()) => Ok(topic.map_or(0, |topic| topic.partitions.len())),
                Err(code) => Err(Failure::Code(code)),
            }
        })
        .await
    }

    async fn ask_metadata(
        &self,
        operation: &'static str,
        topics: Option<&[&str]>,
    ) -> Result<MetadataResponse, AdminError> {
        self.retry(operation, "", || self.metadata_once(topics))
            .await
    }

    async fn metadata_once(&self, topics: Option<&[&str]>) -> Result<MetadataResponse, Failure> {
        let connection = self.cluster.any().await?;
        let named = |name: &&str| MetadataRequestTopic {
            name: Some((*name).into()),
            ..Default::default()
        };
        let response = self
            .call(&connection, |version| MetadataRequest {
                topics: topics.map(|topics| topics.iter().map(named).collect()),
                allow_auto_topic_creation: version < WITH_AUTO_CREATE,
                ..Default::default()
            })
            .await?;
        ErrorCode::check(response.error_code).map_err(Failure::Code)?;
        Ok(response)
    }
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    CreatableTopic {
        name: topic.name.as_str().into(),
        num_partitions: topic.partitions,
        replication_factor: topic.replication_factor,
        configs: topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig {
                name: name.as_str().into(),
                value: Some(value.as_str().into()),
            })
            .collect(),
        ..Default::default()
    }
}

fn describe(name: &str, topic: &MetadataResponseTopic) -> TopicDescription {
    let mut partitions: Vec<_> = topic
        .partitions
        .iter()
        .map(|partition| PartitionDescription {
            partition: partition.partition_index,
            leader: (partition.leader_id >= 0).then_some(partition.leader_id),
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.clone(),
            isr: partition.isr_nodes.clone(),
            offline: partition.offline_replicas.clone(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.partition);
    let (id, internal) = (topic.topic_id, topic.is_internal);
    TopicDescription {
        name: name.into(),
        id,
        internal,
        partitions,
    }
}

/// Fails if the broker asked is not the controller (any more).
fn not_controller(mut codes: impl Iterator<Item = i16>) -> Result<(), Failure> {
    if codes.any(|code| code == ErrorCode::NotController.code()) {
        return Err(Failure::Code(ErrorCode::NotController));
    }
    Ok(())
}
