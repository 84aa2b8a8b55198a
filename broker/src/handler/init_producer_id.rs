//! InitProducerId 0-5: ids for idempotent producers, id and epoch for transactional ones (KIP-98). v3
//! says who the producer is already (KIP-360), v4 knows PRODUCER_FENCED. Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use tracing::warn;

use super::Header;
use super::end_txn::before_fencing;
use super::error::Code;
use crate::context::Context;
use crate::transaction::Producer;

/// Version from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;

/// Answers the id and epoch to go on with.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    match init(context, &request).await {
        Ok((producer_id, producer_epoch)) => InitProducerIdResponse {
            producer_id,
            producer_epoch,
            ..InitProducerIdResponse::default()
        },
        Err(error) => InitProducerIdResponse {
            error_code: before_fencing(error, header.version < FENCED_FROM).code(),
            producer_epoch: -1,
            ..InitProducerIdResponse::default()
        },
    }
}

async fn init(
    context: &Arc<Context>,
    request: &InitProducerIdRequest,
) -> Result<Producer, ErrorCode> {
    // Only -1 says "none".
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return Err(ErrorCode::InvalidRequest);
    }
    let Some(id) = &request.transactional_id else {
        return Ok((fresh_producer_id(context).await?, 0));
    };
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let expected =
        (request.producer_id != -1).then_some((request.producer_id, request.producer_epoch));
    let timeout_ms = request.transaction_timeout_ms;
    let transactions = &context.transactions;
    let producer = transactions.init(id, timeout_ms, (expected, None)).await?;
    if let Some(producer) = producer {
        return Ok(producer);
    }
    let fresh = Some(fresh_producer_id(context).await?);
    let producer = transactions.init(id, timeout_ms, (expected, fresh)).await?;
    producer.ok_or(ErrorCode::UnknownServerError)
}

/// An id that no producer has had.
pub(super) async fn fresh_producer_id(context: &Context) -> Result<i64, ErrorCode> {
    context.producer_ids.next().await.map_err(|error| {
        warn!("no producer id: {error}");
        // Retriable: the client asks again.
        match error.code() {
            ErrorCode::NotController => ErrorCode::CoordinatorNotAvailable,
            code => code,
        }
    })
}
