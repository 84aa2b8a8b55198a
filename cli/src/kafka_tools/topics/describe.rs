//! `kafka-topics --describe`: partitions with replicas and in-sync sets, topics with settings.

use std::collections::HashMap;

use logway_client::{Admin, Destination, Uuid};
use logway_protocol::Text;
use logway_protocol::message::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use logway_protocol::message::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponsePartition, TopicRequest,
};
use logway_protocol::message::metadata::MetadataResponseTopic;

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::hash_order;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::out;

/// Type of a topic among resources with settings.
const TOPIC: i8 = 2;
/// Source of a value that nobody set.
const DEFAULT: i8 = 5;

/// Partitions asked for at once.
const PARTITIONS_AT_ONCE: i32 = 2000;

/// Settings that somebody set, by topic.
type Settings = HashMap<Text, Vec<DescribeConfigsResourceResult>>;

struct Partition {
    index: i32,
    leader: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
    elr: Option<Vec<i32>>,
    last_known_elr: Option<Vec<i32>>,
}

struct Topic {
    name: Text,
    id: Uuid,
    partitions: Vec<Partition>,
}

/// Prints what the command line asks for.
pub(super) async fn run(admin: &Admin, parsed: &Parsed) -> Result<(), Exception> {
    let mut found = super::named(admin, parsed).await?;
    let by_id = wanted_id(parsed)?;
    if let Some(id) = by_id {
        found.retain(|topic| topic.topic_id == id);
        if found.is_empty() && !parsed.has("if-exists") {
            return Err(Exception::illegal_argument(format!(
                "TopicId '{id}' does not exist as expected"
            )));
        }
    } else {
        super::ensure_some(found.len(), parsed)?;
    }
    if found.is_empty() {
        return Ok(());
    }
    let mut topics = match by_id {
        // A topic by its id is described from the metadata, which knows no eligible leaders.
        Some(_) => found.into_iter().map(of_metadata).collect(),
        None => described(admin, found).await?,
    };
    hash_order::grown(&mut topics, |topic| &topic.name);
    hash_order::sized(&mut topics, |topic| &topic.name);
    let settings = settings(admin, &topics).await?;
    for topic in &topics {
        let settings = settings.get(&topic.name).map_or(&[][..], Vec::as_slice);
        print(topic, settings, parsed);
    }
    Ok(())
}

/// The id asked for; the one of all zeros stands for none.
fn wanted_id(parsed: &Parsed) -> Result<Option<Uuid>, Exception> {
    let Some(text) = parsed.get("topic-id").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let id: Uuid = text.parse().map_err(|_| {
        Exception::illegal_argument(format!("Input string `{text}` is no topic id"))
    })?;
    Ok((!id.is_zero()).then_some(id))
}

async fn described(
    admin: &Admin,
    found: Vec<MetadataResponseTopic>,
) -> Result<Vec<Topic>, Exception> {
    let names: Vec<Text> = found
        .iter()
        .filter_map(|topic| topic.name.clone())
        .collect();
    let mut topics: Vec<Topic> = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let response = admin
            .request(
                Destination::Any,
                |_| DescribeTopicPartitionsRequest {
                    topics: names
                        .iter()
                        .filter(|name| cursor.as_ref().is_none_or(|at| **name >= at.topic_name))
                        .map(|name| TopicRequest { name: name.clone() })
                        .collect(),
                    response_partition_limit: PARTITIONS_AT_ONCE,
                    cursor: cursor.clone(),
                },
                |_| 0,
            )
            .await;
        let response = match response {
            Ok(response) => response,
            // A broker from before 3.8.
            Err(logway_client::AdminError::Request { .. }) => {
                return Ok(found.into_iter().map(of_metadata).collect());
            }
            Err(error) => return Err(Exception::of_call(&error, "describeTopics")),
        };
        for topic in response.topics {
            Exception::check(topic.error_code, None)?;
            let name = topic.name.unwrap_or_default();
            let mut partitions: Vec<_> = topic.partitions.into_iter().map(of_described).collect();
            match topics.iter_mut().find(|known| known.name == name) {
                Some(known) => known.partitions.append(&mut partitions),
                None => topics.push(Topic {
                    name,
                    id: topic.topic_id,
                    partitions,
                }),
            }
        }
        match response.next_cursor {
            Some(next) => {
                cursor = Some(Cursor {
                    topic_name: next.topic_name,
                    partition_index: next.partition_index,
                });
            }
            None => break,
        }
    }
    for topic in &mut topics {
        topic.partitions.sort_by_key(|partition| partition.index);
    }
    Ok(topics)
}

