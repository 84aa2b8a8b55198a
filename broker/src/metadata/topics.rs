//! Creates and deletes topics: asks for ids, plans on the newest image, and waits for the log.
//! Invariant: two requests for one name never both succeed; the plan runs where changes are ordered.
//! Step 7 of the hallway.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use logway_protocol::Uuid;
use thiserror::Error;

use super::plan::{self, CreateTopicError, NewTopic, Placement};
use super::store::{Metadata, MetadataError};
use super::topic_name::OFFSETS_TOPIC;
use crate::random;

/// Size of the segments of internal topics (Kafka's `offsets.topic.segment.bytes`).
const INTERNAL_SEGMENT_BYTES: &str = "104857600";

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

    /// Creates a topic, or with `validate_only` says whether it could be.
    pub(crate) async fn create(
        &self,
        topic: NewTopic,
        validate_only: bool,
    ) -> Result<CreatedTopic, TopicError> {
        let id = random::uuid().map_err(TopicError::Random)?;
        let placement = self.placement.clone();
        let planned = self
            .metadata
            .propose(
                move |image| match plan::create_topic(image, &placement, &topic, id) {
                    Ok(planned) => {
                        let records = if validate_only {
                            Vec::new()
                        } else {
                            planned.records
                        };
                        let created = CreatedTopic {
                            id: if validate_only { Uuid::ZERO } else { id },
                            partitions: planned.partitions,
                            replication: planned.replication,
                            configs: planned.configs,
                        };
                        (records, Ok(created))
                    }
                    Err(error) => (Vec::new(), Err(error)),
                },
            )
            .await?;
        Ok(planned?)
    }

    /// Creates the topic if it is missing, as a client's first use of it does.
    pub(crate) async fn create_on_use(&self, name: &str) -> Result<(), TopicError> {
        let topic = if name == OFFSETS_TOPIC {
            self.offsets_topic()
        } else {
            NewTopic {
                name: name.to_owned(),
                partitions: -1,
                replication: -1,
                ..NewTopic::default()
            }
        };
        match self.create(topic, false).await {
            Ok(_) | Err(TopicError::Refused(CreateTopicError::Exists(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn offsets_topic(&self) -> NewTopic {
        let config = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        NewTopic {
            name: OFFSETS_TOPIC.to_owned(),
            partitions: self.settings.offsets_topic_num_partitions,
            replication: -1,
            assignments: Vec::new(),
            configs: vec![
                config("cleanup.policy", "compact"),
                config("compression.type", "producer"),
                config("segment.bytes", INTERNAL_SEGMENT_BYTES),
            ],
        }
    }

    /// Deletes the topic with that id.
    pub(crate) async fn delete(&self, id: Uuid) -> Result<(), DeleteTopicError> {
        let found = self
            .metadata
            .propose(move |image| match image.topic_by_id(&id) {
                Some(_) => (vec![plan::delete_topic(id)], true),
                None => (Vec::new(), false),
            })
            .await?;
        if found {
            Ok(())
        } else {
            Err(DeleteTopicError::Unknown)
        }
    }
}
