//! Decides what a change of topics means as metadata records. Invariant: pure; a plan looks at one
//! image and either refuses with Kafka's text or returns all records of the change, in order.
//! Step 7 of the hallway.

use std::collections::BTreeMap;

use logway_protocol::message::record::cluster::{
    ConfigRecord, PartitionRecord, RemoveTopicRecord, TopicRecord,
};
use logway_protocol::{Text, Uuid};
use thiserror::Error;

use super::image::{Image, RESOURCE_TOPIC};
use super::in_force::InForce;
use super::record::MetadataRecord;
use super::topic_config::{self, SettingError};
use super::topic_name::{self, TopicNameError};

/// Most partitions one topic may have here; each is a folder (Kafka: no limit, here everything has one).
pub(super) const PARTITIONS_MAX: i32 = 100_000;

/// A topic as a client asks for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewTopic {
    pub(crate) name: String,
    /// -1: the broker's default.
    pub(crate) partitions: i32,
    /// -1: the broker's default.
    pub(crate) replication: i16,
    /// Partition index and its brokers; empty: the broker places the replicas.
    pub(crate) assignments: Vec<(i32, Vec<i32>)>,
    pub(crate) configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// How many partitions it would have, given the broker's default.
    pub(crate) fn count(&self, default: i32) -> usize {
        let asked = match self.partitions {
            -1 => default,
            count => count,
        };
        match self.assignments.len() {
            0 => usize::try_from(asked).unwrap_or(0),
            count => count,
        }
    }
}

/// What the cluster is when topics are placed.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) broker: i32,
    pub(crate) partitions_default: i32,
}

/// Why a topic is not created; the texts are Kafka's, tools show them.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CreateTopicError {
    #[error("Topic '{0}' already exists.")]
    Exists(String),
    #[error("{0}")]
    Name(#[from] TopicNameError),
    #[error("Topic '{name}' collides with existing topic: {existing}")]
    Collision { name: String, existing: String },
    #[error("Creation of internal topic {0} is prohibited.")]
    Reserved(String),
    #[error("Number of partitions was set to an invalid non-positive value.")]
    PartitionsNotPositive,
    #[error("Number of partitions {0} is larger than the limit of {PARTITIONS_MAX}.")]
    TooManyPartitions(i32),
    #[error("Replication factor must be larger than 0, or -1 to use the default value.")]
    ReplicationNotPositive,
    #[error(
        "Unable to replicate the partition {0} time(s): The target replication factor of {0} cannot be reached because only 1 broker(s) are registered or some brokers have all their log directories cordoned."
    )]
    ReplicationTooHigh(i16),
    #[error(
        "A manual partition assignment was specified, but replication factor was not set to -1."
    )]
    AssignmentWithReplication,
    #[error("A manual partition assignment was specified, but numPartitions was not set to -1.")]
    AssignmentWithPartitions,
    #[error("{0}")]
    Assignment(String),
    #[error("{0}")]
    Setting(#[from] SettingError),
}

/// A topic that may be created, and the records that create it.
#[derive(Clone, Debug)]
pub(crate) struct PlannedTopic {
    pub(crate) partitions: i32,
    pub(crate) replication: i16,
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) records: Vec<MetadataRecord>,
}

/// Plans the creation of one topic under the id given.
pub(crate) fn create_topic(
    image: &Image,
    (placement, in_force): (&Placement, &InForce),
    topic: &NewTopic,
    id: Uuid,
) -> Result<PlannedTopic, CreateTopicError> {
    check_name(image, &topic.name)?;
    let replicas = place(placement, topic)?;
    let mut configs = BTreeMap::new();
    for (name, value) in &topic.configs {
        let value = value.as_deref();
        let value = value.ok_or_else(|| SettingError::Null(name.clone()))?;
        configs.insert(name.clone(), topic_config::canonical(name, value));
    }
    topic_config::check_all(&configs, in_force)?;
    let name = Text::from(topic.name.as_str());
    let mut records = Vec::with_capacity(1 + configs.len() + replicas.len());
    records.push(MetadataRecord::Topic(TopicRecord {
        name: name.clone(),
        topic_id: id,
    }));
    for (key, value) in &configs {
        records.push(MetadataRecord::Config(ConfigRecord {
            resource_type: RESOURCE_TOPIC,
            resource_name: name.clone(),
            name: Text::from(key),
            value: Some(Text::from(value)),
        }));
    }
    for (index, brokers) in (0..).zip(&replicas) {
        records.push(MetadataRecord::Partition(partition_record(
            id, index, brokers,
        )));
    }
    Ok(PlannedTopic {
        partitions: i32::try_from(replicas.len()).unwrap_or(i32::MAX),
        replication: replicas.first().map_or(0, |brokers| {
            i16::try_from(brokers.len()).unwrap_or(i16::MAX)
        }),
        configs,
        records,
    })
}

