//! ElectLeaders: partitions elect their leaders now (KIP-460).

use crate::text::Text;

api! { ElectLeaders: ElectLeadersRequest => ElectLeadersResponse, versions 0..=2, flexible 2 }

fields! {
    /// Kind of election and partitions; null for all.
    pub struct ElectLeadersRequest {
        election_type: i8, 1..;
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()), 0..;
        timeout_ms: i32 = 60000, 0..;
    }

    /// Part of [`ElectLeadersRequest`]: topic partitions.
    pub struct TopicPartitions {
        topic: Text, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// A result for each partition.
    pub struct ElectLeadersResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 1..;
        replica_election_results: Vec<ReplicaElectionResult>, 0..;
    }

    /// Part of [`ElectLeadersResponse`]: replica election result.
    pub struct ReplicaElectionResult {
        topic: Text, 0..;
        partition_result: Vec<PartitionResult>, 0..;
    }

    /// Part of [`ElectLeadersResponse`]: partition result.
    pub struct PartitionResult {
        partition_id: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
    }
}
