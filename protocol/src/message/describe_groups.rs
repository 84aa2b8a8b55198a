//! DescribeGroups: state, protocol and members of classic groups.

use bytes::Bytes;

use crate::text::Text;

api! { DescribeGroups: DescribeGroupsRequest => DescribeGroupsResponse, versions 0..=6, flexible 5 }

fields! {
    /// Which groups.
    pub struct DescribeGroupsRequest {
        groups: Vec<Text>, 0..;
        include_authorized_operations: bool, 3..;
    }

    /// The groups with their members.
    pub struct DescribeGroupsResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        groups: Vec<DescribedGroup>, 0..;
    }

    /// Part of [`DescribeGroupsResponse`]: described group.
    pub struct DescribedGroup {
        error_code: i16, 0..;
        error_message: Option<Text>, 6..;
        group_id: Text, 0..;
        group_state: Text, 0..;
        protocol_type: Text, 0..;
        protocol_data: Text, 0..;
        members: Vec<DescribedGroupMember>, 0..;
        authorized_operations: i32 = i32::MIN, 3..;
    }

    /// Part of [`DescribeGroupsResponse`]: described group member.
    pub struct DescribedGroupMember {
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 4.., ignorable(true);
        client_id: Text, 0..;
        client_host: Text, 0..;
        member_metadata: Bytes, 0..;
        member_assignment: Bytes, 0..;
    }
}
