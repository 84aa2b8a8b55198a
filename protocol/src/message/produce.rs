//! Produce: record batches for partitions.

use bytes::Bytes;

use crate::text::Text;
use crate::uuid::Uuid;

api! { Produce: ProduceRequest => ProduceResponse, versions 3..=13, flexible 9 }

fields! {
    /// Batches by topic and partition; topics go by id from version 13 (KIP-516).
    pub struct ProduceRequest {
        transactional_id: Option<Text>, 3..;
        acks: i16, 0..;
        timeout_ms: i32, 0..;
        topic_data: Vec<TopicProduceData>, 0..;
    }

    /// Part of [`ProduceRequest`]: topic produce data.
    pub struct TopicProduceData {
        name: Text, 0..=12, ignorable(true);
        topic_id: Uuid, 13.., ignorable(true);
        partition_data: Vec<PartitionProduceData>, 0..;
    }

    /// Part of [`ProduceRequest`]: partition produce data.
    pub struct PartitionProduceData {
        index: i32, 0..;
        records: Option<Bytes>, 0..;
    }

    /// The offset that each batch got, or why it was refused (KIP-467).
    pub struct ProduceResponse {
        responses: Vec<TopicProduceResponse>, 0..;
        throttle_time_ms: i32, 1..;
        node_endpoints: Vec<NodeEndpoint>, 10.., tag(0);
    }

    /// Part of [`ProduceResponse`]: topic produce response.
    pub struct TopicProduceResponse {
        name: Text, 0..=12, ignorable(true);
        topic_id: Uuid, 13.., ignorable(true);
        partition_responses: Vec<PartitionProduceResponse>, 0..;
    }

    /// Part of [`ProduceResponse`]: partition produce response.
    pub struct PartitionProduceResponse {
        index: i32, 0..;
        error_code: i16, 0..;
        base_offset: i64, 0..;
        log_append_time_ms: i64 = -1, 2..;
        log_start_offset: i64 = -1, 5.., ignorable(true);
        record_errors: Vec<BatchIndexAndErrorMessage>, 8.., ignorable(true);
        error_message: Option<Text>, 8.., ignorable(true);
        current_leader: LeaderIdAndEpoch, 10.., tag(0);
    }

    /// Part of [`ProduceResponse`]: batch index and error message.
    pub struct BatchIndexAndErrorMessage {
        batch_index: i32, 8..;
        batch_index_error_message: Option<Text>, 8..;
    }

    /// Part of [`ProduceResponse`]: leader id and epoch.
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1, 10..;
        leader_epoch: i32 = -1, 10..;
    }

    /// Part of [`ProduceResponse`]: node endpoint.
    pub struct NodeEndpoint {
        node_id: i32, 10..;
        host: Text, 10..;
        port: i32, 10..;
        rack: Option<Text>, 10..;
    }
}
