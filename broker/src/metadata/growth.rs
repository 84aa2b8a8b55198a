//! Decides what more partitions, or other replicas, mean as metadata records. Invariant: pure; the
//! numbers of partitions that a topic has had never change, new ones follow them. Step 7 of the hallway.
//!
//! One node holds every replica: a partition can only stay where it is, and everything else is refused
//! in Kafka's words.

use thiserror::Error;

use super::image::Image;
use super::plan::{self, PARTITIONS_MAX, Placement};
use super::record::MetadataRecord;

/// How many partitions a topic is to have.
#[derive(Clone, Debug)]
pub(crate) struct NewPartitions {
    pub(crate) topic: String,
    /// All of them, those that are there included.
    pub(crate) count: i32,
    /// Brokers of each new one; none: the broker places them.
    pub(crate) assignments: Option<Vec<Vec<i32>>>,
}

/// Why a topic gets no more partitions; the texts are Kafka's.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum GrowthError {
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    #[error("Topic already has {0} partition(s).")]
    SameCount(i32),
    #[error(
        "The topic {topic} currently has {present} partition(s); {asked} would not be an increase."
    )]
    Fewer {
        topic: String,
        present: i32,
        asked: i32,
    },
    #[error("Number of partitions {0} is larger than the limit of {PARTITIONS_MAX}.")]
    TooMany(i32),
    #[error(
        "Attempted to add {added} additional partition(s), but only {assigned} assignment(s) were specified."
    )]
    AssignmentCount { added: i32, assigned: usize },
    #[error("{0}")]
    Assignment(String),
}

/// Plans more partitions for one topic.
pub(super) fn grow(
    image: &Image,
    placement: &Placement,
    asked: &NewPartitions,
) -> Result<Vec<MetadataRecord>, GrowthError> {
    let topic = image.topic(&asked.topic).ok_or(GrowthError::UnknownTopic)?;
    let present = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    if asked.count == present {
        return Err(GrowthError::SameCount(present));
    }
    if asked.count < present {
        return Err(GrowthError::Fewer {
            topic: asked.topic.clone(),
            present,
            asked: asked.count,
        });
    }
    if asked.count > PARTITIONS_MAX {
        return Err(GrowthError::TooMany(asked.count));
    }
    let added = asked.count - present;
    let replicas = match &asked.assignments {
        None => (0..added).map(|_| vec![placement.broker]).collect(),
        Some(assignments) => {
            if usize::try_from(added) != Ok(assignments.len()) {
                let assigned = assignments.len();
                return Err(GrowthError::AssignmentCount { added, assigned });
            }
            let checked = assignments.iter().try_for_each(|brokers| {
                plan::check_assignment(placement, brokers).map_err(GrowthError::Assignment)
            });
            checked.map(|()| assignments.clone())?
        }
    };
    let records = (present..).zip(&replicas).map(|(index, brokers)| {
        MetadataRecord::Partition(plan::partition_record(topic.id, index, brokers))
    });
    Ok(records.collect())
}

/// Where a partition is to lie.
#[derive(Clone, Debug)]
pub(crate) struct Reassignment<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// None ends a move under way.
    pub(crate) replicas: Option<&'a [i32]>,
}

/// Why a partition is not moved; the texts are Kafka's.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ReassignmentError {
    #[error("Unable to find a topic named {0}.")]
    UnknownTopic(String),
    #[error("Unable to find partition {topic}:{partition}.")]
    UnknownPartition { topic: String, partition: i32 },
    #[error("No partition reassignment is in progress.")]
    NoneInProgress,
    #[error("{0}")]
    Assignment(String),
}

/// Whether a partition may be moved there. Where it may, it lies there already: on this node.
pub(crate) fn reassign(
    image: &Image,
    node: i32,
    asked: &Reassignment<'_>,
) -> Result<(), ReassignmentError> {
    let topic = image.topic(asked.topic);
    let topic = topic.ok_or_else(|| ReassignmentError::UnknownTopic(asked.topic.to_owned()))?;
    let index = usize::try_from(asked.partition).ok();
    if index.is_none_or(|index| index >= topic.partitions.len()) {
        return Err(ReassignmentError::UnknownPartition {
            topic: asked.topic.to_owned(),
            partition: asked.partition,
        });
    }
    let placement = Placement {
        broker: node,
        partitions_default: 1,
    };
    match asked.replicas {
        None => Err(ReassignmentError::NoneInProgress),
        Some(replicas) => {
            plan::check_assignment(&placement, replicas).map_err(ReassignmentError::Assignment)
        }
    }
}
