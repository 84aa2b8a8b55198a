//! Records of `__transaction_state`: one per transactional id (KIP-98, KIP-890).
//! Key and value begin with their version as an i16.

use crate::text::Text;

data! { TransactionLogKey, versions 0..=0, flexible never }
data! { TransactionLogValue, versions 0..=1, flexible 1 }

fields! {
    /// Key of a transaction.
    pub struct TransactionLogKey {
        transactional_id: Text, 0..=0;
    }

    /// State of a transaction.
    pub struct TransactionLogValue {
        producer_id: i64, 0..;
        previous_producer_id: i64 = -1, 1.., tag(0);
        next_producer_id: i64 = -1, 1.., tag(1);
        producer_epoch: i16, 0..;
        next_producer_epoch: i16 = -1, 1.., tag(3);
        transaction_timeout_ms: i32, 0..;
        transaction_status: i8, 0..;
        transaction_partitions: Option<Vec<PartitionsSchema>> = Some(Vec::new()), 0..;
        transaction_last_update_timestamp_ms: i64, 0..;
        transaction_start_timestamp_ms: i64, 0..;
        client_transaction_version: i16, 1.., tag(2);
    }

    /// Part of [`TransactionLogValue`]: partitions schema.
    pub struct PartitionsSchema {
        topic: Text, 0..;
        partition_ids: Vec<i32>, 0..;
    }
}
