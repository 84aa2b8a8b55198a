//! Transactions that hang, and how they are ended from outside.
//!
//! Invariant: a transaction hangs if a partition waits for it and no coordinator knows of it.

use logway_client::{Admin, Destination};
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};

use super::{all, leader, number, print, producers, state_of};
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::End;

/// Minutes that a transaction may last (`transaction.max.timeout.ms`).
const TIMEOUT_MINUTES: i64 = 15;
/// Timeout given to the transactional id whose producers are fenced.
const FENCE_TIMEOUT_MS: i32 = 30_000;

/// `find-hanging`.
pub(super) async fn find_hanging(admin: &Admin, parsed: &Parsed) -> Result<(), End> {
    let broker: Option<i32> = number(parsed, "broker-id")?;
    if broker.is_none() && parsed.get("topic").is_none() {
        return Err(End::Refused(
            "The `find-hanging` command requires either --topic or --broker-id to limit the scope \
             of the search"
                .to_owned(),
        ));
    }
    let minutes = number(parsed, "max-transaction-timeout")?.unwrap_or(TIMEOUT_MINUTES);
    let now = jiff::Timestamp::now().as_millisecond();
    let mut rows = Vec::new();
    for (topic, partition) in places(admin, parsed, broker).await? {
        for producer in producers(admin, (&topic, partition), broker).await? {
            let age = now - producer.last_timestamp;
            if producer.current_txn_start_offset < 0 || age < minutes * 60_000 {
                continue;
            }
            if is_known(admin, producer.producer_id, (&topic, partition)).await? {
                continue;
            }
            rows.push(vec![
                topic.clone(),
                partition.to_string(),
                producer.producer_id.to_string(),
                producer.producer_epoch.to_string(),
                producer.coordinator_epoch.to_string(),
                producer.current_txn_start_offset.to_string(),
                producer.last_timestamp.to_string(),
                (age / 60_000).to_string(),
            ]);
        }
    }
    let titles = [
        "Topic",
        "Partition",
        "ProducerId",
        "ProducerEpoch",
        "CoordinatorEpoch",
        "StartOffset",
        "LastTimestamp",
        "Duration(min)",
    ];
    print(&titles, &rows);
    Ok(())
}

/// The partitions to look at.
async fn places(
    admin: &Admin,
    parsed: &Parsed,
    broker: Option<i32>,
) -> Result<Vec<(String, i32)>, End> {
    let failed = |error| Exception::of_call(&error, "describeTopics");
    let only: Option<i32> = number(parsed, "partition")?;
    let names = match parsed.get("topic") {
        Some(topic) => vec![topic.to_owned()],
        None => {
            let topics = admin.list_topics().await.map_err(failed)?;
            topics
                .into_iter()
                .map(|topic| topic.name.to_string())
                .collect()
        }
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut places = Vec::new();
    for (name, topic) in admin.describe_topics(&names).await.map_err(failed)? {
        for partition in topic.map_err(failed)?.partitions {
            let here = broker.is_none_or(|broker| partition.replicas.contains(&broker));
            if here && only.is_none_or(|only| only == partition.partition) {
                places.push((name.to_string(), partition.partition));
            }
        }
    }
    Ok(places)
}

/// Whether a coordinator has an open transaction of this producer on the partition.
async fn is_known(admin: &Admin, producer: i64, at: (&str, i32)) -> Result<bool, Exception> {
    for (_, id, ..) in all(admin, (-1, None, &[producer])).await? {
        if let Some(state) = state_of(admin, &id).await?
            && state
                .topics
                .iter()
                .any(|topic| topic.topic.as_str() == at.0 && topic.partitions.contains(&at.1))
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `abort`: the marker that no coordinator will write.
pub(super) async fn abort(admin: &Admin, parsed: &Parsed, at: (&str, i32)) -> Result<(), End> {
    let start: Option<i64> = number(parsed, "start-offset")?;
    let (producer_id, producer_epoch, coordinator_epoch) = match start {
        Some(start) => {
            let found = producers(admin, at, None).await?;
            let found = found.iter().find(|p| p.current_txn_start_offset == start);
            let Some(found) = found else {
                return Err(End::Refused(format!(
                    "Could not find any open transactions starting at offset {start} on partition {}-{}",
                    at.0, at.1
                )));
            };
            let epoch = i16::try_from(found.producer_epoch).unwrap_or(i16::MAX);
            // A producer that never saw a marker has no coordinator's epoch yet.
            (found.producer_id, epoch, found.coordinator_epoch.max(0))
        }
        None => {
            let id: Option<i64> = number(parsed, "producer-id")?;
            let epoch: Option<i16> = number(parsed, "producer-epoch")?;
            let coordinator: Option<i32> = number(parsed, "coordinator-epoch")?;
            match (id, epoch, coordinator) {
                (Some(id), Some(epoch), Some(coordinator)) => (id, epoch, coordinator.max(0)),
                _ => {
                    return Err(End::Refused(
                        "The transaction to abort must be identified either with --start-offset, \
                         or with --producer-id, --producer-epoch and --coordinator-epoch"
                            .to_owned(),
                    ));
                }
            }
        }
    };
    let response = admin
        .request(
            Destination::Broker(leader(admin, at).await?),
            |_| WriteTxnMarkersRequest {
                markers: vec![WritableTxnMarker {
                    producer_id,
                    producer_epoch,
                    transaction_result: false,
                    topics: vec![WritableTxnMarkerTopic {
                        name: at.0.into(),
                        partition_indexes: vec![at.1],
                    }],
                    coordinator_epoch,
                    ..Default::default()
                }],
            },
            |_| 0,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "abortTransaction"))?;
    let topics = response.markers.iter().flat_map(|marker| &marker.topics);
    for partition in topics.flat_map(|topic| &topic.partitions) {
        Exception::check(partition.error_code, None)?;
    }
    Ok(())
}

/// `forceTerminateTransaction`: fences the producers of the id, which ends what they had open.
pub(super) async fn force(admin: &Admin, id: &str) -> Result<(), Exception> {
    let response = admin
        .request(
            Destination::Transaction(id),
            |_| InitProducerIdRequest {
                transactional_id: Some(id.into()),
                transaction_timeout_ms: FENCE_TIMEOUT_MS,
                ..Default::default()
            },
            |response| response.error_code,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "fenceProducers"))?;
    Exception::check(response.error_code, None)
}
