//! Heartbeat 0-4: a member says that it is alive and learns whether to rejoin. v3 adds static
//! members. While groups are being read after a start every heartbeat is answered without error,
//! as in Kafka: nothing is known against the member.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::Header;
use crate::context::Context;
use crate::group::Missing;
use crate::group::engine::{Claim, Event, Reply};

/// Answers how the member's generation stands.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let error = if request.group_id.is_empty() {
        ErrorCode::InvalidGroupId
    } else {
        heartbeat(context, &request).await
    };
    HeartbeatResponse {
        error_code: error.code(),
        ..HeartbeatResponse::default()
    }
}

async fn heartbeat(context: &Context, request: &HeartbeatRequest) -> ErrorCode {
    let claim = Claim {
        member_id: Arc::from(&*request.member_id),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id,
    };
    let make = |waiter| Event::Heartbeat { waiter, claim };
    match context
        .groups
        .ask(&request.group_id, Missing::Refuse, make)
        .await
    {
        Ok(Reply::Heartbeat(error)) => error,
        Ok(_) => ErrorCode::UnknownServerError,
        Err(ErrorCode::GroupIdNotFound) => ErrorCode::UnknownMemberId,
        Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
        Err(error) => error,
    }
}
