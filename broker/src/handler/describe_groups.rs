//! DescribeGroups 0-6: groups with their members. v3 can show allowed operations (all,
//! without an authorizer), v4 static members; v6 answers an unknown group with
//! GROUP_ID_NOT_FOUND where older versions see a dead group.

use std::sync::Arc;

use logway_protocol::message::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup as Described,
    DescribedGroupMember,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::group::engine::{MemberSnapshot, State};
use crate::group::{DescribedGroup, Found};

/// Version from which an unknown group is an error.
const GROUP_ERROR_FROM: i16 = 6;
/// What everybody may do with a group without an authorizer: read, delete, describe, describe and
/// alter configs.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// Answers for each group named.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let describe = |id: Text| match context.groups.describe(&id) {
        Ok(Found::Group(group)) => described(id, &group),
        Ok(Found::Nothing) => unknown(header.version, id, "not found"),
        Ok(Found::OtherKind) => unknown(header.version, id, "is not a classic group"),
        Err(error) => failed(id, error),
    };
    let mut groups: Vec<Described> = request.groups.into_iter().map(describe).collect();
    if request.include_authorized_operations {
        let found = |group: &&mut Described| group.error_code == ErrorCode::None.code();
        for group in groups.iter_mut().filter(found) {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    DescribeGroupsResponse {
        groups,
        ..DescribeGroupsResponse::default()
    }
}

fn failed(group_id: Text, error: ErrorCode) -> Described {
    Described {
        group_id,
        error_code: error.code(),
        ..Described::default()
    }
}

fn unknown(version: i16, group_id: Text, what: &str) -> Described {
    let mut group = Described {
        group_state: Text::from_static(State::Dead.name()),
        ..Described::default()
    };
    if version >= GROUP_ERROR_FROM {
        group.error_code = ErrorCode::GroupIdNotFound.code();
        group.error_message = Some(Text::from(format!("Group {group_id} {what}.")));
    }
    Described { group_id, ..group }
}

fn described(group_id: Text, found: &DescribedGroup) -> Described {
    let stable = found.state == State::Stable;
    let text = |text: &Arc<str>| Text::from(&**text);
    let protocol = found.group.protocol_name.as_ref().filter(|_| stable);
    let members = found.group.members.iter();
    Described {
        group_id,
        group_state: Text::from_static(found.state.name()),
        protocol_type: found
            .group
            .protocol_type
            .as_ref()
            .map(text)
            .unwrap_or_default(),
        protocol_data: protocol.map(text).unwrap_or_default(),
        members: members
            .map(|member| described_member(member, stable))
            .collect(),
        ..Described::default()
    }
}

fn described_member(member: &MemberSnapshot, stable: bool) -> DescribedGroupMember {
    let mut shown = DescribedGroupMember {
        member_id: Text::from(&*member.member_id),
        group_instance_id: member.instance_id.as_deref().map(Text::from),
        client_id: Text::from(&*member.client_id),
        client_host: Text::from(&*member.client_host),
        member_assignment: member.assignment.clone(),
        ..DescribedGroupMember::default()
    };
    // Before a generation is complete no protocol is chosen that it would belong to.
    if stable {
        shown.member_metadata = member.subscription.clone();
    }
    shown
}
