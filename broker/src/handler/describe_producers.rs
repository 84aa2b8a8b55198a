//! DescribeProducers 0: the producers that partitions remember, and their open transactions
//! (KIP-664). Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState,
    TopicResponse,
};

use super::Header;
use super::error::of_availability;
use crate::context::Context;
use crate::metadata::check_topic_name;
use crate::partition::ProducerEntry;

/// Answers each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| TopicResponse {
        name: topic.name.clone(),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|at| partition(context, &topic.name, *at))
            .collect(),
    });
    DescribeProducersResponse {
        topics: topics.collect(),
        ..DescribeProducersResponse::default()
    }
}

fn partition(context: &Context, topic: &str, partition_index: i32) -> PartitionResponse {
    let refuse = |error: ErrorCode| PartitionResponse {
        partition_index,
        error_code: error.code(),
        ..PartitionResponse::default()
    };
    if check_topic_name(topic).is_err() {
        return refuse(ErrorCode::InvalidTopicException);
    }
    let Some(found) = context.partitions.find(topic, partition_index) else {
        return refuse(ErrorCode::UnknownTopicOrPartition);
    };
    match of_availability(found.availability()) {
        ErrorCode::None => PartitionResponse {
            partition_index,
            active_producers: found.producers().iter().map(state).collect(),
            ..PartitionResponse::default()
        },
        error => refuse(error),
    }
}

fn state((producer_id, entry): &(i64, ProducerEntry)) -> ProducerState {
    ProducerState {
        producer_id: *producer_id,
        producer_epoch: i32::from(entry.epoch),
        last_sequence: entry.batches.back().map_or(-1, |last| last.last_sequence),
        last_timestamp: entry.last_timestamp,
        coordinator_epoch: entry.coordinator_epoch,
        current_txn_start_offset: entry.open_from.unwrap_or(-1),
    }
}
