//! JoinGroup: a member enters a classic group or a new generation of it.

use bytes::Bytes;

use crate::text::Text;

api! { JoinGroup: JoinGroupRequest => JoinGroupResponse, versions 0..=9, flexible 6 }

fields! {
    /// The member and the protocols it brings, in order of preference.
    pub struct JoinGroupRequest {
        group_id: Text, 0..;
        session_timeout_ms: i32, 0..;
        rebalance_timeout_ms: i32 = -1, 1.., ignorable(true);
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 5..;
        protocol_type: Text, 0..;
        protocols: Vec<JoinGroupRequestProtocol>, 0..;
        reason: Option<Text>, 8.., ignorable(true);
    }

    /// Part of [`JoinGroupRequest`]: join group request protocol.
    pub struct JoinGroupRequestProtocol {
        name: Text, 0..;
        metadata: Bytes, 0..;
    }

    /// The generation; its leader also gets all members.
    pub struct JoinGroupResponse {
        throttle_time_ms: i32, 2.., ignorable(true);
        error_code: i16, 0..;
        generation_id: i32 = -1, 0..;
        protocol_type: Option<Text>, 7.., ignorable(true);
        protocol_name: Option<Text> = Some(Text::default()), 0.., nullable(7..);
        leader: Text, 0..;
        skip_assignment: bool, 9..;
        member_id: Text, 0..;
        members: Vec<JoinGroupResponseMember>, 0..;
    }

    /// Part of [`JoinGroupResponse`]: join group response member.
    pub struct JoinGroupResponseMember {
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 5.., ignorable(true);
        metadata: Bytes, 0..;
    }
}
