//! Making, widening and deleting topics.

use logway_client::{Admin, Destination, ErrorCode};
use logway_protocol::message::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use logway_protocol::message::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use logway_protocol::message::delete_topics::{DeleteTopicState, DeleteTopicsRequest};

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::out;

/// What the controller may take to do it.
const TIMEOUT_MS: i32 = 30_000;
/// First version of DeleteTopics with structured topics.
const DELETE_BY_STATE: i16 = 6;

/// `--create`.
pub(super) async fn create(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let name = parsed.get("topic").unwrap_or_default();
    let topic = creatable(name, parsed)?;
    if name.contains(['.', '_']) {
        out(
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore \
             ('_') could collide. To avoid issues it is best to use either, but not both.",
        );
    }
    if name.is_empty() {
        return Err(Exception::new(
            "org.apache.kafka.common.errors.InvalidTopicException",
            "The given topic name '' cannot be represented in a request.",
        ));
    }
    let response = admin
        .request(
            Destination::Controller,
            |_| CreateTopicsRequest {
                topics: vec![topic.clone()],
                timeout_ms: TIMEOUT_MS,
                validate_only: false,
            },
            |response| response.topics.first().map_or(0, |topic| topic.error_code),
        )
        .await
        .map_err(|error| Exception::of_call(&error, "createTopics"))?;
    let Some(answer) = response.topics.first() else {
        return Err(Exception::of_code(ErrorCode::UnknownServerError, None));
    };
    if answer.error_code == ErrorCode::TopicAlreadyExists.code() && parsed.has("if-not-exists") {
        return Ok(());
    }
    Exception::check(answer.error_code, answer.error_message.as_deref())
        .map_err(as_checked_here)?;
    out(format!("Created topic {name}."));
    Ok(())
}

/// Kafka's tool looks at values before it asks; the words are the same, the class is another.
fn as_checked_here(exception: Exception) -> Exception {
    if exception.message.starts_with("Invalid value ") {
        let class = "org.apache.kafka.common.config.ConfigException";
        return Exception::new(class, exception.message);
    }
    exception
}

fn creatable(name: &str, parsed: &Parsed) -> Result<CreatableTopic, Exception> {
    let partitions: Option<i32> = parsed.number("partitions").map_err(Exception::conversion)?;
    let replicas: Option<i32> = parsed
        .number("replication-factor")
        .map_err(Exception::conversion)?;
    let mut configs = Vec::new();
    for config in parsed.all("config") {
        let Some((name, value)) = config.split_once('=') else {
            return Err(Exception::illegal_argument(
                "requirement failed: Invalid topic config: all configs to be added must be in the \
                 format \"key=val\".",
            ));
        };
        configs.push(CreatableTopicConfig {
            name: name.trim().into(),
            value: Some(value.trim().into()),
        });
    }
    let assignments = assignments(parsed)?;
    let placed = !assignments.is_empty();
    if replicas.is_some_and(|replicas| !(1..=i32::from(i16::MAX)).contains(&replicas)) {
        return Err(Exception::illegal_argument(
            "The replication factor must be between 1 and 32767 inclusive",
        ));
    }
    if partitions.is_some_and(|partitions| partitions < 1) {
        return Err(Exception::illegal_argument(
            "The partitions must be greater than 0",
        ));
    }
    Ok(CreatableTopic {
        name: name.into(),
        num_partitions: if placed { -1 } else { partitions.unwrap_or(-1) },
        replication_factor: replicas
            .and_then(|replicas| i16::try_from(replicas).ok())
            .unwrap_or(-1),
        assignments: assignments
            .into_iter()
            .zip(0..)
            .map(|(broker_ids, partition_index)| CreatableReplicaAssignment {
                partition_index,
                broker_ids,
            })
            .collect(),
        configs,
    })
}

/// `--replica-assignment`: brokers with colons between, partitions with commas.
fn assignments(parsed: &Parsed) -> Result<Vec<Vec<i32>>, Exception> {
    let Some(text) = parsed.get("replica-assignment") else {
        return Ok(Vec::new());
    };
    let mut assignments: Vec<Vec<i32>> = Vec::new();
    for (partition, text) in text.split(',').enumerate() {
        let mut brokers = Vec::new();
        for broker in text.split(':') {
            let id = broker.trim().parse().map_err(|_| {
                let class = "java.lang.NumberFormatException";
                Exception::new(class, format!("For input string: \"{}\"", broker.trim()))
            })?;
            if brokers.contains(&id) {
                return Err(Exception::new(
                    "org.apache.kafka.common.errors.AdminCommandFailedException",
                    format!("Partition replica lists may not contain duplicate entries: {id}"),
                ));
            }
            brokers.push(id);
        }
        if assignments
            .first()
            .is_some_and(|first| first.len() != brokers.len())
        {
            return Err(Exception::new(
                "org.apache.kafka.common.errors.AdminOperationException",
                format!("Partition {partition} has different replication factor: {brokers:?}"),
            ));
        }
        assignments.push(brokers);
    }
    Ok(assignments)
}

/// `--alter`.
pub(super) async fn alter(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let topics = super::named(admin, parsed).await?;
    super::ensure_some(topics.len(), parsed)?;
    if topics.is_empty() {
        return Ok(());
    }
    let count: i32 = parsed
        .number("partitions")
        .map_err(Exception::conversion)?
        .unwrap_or(-1);
    let placed = assignments(parsed)?;
    let wanted: Vec<_> = topics
        .iter()
        .map(|topic| CreatePartitionsTopic {
            name: topic.name.clone().unwrap_or_default(),
            count,
            assignments: (!placed.is_empty()).then(|| {
                placed
                    .iter()
                    .skip(topic.partitions.len())
                    .map(|broker_ids| CreatePartitionsAssignment {
                        broker_ids: broker_ids.clone(),
                    })
                    .collect()
            }),
        })
        .collect();
    let response = admin
        .request(
            Destination::Controller,
            |_| CreatePartitionsRequest {
                topics: wanted.clone(),
                timeout_ms: TIMEOUT_MS,
                validate_only: false,
            },
            |response| response.results.first().map_or(0, |topic| topic.error_code),
        )
        .await
        .map_err(|error| Exception::of_call(&error, "createPartitions"))?;
    for result in &response.results {
        Exception::check(result.error_code, result.error_message.as_deref())?;
    }
    Ok(())
}

/// `--delete`.
pub(super) async fn delete(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let topics = super::named(admin, parsed).await?;
    super::ensure_some(topics.len(), parsed)?;
    if topics.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = topics.into_iter().filter_map(|topic| topic.name).collect();
    let response = admin
        .request(
            Destination::Controller,
            |version| {
                let mut request = DeleteTopicsRequest {
                    timeout_ms: TIMEOUT_MS,
                    ..Default::default()
                };
                if version >= DELETE_BY_STATE {
                    let state = |name: &logway_protocol::Text| DeleteTopicState {
                        name: Some(name.clone()),
                        ..Default::default()
                    };
                    request.topics = names.iter().map(state).collect();
                } else {
                    request.topic_names.clone_from(&names);
                }
                request
            },
            |response| {
                response
                    .responses
                    .first()
                    .map_or(0, |topic| topic.error_code)
            },
        )
        .await
        .map_err(|error| Exception::of_call(&error, "deleteTopics"))?;
    for result in &response.responses {
        Exception::check(result.error_code, result.error_message.as_deref())?;
    }
    Ok(())
}
