//! ListOffsets 1-10: earliest (-2), latest (-1), maximal timestamp (-3), earliest local (-4), latest
//! tiered (-5), and the first record at or after a time, exact to the record. Without tiered storage
//! local is everything and tiered is nothing, as in Kafka.

use std::sync::Arc;

use logway_journal::ReadError;
use logway_protocol::ErrorCode;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use tracing::warn;

use super::Header;
use super::error::{Code, of_availability, of_leader_epoch};
use crate::context::Context;
use crate::partition::{Availability, Partition};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
/// No offset, or a record without timestamp.
const NONE: i64 = -1;

/// Answers an offset for every partition asked about.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            partitions.push(one(context, header, &topic.name, asked));
        }
        topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
        });
    }
    ListOffsetsResponse {
        topics,
        ..ListOffsetsResponse::default()
    }
}

fn one(
    context: &Context,
    header: &Header,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer = |code: ErrorCode| ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        ..ListOffsetsPartitionResponse::default()
    };
    let Some(partition) = context.partitions.find(topic, asked.partition_index) else {
        return answer(ErrorCode::UnknownTopicOrPartition);
    };
    let epoch = of_leader_epoch(asked.current_leader_epoch, partition.leader_epoch());
    if epoch != ErrorCode::None {
        return answer(epoch);
    }
    if partition.availability() == Availability::Deleted {
        return answer(of_availability(Availability::Deleted));
    }
    match offset(&partition, asked.timestamp) {
        Ok(Some((timestamp, offset))) => ListOffsetsPartitionResponse {
            timestamp,
            offset,
            // Before version 4 there is no place for the epoch.
            leader_epoch: if offset == NONE || header.version < 4 {
                -1
            } else {
                partition.leader_epoch()
            },
            ..answer(ErrorCode::None)
        },
        Ok(None) => answer(ErrorCode::UnsupportedVersion),
        Err(error) => {
            warn!(
                topic,
                partition = asked.partition_index,
                "list offsets: {error}"
            );
            answer(error.code())
        }
    }
}

/// Timestamp and offset; none for a special timestamp that is not known.
fn offset(partition: &Partition, timestamp: i64) -> Result<Option<(i64, i64)>, ReadError> {
    let reader = partition.reader();
    let found = match timestamp {
        LATEST => (NONE, partition.high_watermark()),
        EARLIEST | EARLIEST_LOCAL => (NONE, partition.log_start_offset()),
        LATEST_TIERED => (NONE, NONE),
        MAX_TIMESTAMP => match reader.max_timestamp()? {
            Some(found) => (found.timestamp, found.offset),
            None => (NONE, NONE),
        },
        at if at >= 0 => match reader.offset_for_timestamp(at)? {
            Some(found) => (found.timestamp, found.offset),
            None => (NONE, NONE),
        },
        _ => return Ok(None),
    };
    Ok(Some(found))
}
