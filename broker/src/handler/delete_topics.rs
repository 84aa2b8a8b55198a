//! DeleteTopics 1-6: by name, from version 6 also by id. Answered when the deletion is in the
//! metadata log; the files go right after. What is named twice is not deleted, and nothing is in no time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use logway_protocol::message::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use logway_protocol::{ErrorCode, Text, Uuid};

use super::error::Code;
use super::{Header, QUOTA_EXCEEDED, is_out_of_time};
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
    let names = request.topic_names.into_iter();
    let asked: Vec<DeleteTopicState> = names.map(by_name).chain(request.topics).collect();
    let named = Named::of(&asked);
    if is_out_of_time(request.timeout_ms) && named.has_work() {
        let late = |asked| verdict(asked, ErrorCode::RequestTimedOut, None);
        return DeleteTopicsResponse {
            responses: asked.into_iter().map(late).collect(),
            ..DeleteTopicsResponse::default()
        };
    }
    let mut told = HashSet::new();
    let mut responses = Vec::with_capacity(asked.len());
    let mut found = Vec::new();
    for topic in asked {
        if named.is_repeated(&topic) && !told.insert((topic.name.clone(), topic.topic_id)) {
            // All of a repeated name are refused, once.
            continue;
        }
        match find(context, topic, &named) {
            // Its name is refused, and answers for its id.
            Ok(topic) if named.has_both(&topic) => {}
            Ok(topic) => match header.pay(context, topic.partitions.len(), STRICT_FROM) {
                Ok(()) => found.push(topic),
                Err(code) => responses.push(verdict(of(&topic), code, Some(QUOTA_EXCEEDED))),
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

/// How often each name and each id stands in a request; entries with both or neither are left out.
struct Named {
    names: HashMap<Text, usize>,
    ids: HashMap<Uuid, usize>,
}

impl Named {
    fn of(asked: &[DeleteTopicState]) -> Named {
        let (mut names, mut ids) = (HashMap::new(), HashMap::new());
        for topic in asked {
            match (&topic.name, topic.topic_id.is_zero()) {
                (Some(name), true) => *names.entry(name.clone()).or_default() += 1,
                (None, false) => *ids.entry(topic.topic_id).or_default() += 1,
                _ => {}
            }
        }
        Named { names, ids }
    }

    /// Whether anything is left when what is wrong with the request itself is refused.
    fn has_work(&self) -> bool {
        let mut counts = self.names.values().chain(self.ids.values());
        counts.any(|times| *times == 1)
    }

    fn is_repeated(&self, asked: &DeleteTopicState) -> bool {
        let times = match (&asked.name, asked.topic_id.is_zero()) {
            (Some(name), true) => self.names.get(name),
            (None, false) => self.ids.get(&asked.topic_id),
            _ => None,
        };
        times.is_some_and(|times| *times > 1)
    }

    /// Whether a topic is asked for by its name and by its id.
    fn has_both(&self, topic: &Topic) -> bool {
        self.names.get(&*topic.name) == Some(&1) && self.ids.contains_key(&topic.id)
    }
}

async fn delete(context: &Context, topics: Vec<Arc<Topic>>) -> Vec<DeletableTopicResult> {
    let ids = topics.iter().map(|topic| topic.id).collect();
    let outcomes = context.topics.delete(ids).await;
    let (mut deleted, mut results) = (BTreeSet::new(), Vec::with_capacity(topics.len()));
    for (topic, outcome) in topics.iter().zip(outcomes) {
        results.push(match outcome {
            Ok(()) => {
                deleted.insert(Arc::clone(&topic.name));
                verdict(of(topic), ErrorCode::None, None)
            }
            Err(error) => verdict(of(topic), error.code(), Some(&error.to_string())),
        });
    }
    if !deleted.is_empty() {
        // What groups have read of them means nothing to later topics of the same names.
        context.groups.forget_topics(&deleted);
    }
    results
}

fn of(topic: &Topic) -> DeleteTopicState {
    DeleteTopicState {
        name: Some(Text::from(&*topic.name)),
        topic_id: topic.id,
    }
}

fn verdict(
    asked: DeleteTopicState,
    code: ErrorCode,
    message: Option<&str>,
) -> DeletableTopicResult {
    DeletableTopicResult {
        name: asked.name,
        topic_id: asked.topic_id,
        error_code: code.code(),
        error_message: message.map(Text::from),
    }
}

/// The topic that is meant, or why it is not deleted.
fn find(
    context: &Context,
    asked: DeleteTopicState,
    named: &Named,
) -> Result<Arc<Topic>, DeletableTopicResult> {
    let repeated = named.is_repeated(&asked);
    let wrong = match (&asked.name, asked.topic_id.is_zero()) {
        (Some(_), true) => repeated.then_some("Duplicate topic name."),
        (None, false) => repeated.then_some("Duplicate topic id."),
        (Some(_), false) => Some("You may not specify both topic name and topic id."),
        (None, true) => Some("Neither topic name nor id were specified."),
    };
    if wrong.is_some() {
        return Err(verdict(asked, ErrorCode::InvalidRequest, wrong));
    }
    if !context.settings.delete_topic_enable {
        let text = Some("Topic deletion is disabled.");
        return Err(verdict(asked, ErrorCode::TopicDeletionDisabled, text));
    }
    let image = context.metadata.image();
    let found = match &asked.name {
        Some(name) => image.topic(name),
        None => image.topic_by_id(&asked.topic_id),
    };
    match found {
        Some(topic) if asked.name.is_some() && named.ids.contains_key(&topic.id) => {
            let text = "The provided topic name maps to an ID that was already supplied.";
            Err(verdict(of(topic), ErrorCode::InvalidRequest, Some(text)))
        }
        Some(topic) => Ok(Arc::clone(topic)),
        None if asked.name.is_some() => {
            let text = "This server does not host this topic-partition.";
            let code = ErrorCode::UnknownTopicOrPartition;
            Err(verdict(asked, code, Some(text)))
        }
        None => {
            let text = "This server does not host this topic ID.";
            Err(verdict(asked, ErrorCode::UnknownTopicId, Some(text)))
        }
    }
}
