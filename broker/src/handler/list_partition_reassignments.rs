//! ListPartitionReassignments 0: moves of partitions under way (KIP-455). One node moves nothing.

use std::sync::Arc;

use logway_protocol::message::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Header;
use crate::context::Context;

/// Answers that nothing moves.
pub(crate) async fn handle(
    _context: &Arc<Context>,
    _header: &Header,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse {
        error_message: None,
        ..ListPartitionReassignmentsResponse::default()
    }
}
