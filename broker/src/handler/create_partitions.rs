//! CreatePartitions 0-3: more partitions for topics, placed by the broker or as told; a verdict per
//! topic. Answered when the new partitions take records. Nothing is done in no time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use logway_protocol::message::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};
use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::error::Code;
use super::{Header, QUOTA_EXCEEDED, is_out_of_time};
use crate::context::Context;
use crate::metadata::{GrowthError, NewPartitions};

/// From this version on, a client that creates too many partitions is refused (KIP-599).
const STRICT_FROM: i16 = 3;

/// Gives topics more partitions.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut named: HashMap<Text, u32> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    // Else every name is refused as a duplicate.
    let has_work = named.values().any(|times| *times == 1);
    if is_out_of_time(request.timeout_ms) && has_work {
        let topics = request.topics.into_iter();
        let late = topics.map(|topic| result(topic.name, ErrorCode::RequestTimedOut, None));
        return CreatePartitionsResponse {
            results: late.collect(),
            ..CreatePartitionsResponse::default()
        };
    }
    let (mut results, mut names, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let mut refused = HashSet::new();
    for topic in request.topics {
        if named.get(&topic.name) == Some(&1) {
            let added = added(context, &topic);
            if let Err(code) = header.pay(context, added, STRICT_FROM) {
                results.push(result(topic.name, code, Some(QUOTA_EXCEEDED.to_owned())));
                continue;
            }
            names.push(topic.name.clone());
            asked.push(new_partitions(topic));
        } else if refused.insert(topic.name.clone()) {
            let text = Some("Duplicate topic name.".to_owned());
            results.push(result(topic.name, ErrorCode::InvalidRequest, text));
        }
    }
    let validate_only = request.validate_only;
    match context.topics.grow(asked, validate_only).await {
        Ok(verdicts) => {
            for (name, verdict) in names.into_iter().zip(verdicts) {
                results.push(match verdict {
                    Ok(()) => {
                        info!(topic = %name, validate_only, "partitions added");
                        result(name, ErrorCode::None, None)
                    }
                    // Kafka has no text for it, and tools then show their own.
                    Err(error @ GrowthError::UnknownTopic) => result(name, error.code(), None),
                    Err(error) => result(name, error.code(), Some(error.to_string())),
                });
            }
        }
        Err(error) => {
            let refused = |name| result(name, error.code(), Some(error.to_string()));
            results.extend(names.into_iter().map(refused));
        }
    }
    CreatePartitionsResponse {
        results,
        ..CreatePartitionsResponse::default()
    }
}

/// How many partitions the topic would get.
fn added(context: &Context, topic: &CreatePartitionsTopic) -> usize {
    let image = context.metadata.image();
    let present = image.topic(&topic.name);
    let asked = usize::try_from(topic.count).unwrap_or(0);
    present.map_or(0, |topic| asked.saturating_sub(topic.partitions.len()))
}

fn new_partitions(topic: CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.map(|assignments| {
        let brokers = assignments.into_iter().map(|one| one.broker_ids);
        brokers.collect()
    });
    NewPartitions {
        topic: topic.name.to_string(),
        count: topic.count,
        assignments,
    }
}

fn result(name: Text, code: ErrorCode, message: Option<String>) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name,
        error_code: code.code(),
        error_message: message.map(Text::from),
    }
}
