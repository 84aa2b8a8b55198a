//! EndTxn 0-5: commits or aborts a transaction; answered when the decision is stored, while the
//! markers are still being written. v2 knows PRODUCER_FENCED, v5 is KIP-890's: the answer names the
//! epoch of the next transaction. Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::end_txn::{EndTxnRequest, EndTxnResponse};

use super::Header;
use super::init_producer_id::fresh_producer_id;
use crate::context::Context;
use crate::transaction::Producer;

/// Version from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// Version from which every transaction has an epoch of its own.
const EPOCH_FROM: i16 = 5;

/// Ends the transaction and answers.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: EndTxnRequest,
) -> EndTxnResponse {
    let version = match header.version {
        EPOCH_FROM.. => 2,
        _ => 0,
    };
    match end(context, &request, version).await {
        Ok((producer_id, producer_epoch)) => EndTxnResponse {
            producer_id,
            producer_epoch,
            ..EndTxnResponse::default()
        },
        Err(error) => EndTxnResponse {
            error_code: before_fencing(error, header.version < FENCED_FROM).code(),
            ..EndTxnResponse::default()
        },
    }
}

async fn end(
    context: &Arc<Context>,
    request: &EndTxnRequest,
    version: i16,
) -> Result<Producer, ErrorCode> {
    let id = &request.transactional_id;
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let producer = ((request.producer_id, request.producer_epoch), version);
    let transactions = &context.transactions;
    let ended = transactions
        .end(id, producer, request.committed, None)
        .await?;
    if let Some(producer) = ended {
        return Ok(producer);
    }
    let fresh = fresh_producer_id(context).await?;
    let ended = transactions.end(id, producer, request.committed, Some(fresh));
    ended.await?.ok_or(ErrorCode::UnknownServerError)
}

/// What a client is told that is older than PRODUCER_FENCED.
pub(super) fn before_fencing(error: ErrorCode, is_old: bool) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced if is_old => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}
