//! DescribeTransactions: state of transactions by their id (KIP-664).

use crate::text::Text;

api! { DescribeTransactions: DescribeTransactionsRequest => DescribeTransactionsResponse, versions 0..=0, flexible 0 }

fields! {
    /// Transactional ids asked for.
    pub struct DescribeTransactionsRequest {
        transactional_ids: Vec<Text>, 0..;
    }

    /// Their states.
    pub struct DescribeTransactionsResponse {
        throttle_time_ms: i32, 0..;
        transaction_states: Vec<TransactionState>, 0..;
    }

    /// Part of [`DescribeTransactionsResponse`]: transaction state.
    pub struct TransactionState {
        error_code: i16, 0..;
        transactional_id: Text, 0..;
        transaction_state: Text, 0..;
        transaction_timeout_ms: i32, 0..;
        transaction_start_time_ms: i64, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        topics: Vec<TopicData>, 0..;
    }

    /// Part of [`DescribeTransactionsResponse`]: topic data.
    pub struct TopicData {
        topic: Text, 0..;
        partitions: Vec<i32>, 0..;
    }
}
