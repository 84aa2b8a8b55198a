//! Topics made and deleted, and whether a server serves them yet; nothing here is measured closely.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use logway_protocol::ErrorCode;
use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use logway_protocol::message::delete_topics::DeleteTopicsRequest;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsTopic,
};

use super::batches::ONE_RECORD;
use super::connection::Connection;
use super::{batches, fetch};

/// Versions that all peers speak and that name topics by name.
const API_VERSIONS: i16 = 3;
const CREATE_TOPICS: i16 = 7;
const DELETE_TOPICS: i16 = 5;
const LIST_OFFSETS: i16 = 5;
/// ListOffsets' word for the end of the log.
const LATEST: i64 = -1;
/// How long a topic may take to come or go.
const LIMIT: Duration = Duration::from_secs(120);

/// Makes a topic anew.
pub(crate) fn fresh_topic(address: &str, name: &str, partitions: i32) -> anyhow::Result<()> {
    delete(address, name)?;
    create(address, name, partitions, &[])
}

/// Makes a topic and waits until all its partitions are served.
pub(crate) fn create(
    address: &str,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> anyhow::Result<()> {
    ask_to_create(address, name, partitions, settings)?;
    let what = format!("serve {name}");
    retry(&what, || serves(address, name, partitions))
}

/// Makes a topic; some of its partitions may not be served yet when this returns.
pub(crate) fn ask_to_create(
    address: &str,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> anyhow::Result<()> {
    let request = create_request(name, partitions, settings);
    let mut connection = Connection::open(address)?;
    // A deletion may still be under way where it is done in the background.
    retry(&format!("create {name}"), || {
        let response = connection.call(CREATE_TOPICS, &request)?;
        let code = response.topics.first().map_or(-1, |topic| topic.error_code);
        Ok(ErrorCode::check(code)?)
    })
}

/// Makes a topic at the first try or fails; one that is there is fine.
pub(crate) fn create_once(address: &str, name: &str, partitions: i32) -> anyhow::Result<()> {
    let request = create_request(name, partitions, &[]);
    let response = Connection::open(address)?.call(CREATE_TOPICS, &request)?;
    let code = response.topics.first().map_or(-1, |topic| topic.error_code);
    match ErrorCode::from_code(code) {
        ErrorCode::TopicAlreadyExists => Ok(()),
        _ => Ok(ErrorCode::check(code)?),
    }
}

fn create_request(name: &str, partitions: i32, settings: &[(&str, &str)]) -> CreateTopicsRequest {
    let configs = settings.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).into(),
        value: Some((*value).into()),
    });
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        configs: configs.collect(),
        ..Default::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 120_000,
        ..Default::default()
    }
}

/// Deletes a topic if there is one; its files may stay for a while.
pub(crate) fn delete(address: &str, name: &str) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let request = DeleteTopicsRequest {
        topic_names: vec![name.into()],
        timeout_ms: 60_000,
        ..Default::default()
    };
    let response = connection.call(DELETE_TOPICS, &request)?;
    let code = response
        .responses
        .first()
        .map_or(-1, |topic| topic.error_code);
    match ErrorCode::from_code(code) {
        ErrorCode::UnknownTopicOrPartition => Ok(()),
        _ => Ok(ErrorCode::check(code).with_context(|| format!("delete {name}"))?),
    }
}

/// Fails unless every partition of a topic answers a fetch from its first offset.
pub(crate) fn serves(address: &str, name: &str, partitions: i32) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let all = (0..partitions).map(|index| fetch::partition(index, 0));
    let request = fetch::request(name, all.collect(), 0);
    let response = connection.call(fetch::FETCH, &request)?;
    ErrorCode::check(response.error_code)?;
    let topics = response.responses.iter();
    let mut answered = 0;
    for partition in topics.flat_map(|topic| &topic.partitions) {
        ErrorCode::check(partition.error_code)
            .with_context(|| format!("fetch {name}-{}", partition.partition_index))?;
        answered += 1;
    }
    ensure!(
        answered == partitions,
        "{answered} of {partitions} answered"
    );
    Ok(())
}

/// Sends one small record to every partition in one request, again if some do not take it yet.
pub(crate) fn produce_to_all(address: &str, name: &str, partitions: i32) -> anyhow::Result<()> {
    let request = batches::Batch::encode(&ONE_RECORD, &[])?.request_to_all(name, partitions)?;
    let mut connection = Connection::open(address)?;
    retry(&format!("produce to all of {name}"), || {
        connection.send(&request)?;
        batches::check_all_produced(connection.receive()?)
    })
}

/// Whether one small record is taken by the first partition, at the first try.
pub(crate) fn takes_record(address: &str, name: &str) -> anyhow::Result<bool> {
    let request = batches::Batch::encode(&ONE_RECORD, &[])?.request(name, 0, 1)?;
    let mut connection = Connection::open(address)?;
    connection.send(&request)?;
    batches::check_produced(connection.receive()?, name)?;
    Ok(true)
}

/// Whether a server answers at all.
pub(crate) fn answers(address: &str) -> anyhow::Result<bool> {
    let request = ApiVersionsRequest {
        client_software_name: "bench".into(),
        client_software_version: "1".into(),
    };
    let response = Connection::open(address)?.call(API_VERSIONS, &request)?;
    Ok(response.error_code == 0)
}

/// The offset after the last record of a partition.
pub(crate) fn end_offset(address: &str, name: &str, index: i32) -> anyhow::Result<i64> {
    let ends = end_offsets(address, name, index..index + 1)?;
    ends.first()
        .copied()
        .context("an answer without the partition")
}

/// Records in a topic from which none was deleted. Kafka may name no leader for a while after it has
/// served already, when its own registration comes through.
pub(crate) fn records(address: &str, name: &str, partitions: i32) -> anyhow::Result<i64> {
    let mut records = 0;
    retry(&format!("ask {name} for its ends"), || {
        records = end_offsets(address, name, 0..partitions)?.iter().sum();
        Ok(())
    })?;
    Ok(records)
}

fn end_offsets(address: &str, name: &str, indexes: Range<i32>) -> anyhow::Result<Vec<i64>> {
    let partitions = indexes.map(|index| ListOffsetsPartition {
        partition_index: index,
        timestamp: LATEST,
        ..Default::default()
    });
    let topic = ListOffsetsTopic {
        name: name.into(),
        partitions: partitions.collect(),
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![topic],
        ..Default::default()
    };
    let response = Connection::open(address)?.call(LIST_OFFSETS, &request)?;
    let topics = response.topics.iter();
    let offset = |partition: &ListOffsetsPartitionResponse| {
        ErrorCode::check(partition.error_code)?;
        Ok(partition.offset)
    };
    topics
        .flat_map(|topic| &topic.partitions)
        .map(offset)
        .collect()
}

/// Repeats a call until it succeeds.
pub(crate) fn retry(
    what: &str,
    mut call: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= end => return Err(error).context(what.to_owned()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}
