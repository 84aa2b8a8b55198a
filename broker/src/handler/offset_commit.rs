//! OffsetCommit 2-10: how far a group has read, answered once it is as durable as `acks=all`. v2-4
//! may carry a retention time of their own, v6 adds the leader epoch, v7 static members; v9 answers
//! an unknown group with GROUP_ID_NOT_FOUND where older versions get ILLEGAL_GENERATION, and serves
//! members of the consumer protocol; v10 names topics by id.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};

use super::Header;
use crate::context::Context;
use crate::group::engine::Claim;
use crate::group::{Commit, Committed};
use crate::metadata::{Image, Topic};

/// Version from which an unknown group has an error of its own.
const GROUP_ERROR_FROM: i16 = 9;
/// Version from which members of the consumer protocol may commit.
const MEMBER_EPOCH_FROM: i16 = 9;
/// Version from which topics are named by id.
const TOPIC_ID_FROM: i16 = 10;

/// Stores what can be stored and answers for each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let (mut response, commits) = sort_out(context, header.version, &request);
    // Metadata that is too long is the group's matter: its members are judged first.
    let asks = request.topics.is_empty() || !commits.is_empty() || answers(&response, is_long);
    if asks && let Err(error) = commit(context, header.version, &request, commits).await {
        fail(&mut response, versioned(header.version, error));
    }
    response
}

async fn commit(
    context: &Context,
    version: i16,
    request: &OffsetCommitRequest,
    commits: Vec<Commit>,
) -> Result<(), ErrorCode> {
    let groups = &context.groups;
    let claim = Claim {
        member_id: Arc::from(&*request.member_id),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id_or_member_epoch,
    };
    // Before that a member could not tell a stale epoch from a lost generation.
    let too_old = version < MEMBER_EPOCH_FROM
        && groups.ready().is_ok()
        && groups.speaks_consumer(&request.group_id, &claim.member_id);
    if too_old {
        return Err(ErrorCode::UnsupportedVersion);
    }
    groups.commit(&request.group_id, &claim, commits).await
}

/// The topic that is meant; its name is what offsets are kept under.
fn find<'a>(
    image: &'a Image,
    version: i16,
    topic: &OffsetCommitRequestTopic,
) -> Option<&'a Arc<Topic>> {
    if version >= TOPIC_ID_FROM {
        image.topic_by_id(&topic.topic_id)
    } else {
        image.topic(&topic.name)
    }
}

/// Splits the request into what can be stored and an answer that names what cannot.
fn sort_out(
    context: &Context,
    version: i16,
    request: &OffsetCommitRequest,
) -> (OffsetCommitResponse, Vec<Commit>) {
    let now_ms = crate::clock::now_ms();
    let expires_ms =
        (request.retention_time_ms >= 0).then(|| now_ms.saturating_add(request.retention_time_ms));
    let image = context.metadata.image();
    let mut commits = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = find(&image, version, topic);
        let count = found.map_or(0, |topic| topic.partitions.len());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let index = asked.partition_index;
            let exists = usize::try_from(index).is_ok_and(|index| index < count);
            let error = match found {
                None if version >= TOPIC_ID_FROM => ErrorCode::UnknownTopicId,
                _ => refusal(context, asked, exists),
            };
            if let (ErrorCode::None, Some(topic)) = (error, found) {
                let committed = Committed {
                    offset: asked.committed_offset,
                    leader_epoch: asked.committed_leader_epoch,
                    metadata: Box::from(asked.committed_metadata.as_deref().unwrap_or_default()),
                    committed_ms: now_ms,
                    expires_ms,
                    record_offset: -1,
                };
                commits.push(Commit {
                    topic: topic.name.clone(),
                    partition: index,
                    committed,
                });
            }
            let error_code = error.code();
            partitions.push(OffsetCommitResponsePartition {
                partition_index: index,
                error_code,
            });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partitions,
        });
    }
    (
        OffsetCommitResponse {
            topics,
            ..OffsetCommitResponse::default()
        },
        commits,
    )
}

fn refusal(context: &Context, asked: &OffsetCommitRequestPartition, exists: bool) -> ErrorCode {
    let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
    let metadata_max = usize::try_from(context.settings.offset_metadata_max_bytes).unwrap_or(0);
    if !exists {
        ErrorCode::UnknownTopicOrPartition
    } else if metadata.len() > metadata_max {
        ErrorCode::OffsetMetadataTooLarge
    } else {
        ErrorCode::None
    }
}

fn is_long(error_code: i16) -> bool {
    error_code == ErrorCode::OffsetMetadataTooLarge.code()
}

fn answers(response: &OffsetCommitResponse, such: impl Fn(i16) -> bool) -> bool {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.into_iter().any(|of| such(of.error_code))
}

/// Gives everything that its group was to judge the same error.
fn fail(response: &mut OffsetCommitResponse, error: ErrorCode) {
    let partitions = response
        .topics
        .iter_mut()
        .flat_map(|topic| &mut topic.partitions);
    for partition in partitions {
        if partition.error_code == ErrorCode::None.code() || is_long(partition.error_code) {
            partition.error_code = error.code();
        }
    }
}

fn versioned(version: i16, error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::GroupIdNotFound if version < GROUP_ERROR_FROM => ErrorCode::IllegalGeneration,
        other => other,
    }
}
