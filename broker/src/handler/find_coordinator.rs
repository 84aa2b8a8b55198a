//! FindCoordinator 0-6: who coordinates a group or a transaction. v1 adds the key's type, v4 asks
//! for several keys at once, v6 knows share groups, which this broker refuses by name.
//! On one node the answer is this node; asking makes `__consumer_offsets` or `__transaction_state`,
//! as in Kafka.

use std::sync::Arc;

use logway_protocol::message::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers each key with this broker's address or why there is none.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let found = match request.key_type {
        GROUP => context
            .groups
            .prepare()
            .await
            .map_err(|_| ErrorCode::CoordinatorNotAvailable),
        TRANSACTION => context
            .transactions
            .prepare()
            .await
            .map_err(|_| ErrorCode::CoordinatorNotAvailable),
        _ => Err(ErrorCode::InvalidRequest),
    };
    let error = found.err().unwrap_or(ErrorCode::None);
    if header.version >= 4 {
        let keys = request.coordinator_keys.into_iter();
        let coordinators = keys.map(|key| coordinator(context, key, error)).collect();
        return FindCoordinatorResponse {
            coordinators,
            ..FindCoordinatorResponse::default()
        };
    }
    let Coordinator {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..
    } = coordinator(context, request.key, error);
    FindCoordinatorResponse {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..FindCoordinatorResponse::default()
    }
}

fn coordinator(context: &Context, key: Text, error: ErrorCode) -> Coordinator {
    if error == ErrorCode::None {
        return Coordinator {
            key,
            node_id: context.settings.node_id,
            host: Text::from(&context.endpoint.host),
            port: i32::from(context.endpoint.port),
            error_code: error.code(),
            error_message: Some(Text::default()),
        };
    }
    Coordinator {
        key,
        node_id: -1,
        host: Text::default(),
        port: -1,
        error_code: error.code(),
        error_message: Some(Text::from(error.name())),
    }
}
