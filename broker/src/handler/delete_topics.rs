//! DeleteTopics 1-6: by name, from version 6 also by id. Answered when the deletion is in the
//! metadata log; the files go right after.

use std::collections::HashSet;
use std::sync::Arc;

use logway_protocol::message::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use super::Header;
use super::error::Code;
use crate::context::Context;

/// Deletes topics one after the other.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
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
    for topic in asked {
        let repeated = !seen.insert((topic.name.clone(), topic.topic_id));
        responses.push(delete(context, topic, repeated).await);
    }
    DeleteTopicsResponse {
        responses,
        ..DeleteTopicsResponse::default()
    }
}

async fn delete(
    context: &Context,
    asked: DeleteTopicState,
    repeated: bool,
) -> DeletableTopicResult {
    let DeleteTopicState { name, topic_id } = asked;
    let refuse = |code: ErrorCode, message: &str, name: Option<Text>| DeletableTopicResult {
        name,
        topic_id,
        error_code: code.code(),
        error_message: Some(Text::from(message)),
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
    let Some(topic) = found else {
        return if by_name {
            let text = "This server does not host this topic-partition.";
            refuse(ErrorCode::UnknownTopicOrPartition, text, name)
        } else {
            refuse(
                ErrorCode::UnknownTopicId,
                "This server does not host this topic ID.",
                name,
            )
        };
    };
    match context.topics.delete(topic.id).await {
        Ok(()) => {
            // What groups have read of it means nothing to a later topic of the same name.
            context
                .groups
                .forget_topics(&[Arc::clone(&topic.name)].into());
            DeletableTopicResult {
                name: Some(Text::from(&*topic.name)),
                topic_id: topic.id,
                ..DeletableTopicResult::default()
            }
        }
        Err(error) => refuse(error.code(), &error.to_string(), name),
    }
}
