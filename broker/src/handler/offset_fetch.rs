//! OffsetFetch 1-10: what groups have committed; -1 where there is nothing. v2 can ask for all
//! topics (null), v7 for stable offsets only, v8 for several groups, v9 names the member,
//! v10 names topics by id.
//! Without transactions every stored offset is stable.

use std::sync::Arc;

use logway_protocol::message::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::group::{Committed, GroupOffsets};
use crate::metadata::Image;

/// Version from which several groups are named.
const BATCH_FROM: i16 = 8;
/// Version from which topics are named by id.
const TOPIC_ID_FROM: i16 = 10;

/// Answers the stored offsets of each group.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if header.version >= BATCH_FROM {
        let groups = request
            .groups
            .into_iter()
            .map(|group| fetch(context, header.version, group))
            .collect();
        return OffsetFetchResponse {
            groups,
            ..OffsetFetchResponse::default()
        };
    }
    let topics = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| OffsetFetchRequestTopics {
            name: topic.name,
            partition_indexes: topic.partition_indexes,
            ..OffsetFetchRequestTopics::default()
        });
        topics.collect()
    });
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    single(fetch(context, header.version, group))
}

fn fetch(
    context: &Context,
    version: i16,
    request: OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let group_id = request.group_id.clone();
    let (member_id, epoch) = (request.member_id.as_deref(), request.member_epoch);
    let groups = &context.groups;
    let image = context.metadata.image();
    let topics = groups
        .admit_fetch(&group_id, member_id, epoch)
        .and_then(|()| {
            groups.offsets(&group_id, |offsets| match request.topics {
                None => offsets
                    .map(|offsets| all_topics(offsets, version, &image))
                    .unwrap_or_default(),
                Some(topics) => topics
                    .into_iter()
                    .map(|topic| some_topic(topic, offsets, version, &image))
                    .collect(),
            })
        });
    let (topics, error) = match topics {
        Ok(topics) => (topics, ErrorCode::None),
        Err(error) => (Vec::new(), error),
    };
    OffsetFetchResponseGroup {
        group_id,
        topics,
        error_code: error.code(),
    }
}

/// Topics that are gone have no id to name them by, so v10 leaves them out.
fn all_topics(
    offsets: &GroupOffsets,
    version: i16,
    image: &Image,
) -> Vec<OffsetFetchResponseTopics> {
    let by_id = version >= TOPIC_ID_FROM;
    offsets
        .topics()
        .filter_map(|(name, partitions)| {
            let topic_id = image.topic(name).map(|topic| topic.id);
            (!by_id || topic_id.is_some()).then(|| OffsetFetchResponseTopics {
                name: Text::from(&**name),
                topic_id: topic_id.unwrap_or_default(),
                partitions: partitions
                    .iter()
                    .map(|(at, kept)| partition(*at, Some(kept)))
                    .collect(),
            })
        })
        .collect()
}

fn some_topic(
    asked: OffsetFetchRequestTopics,
    offsets: Option<&GroupOffsets>,
    version: i16,
    image: &Image,
) -> OffsetFetchResponseTopics {
    let by_id = version >= TOPIC_ID_FROM;
    let found = image.topic_by_id(&asked.topic_id).filter(|_| by_id);
    let name = found.map_or(&*asked.name, |topic| &*topic.name);
    let stored = |at: i32| offsets.and_then(|offsets| offsets.get(name, at));
    let each = |at: &i32| {
        let mut answer = partition(*at, stored(*at));
        if by_id && found.is_none() {
            answer.error_code = ErrorCode::UnknownTopicId.code();
        }
        answer
    };
    let partitions = asked.partition_indexes.iter().map(each).collect();
    OffsetFetchResponseTopics {
        name: asked.name,
        topic_id: asked.topic_id,
        partitions,
    }
}

fn partition(index: i32, committed: Option<&Committed>) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: index,
        committed_offset: committed.map_or(-1, |committed| committed.offset),
        committed_leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
        metadata: Some(committed.map_or_else(Text::default, |kept| Text::from(&*kept.metadata))),
        error_code: ErrorCode::None.code(),
    }
}

/// The form before v8: one group, its error at the top. v1 has no place for that error, so there
/// it stands at each partition.
fn single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let topics = group
        .topics
        .into_iter()
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic
                .partitions
                .into_iter()
                .map(|of| OffsetFetchResponsePartition {
                    partition_index: of.partition_index,
                    committed_offset: of.committed_offset,
                    committed_leader_epoch: of.committed_leader_epoch,
                    metadata: of.metadata,
                    error_code: of.error_code,
                })
                .collect(),
        });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: group.error_code,
        ..OffsetFetchResponse::default()
    }
}
