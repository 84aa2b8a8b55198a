//! DeleteGroups 0-2: groups without members, with all their offsets. Answered when the tombstones
//! are durable.

use std::collections::HashSet;
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
    let mut seen = HashSet::new();
    let names = request.groups_names.into_iter();
    // Once each, as Kafka answers.
    for group_id in names.filter(|group_id| seen.insert(group_id.clone())) {
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
