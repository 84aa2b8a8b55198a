//! OffsetForLeaderEpoch: where a leader epoch ends, so that a reader finds out where logs part (KIP-101, KIP-320).

use crate::text::Text;

api! { OffsetForLeaderEpoch: OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse, versions 2..=4, flexible 4 }

fields! {
    /// Epochs by topic and partition.
    pub struct OffsetForLeaderEpochRequest {
        replica_id: i32 = -2, 3.., ignorable(true);
        topics: Vec<OffsetForLeaderTopic>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochRequest`]: offset for leader topic.
    pub struct OffsetForLeaderTopic {
        topic: Text, 0..;
        partitions: Vec<OffsetForLeaderPartition>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochRequest`]: offset for leader partition.
    pub struct OffsetForLeaderPartition {
        partition: i32, 0..;
        current_leader_epoch: i32 = -1, 2.., ignorable(true);
        leader_epoch: i32, 0..;
    }

    /// The largest known epoch up to each one asked for, and the offset behind its last record.
    pub struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32, 2.., ignorable(true);
        topics: Vec<OffsetForLeaderTopicResult>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochResponse`]: offset for leader topic result.
    pub struct OffsetForLeaderTopicResult {
        topic: Text, 0..;
        partitions: Vec<EpochEndOffset>, 0..;
    }

    /// Part of [`OffsetForLeaderEpochResponse`]: epoch end offset.
    pub struct EpochEndOffset {
        error_code: i16, 0..;
        partition: i32, 0..;
        leader_epoch: i32 = -1, 1.., ignorable(true);
        end_offset: i64 = -1, 0..;
    }
}
