//! Fetch: record batches from partitions, with a wait for the first bytes.

use crate::records_field::RecordsField;
use crate::text::Text;
use crate::uuid::Uuid;

api! { Fetch: FetchRequest => FetchResponse, versions 4..=18, flexible 12 }

fields! {
    /// Positions by topic and partition; topics go by id from version 13, sessions from version 7 (KIP-227).
    pub struct FetchRequest {
        cluster_id: Option<Text>, 12.., tag(0), ignorable(true);
        replica_id: i32 = -1, 0..=14;
        replica_state: ReplicaState, 15.., tag(1);
        max_wait_ms: i32, 0..;
        min_bytes: i32, 0..;
        max_bytes: i32 = i32::MAX, 3..;
        isolation_level: i8, 4..;
        session_id: i32, 7.., ignorable(true);
        session_epoch: i32 = -1, 7.., ignorable(true);
        topics: Vec<FetchTopic>, 0..;
        forgotten_topics_data: Vec<ForgottenTopic>, 7..;
        rack_id: Text, 11.., ignorable(true);
    }

    /// Part of [`FetchRequest`]: replica state.
    pub struct ReplicaState {
        replica_id: i32 = -1, 15..;
        replica_epoch: i64 = -1, 15..;
    }

    /// Part of [`FetchRequest`]: fetch topic.
    pub struct FetchTopic {
        topic: Text, 0..=12, ignorable(true);
        topic_id: Uuid, 13.., ignorable(true);
        partitions: Vec<FetchPartition>, 0..;
    }

    /// Part of [`FetchRequest`]: fetch partition.
    pub struct FetchPartition {
        partition: i32, 0..;
        current_leader_epoch: i32 = -1, 9.., ignorable(true);
        fetch_offset: i64, 0..;
        last_fetched_epoch: i32 = -1, 12..;
        log_start_offset: i64 = -1, 5.., ignorable(true);
        partition_max_bytes: i32, 0..;
        replica_directory_id: Uuid, 17.., tag(0), ignorable(true);
        high_watermark: i64 = i64::MAX, 18.., tag(1), ignorable(true);
    }

    /// Part of [`FetchRequest`]: forgotten topic.
    pub struct ForgottenTopic {
        topic: Text, 7..=12, ignorable(true);
        topic_id: Uuid, 13.., ignorable(true);
        partitions: Vec<i32>, 7..;
    }

    /// Whole batches, the first of which may begin before the position asked for.
    pub struct FetchResponse {
        throttle_time_ms: i32, 1..;
        error_code: i16, 7.., ignorable(true);
        session_id: i32, 7..;
        responses: Vec<FetchableTopicResponse>, 0..;
        node_endpoints: Vec<NodeEndpoint>, 16.., tag(0);
    }

    /// Part of [`FetchResponse`]: fetchable topic response.
    pub struct FetchableTopicResponse {
        topic: Text, 0..=12, ignorable(true);
        topic_id: Uuid, 13.., ignorable(true);
        partitions: Vec<PartitionData>, 0..;
    }

    /// Part of [`FetchResponse`]: partition data.
    pub struct PartitionData {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        high_watermark: i64, 0..;
        last_stable_offset: i64 = -1, 4..;
        log_start_offset: i64 = -1, 5.., ignorable(true);
        diverging_epoch: EpochEndOffset, 12.., tag(0);
        current_leader: LeaderIdAndEpoch, 12.., tag(1);
        snapshot_id: SnapshotId, 12.., tag(2);
        aborted_transactions: Option<Vec<AbortedTransaction>> = Some(Vec::new()), 4..;
        preferred_read_replica: i32 = -1, 11..;
        records: Option<RecordsField>, 0..;
    }

    /// Part of [`FetchResponse`]: epoch end offset.
    pub struct EpochEndOffset {
        epoch: i32 = -1, 12..;
        end_offset: i64 = -1, 12..;
    }

    /// Part of [`FetchResponse`]: leader id and epoch.
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1, 12..;
        leader_epoch: i32 = -1, 12..;
    }

    /// Part of [`FetchResponse`]: snapshot id.
    pub struct SnapshotId {
        end_offset: i64 = -1, 0..;
        epoch: i32 = -1, 0..;
    }

    /// Part of [`FetchResponse`]: aborted transaction.
    pub struct AbortedTransaction {
        producer_id: i64, 4..;
        first_offset: i64, 4..;
    }

    /// Part of [`FetchResponse`]: node endpoint.
    pub struct NodeEndpoint {
        node_id: i32, 16..;
        host: Text, 16..;
        port: i32, 16..;
        rack: Option<Text>, 16..;
    }
}
