//! DescribeQuorum 0-2: who keeps the metadata log (KIP-595, KIP-836). One node is a quorum of one: it
//! leads, and has what there is. Its listener is the one that serves clients, there is no other.

use std::sync::Arc;

use logway_protocol::message::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, DescribeQuorumResponsePartitionData,
    DescribeQuorumResponseTopicData, Listener, Node, ReplicaState,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::clock::now_ms;
use crate::context::Context;
use crate::metadata::{METADATA_TOPIC, QUORUM_EPOCH};

/// Answers the state of the metadata log.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let is_quorum = match request.topics.as_slice() {
        [topic] => {
            let indexes: Vec<i32> = topic
                .partitions
                .iter()
                .map(|one| one.partition_index)
                .collect();
            topic.topic_name == METADATA_TOPIC && indexes == [0]
        }
        _ => false,
    };
    if !is_quorum {
        return unknown(request);
    }
    let node = context.settings.node_id;
    let end = context.metadata.image().end_offset();
    let now = now_ms();
    let state = DescribeQuorumResponsePartitionData {
        leader_id: node,
        leader_epoch: QUORUM_EPOCH,
        high_watermark: end,
        error_message: None,
        current_voters: vec![ReplicaState {
            replica_id: node,
            log_end_offset: end,
            last_fetch_timestamp: now,
            last_caught_up_timestamp: now,
            ..ReplicaState::default()
        }],
        ..DescribeQuorumResponsePartitionData::default()
    };
    let listener = Listener {
        name: Text::from("PLAINTEXT"),
        host: Text::from(&context.endpoint.host),
        port: context.endpoint.port,
    };
    let nodes = (header.version >= 2).then(|| Node {
        node_id: node,
        listeners: vec![listener],
    });
    DescribeQuorumResponse {
        error_message: None,
        topics: vec![DescribeQuorumResponseTopicData {
            topic_name: Text::from(METADATA_TOPIC),
            partitions: vec![state],
        }],
        nodes: nodes.into_iter().collect(),
        ..DescribeQuorumResponse::default()
    }
}

/// Only the metadata log has a quorum.
fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter();
        let partitions = partitions.map(|one| DescribeQuorumResponsePartitionData {
            partition_index: one.partition_index,
            error_code: ErrorCode::UnknownTopicOrPartition.code(),
            error_message: Some(Text::from(
                "This server does not host this topic-partition.",
            )),
            ..DescribeQuorumResponsePartitionData::default()
        });
        DescribeQuorumResponseTopicData {
            partitions: partitions.collect(),
            topic_name: topic.topic_name,
        }
    });
    DescribeQuorumResponse {
        error_message: None,
        topics: topics.collect(),
        ..DescribeQuorumResponse::default()
    }
}
