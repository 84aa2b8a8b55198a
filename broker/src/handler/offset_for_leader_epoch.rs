//! OffsetForLeaderEpoch 2-4: where an epoch ends in this log, so that a reader whose log parted from
//! it finds the place (KIP-101, KIP-320). An epoch that nobody knows is answered with -1.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};

use super::Header;
use super::error::{of_availability, of_leader_epoch};
use crate::context::Context;
use crate::partition::Availability;

/// Answers an end for every epoch asked about.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _: &Header,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter();
        OffsetForLeaderTopicResult {
            partitions: partitions
                .map(|asked| one(context, &topic.topic, asked))
                .collect(),
            topic: topic.topic,
        }
    });
    OffsetForLeaderEpochResponse {
        topics: topics.collect(),
        ..OffsetForLeaderEpochResponse::default()
    }
}

fn one(context: &Context, topic: &str, asked: &OffsetForLeaderPartition) -> EpochEndOffset {
    let found = context.partitions.find(topic, asked.partition);
    let code = match &found {
        None => ErrorCode::UnknownTopicOrPartition,
        Some(partition) if partition.availability() == Availability::Deleted => {
            of_availability(Availability::Deleted)
        }
        Some(partition) => of_leader_epoch(asked.current_leader_epoch, partition.leader_epoch()),
    };
    let end = found
        .filter(|_| code == ErrorCode::None)
        .and_then(|partition| partition.epoch_end_offset(asked.leader_epoch));
    let (leader_epoch, end_offset) = end.unwrap_or((-1, -1));
    EpochEndOffset {
        error_code: code.code(),
        partition: asked.partition,
        leader_epoch,
        end_offset,
    }
}
