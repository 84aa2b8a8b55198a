//! ListOffsets 1-11: earliest (-2), latest (-1), maximal timestamp (-3), earliest local (-4), latest
//! tiered (-5), earliest pending upload (-6), and the first record at or after a time, exact to the
//! record. Without tiered storage local is everything and tiered is nothing, as in Kafka. With
//! read_committed the log ends at its last stable offset.

use std::sync::Arc;

use logway_journal::{FoundByTime, ReadError};
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
const EARLIEST_PENDING_UPLOAD: i64 = -6;
/// Special timestamps, and the versions from which they may be asked for.
const SPECIAL: [(i64, i16); 6] = [
    (LATEST, 1),
    (EARLIEST, 1),
    (MAX_TIMESTAMP, 7),
    (EARLIEST_LOCAL, 8),
    (LATEST_TIERED, 9),
    (EARLIEST_PENDING_UPLOAD, 11),
];
/// Isolation level of `read_committed`.
const READ_COMMITTED: i8 = 1;
/// No offset, no epoch, or a record without timestamp.
const NOTHING: FoundByTime = FoundByTime {
    offset: -1,
    timestamp: -1,
    leader_epoch: -1,
};

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
            let of_request = (header.version, request.isolation_level);
            partitions.push(one(context, of_request, &topic.name, asked));
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
    (version, isolation_level): (i16, i8),
    topic: &str,
    asked: &ListOffsetsPartition,
) -> ListOffsetsPartitionResponse {
    let answer = |code: ErrorCode| ListOffsetsPartitionResponse {
        partition_index: asked.partition_index,
        error_code: code.code(),
        ..ListOffsetsPartitionResponse::default()
    };
    let mut special = SPECIAL.iter();
    let is_known = |(at, from): &(i64, i16)| *at == asked.timestamp && *from <= version;
    if asked.timestamp < 0 && !special.any(is_known) {
        return answer(ErrorCode::UnsupportedVersion);
    }
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
    match offset(&partition, asked.timestamp, isolation_level) {
        Ok(found) => ListOffsetsPartitionResponse {
            timestamp: found.timestamp,
            offset: found.offset,
            // Before version 4 there is no place for the epoch.
            leader_epoch: if version < 4 { -1 } else { found.leader_epoch },
            ..answer(ErrorCode::None)
        },
        Err(error) => {
            let partition = asked.partition_index;
            warn!(topic, partition, "list offsets: {error}");
            answer(error.code())
        }
    }
}

fn offset(
    partition: &Partition,
    timestamp: i64,
    isolation_level: i8,
) -> Result<FoundByTime, ReadError> {
    let reader = partition.reader();
    let end = if isolation_level == READ_COMMITTED {
        partition.last_stable_offset()
    } else {
        partition.high_watermark()
    };
    let found = match timestamp {
        LATEST => FoundByTime {
            offset: end,
            leader_epoch: partition.leader_epoch(),
            ..NOTHING
        },
        EARLIEST | EARLIEST_LOCAL => {
            let offset = partition.log_start_offset();
            FoundByTime {
                offset,
                leader_epoch: partition.epoch_at(offset).unwrap_or(-1),
                ..NOTHING
            }
        }
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => NOTHING,
        MAX_TIMESTAMP => readable(reader.max_timestamp()?, end),
        at => readable(reader.offset_for_timestamp(at)?, end),
    };
    Ok(found)
}

/// What was found, unless it lies where the reader may not read yet.
fn readable(found: Option<FoundByTime>, end: i64) -> FoundByTime {
    found.filter(|found| found.offset < end).unwrap_or(NOTHING)
}