/// The record that ends a topic.
pub(crate) fn delete_topic(id: Uuid) -> MetadataRecord {
    MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id: id })
}

pub(super) fn partition_record(
    topic_id: Uuid,
    partition_id: i32,
    brokers: &[i32],
) -> PartitionRecord {
    PartitionRecord {
        partition_id,
        topic_id,
        replicas: brokers.to_vec(),
        isr: brokers.to_vec(),
        leader: brokers.first().copied().unwrap_or(-1),
        leader_epoch: 0,
        partition_epoch: 0,
        ..PartitionRecord::default()
    }
}

fn check_name(image: &Image, name: &str) -> Result<(), CreateTopicError> {
    topic_name::check(name)?;
    if name == topic_name::METADATA_TOPIC {
        return Err(CreateTopicError::Reserved(name.to_owned()));
    }
    if image.topic(name).is_some() {
        return Err(CreateTopicError::Exists(name.to_owned()));
    }
    if name.contains(['.', '_'])
        && let Some(other) = image
            .topics()
            .find(|topic| topic_name::collides(&topic.name, name))
    {
        let existing = other.name.to_string();
        return Err(CreateTopicError::Collision {
            name: name.to_owned(),
            existing,
        });
    }
    Ok(())
}

/// The brokers of each partition.
fn place(placement: &Placement, topic: &NewTopic) -> Result<Vec<Vec<i32>>, CreateTopicError> {
    if !topic.assignments.is_empty() {
        return place_as_told(placement, topic);
    }
    match topic.replication {
        -1 | 1 => {}
        other if other <= 0 => return Err(CreateTopicError::ReplicationNotPositive),
        other => return Err(CreateTopicError::ReplicationTooHigh(other)),
    }
    let count = if topic.partitions == -1 {
        placement.partitions_default
    } else {
        topic.partitions
    };
    if count <= 0 {
        return Err(CreateTopicError::PartitionsNotPositive);
    }
    if count > PARTITIONS_MAX {
        return Err(CreateTopicError::TooManyPartitions(count));
    }
    Ok((0..count).map(|_| vec![placement.broker]).collect())
}

fn place_as_told(
    placement: &Placement,
    topic: &NewTopic,
) -> Result<Vec<Vec<i32>>, CreateTopicError> {
    if topic.replication != -1 {
        return Err(CreateTopicError::AssignmentWithReplication);
    }
    if topic.partitions != -1 {
        return Err(CreateTopicError::AssignmentWithPartitions);
    }
    let refuse = |text: String| Err(CreateTopicError::Assignment(text));
    let mut by_index = BTreeMap::new();
    for (index, brokers) in &topic.assignments {
        if by_index.insert(*index, brokers).is_some() {
            return refuse(format!(
                "Found multiple manual partition assignments for partition {index}"
            ));
        }
        check_assignment(placement, brokers).map_err(CreateTopicError::Assignment)?;
    }
    if by_index
        .keys()
        .zip(0..)
        .any(|(index, expected)| *index != expected)
    {
        return refuse("partitions should be a consecutive 0-based integer sequence".into());
    }
    Ok(by_index.into_values().cloned().collect())
}

/// Whether a partition may lie on these brokers; the text is Kafka's.
pub(super) fn check_assignment(placement: &Placement, brokers: &[i32]) -> Result<(), String> {
    if brokers.is_empty() {
        return Err("The manual partition assignment includes an empty replica list.".into());
    }
    let mut sorted = brokers.to_vec();
    sorted.sort_unstable();
    let mut before = None;
    for broker in sorted {
        if broker != placement.broker {
            return Err(format!(
                "The manual partition assignment includes broker {broker}, but no such broker is registered."
            ));
        }
        if before == Some(broker) {
            return Err(format!(
                "The manual partition assignment includes the broker {broker} more than once."
            ));
        }
        before = Some(broker);
    }
    Ok(())
}
