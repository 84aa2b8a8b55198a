//! ListGroups: groups that this broker coordinates.

use crate::text::Text;

api! { ListGroups: ListGroupsRequest => ListGroupsResponse, versions 0..=5, flexible 3 }

fields! {
    /// Filters by state (version 4) and type (version 5).
    pub struct ListGroupsRequest {
        states_filter: Vec<Text>, 4..;
        types_filter: Vec<Text>, 5..;
    }

    /// The groups.
    pub struct ListGroupsResponse {
        throttle_time_ms: i32, 1.., ignorable(true);
        error_code: i16, 0..;
        groups: Vec<ListedGroup>, 0..;
    }

    /// Part of [`ListGroupsResponse`]: listed group.
    pub struct ListedGroup {
        group_id: Text, 0..;
        protocol_type: Text, 0..;
        group_state: Text, 4.., ignorable(true);
        group_type: Text, 5.., ignorable(true);
    }
}
