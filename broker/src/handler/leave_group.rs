//! LeaveGroup 0-5: members go, so that the others need not wait for their sessions to end. v0-2
//! name one member and answer at the top; v3+ name several, static ones also by instance id alone,
//! and answer for each; v5 adds the reason.

use std::sync::Arc;

use logway_protocol::message::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::group::Missing;
use crate::group::engine::{Event, Leaving, Left, Reply};

/// Version from which several members are named.
const BATCH_FROM: i16 = 3;

/// Removes the members and answers for each.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let members = leaving(header.version, &request);
    let left = if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        leave(context, &request.group_id, members).await
    };
    match left {
        Ok(left) => response(header.version, &left),
        Err(error) => LeaveGroupResponse {
            error_code: error.code(),
            ..LeaveGroupResponse::default()
        },
    }
}

fn leaving(version: i16, request: &LeaveGroupRequest) -> Vec<Leaving> {
    if version < BATCH_FROM {
        let member_id = Arc::from(&*request.member_id);
        return vec![Leaving {
            member_id,
            instance_id: None,
        }];
    }
    let members = request.members.iter();
    members
        .map(|member| Leaving {
            member_id: Arc::from(&*member.member_id),
            instance_id: member.group_instance_id.as_deref().map(Arc::from),
        })
        .collect()
}

async fn leave(
    context: &Context,
    group_id: &str,
    members: Vec<Leaving>,
) -> Result<Vec<Left>, ErrorCode> {
    let asked = members.clone();
    let make = |waiter| Event::Leave { waiter, members };
    match context.groups.ask(group_id, Missing::Refuse, make).await {
        Ok(Reply::Leave(left)) => Ok(left),
        Ok(_) => Err(ErrorCode::UnknownServerError),
        // Nobody can be a member of a group that does not exist.
        Err(ErrorCode::GroupIdNotFound) => Ok(asked
            .into_iter()
            .map(
                |Leaving {
                     member_id,
                     instance_id,
                 }| {
                    Left {
                        member_id,
                        instance_id,
                        error: ErrorCode::UnknownMemberId,
                    }
                },
            )
            .collect()),
        Err(error) => Err(error),
    }
}

fn response(version: i16, left: &[Left]) -> LeaveGroupResponse {
    if version < BATCH_FROM {
        let error = left.first().map_or(ErrorCode::None, |member| member.error);
        return LeaveGroupResponse {
            error_code: error.code(),
            ..LeaveGroupResponse::default()
        };
    }
    let members = left.iter().map(|member| MemberResponse {
        member_id: Text::from(&*member.member_id),
        group_instance_id: member.instance_id.as_deref().map(Text::from),
        error_code: member.error.code(),
    });
    LeaveGroupResponse {
        members: members.collect(),
        ..LeaveGroupResponse::default()
    }
}
