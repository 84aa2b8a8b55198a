//! ListTransactions: transactions of a coordinator (KIP-664, KIP-994, KIP-1152).

use crate::text::Text;

api! { ListTransactions: ListTransactionsRequest => ListTransactionsResponse, versions 0..=2, flexible 0 }

fields! {
    /// Filters.
    pub struct ListTransactionsRequest {
        state_filters: Vec<Text>, 0..;
        producer_id_filters: Vec<i64>, 0..;
        duration_filter: i64 = -1, 1..;
        transactional_id_pattern: Option<Text>, 2..;
    }

    /// Transactions that pass them.
    pub struct ListTransactionsResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        unknown_state_filters: Vec<Text>, 0..;
        transaction_states: Vec<TransactionState>, 0..;
    }

    /// Part of [`ListTransactionsResponse`]: transaction state.
    pub struct TransactionState {
        transactional_id: Text, 0..;
        producer_id: i64, 0..;
        transaction_state: Text, 0..;
    }
}
