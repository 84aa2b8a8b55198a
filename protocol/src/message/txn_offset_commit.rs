//! TxnOffsetCommit: a group's offsets, valid once the transaction commits (KIP-98, KIP-447).

use crate::text::Text;

api! { TxnOffsetCommit: TxnOffsetCommitRequest => TxnOffsetCommitResponse, versions 0..=5, flexible 3 }

fields! {
    /// Offsets by topic and partition, with the transaction and the group's member.
    pub struct TxnOffsetCommitRequest {
        transactional_id: Text, 0..;
        group_id: Text, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        generation_id: i32 = -1, 3..;
        member_id: Text, 3..;
        group_instance_id: Option<Text>, 3..;
        topics: Vec<TxnOffsetCommitRequestTopic>, 0..;
    }

    /// Part of [`TxnOffsetCommitRequest`]: txn offset commit request topic.
    pub struct TxnOffsetCommitRequestTopic {
        name: Text, 0..;
        partitions: Vec<TxnOffsetCommitRequestPartition>, 0..;
    }

    /// Part of [`TxnOffsetCommitRequest`]: txn offset commit request partition.
    pub struct TxnOffsetCommitRequestPartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32 = -1, 2.., ignorable(true);
        committed_metadata: Option<Text> = Some(Text::default()), 0..;
    }

    /// A result for each partition.
    pub struct TxnOffsetCommitResponse {
        throttle_time_ms: i32, 0..;
        topics: Vec<TxnOffsetCommitResponseTopic>, 0..;
    }

    /// Part of [`TxnOffsetCommitResponse`]: txn offset commit response topic.
    pub struct TxnOffsetCommitResponseTopic {
        name: Text, 0..;
        partitions: Vec<TxnOffsetCommitResponsePartition>, 0..;
    }

    /// Part of [`TxnOffsetCommitResponse`]: txn offset commit response partition.
    pub struct TxnOffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
