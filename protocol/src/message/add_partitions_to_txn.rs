//! AddPartitionsToTxn: partitions join a producer's transaction (KIP-98); from version 4 brokers ask whether they have (KIP-890).

use crate::text::Text;

api! { AddPartitionsToTxn: AddPartitionsToTxnRequest => AddPartitionsToTxnResponse, versions 0..=5, flexible 3 }

fields! {
    /// Partitions to add, of one transaction (to version 3) or several.
    pub struct AddPartitionsToTxnRequest {
        transactions: Vec<AddPartitionsToTxnTransaction>, 4..;
        v3_and_below_transactional_id: Text, 0..=3;
        v3_and_below_producer_id: i64, 0..=3;
        v3_and_below_producer_epoch: i16, 0..=3;
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic>, 0..=3;
    }

    /// Part of [`AddPartitionsToTxnRequest`]: add partitions to txn transaction.
    pub struct AddPartitionsToTxnTransaction {
        transactional_id: Text, 4..;
        producer_id: i64, 4..;
        producer_epoch: i16, 4..;
        verify_only: bool, 4..;
        topics: Vec<AddPartitionsToTxnTopic>, 4..;
    }

    /// Part of [`AddPartitionsToTxnRequest`]: add partitions to txn topic.
    pub struct AddPartitionsToTxnTopic {
        name: Text, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// A result for each partition.
    pub struct AddPartitionsToTxnResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 4.., ignorable(true);
        results_by_transaction: Vec<AddPartitionsToTxnResult>, 4..;
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult>, 0..=3;
    }

    /// Part of [`AddPartitionsToTxnResponse`]: add partitions to txn result.
    pub struct AddPartitionsToTxnResult {
        transactional_id: Text, 4..;
        topic_results: Vec<AddPartitionsToTxnTopicResult>, 4..;
    }

    /// Part of [`AddPartitionsToTxnResponse`]: add partitions to txn topic result.
    pub struct AddPartitionsToTxnTopicResult {
        name: Text, 0..;
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>, 0..;
    }

    /// Part of [`AddPartitionsToTxnResponse`]: add partitions to txn partition result.
    pub struct AddPartitionsToTxnPartitionResult {
        partition_index: i32, 0..;
        partition_error_code: i16, 0..;
    }
}
