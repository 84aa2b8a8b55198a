//! EndTxn: commits or aborts a transaction (KIP-98); from version 5 answers the epoch of the next one (KIP-890).

use crate::text::Text;

api! { EndTxn: EndTxnRequest => EndTxnResponse, versions 0..=5, flexible 3 }

fields! {
    /// The transaction and how it ends.
    pub struct EndTxnRequest {
        transactional_id: Text, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        committed: bool, 0..;
    }

    /// Whether it ends so, and the producer's next epoch.
    pub struct EndTxnResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64 = -1, 5.., ignorable(true);
        producer_epoch: i16 = -1, 5.., ignorable(true);
    }
}
