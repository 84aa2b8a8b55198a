//! DescribeTopicPartitions 0: topics with their partitions, so many at a time (KIP-966). Where an
//! answer ends before the list does, its cursor says where the next one goes on.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::message::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponseCursor, DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use super::metadata::{TOPIC_OPERATIONS, described};
use crate::context::Context;
use crate::metadata::{Topic, check_topic_name};

/// Most partitions in one answer (Kafka's `max.request.partition.size.limit`).
const PARTITIONS_MAX: i32 = 2000;

/// Answers topics in the order of their names, from the cursor on.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let image = context.metadata.image();
    let all = request.topics.is_empty();
    let cursor = request.cursor.as_ref();
    let from = cursor.map_or("", |cursor| cursor.topic_name.as_str());
    let names: BTreeSet<&str> = match all {
        true => image
            .topics()
            .map(|topic| &*topic.name)
            .filter(|name| *name >= from)
            .collect(),
        false => {
            let names = request.topics.iter().map(|topic| topic.name.as_str());
            names.filter(|name| *name >= from).collect()
        }
    };
    let bad = cursor.is_some_and(|cursor| {
        cursor.partition_index < 0 || (!all && !names.contains(cursor.topic_name.as_str()))
    });
    if bad {
        return refused(&request);
    }
    let limit = request.response_partition_limit.clamp(1, PARTITIONS_MAX);
    let mut left = usize::try_from(limit).unwrap_or(1);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names {
        if left == 0 {
            response.next_cursor = Some(cursor_at(name, 0));
            break;
        }
        let Some(topic) = image.topic(name) else {
            response.topics.push(missing(name));
            continue;
        };
        let first = match cursor {
            Some(cursor) if cursor.topic_name == name => cursor.partition_index,
            _ => 0,
        };
        let first = usize::try_from(first).unwrap_or(0);
        let partitions = partitions(context, topic, first, left);
        left -= partitions.len();
        let next = first + partitions.len();
        response.topics.push(of_topic(topic, partitions));
        if next < topic.partitions.len() {
            response.next_cursor = Some(cursor_at(name, next));
            break;
        }
    }
    response
}

fn cursor_at(topic: &str, partition: usize) -> DescribeTopicPartitionsResponseCursor {
    DescribeTopicPartitionsResponseCursor {
        topic_name: Text::from(topic),
        partition_index: i32::try_from(partition).unwrap_or(i32::MAX),
    }
}

/// A cursor that points nowhere: every topic that was asked for says so.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.iter();
    let topics = topics.map(|topic| DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: Some(topic.name.clone()),
        ..DescribeTopicPartitionsResponseTopic::default()
    });
    DescribeTopicPartitionsResponse {
        topics: topics.collect(),
        ..DescribeTopicPartitionsResponse::default()
    }
}

fn missing(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let code = match check_topic_name(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(_) => ErrorCode::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: code.code(),
        name: Some(Text::from(name)),
        topic_authorized_operations: TOPIC_OPERATIONS,
        ..DescribeTopicPartitionsResponseTopic::default()
    }
}

fn of_topic(
    topic: &Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: ErrorCode::None.code(),
        name: Some(Text::from(&*topic.name)),
        topic_id: topic.id,
        is_internal: topic.is_internal(),
        partitions,
        topic_authorized_operations: TOPIC_OPERATIONS,
    }
}

fn partitions(
    context: &Context,
    topic: &Topic,
    first: usize,
    count: usize,
) -> Vec<DescribeTopicPartitionsResponsePartition> {
    let of_metadata = described(context, topic, first, count).into_iter();
    let partitions = of_metadata.map(|partition| DescribeTopicPartitionsResponsePartition {
        error_code: partition.error_code,
        partition_index: partition.partition_index,
        leader_id: partition.leader_id,
        leader_epoch: partition.leader_epoch,
        replica_nodes: partition.replica_nodes,
        isr_nodes: partition.isr_nodes,
        // One replica: nobody else could have been eligible.
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        offline_replicas: partition.offline_replicas,
    });
    partitions.collect()
}
