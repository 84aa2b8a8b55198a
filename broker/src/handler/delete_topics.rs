//! DeleteTopics 1-6: by name, from version 6 also by id. Answered when the deletion is in the
//! metadata log; the files go right after.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use logway_protocol::message::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use super::error::Code;
use super::{Header, QUOTA_EXCEEDED};
use crate::context::Context;
use crate::metadata::Topic;

/// From this version on, a client that deletes too many partitions is refused (KIP-599).
const STRICT_FROM: i16 = 5;

/// Deletes topics, all at once.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let by_name = |name: Text| DeleteTopicState {
        name: Some(name),
        topic_id: Uuid::ZERO,
    };
    let asked: Vec<DeleteTopicState> = request
        .topic_names
        .into_iter()
        .map(by_name)
        .chain(request.topics)
        .collect();
    let mut seen = HashSet::new();
    let mut responses = Vec::with_capacity(asked.len());
    let mut found = Vec::new();
    for topic in asked {
        let repeated = !seen.insert((topic.name.clone(), topic.topic_id));
        match find(context, topic, repeated) {
            Ok(topic) => match header.pay(context, topic.partitions.len(), STRICT_FROM) {
                Ok(()) => found.push(topic),
                Err(code) => responses.push(DeletableTopicResult {
                    name: Some(Text::from(&*topic.name)),
                    topic_id: topic.id,
                    error_code: code.code(),
                    error_message: Some(Text::from(QUOTA_EXCEEDED)),
                }),
            },
            Err(refusal) => responses.push(refusal),
        }
    }
    responses.extend(delete(context, found).await);
    DeleteTopicsResponse {
        responses,
        ..DeleteTopicsResponse::default()
    }
}

async fn delete(context: &Context, topics: Vec<Arc<Topic>>) -> Vec<DeletableTopicResult> {
    let ids = topics.iter().map(|topic| topic.id).collect();
    let outcomes = context.topics.delete(ids).await;
    let (mut deleted, mut results) = (BTreeSet::new(), Vec::with_capacity(topics.len()));
    for (topic, outcome) in topics.iter().zip(outcomes) {
        let mut result = DeletableTopicResult {
            name: Some(Text::from(&*topic.name)),
            topic_id: topic.id,
            ..DeletableTopicResult::default()
        };
        match outcome {
            Ok(()) => _ = deleted.insert(Arc::clone(&topic.name)),
            Err(error) => {
                result.error_code = error.code().code();
                result.error_message = Some(Text::from(error.to_string()));
            }
        }
        results.push(result);
    }
    if !deleted.is_empty() {
        // What groups have read of them means nothing to later topics of the same names.
        context.groups.forget_topics(&deleted);
    }
    results
}

/// The topic that is meant, or why it is not deleted.
fn find(
    context: &Context,
    asked: DeleteTopicState,
    repeated: bool,
) -> Result<Arc<Topic>, DeletableTopicResult> {
    let DeleteTopicState { name, topic_id } = asked;
    let refuse = |code: ErrorCode, message: &str, name: Option<Text>| {
        Err(DeletableTopicResult {
            name,
            topic_id,
            error_code: code.code(),
            error_message: Some(Text::from(message)),
        })
    };
    let by_name = name.is_some();
    match (by_name, topic_id.is_zero()) {
        _ if repeated && by_name => {
            return refuse(ErrorCode::InvalidRequest, "Duplicate topic name.", name);
        }
        _ if repeated => return refuse(ErrorCode::InvalidRequest, "Duplicate topic id.", name),
        (true, false) => {
            let text = "You may not specify both topic name and topic id.";
            return refuse(ErrorCode::InvalidRequest, text, name);
        }
        (false, true) => {
            let text = "Neither topic name nor id were specified.";
            return refuse(ErrorCode::InvalidRequest, text, name);
        }
        _ => {}
    }
    if !context.settings.delete_topic_enable {
        return refuse(
            ErrorCode::TopicDeletionDisabled,
            "Topic deletion is disabled.",
            name,
        );
    }
    let image = context.metadata.image();
    let found = match &name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(&topic_id),
    };
    match found {
        Some(topic) => Ok(Arc::clone(topic)),
        None if by_name => {
            let text = "This server does not host this topic-partition.";
            refuse(ErrorCode::UnknownTopicOrPartition, text, name)
        }
        None => refuse(
            ErrorCode::UnknownTopicId,
            "This server does not host this topic ID.",
            name,
        ),
    }
}
