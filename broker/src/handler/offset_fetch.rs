//! OffsetFetch 1-9: what groups have committed; -1 where there is nothing. v2 can ask for all
//! topics (null), v7 for stable offsets only, v8 for several groups, v9 names the member.
//! Who asks for stable offsets gets UNSTABLE_OFFSET_COMMIT where an open transaction has an offset.

use std::collections::BTreeSet;
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

/// Version from which several groups are named.
const BATCH_FROM: i16 = 8;

/// Answers the stored offsets of each group.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let stable = request.require_stable;
    if header.version >= BATCH_FROM {
        let groups = request
            .groups
            .into_iter()
            .map(|group| fetch(context, group, stable))
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
        });
        topics.collect()
    });
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..OffsetFetchRequestGroup::default()
    };
    single(fetch(context, group, stable))
}

fn fetch(
    context: &Context,
    request: OffsetFetchRequestGroup,
    stable: bool,
) -> OffsetFetchResponseGroup {
    let group_id = request.group_id.clone();
    // Before the offsets: what is settled in between is then at worst called unstable.
    let unstable = match stable {
        true => context.groups.unstable_places(&group_id),
        false => BTreeSet::new(),
    };
    let topics = context
        .groups
        .offsets(&group_id, |offsets| match request.topics {
            None => offsets.map(all_topics).unwrap_or_default(),
            Some(topics) => topics
                .into_iter()
                .map(|topic| some_topic(topic, offsets))
                .collect(),
        });
    match topics {
        Ok(mut topics) => {
            for topic in topics.iter_mut().filter(|_| !unstable.is_empty()) {
                let name: Arc<str> = Arc::from(&*topic.name);
                for at in &mut topic.partitions {
                    if unstable.contains(&(name.clone(), at.partition_index)) {
                        *at = OffsetFetchResponsePartitions {
                            error_code: ErrorCode::UnstableOffsetCommit.code(),
                            ..partition(at.partition_index, None)
                        };
                    }
                }
            }
            OffsetFetchResponseGroup {
                group_id,
                topics,
                error_code: 0,
            }
        }
        Err(error) => OffsetFetchResponseGroup {
            group_id,
            topics: Vec::new(),
            error_code: error.code(),
        },
    }
}

fn all_topics(offsets: &GroupOffsets) -> Vec<OffsetFetchResponseTopics> {
    offsets
        .topics()
        .map(|(name, partitions)| OffsetFetchResponseTopics {
            name: Text::from(&**name),
            partitions: partitions
                .iter()
                .map(|(at, kept)| partition(*at, Some(kept)))
                .collect(),
        })
        .collect()
}

fn some_topic(
    asked: OffsetFetchRequestTopics,
    offsets: Option<&GroupOffsets>,
) -> OffsetFetchResponseTopics {
    let stored = |at: i32| offsets.and_then(|offsets| offsets.get(&asked.name, at));
    let partitions = asked
        .partition_indexes
        .iter()
        .map(|at| partition(*at, stored(*at)))
        .collect();
    OffsetFetchResponseTopics {
        name: asked.name,
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
