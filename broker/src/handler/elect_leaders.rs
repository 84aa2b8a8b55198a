//! ElectLeaders 0-2: preferred and unclean elections. One node leads every partition and is its
//! preferred leader: there is nothing to elect, and that is what is answered. In no time nothing is.

use std::sync::Arc;

use logway_protocol::message::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use logway_protocol::{ErrorCode, Text};

use super::{Header, is_out_of_time};
use crate::context::Context;
use crate::metadata::Image;

/// Kinds of elections that there are.
const ELECTIONS: std::ops::RangeInclusive<i8> = 0..=1;

/// Answers for each partition that was named.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let asks_nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    if is_out_of_time(request.timeout_ms) && !asks_nothing {
        return out_of_time(request, header.version);
    }
    let image = context.metadata.image();
    let known = ELECTIONS.contains(&request.election_type);
    let replica_election_results = match request.topic_partitions {
        _ if !known => Vec::new(),
        // Of all partitions, those that have the leader they should have are left out: all.
        None => image
            .topics()
            .map(|topic| ReplicaElectionResult {
                topic: Text::from(&*topic.name),
                partition_result: Vec::new(),
            })
            .collect(),
        Some(asked) => asked
            .into_iter()
            .map(|asked| {
                let results = asked.partitions.iter();
                let results = results.map(|index| elect(&image, &asked.topic, *index));
                ReplicaElectionResult {
                    partition_result: results.collect(),
                    topic: asked.topic,
                }
            })
            .collect(),
    };
    let code = match known {
        true => ErrorCode::None,
        false => ErrorCode::InvalidRequest,
    };
    ElectLeadersResponse {
        error_code: code.code(),
        replica_election_results,
        ..ElectLeadersResponse::default()
    }
}

fn out_of_time(request: ElectLeadersRequest, version: i16) -> ElectLeadersResponse {
    let error_code = ErrorCode::RequestTimedOut.code();
    let topics = request.topic_partitions.unwrap_or_default().into_iter();
    let refused = |partition_id| PartitionResult {
        partition_id,
        error_code,
        error_message: None,
    };
    ElectLeadersResponse {
        // Version 0 has no place for it.
        error_code: if version > 0 { error_code } else { 0 },
        replica_election_results: topics
            .map(|asked| ReplicaElectionResult {
                topic: asked.topic,
                partition_result: asked.partitions.into_iter().map(refused).collect(),
            })
            .collect(),
        ..ElectLeadersResponse::default()
    }
}

fn elect(image: &Image, topic: &str, partition_id: i32) -> PartitionResult {
    let (code, message) = match image.topic(topic) {
        None => (
            ErrorCode::UnknownTopicOrPartition,
            format!("No such topic as {topic}"),
        ),
        Some(found)
            if !usize::try_from(partition_id).is_ok_and(|index| index < found.partitions.len()) =>
        {
            (
                ErrorCode::UnknownTopicOrPartition,
                format!("No such partition as {topic}-{partition_id}"),
            )
        }
        Some(_) => (
            ErrorCode::ElectionNotNeeded,
            "Leader election not needed for topic partition.".to_owned(),
        ),
    };
    PartitionResult {
        partition_id,
        error_code: code.code(),
        error_message: Some(Text::from(message)),
    }
}
