//! DescribeProducers: who produces to partitions, and their open transactions (KIP-664).

use crate::text::Text;

api! { DescribeProducers: DescribeProducersRequest => DescribeProducersResponse, versions 0..=0, flexible 0 }

fields! {
    /// Partitions asked for.
    pub struct DescribeProducersRequest {
        topics: Vec<TopicRequest>, 0..;
    }

    /// Part of [`DescribeProducersRequest`]: topic request.
    pub struct TopicRequest {
        name: Text, 0..;
        partition_indexes: Vec<i32>, 0..;
    }

    /// Their producers.
    pub struct DescribeProducersResponse {
        throttle_time_ms: i32, 0..;
        topics: Vec<TopicResponse>, 0..;
    }

    /// Part of [`DescribeProducersResponse`]: topic response.
    pub struct TopicResponse {
        name: Text, 0..;
        partitions: Vec<PartitionResponse>, 0..;
    }

    /// Part of [`DescribeProducersResponse`]: partition response.
    pub struct PartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text>, 0..;
        active_producers: Vec<ProducerState>, 0..;
    }

    /// Part of [`DescribeProducersResponse`]: producer state.
    pub struct ProducerState {
        producer_id: i64, 0..;
        producer_epoch: i32, 0..;
        last_sequence: i32 = -1, 0..;
        last_timestamp: i64 = -1, 0..;
        coordinator_epoch: i32, 0..;
        current_txn_start_offset: i64 = -1, 0..;
    }
}
