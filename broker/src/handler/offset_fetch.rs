//! OffsetFetch 1-10: what groups have committed; -1 where there is nothing. v2 can ask for all
//! topics (null), v7 for stable offsets only, v8 for several groups, v9 names the member,
//! v10 names topics by id.
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
    let asked = (header.version, request.require_stable);
    if header.version >= BATCH_FROM {
        let groups = request
            .groups
            .into_iter()
            .map(|group| fetch(context, asked, group))
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
    single(fetch(context, asked, group))
}

fn fetch(
    context: &Context,
    (version, stable): (i16, bool),
    request: OffsetFetchRequestGroup,
) -> OffsetFetchResponseGroup {
    let group_id = request.group_id.clone();
    let (member_id, epoch) = (request.member_id.as_deref(), request.member_epoch);
    let groups = &context.groups;
    let view = View {
        by_id: version >= TOPIC_ID_FROM,
        image: &context.metadata.image(),
        // Before the offsets: what is settled in between is then at worst called unstable.
        unstable: match stable {
            true => groups.unstable_places(&group_id),
            false => BTreeSet::new(),
        },
    };
    let topics = groups
        .admit_fetch(&group_id, member_id, epoch)
        .and_then(|()| {
            groups.offsets(&group_id, |offsets| match request.topics {
                None => offsets
                    .map(|offsets| view.all_topics(offsets))
                    .unwrap_or_default(),
                Some(topics) => topics
                    .into_iter()
                    .map(|topic| view.some_topic(topic, offsets))
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

/// How offsets of one group are answered.
struct View<'a> {
    /// Topics are named by id.
    by_id: bool,
    image: &'a Image,
    /// Partitions with an offset in an open transaction.
    unstable: BTreeSet<(Arc<str>, i32)>,
}

impl View<'_> {
    /// Topics that are gone have no id to name them by, so v10 leaves them out.
    fn all_topics(&self, offsets: &GroupOffsets) -> Vec<OffsetFetchResponseTopics> {
        offsets
            .topics()
            .filter_map(|(name, partitions)| {
                let topic_id = self.image.topic(name).map(|topic| topic.id);
                (!self.by_id || topic_id.is_some()).then(|| OffsetFetchResponseTopics {
                    name: Text::from(&**name),
                    topic_id: topic_id.unwrap_or_default(),
                    partitions: partitions
                        .iter()
                        .map(|(at, kept)| self.partition(name, *at, Some(kept)))
                        .collect(),
                })
            })
            .collect()
    }

    fn some_topic(
        &self,
        asked: OffsetFetchRequestTopics,
        offsets: Option<&GroupOffsets>,
    ) -> OffsetFetchResponseTopics {
        let found = self.image.topic_by_id(&asked.topic_id);
        let found = found.filter(|_| self.by_id);
        let name: Arc<str> = Arc::from(found.map_or(&*asked.name, |topic| &*topic.name));
        let stored = |at: i32| offsets.and_then(|offsets| offsets.get(&name, at));
        let each = |at: &i32| {
            let mut answer = self.partition(&name, *at, stored(*at));
            if self.by_id && found.is_none() {
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

    fn partition(
        &self,
        topic: &Arc<str>,
        index: i32,
        committed: Option<&Committed>,
    ) -> OffsetFetchResponsePartitions {
        let is_unstable =
            !self.unstable.is_empty() && self.unstable.contains(&(topic.clone(), index));
        let (committed, error) = match is_unstable {
            true => (None, ErrorCode::UnstableOffsetCommit),
            false => (committed, ErrorCode::None),
        };
        let metadata = committed.map(|kept| Text::from(&*kept.metadata));
        OffsetFetchResponsePartitions {
            partition_index: index,
            committed_offset: committed.map_or(-1, |committed| committed.offset),
            committed_leader_epoch: committed.map_or(-1, |committed| committed.leader_epoch),
            metadata: Some(metadata.unwrap_or_default()),
            error_code: error.code(),
        }
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