fn of_described(partition: DescribeTopicPartitionsResponsePartition) -> Partition {
    Partition {
        index: partition.partition_index,
        leader: partition.leader_id,
        replicas: partition.replica_nodes,
        isr: partition.isr_nodes,
        elr: Some(partition.eligible_leader_replicas.unwrap_or_default()),
        last_known_elr: Some(partition.last_known_elr.unwrap_or_default()),
    }
}

fn of_metadata(topic: MetadataResponseTopic) -> Topic {
    let mut partitions: Vec<_> = topic
        .partitions
        .into_iter()
        .map(|partition| Partition {
            index: partition.partition_index,
            leader: partition.leader_id,
            replicas: partition.replica_nodes,
            isr: partition.isr_nodes,
            elr: None,
            last_known_elr: None,
        })
        .collect();
    partitions.sort_by_key(|partition| partition.index);
    Topic {
        name: topic.name.unwrap_or_default(),
        id: topic.topic_id,
        partitions,
    }
}

async fn settings(admin: &Admin, topics: &[Topic]) -> Result<Settings, Exception> {
    let response = admin
        .request(
            Destination::Any,
            |_| DescribeConfigsRequest {
                resources: topics
                    .iter()
                    .map(|topic| DescribeConfigsResource {
                        resource_type: TOPIC,
                        resource_name: topic.name.clone(),
                        configuration_keys: None,
                    })
                    .collect(),
                ..Default::default()
            },
            |_| 0,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "describeConfigs"))?;
    let mut settings = HashMap::new();
    for result in response.results {
        Exception::check(result.error_code, result.error_message.as_deref())?;
        let mut configs = result.configs;
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        hash_order::grown(&mut configs, |config| &config.name);
        configs.retain(|config| config.config_source != DEFAULT);
        settings.insert(result.resource_name, configs);
    }
    Ok(settings)
}

fn print(topic: &Topic, settings: &[DescribeConfigsResourceResult], parsed: &Parsed) {
    let overrides = parsed.has("topics-with-overrides");
    let lagging = parsed.has("under-replicated-partitions");
    let leaderless = parsed.has("unavailable-partitions");
    let under_min = parsed.has("under-min-isr-partitions");
    let at_min = parsed.has("at-min-isr-partitions");
    let selected = lagging || leaderless || under_min || at_min;
    let has_own = settings.iter().any(|config| !config.is_sensitive);
    if !selected && (!overrides || has_own) {
        let pairs: Vec<String> = settings
            .iter()
            .map(|c| format!("{}={}", c.name, c.value.as_deref().unwrap_or_default()))
            .collect();
        let replicas = topic.partitions.first().map_or(0, |p| p.replicas.len());
        out(format!(
            "Topic: {}\tTopicId: {}\tPartitionCount: {}\tReplicationFactor: {replicas}\tConfigs: {}",
            topic.name,
            topic.id,
            topic.partitions.len(),
            pairs.join(",")
        ));
    }
    if overrides {
        return;
    }
    let min_isr = settings
        .iter()
        .find(|config| config.name.as_str() == "min.insync.replicas")
        .and_then(|config| config.value.as_deref()?.parse().ok())
        .unwrap_or(1);
    for partition in &topic.partitions {
        let wanted = !selected
            || lagging && partition.isr.len() < partition.replicas.len()
            || leaderless && partition.leader < 0
            || under_min && partition.isr.len() < min_isr
            || at_min && partition.isr.len() == min_isr;
        if wanted {
            out(line(&topic.name, partition));
        }
    }
}

fn line(topic: &str, partition: &Partition) -> String {
    let list = |ids: &[i32]| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.join(",")
    };
    let leader = match partition.leader {
        ..0 => "none".to_owned(),
        leader => leader.to_string(),
    };
    let eligible = |ids: &Option<Vec<i32>>| ids.as_deref().map_or_else(|| "N/A".to_owned(), list);
    format!(
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}\tElr: {}\tLastKnownElr: {}",
        partition.index,
        list(&partition.replicas),
        list(&partition.isr),
        eligible(&partition.elr),
        eligible(&partition.last_known_elr),
    )
}
