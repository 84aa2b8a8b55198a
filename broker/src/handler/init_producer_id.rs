//! InitProducerId 0-5: ids for idempotent producers (KIP-98). Deviation from Kafka: there are no
//! transactions yet; a transactional id is answered with UNSUPPORTED_VERSION, which every client
//! takes as final.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use tracing::warn;

use super::Header;
use super::error::Code;
use crate::context::Context;

/// Answers a fresh id with epoch 0.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let refuse = |code: ErrorCode| InitProducerIdResponse {
        error_code: code.code(),
        producer_epoch: -1,
        ..InitProducerIdResponse::default()
    };
    if let Some(id) = &request.transactional_id {
        if id.is_empty() {
            return refuse(ErrorCode::InvalidRequest);
        }
        context.metrics.refused("transactions_not_served");
        return refuse(ErrorCode::UnsupportedVersion);
    }
    if (request.producer_id < 0) != (request.producer_epoch < 0) {
        return refuse(ErrorCode::InvalidRequest);
    }
    match context.producer_ids.next().await {
        Ok(producer_id) => InitProducerIdResponse {
            producer_id,
            producer_epoch: 0,
            ..InitProducerIdResponse::default()
        },
        Err(error) => {
            warn!("no producer id: {error}");
            // Retriable: the client asks again.
            refuse(match error.code() {
                ErrorCode::NotController => ErrorCode::CoordinatorNotAvailable,
                code => code,
            })
        }
    }
}
