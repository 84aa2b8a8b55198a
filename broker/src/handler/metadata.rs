//! Metadata 0-13: brokers, topics and leaders, by name, by id (from 10) or all. A missing topic is
//! created when client and broker allow it. Deviation from Kafka: the answer waits for the creation
//! and already holds the new topic, where Kafka says UNKNOWN_TOPIC_OR_PARTITION first.

use std::sync::Arc;

use logway_protocol::message::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use super::Header;
use super::describe_cluster::CLUSTER_OPERATIONS;
use super::error::{Code, of_availability};
use crate::context::Context;
use crate::metadata::{Image, Topic};

/// What everybody may do with a topic without an authorizer: read, write, create, delete, alter,
/// describe, describe and alter configs.
pub(super) const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;

/// Answers the cluster and the topics asked for.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: MetadataRequest,
) -> MetadataResponse {
    let with_operations = request.include_topic_authorized_operations;
    let topics = match &request.topics {
        None => all_topics(context, with_operations),
        Some(topics) if topics.is_empty() && header.version == 0 => {
            all_topics(context, with_operations)
        }
        Some(topics) => {
            if request.allow_auto_topic_creation && context.settings.auto_create_topics_enable {
                create_missing(context, topics).await;
            }
            let image = context.metadata.image();
            let one = |topic| one_topic(context, &image, (topic, header.version), with_operations);
            topics.iter().map(one).collect()
        }
    };
    let node_id = context.settings.node_id;
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id,
            host: Text::from(&context.endpoint.host),
            port: i32::from(context.endpoint.port),
            rack: None,
        }],
        cluster_id: Some(Text::from(&*context.cluster_id)),
        controller_id: node_id,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            i32::MIN
        },
        ..MetadataResponse::default()
    }
}

async fn create_missing(context: &Arc<Context>, topics: &[MetadataRequestTopic]) {
    for topic in topics {
        let Some(name) = topic.name.as_deref().filter(|_| topic.topic_id.is_zero()) else {
            continue;
        };
        if context.metadata.image().topic(name).is_none()
            && let Err(error) = context.topics.create_on_use(name).await
        {
            // The answer says why not: the name is invalid, or the topic is still unknown.
            context.metrics.refused("auto_create_failed");
            tracing::debug!(topic = name, code = %error.code(), "topic not created on use: {error}");
        }
    }
}

fn all_topics(context: &Context, with_operations: bool) -> Vec<MetadataResponseTopic> {
    let image = context.metadata.image();
    image
        .topics()
        .map(|topic| describe(context, topic, with_operations))
        .collect()
}

fn one_topic(
    context: &Context,
    image: &Image,
    (asked, version): (&MetadataRequestTopic, i16),
    with_operations: bool,
) -> MetadataResponseTopic {
    if !asked.topic_id.is_zero() {
        return match image.topic_by_id(&asked.topic_id) {
            Some(topic) => describe(context, topic, with_operations),
            None => {
                // Before version 12 a name must be there.
                let name = (version < 12).then(Text::default);
                missing(ErrorCode::UnknownTopicId, name, asked.topic_id)
            }
        };
    }
    let name = asked.name.clone().unwrap_or_default();
    if let Some(topic) = image.topic(&name) {
        return describe(context, topic, with_operations);
    }
    let code = match crate::metadata::check_topic_name(&name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    missing(code, Some(name), Uuid::ZERO)
}

fn missing(code: ErrorCode, name: Option<Text>, topic_id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: code.code(),
        name,
        topic_id,
        ..MetadataResponseTopic::default()
    }
}

/// So many partitions of a topic, from the first one named.
pub(super) fn described(
    context: &Context,
    topic: &Topic,
    first: usize,
    count: usize,
) -> Vec<MetadataResponsePartition> {
    let local = context.partitions.of_topic(&topic.name);
    (0..)
        .zip(&topic.partitions)
        .skip(first)
        .take(count)
        .map(|(index, info)| {
            // A partition whose log could not be opened has no leader; one whose writer stopped
            // still serves reads and keeps its leader.
            let present = usize::try_from(index)
                .ok()
                .and_then(|at| local.get(at))
                .is_some_and(|partition| {
                    partition.as_ref().is_some_and(|partition| {
                        of_availability(partition.availability())
                            != ErrorCode::UnknownTopicOrPartition
                    })
                });
            MetadataResponsePartition {
                error_code: if present {
                    ErrorCode::None.code()
                } else {
                    ErrorCode::LeaderNotAvailable.code()
                },
                partition_index: index,
                leader_id: if present { info.leader } else { -1 },
                leader_epoch: info.leader_epoch,
                replica_nodes: info.replicas.clone(),
                isr_nodes: info.isr.clone(),
                offline_replicas: if present {
                    Vec::new()
                } else {
                    info.replicas.clone()
                },
            }
        })
        .collect()
}

fn describe(context: &Context, topic: &Topic, with_operations: bool) -> MetadataResponseTopic {
    let partitions = described(context, topic, 0, usize::MAX);
    MetadataResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Text::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions,
        topic_authorized_operations: if with_operations {
            TOPIC_OPERATIONS
        } else {
            i32::MIN
        },
    }
}
