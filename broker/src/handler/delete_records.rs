//! DeleteRecords 0-2: a later start for logs; -1 is the high watermark. Answered when the new starts
//! are on disk, which Kafka does not wait for. Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};

use super::Header;
use super::error::Code;
use crate::context::Context;
use crate::partition::Partition;

/// Stands for the high watermark.
const HIGH_WATERMARK: i64 = -1;
/// The low watermark in an answer that is an error.
const NO_WATERMARK: i64 = -1;

/// Deletes and answers each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let (mut topics, wanted, places) = look_up(context, &request);
    let partitions = Arc::clone(&context.partitions);
    // Files are removed and a checkpoint is synced.
    let deleting = tokio::task::spawn_blocking(move || partitions.delete_records(&wanted));
    let results = deleting.await.unwrap_or_default();
    for (at, result) in places.into_iter().zip(results) {
        let answer = topics
            .get_mut(at.0)
            .and_then(|topic: &mut DeleteRecordsTopicResult| topic.partitions.get_mut(at.1));
        let Some(answer) = answer else { continue };
        match result {
            Ok(log_start_offset) => {
                answer.low_watermark = log_start_offset;
                answer.error_code = ErrorCode::None.code();
            }
            Err(error) => answer.error_code = error.code().code(),
        }
    }
    DeleteRecordsResponse {
        topics,
        ..DeleteRecordsResponse::default()
    }
}

type Wanted = Vec<(Arc<Partition>, Option<i64>)>;

/// Answers for all partitions, and for those that are here what is wanted and where its answer stands.
fn look_up(
    context: &Context,
    request: &DeleteRecordsRequest,
) -> (Vec<DeleteRecordsTopicResult>, Wanted, Vec<(usize, usize)>) {
    let (mut topics, mut wanted, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for topic in &request.topics {
        let reserved = context.partitions.is_reserved(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let found = context.partitions.find(&topic.name, asked.partition_index);
            let error = match found {
                None => ErrorCode::UnknownTopicOrPartition,
                Some(_) if reserved => ErrorCode::InvalidTopicException,
                Some(partition) => {
                    let offset = (asked.offset != HIGH_WATERMARK).then_some(asked.offset);
                    wanted.push((partition, offset));
                    places.push((topics.len(), partitions.len()));
                    // Stays only if the work was cut off.
                    ErrorCode::UnknownServerError
                }
            };
            partitions.push(DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: NO_WATERMARK,
                error_code: error.code(),
            });
        }
        topics.push(DeleteRecordsTopicResult {
            name: topic.name.clone(),
            partitions,
        });
    }
    (topics, wanted, places)
}
