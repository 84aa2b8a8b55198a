//! JoinGroup 0-9: a member enters a group or its next generation; the answer comes when the round
//! is complete. v1 adds the rebalance timeout (before, the session timeout serves for both), v4
//! makes dynamic members come back with an id (KIP-394), v5 adds static members, v7 a nullable
//! protocol name, v9 lets a returning static leader keep the assignment (KIP-814).

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::message::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use logway_protocol::{ErrorCode, Text};
use tracing::error;

use super::Header;
use crate::context::Context;
use crate::group::Missing;
use crate::group::engine::{ClientInfo, Event, Join, JoinReply, Protocol, Reply, Waiter};

/// Protocols one member may offer.
const PROTOCOLS_MAX: usize = 128;
/// Version from which a dynamic member must come back with the id it was given.
const KNOWN_ID_FROM: i16 = 4;
/// Version from which the protocol name may be null.
const NULL_NAME_FROM: i16 = 7;
/// Version from which a leader may be told to keep the assignment.
const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// Waits until the member has a generation or is turned away.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let member_id: Arc<str> = Arc::from(&*request.member_id);
    let reply = match check(context, &request) {
        Ok(()) => join(context, header, request).await,
        Err(error) => Err(error),
    };
    let reply = reply.unwrap_or_else(|error| JoinReply::refused(member_id, error));
    response(header.version, &reply)
}

fn check(context: &Context, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    let settings = &context.settings;
    let session_timeouts =
        settings.group_min_session_timeout_ms..=settings.group_max_session_timeout_ms;
    let metadata: usize = request
        .protocols
        .iter()
        .map(|offer| offer.metadata.len())
        .sum();
    if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if !session_timeouts.contains(&request.session_timeout_ms) {
        Err(ErrorCode::InvalidSessionTimeout)
    } else if request.protocols.len() > PROTOCOLS_MAX {
        Err(ErrorCode::InconsistentGroupProtocol)
    } else if metadata > usize::try_from(settings.message_max_bytes).unwrap_or(0) {
        // The group is stored as one record, which could never hold it.
        Err(ErrorCode::MessageTooLarge)
    } else {
        Ok(())
    }
}

async fn join(
    context: &Context,
    header: &Header,
    request: JoinGroupRequest,
) -> Result<JoinReply, ErrorCode> {
    let client_id = header.client_id.as_deref().unwrap_or_default();
    let prefix = request.group_instance_id.as_deref().unwrap_or(client_id);
    let new_member_id = new_member_id(prefix)?;
    let has_id = !request.member_id.is_empty();
    let missing = if has_id {
        Missing::Refuse
    } else {
        Missing::Create
    };
    let client = ClientInfo {
        id: Arc::from(client_id),
        host: Arc::from(format!("/{}", header.peer.ip())),
    };
    let version = header.version;
    let make = |waiter: Waiter| {
        Event::Join(Box::new(Join {
            waiter,
            member_id: has_id.then(|| Arc::from(&*request.member_id)),
            new_member_id,
            instance_id: request.group_instance_id.as_deref().map(Arc::from),
            client,
            session_timeout_ms: request.session_timeout_ms,
            rebalance_timeout_ms: match version {
                0 => request.session_timeout_ms,
                _ => request.rebalance_timeout_ms,
            },
            protocol_type: Arc::from(&*request.protocol_type),
            protocols: request
                .protocols
                .iter()
                .map(|offer| Protocol {
                    name: Arc::from(&*offer.name),
                    // A copy: the group must not keep whole request frames alive.
                    metadata: Bytes::copy_from_slice(&offer.metadata),
                })
                .collect(),
            needs_known_id: version >= KNOWN_ID_FROM,
            can_skip_assignment: version >= SKIP_ASSIGNMENT_FROM,
        }))
    };
    match context.groups.ask(&request.group_id, missing, make).await {
        Ok(Reply::Join(reply)) => Ok(*reply),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        Err(ErrorCode::GroupIdNotFound) => Err(ErrorCode::UnknownMemberId),
        Err(error) => Err(error),
    }
}

/// Kafka's form: the client or instance id, a dash, a random UUID.
fn new_member_id(prefix: &str) -> Result<Arc<str>, ErrorCode> {
    let uuid = crate::random::uuid().map_err(|source| {
        error!("no random numbers for a member id: {source}");
        ErrorCode::UnknownServerError
    })?;
    let hex: String = uuid
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    Ok(Arc::from(format!("{prefix}-{a}-{b}-{c}-{d}-{e}")))
}

fn response(version: i16, reply: &JoinReply) -> JoinGroupResponse {
    let text = |text: &Arc<str>| Text::from(&**text);
    // A name that says nothing is none, as with Kafka.
    let named = reply.protocol_name.as_ref();
    let protocol_name = named.filter(|name| !name.is_empty()).map(text);
    let empty_name = (version < NULL_NAME_FROM).then(Text::default);
    JoinGroupResponse {
        error_code: reply.error.code(),
        generation_id: reply.generation,
        protocol_type: reply.protocol_type.as_ref().map(text),
        protocol_name: protocol_name.or(empty_name),
        leader: reply.leader.as_ref().map(text).unwrap_or_default(),
        skip_assignment: reply.skip_assignment,
        member_id: text(&reply.member_id),
        members: reply
            .members
            .iter()
            .map(|member| JoinGroupResponseMember {
                member_id: text(&member.member_id),
                group_instance_id: member.instance_id.as_ref().map(text),
                metadata: member.metadata.clone(),
            })
            .collect(),
        ..JoinGroupResponse::default()
    }
}
