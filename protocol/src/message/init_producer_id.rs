//! InitProducerId: an id and epoch for an idempotent or transactional producer (KIP-98, KIP-360).

use crate::text::Text;

api! { InitProducerId: InitProducerIdRequest => InitProducerIdResponse, versions 0..=5, flexible 2 }

fields! {
    /// The transactional id, if any; the id and epoch the producer already has.
    pub struct InitProducerIdRequest {
        transactional_id: Option<Text> = Some(Text::default()), 0..;
        transaction_timeout_ms: i32, 0..;
        producer_id: i64 = -1, 3..;
        producer_epoch: i16 = -1, 3..;
    }

    /// The id and epoch to produce with.
    pub struct InitProducerIdResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        producer_id: i64 = -1, 0..;
        producer_epoch: i16, 0..;
    }
}
