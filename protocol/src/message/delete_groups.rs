//! DeleteGroups: groups without members, and their offsets, are removed (KIP-229).

use crate::text::Text;

api! { DeleteGroups: DeleteGroupsRequest => DeleteGroupsResponse, versions 0..=2, flexible 2 }

fields! {
    /// Groups to delete.
    pub struct DeleteGroupsRequest {
        groups_names: Vec<Text>, 0..;
    }

    /// A result for each group.
    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32, 0..;
        results: Vec<DeletableGroupResult>, 0..;
    }

    /// Part of [`DeleteGroupsResponse`]: deletable group result.
    pub struct DeletableGroupResult {
        group_id: Text, 0..;
        error_code: i16, 0..;
    }
}
