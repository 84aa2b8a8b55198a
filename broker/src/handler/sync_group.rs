//! SyncGroup 0-5: the leader hands in the assignment, everyone gets their share once it is stored.
//! v3 adds static members, v5 the protocol's type and name, which must be given.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::message::sync_group::{SyncGroupRequest, SyncGroupResponse};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::group::Missing;
use crate::group::engine::{Claim, Event, Reply, Sync, SyncReply, Waiter};

/// Version from which members have to say which protocol they follow.
const PROTOCOL_FROM: i16 = 5;

/// Waits until the assignment of the member's generation is stored.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    let asked = match header.version {
        PROTOCOL_FROM.. if !names_protocol => Err(ErrorCode::InconsistentGroupProtocol),
        _ => sync(context, request).await,
    };
    let reply = match asked {
        Ok(reply) => reply,
        Err(error) => SyncReply::refused(error),
    };
    let text = |text: &Arc<str>| Text::from(&**text);
    SyncGroupResponse {
        error_code: reply.error.code(),
        protocol_type: reply.protocol_type.as_ref().map(text),
        protocol_name: reply.protocol_name.as_ref().map(text),
        assignment: reply.assignment,
        ..SyncGroupResponse::default()
    }
}

async fn sync(context: &Context, request: SyncGroupRequest) -> Result<SyncReply, ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    let make = |waiter: Waiter| {
        Event::Sync(Box::new(Sync {
            waiter,
            claim: Claim {
                member_id: Arc::from(&*request.member_id),
                instance_id: request.group_instance_id.as_deref().map(Arc::from),
                generation: request.generation_id,
            },
            protocol_type: request.protocol_type.as_deref().map(Arc::from),
            protocol_name: request.protocol_name.as_deref().map(Arc::from),
            // Copies: the group must not keep whole request frames alive.
            assignments: request
                .assignments
                .iter()
                .map(|given| {
                    let assignment = Bytes::copy_from_slice(&given.assignment);
                    (Arc::from(&*given.member_id), assignment)
                })
                .collect(),
        }))
    };
    match context
        .groups
        .ask(&request.group_id, Missing::Refuse, make)
        .await
    {
        Ok(Reply::Sync(reply)) => Ok(reply),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(ErrorCode::GroupIdNotFound) => Err(ErrorCode::UnknownMemberId),
        Err(error) => Err(error),
    }
}
