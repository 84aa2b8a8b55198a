//! ElectLeaders 0-2: preferred and unclean elections. One node leads every partition and is its
//! preferred leader: there is nothing to elect, and that is what is answered.

use std::sync::Arc;

use logway_protocol::message::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::metadata::Image;

/// Kinds of elections that there are.
const ELECTIONS: std::ops::RangeInclusive<i8> = 0..=1;

/// Answers for each partition that was named.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
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
