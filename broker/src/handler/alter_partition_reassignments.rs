//! AlterPartitionReassignments 0-1: where partitions lie (KIP-455). One node holds every replica: a
//! partition that is to lie on it lies there already, and there is no other broker to move it to. In no time
//! nothing moves.

use std::sync::Arc;

use logway_protocol::message::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::error::Code;
use super::{Header, is_out_of_time};
use crate::context::Context;
use crate::metadata::{Reassignment, ReassignmentError, reassign};

/// Answers for each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let image = context.metadata.image();
    let node = context.settings.node_id;
    let out_of_time = is_out_of_time(request.timeout_ms) && !request.topics.is_empty();
    let late = ErrorCode::RequestTimedOut.code();
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            if out_of_time {
                return ReassignablePartitionResponse {
                    partition_index: partition.partition_index,
                    error_code: late,
                    error_message: None,
                };
            }
            let asked = Reassignment {
                topic: &topic.name,
                partition: partition.partition_index,
                replicas: partition.replicas.as_deref(),
            };
            let verdict = reassign(&image, node, &asked);
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code: verdict
                    .as_ref()
                    .map_or_else(Code::code, |()| ErrorCode::None)
                    .code(),
                error_message: verdict.err().and_then(|error| match error {
                    // Kafka has no text for it, and tools then show their own.
                    ReassignmentError::NoneInProgress => None,
                    other => Some(Text::from(other.to_string())),
                }),
            }
        });
        ReassignableTopicResponse {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    AlterPartitionReassignmentsResponse {
        error_code: if out_of_time {
            late
        } else {
            ErrorCode::None.code()
        },
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message: None,
        responses: responses.collect(),
        ..AlterPartitionReassignmentsResponse::default()
    }
}
