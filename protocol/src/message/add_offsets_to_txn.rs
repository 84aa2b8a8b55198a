//! AddOffsetsToTxn: a group's offsets will be committed within a transaction (KIP-98).

use crate::text::Text;

api! { AddOffsetsToTxn: AddOffsetsToTxnRequest => AddOffsetsToTxnResponse, versions 0..=4, flexible 3 }

fields! {
    /// The group whose offsets join the transaction.
    pub struct AddOffsetsToTxnRequest {
        transactional_id: Text, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        group_id: Text, 0..;
    }

    /// Whether they did.
    pub struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
    }
}
