//! Heartbeat: a member says that it lives, and learns of rebalances.

use crate::text::Text;

api! { Heartbeat: HeartbeatRequest => HeartbeatResponse, versions 0..=4, flexible 4 }

fields! {
    /// The member and its generation.
    pub struct HeartbeatRequest {
        group_id: Text, 0..;
        generation_id: i32, 0..;
        member_id: Text, 0..;
        group_instance_id: Option<Text>, 3..;
    }

    /// An error code: 27 asks the member to rejoin.
    pub struct HeartbeatResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        error_code: i16, 0..;
    }
}
