//! OffsetDelete 0: single offsets of a group (KIP-496). An offset of a topic that a member still
//! wants stays. Answered when the tombstones are durable.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::Header;
use crate::context::Context;

/// Deletes what may go and answers for each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let image = context.metadata.image();
    let exists = |topic: &str, at: i32| {
        let count = image.topic(topic).map_or(0, |topic| topic.partitions.len());
        usize::try_from(at).is_ok_and(|at| at < count)
    };
    let asked = request.topics.iter().flat_map(|topic| {
        let name: Arc<str> = Arc::from(&*topic.name);
        let each = topic.partitions.iter();
        each.map(move |of| (name.clone(), of.partition_index))
    });
    let places: Vec<(Arc<str>, i32)> = asked.filter(|(topic, at)| exists(topic, *at)).collect();
    let verdicts = if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else {
        context
            .groups
            .delete_offsets(&request.group_id, &places)
            .await
    };
    let verdicts = match verdicts {
        Ok(verdicts) => verdicts,
        Err(error) => {
            return OffsetDeleteResponse {
                error_code: error.code(),
                ..OffsetDeleteResponse::default()
            };
        }
    };
    let mut verdicts = verdicts.into_iter();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|of| {
            let known = exists(&topic.name, of.partition_index);
            let verdict = known.then(|| verdicts.next()).flatten();
            let error = verdict.unwrap_or(ErrorCode::UnknownTopicOrPartition);
            OffsetDeleteResponsePartition {
                partition_index: of.partition_index,
                error_code: error.code(),
            }
        });
        OffsetDeleteResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    OffsetDeleteResponse {
        topics: topics.collect(),
        ..OffsetDeleteResponse::default()
    }
}
