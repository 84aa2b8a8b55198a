//! ListGroups 0-5: every group of this broker. v4 filters by state and shows it, v5 filters by type
//! and shows it; names are compared without regard to case, as in Kafka.

use std::sync::Arc;

use logway_protocol::Text;
use logway_protocol::message::list_groups::{
    ListGroupsRequest, ListGroupsResponse, ListedGroup as Listed,
};

use super::Header;
use crate::context::Context;
use crate::group::ListedGroup;

/// Answers the groups that pass the filters.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    match context.groups.list() {
        Ok(groups) => ListGroupsResponse {
            groups: groups
                .iter()
                .filter(|group| passes(&request, group))
                .map(listed)
                .collect(),
            ..ListGroupsResponse::default()
        },
        Err(error) => ListGroupsResponse {
            error_code: error.code(),
            ..ListGroupsResponse::default()
        },
    }
}

fn passes(request: &ListGroupsRequest, group: &ListedGroup) -> bool {
    let any = |filter: &[Text], name: &str| {
        filter.is_empty()
            || filter
                .iter()
                .any(|wanted| wanted.eq_ignore_ascii_case(name))
    };
    any(&request.states_filter, group.state) && any(&request.types_filter, group.kind)
}

fn listed(group: &ListedGroup) -> Listed {
    Listed {
        group_id: Text::from(&*group.id),
        protocol_type: Text::from(&*group.protocol_type),
        group_state: Text::from_static(group.state),
        group_type: Text::from_static(group.kind),
    }
}
