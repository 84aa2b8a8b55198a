//! ListOffsets: offsets by timestamp. Special timestamps: -1 latest, -2 earliest, -3 maximal timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload.

use crate::text::Text;

api! { ListOffsets: ListOffsetsRequest => ListOffsetsResponse, versions 1..=11, flexible 6 }

fields! {
    /// Timestamps by topic and partition.
    pub struct ListOffsetsRequest {
        replica_id: i32, 0..;
        isolation_level: i8, 2..;
        topics: Vec<ListOffsetsTopic>, 0..;
        timeout_ms: i32, 10.., ignorable(true);
    }

    /// Part of [`ListOffsetsRequest`]: list offsets topic.
    pub struct ListOffsetsTopic {
        name: Text, 0..;
        partitions: Vec<ListOffsetsPartition>, 0..;
    }

    /// Part of [`ListOffsetsRequest`]: list offsets partition.
    pub struct ListOffsetsPartition {
        partition_index: i32, 0..;
        current_leader_epoch: i32 = -1, 4.., ignorable(true);
        timestamp: i64, 0..;
    }

    /// The first offset at or after each timestamp.
    pub struct ListOffsetsResponse {
        throttle_time_ms: i32, 2.., ignorable(true);
        topics: Vec<ListOffsetsTopicResponse>, 0..;
    }

    /// Part of [`ListOffsetsResponse`]: list offsets topic response.
    pub struct ListOffsetsTopicResponse {
        name: Text, 0..;
        partitions: Vec<ListOffsetsPartitionResponse>, 0..;
    }

    /// Part of [`ListOffsetsResponse`]: list offsets partition response.
    pub struct ListOffsetsPartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        timestamp: i64 = -1, 1..;
        offset: i64 = -1, 1..;
        leader_epoch: i32 = -1, 4..;
    }
}
