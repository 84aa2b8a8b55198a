//! AlterPartitionReassignments: partitions move to other replicas, or stop doing so (KIP-455).

use crate::text::Text;

api! { AlterPartitionReassignments: AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse, versions 0..=1, flexible 0 }

fields! {
    /// Partitions with their new replicas.
    pub struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60000, 0..;
        allow_replication_factor_change: bool = true, 1..;
        topics: Vec<ReassignableTopic>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsRequest`]: reassignable topic.
    pub struct ReassignableTopic {
        name: Text, 0..;
        partitions: Vec<ReassignablePartition>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsRequest`]: reassignable partition.
    pub struct ReassignablePartition {
        partition_index: i32, 0..;
        replicas: Option<Vec<i32>>, 0..;
    }

    /// A result for each partition.
    pub struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32, 0..;
        allow_replication_factor_change: bool = true, 1.., ignorable(true);
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
        responses: Vec<ReassignableTopicResponse>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsResponse`]: reassignable topic response.
    pub struct ReassignableTopicResponse {
        name: Text, 0..;
        partitions: Vec<ReassignablePartitionResponse>, 0..;
    }

    /// Part of [`AlterPartitionReassignmentsResponse`]: reassignable partition response.
    pub struct ReassignablePartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 0..;
    }
}
