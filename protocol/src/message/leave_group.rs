//! LeaveGroup: members leave a group at once, several from version 3.

use crate::text::Text;

api! { LeaveGroup: LeaveGroupRequest => LeaveGroupResponse, versions 0..=5, flexible 4 }

fields! {
    /// Which members, by member id or group instance id.
    pub struct LeaveGroupRequest {
        group_id: Text, 0..;
        member_id: Text, 0..=2;
        members: Vec<MemberIdentity>, 3..;
    }

    /// Part of [`LeaveGroupRequest`]: member identity.
    pub struct MemberIdentity {
        member_id: Text, 3..;
        group_instance_id: Option<Text>, 3..;
        reason: Option<Text>, 5.., ignorable(true);
    }

    /// A result for each member.
    pub struct LeaveGroupResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        error_code: i16, 0..;
        members: Vec<MemberResponse>, 3..;
    }

    /// Part of [`LeaveGroupResponse`]: member response.
    pub struct MemberResponse {
        member_id: Text, 3..;
        group_instance_id: Option<Text> = Some(Text::default()), 3..;
        error_code: i16, 3..;
    }
}
