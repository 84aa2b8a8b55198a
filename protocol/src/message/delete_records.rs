//! DeleteRecords: a new start for partitions' logs (KIP-107).

use crate::text::Text;

api! { DeleteRecords: DeleteRecordsRequest => DeleteRecordsResponse, versions 0..=2, flexible 2 }

fields! {
    /// Partitions and the offset before which records go; -1 is the high watermark.
    pub struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>, 0..;
        timeout_ms: i32, 0..;
    }

    /// Part of [`DeleteRecordsRequest`]: delete records topic.
    pub struct DeleteRecordsTopic {
        name: Text, 0..;
        partitions: Vec<DeleteRecordsPartition>, 0..;
    }

    /// Part of [`DeleteRecordsRequest`]: delete records partition.
    pub struct DeleteRecordsPartition {
        partition_index: i32, 0..;
        offset: i64, 0..;
    }

    /// Where each partition starts now.
    pub struct DeleteRecordsResponse {
        throttle_time_ms: i32, 0..;
        topics: Vec<DeleteRecordsTopicResult>, 0..;
    }

    /// Part of [`DeleteRecordsResponse`]: delete records topic result.
    pub struct DeleteRecordsTopicResult {
        name: Text, 0..;
        partitions: Vec<DeleteRecordsPartitionResult>, 0..;
    }

    /// Part of [`DeleteRecordsResponse`]: delete records partition result.
    pub struct DeleteRecordsPartitionResult {
        partition_index: i32, 0..;
        low_watermark: i64, 0..;
        error_code: i16, 0..;
    }
}
