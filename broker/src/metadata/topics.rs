//! Creates, changes and deletes topics: asks for ids, plans on the newest image, and waits for the log.
//! Invariant: two requests for one name never both succeed; the plan runs where changes are ordered.
//! Step 7 of the hallway.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use logway_protocol::Uuid;
use thiserror::Error;

use super::alter::{self, AlterError, ConfigChange};
use super::growth::{self, GrowthError, NewPartitions};
use super::image::Image;
use super::in_force::InForce;
use super::plan::{self, CreateTopicError, NewTopic, Placement};
use super::store::{Metadata, MetadataError, Submitted};
use super::topic_name::{OFFSETS_TOPIC, TRANSACTION_TOPIC};
use crate::random;

/// Size of the segments of internal topics (Kafka's `offsets.topic.segment.bytes`).
pub(crate) const INTERNAL_SEGMENT_BYTES: &str = "104857600";

/// A topic that was created, or would be.
#[derive(Clone, Debug)]
pub(crate) struct CreatedTopic {
    pub(crate) id: Uuid,
    pub(crate) partitions: i32,
    pub(crate) replication: i16,
    pub(crate) configs: BTreeMap<String, String>,
}

/// Why a topic was not created.
#[derive(Debug, Error)]
pub(crate) enum TopicError {
    #[error(transparent)]
    Refused(#[from] CreateTopicError),
    #[error("draw a topic id: {0}")]
    Random(#[source] io::Error),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Why a topic was not deleted.
#[derive(Debug, Error)]
pub(crate) enum DeleteTopicError {
    #[error("topic does not exist")]
    Unknown,
    #[error(transparent)]
    Metadata(#[from] MetadataError),
}

/// Changes the set of topics.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    metadata: Arc<Metadata>,
    settings: Arc<Settings>,
    placement: Placement,
}

impl Topics {
    pub(crate) fn new(metadata: Arc<Metadata>, settings: Arc<Settings>) -> Topics {
        let placement = Placement {
            broker: settings.node_id,
            partitions_default: settings.num_partitions,
        };
        Topics {
            metadata,
            settings,
            placement,
        }
    }

    /// Creates topics in this order, or with `validate_only` says whether they could be. They share
    /// syncs: a hundred topics do not take a hundred times as long as one.
    pub(crate) async fn create(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Vec<Result<CreatedTopic, TopicError>> {
        let mut submitted = Vec::with_capacity(topics.len());
        for topic in topics {
            submitted.push(self.submit_creation(topic, validate_only).await);
        }
        let mut outcomes = Vec::with_capacity(submitted.len());
        for creation in submitted {
            outcomes.push(match creation {
                Ok(creation) => match creation.outcome().await {
                    Ok(planned) => planned.map_err(TopicError::Refused),
                    Err(error) => Err(error.into()),
                },
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    async fn submit_creation(
        &self,
        topic: NewTopic,
        validate_only: bool,
    ) -> Result<Submitted<Result<CreatedTopic, CreateTopicError>>, TopicError> {
        let id = random::uuid().map_err(TopicError::Random)?;
        let (placement, settings) = (self.placement.clone(), Arc::clone(&self.settings));
        let placed = move |image: &Image| {
            let in_force = InForce::of(&settings, image);
            plan::create_topic(image, (&placement, &in_force), &topic, id)
        };
        let plan = move |image: &Image| match placed(image) {
            Ok(planned) => {
                let records = if validate_only {
                    Vec::new()
                } else {
                    planned.records
                };
                let created = CreatedTopic {
                    id,
                    partitions: planned.partitions,
                    replication: planned.replication,
                    configs: planned.configs,
                };
                (records, Ok(created))
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        Ok(self.metadata.submit(plan).await?)
    }

    /// Creates the topic if it is missing, as a client's first use of it does.
    pub(crate) async fn create_on_use(&self, name: &str) -> Result<(), TopicError> {
        let topic = if name == OFFSETS_TOPIC {
            let partitions = self.settings.offsets_topic_num_partitions;
            coordinators_topic(name, partitions, "producer")
        } else if name == TRANSACTION_TOPIC {
            let partitions = self.settings.transaction_state_log_num_partitions;
            coordinators_topic(name, partitions, "uncompressed")
        } else {
            NewTopic {
                name: name.to_owned(),
                partitions: -1,
                replication: -1,
                ..NewTopic::default()
            }
        };
        match self.create(vec![topic], false).await.pop() {
            None | Some(Ok(_) | Err(TopicError::Refused(CreateTopicError::Exists(_)))) => Ok(()),
            Some(Err(error)) => Err(error),
        }
    }

    /// Changes settings of resources, or with `validate_only` says whether they could be; a verdict for
    /// each. Answered when the partitions work by the new ones.
    pub(crate) async fn alter(
        &self,
        changes: Vec<ConfigChange>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), AlterError>>, MetadataError> {
        let settings = Arc::clone(&self.settings);
        let plan = move |image: &Image| {
            let mut records = Vec::new();
            let mut verdict = |change: &ConfigChange| {
                let planned = alter::alter(image, &settings, change)?;
                records.extend(planned);
                Ok(())
            };
            let verdicts = changes.iter().map(&mut verdict).collect();
            if validate_only {
                records.clear();
            }
            (records, verdicts)
        };
        self.metadata.propose(plan).await
    }

    /// Gives topics more partitions, or with `validate_only` says whether they could be given; a
    /// verdict for each. Answered when the new partitions take records.
    pub(crate) async fn grow(
        &self,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), GrowthError>>, MetadataError> {
        let placement = self.placement.clone();
        let plan = move |image: &Image| {
            let mut records = Vec::new();
            let mut verdict = |asked: &NewPartitions| {
                records.extend(growth::grow(image, &placement, asked)?);
                Ok(())
            };
            let verdicts = topics.iter().map(&mut verdict).collect();
            if validate_only {
                records.clear();
            }
            (records, verdicts)
        };
        self.metadata.propose(plan).await
    }

    /// Deletes the topics with these ids, all at once.
    pub(crate) async fn delete(&self, ids: Vec<Uuid>) -> Vec<Result<(), DeleteTopicError>> {
        let count = ids.len();
        let deleted = self.metadata.propose(move |image| {
            let (mut records, mut outcomes) = (Vec::new(), Vec::with_capacity(ids.len()));
            let mut seen = HashSet::new();
            for id in ids {
                let found = image.topic_by_id(&id).is_some() && seen.insert(id);
                records.extend(found.then(|| plan::delete_topic(id)));
                outcomes.push(found.then_some(()).ok_or(DeleteTopicError::Unknown));
            }
            (records, outcomes)
        });
        match deleted.await {
            Ok(outcomes) => outcomes,
            Err(error) => (0..count).map(|_| Err(error.into())).collect(),
        }
    }
}

/// A topic that only a coordinator writes.
fn coordinators_topic(name: &str, partitions: i32, compression: &str) -> NewTopic {
    let config = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    NewTopic {
        name: name.to_owned(),
        partitions,
        replication: -1,
        assignments: Vec::new(),
        configs: vec![
            config("cleanup.policy", "compact"),
            config("compression.type", compression),
            config("segment.bytes", INTERNAL_SEGMENT_BYTES),
        ],
    }
}
