//! CreateTopics 2-7: counts or assignments, settings, `validate_only`, a verdict per topic.
//! Answered when the topics are in the metadata log and their partitions take records; in no time nothing is
//! created.
//! Versions: 5 settings of the result, 7 topic id.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use logway_protocol::message::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::error::Code;
use super::{Header, QUOTA_EXCEEDED, is_out_of_time};
use crate::context::Context;
use crate::metadata::{CreatedTopic, METADATA_TOPIC, NewTopic, SETTINGS};
use crate::setting_source;

/// From this version on, a client that creates too many partitions is refused (KIP-599).
const STRICT_FROM: i16 = 6;

/// Creates topics, in the order of the request.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut named: HashMap<Text, usize> = HashMap::new();
    for topic in &request.topics {
        *named.entry(topic.name.clone()).or_default() += 1;
    }
    // Else every name is refused before the controller sees it.
    let has_work = |(name, times): (&Text, &usize)| *times == 1 && name.as_str() != METADATA_TOPIC;
    if is_out_of_time(request.timeout_ms) && named.iter().any(has_work) {
        return out_of_time(request.topics);
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    let (mut names, mut new_topics) = (Vec::new(), Vec::new());
    for topic in request.topics {
        let name = topic.name.clone();
        if named.get(&name).is_some_and(|count| *count > 1) {
            // All of a repeated name are refused, once.
            if named.insert(name.clone(), usize::MAX) != Some(usize::MAX) {
                topics.push(refused(
                    name,
                    ErrorCode::InvalidRequest,
                    "Duplicate topic name.",
                ));
            }
            continue;
        }
        let topic = new_topic(topic);
        let default = context.settings.num_partitions;
        if let Err(code) = header.pay(context, topic.count(default), STRICT_FROM) {
            topics.push(refused(name, code, QUOTA_EXCEEDED));
            continue;
        }
        names.push(name);
        new_topics.push(topic);
    }
    let outcomes = context.topics.create(new_topics, request.validate_only);
    for (name, outcome) in names.into_iter().zip(outcomes.await) {
        match outcome {
            Ok(created) => {
                info!(topic = %name, partitions = created.partitions, validate_only = request.validate_only, "topic created");
                topics.push(result(context, name, &created));
            }
            Err(error) => topics.push(refused(name, error.code(), &error.to_string())),
        }
    }
    CreateTopicsResponse {
        topics,
        ..CreateTopicsResponse::default()
    }
}

fn out_of_time(topics: Vec<CreatableTopic>) -> CreateTopicsResponse {
    let late = topics.into_iter().map(|topic| CreatableTopicResult {
        name: topic.name,
        error_code: ErrorCode::RequestTimedOut.code(),
        error_message: None,
        ..CreatableTopicResult::default()
    });
    CreateTopicsResponse {
        topics: late.collect(),
        ..CreateTopicsResponse::default()
    }
}

fn new_topic(topic: CreatableTopic) -> NewTopic {
    let assignments = topic.assignments.into_iter();
    let configs = topic.configs.into_iter();
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication: topic.replication_factor,
        assignments: assignments
            .map(|a| (a.partition_index, a.broker_ids))
            .collect(),
        configs: configs
            .map(|c| (c.name.to_string(), c.value.map(|v| v.to_string())))
            .collect(),
    }
}

fn refused(name: Text, code: ErrorCode, message: &str) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code: code.code(),
        error_message: Some(Text::from(message)),
        ..CreatableTopicResult::default()
    }
}

fn result(context: &Context, name: Text, created: &CreatedTopic) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        topic_id: created.id,
        error_code: ErrorCode::None.code(),
        error_message: None,
        num_partitions: created.partitions,
        replication_factor: created.replication,
        configs: Some(configs(context, &created.configs)),
        ..CreatableTopicResult::default()
    }
}

fn configs(context: &Context, own: &BTreeMap<String, String>) -> Vec<CreatableTopicConfigs> {
    let in_force = context.live.get();
    let describe = |setting| {
        let (value, source) = setting_source::of_topic(setting, own, &in_force);
        CreatableTopicConfigs {
            name: Text::from(setting.name),
            value: Some(Text::from(value)),
            read_only: false,
            config_source: source.code(),
            is_sensitive: false,
        }
    };
    SETTINGS.iter().map(describe).collect()
}
