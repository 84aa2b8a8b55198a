//! DescribeQuorum: leader, voters and observers of the metadata quorum (KIP-595, KIP-836).

use crate::text::Text;
use crate::uuid::Uuid;

api! { DescribeQuorum: DescribeQuorumRequest => DescribeQuorumResponse, versions 0..=2, flexible 0 }

fields! {
    /// Partitions of quorums.
    pub struct DescribeQuorumRequest {
        topics: Vec<TopicData>, 0..;
    }

    /// Part of [`DescribeQuorumRequest`]: topic data.
    pub struct TopicData {
        topic_name: Text, 0..;
        partitions: Vec<PartitionData>, 0..;
    }

    /// Part of [`DescribeQuorumRequest`]: partition data.
    pub struct PartitionData {
        partition_index: i32, 0..;
    }

    /// Their state.
    pub struct DescribeQuorumResponse {
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 2.., ignorable(true);
        topics: Vec<DescribeQuorumResponseTopicData>, 0..;
        nodes: Vec<Node>, 2..;
    }

    /// Part of [`DescribeQuorumResponse`]: describe quorum response topic data.
    pub struct DescribeQuorumResponseTopicData {
        topic_name: Text, 0..;
        partitions: Vec<DescribeQuorumResponsePartitionData>, 0..;
    }

    /// Part of [`DescribeQuorumResponse`]: describe quorum response partition data.
    pub struct DescribeQuorumResponsePartitionData {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 2.., ignorable(true);
        leader_id: i32, 0..;
        leader_epoch: i32, 0..;
        high_watermark: i64, 0..;
        current_voters: Vec<ReplicaState>, 0..;
        observers: Vec<ReplicaState>, 0..;
    }

    /// Part of [`DescribeQuorumResponse`]: node.
    pub struct Node {
        node_id: i32, 2..;
        listeners: Vec<Listener>, 2..;
    }

    /// Part of [`DescribeQuorumResponse`]: listener.
    pub struct Listener {
        name: Text, 2..;
        host: Text, 2..;
        port: u16, 2..;
    }

    /// Part of [`DescribeQuorumResponse`]: replica state.
    pub struct ReplicaState {
        replica_id: i32, 0..;
        replica_directory_id: Uuid, 2..;
        log_end_offset: i64, 0..;
        last_fetch_timestamp: i64 = -1, 1.., ignorable(true);
        last_caught_up_timestamp: i64 = -1, 1.., ignorable(true);
    }
}
