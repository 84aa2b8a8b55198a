//! DeleteGroups 0-2: groups without members, with all their offsets. Answered when the tombstones
//! are durable.

use std::sync::Arc;

use logway_protocol::message::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;

/// Deletes one group after the other and answers for each.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for group_id in request.groups_names {
        let error = delete(context, &group_id).await;
        results.push(DeletableGroupResult {
            group_id,
            error_code: error.code(),
        });
    }
    DeleteGroupsResponse {
        results,
        ..DeleteGroupsResponse::default()
    }
}

async fn delete(context: &Context, group_id: &Text) -> ErrorCode {
    let deleted = context.groups.delete_group(group_id).await;
    deleted.err().unwrap_or(ErrorCode::None)
}
