//! SyncGroup: the leader hands in the assignment, every member gets its part.

use bytes::Bytes;

use crate::text::Text;

api! { SyncGroup: SyncGroupRequest => SyncGroupResponse, versions 0..=5, flexible 4 }

fields! {
    /// The member's generation; the leader's assignments.
    pub struct SyncGroupRequest {
        group_id: Text, 0..;
        generation_id: i32, 0..;
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 3..;
        protocol_type: Option<Text>, 5.., ignorable(true);
        protocol_name: Option<Text>, 5.., ignorable(true);
        assignments: Vec<SyncGroupRequestAssignment>, 0..;
    }

    /// Part of [`SyncGroupRequest`]: sync group request assignment.
    pub struct SyncGroupRequestAssignment {
        member_id: Text, 0..;
        assignment: Bytes, 0..;
    }

    /// The member's assignment.
    pub struct SyncGroupResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        error_code: i16, 0..;
        protocol_type: Option<Text>, 5.., ignorable(true);
        protocol_name: Option<Text>, 5.., ignorable(true);
        assignment: Bytes, 0..;
    }
}
