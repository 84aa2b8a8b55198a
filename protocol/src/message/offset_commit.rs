//! OffsetCommit: positions of a group, kept by its coordinator; version 10 names topics by id (KIP-848).

use crate::text::Text;
use crate::uuid::Uuid;

api! { OffsetCommit: OffsetCommitRequest => OffsetCommitResponse, versions 2..=10, flexible 8 }

fields! {
    /// Offsets by topic and partition.
    pub struct OffsetCommitRequest {
        group_id: Text, 0..;
        generation_id_or_member_epoch: i32 = -1, 1..;
        member_id: Text, 1..;
        group_instance_id: Option<Text>, 7..;
        retention_time_ms: i64 = -1, 2..=4, ignorable(true);
        topics: Vec<OffsetCommitRequestTopic>, 0..;
    }

    /// Part of [`OffsetCommitRequest`]: offset commit request topic.
    pub struct OffsetCommitRequestTopic {
        name: Text, 0..=9, ignorable(true);
        topic_id: Uuid, 10.., ignorable(true);
        partitions: Vec<OffsetCommitRequestPartition>, 0..;
    }

    /// Part of [`OffsetCommitRequest`]: offset commit request partition.
    pub struct OffsetCommitRequestPartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32 = -1, 6.., ignorable(true);
        committed_metadata: Option<Text> = Some(Text::default()), 0..;
    }

    /// A result for each partition.
    pub struct OffsetCommitResponse {
        throttle_time_ms: i32, 3.., ignorable(true);
        topics: Vec<OffsetCommitResponseTopic>, 0..;
    }

    /// Part of [`OffsetCommitResponse`]: offset commit response topic.
    pub struct OffsetCommitResponseTopic {
        name: Text, 0..=9, ignorable(true);
        topic_id: Uuid, 10.., ignorable(true);
        partitions: Vec<OffsetCommitResponsePartition>, 0..;
    }

    /// Part of [`OffsetCommitResponse`]: offset commit response partition.
    pub struct OffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
