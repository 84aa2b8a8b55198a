//! WriteTxnMarkers 1-2: a transaction coordinator ends transactions in partitions of this broker. On
//! one node the coordinator does that itself; tools send this to end a hanging transaction. v2 says
//! under which transaction version the end was decided. Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::transaction::{Appended, Markers};

/// No producer id, no epoch.
const NO_PRODUCER_ID: i64 = -1;
const NO_EPOCH: i16 = -1;
/// The epoch of a coordinator that was never heard of.
const NO_COORDINATOR_EPOCH: i32 = -1;

/// Writes the markers and answers when they are on disk.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in &request.markers {
        // All are begun before the first is waited for.
        let topics = marker.topics.iter().map(|topic| {
            let name: Arc<str> = Arc::from(&*topic.name);
            let begun = topic.partition_indexes.iter();
            let begun: Vec<_> = begun
                .map(|at| (*at, begin(context, marker, &(name.clone(), *at))))
                .collect();
            (topic.name.clone(), begun)
        });
        markers.push((marker.producer_id, topics.collect::<Vec<_>>()));
    }
    let mut results: Vec<WritableTxnMarkerResult> = Vec::with_capacity(markers.len());
    for (producer_id, begun) in markers {
        for (name, begun) in begun {
            for (partition_index, appended) in begun {
                let outcome = match appended {
                    Ok(appended) => appended.await,
                    Err(error) => Err(error),
                };
                let error_code = outcome.err().unwrap_or(ErrorCode::None).code();
                note(
                    &mut results,
                    producer_id,
                    &name,
                    WritableTxnMarkerPartitionResult {
                        partition_index,
                        error_code,
                    },
                );
            }
        }
    }
    WriteTxnMarkersResponse { markers: results }
}

/// Notes an outcome: as with Kafka a producer is answered once, however many markers he had, and of
/// several in one partition the last counts.
fn note(
    results: &mut Vec<WritableTxnMarkerResult>,
    producer_id: i64,
    topic: &Text,
    outcome: WritableTxnMarkerPartitionResult,
) {
    let found = results
        .iter()
        .position(|result| result.producer_id == producer_id);
    let at = found.unwrap_or(results.len());
    if found.is_none() {
        results.push(WritableTxnMarkerResult {
            producer_id,
            topics: Vec::new(),
        });
    }
    let Some(result) = results.get_mut(at) else {
        return;
    };
    let Some(of_topic) = result.topics.iter_mut().find(|of| of.name == *topic) else {
        result.topics.push(WritableTxnMarkerTopicResult {
            name: topic.clone(),
            partitions: vec![outcome],
        });
        return;
    };
    let mut partitions = of_topic.partitions.iter_mut();
    match partitions.find(|of| of.partition_index == outcome.partition_index) {
        Some(before) => *before = outcome,
        None => of_topic.partitions.push(outcome),
    }
}

/// Why a marker cannot be written to any partition; Kafka's codes. A producer's epoch and a
/// coordinator's are at least -1 wherever they are remembered, so what is below is always stale.
fn unwritable(marker: &WritableTxnMarker) -> Option<ErrorCode> {
    match marker {
        // No batch can be made of these.
        WritableTxnMarker {
            producer_id: NO_PRODUCER_ID,
            ..
        }
        | WritableTxnMarker {
            producer_epoch: NO_EPOCH,
            ..
        } => Some(ErrorCode::UnknownServerError),
        marker if marker.transaction_version < 0 => Some(ErrorCode::UnknownServerError),
        marker if marker.producer_epoch < NO_EPOCH => Some(ErrorCode::InvalidProducerEpoch),
        marker if marker.coordinator_epoch < NO_COORDINATOR_EPOCH => {
            Some(ErrorCode::TransactionCoordinatorFenced)
        }
        _ => None,
    }
}

fn begin(
    context: &Context,
    marker: &WritableTxnMarker,
    at: &(Arc<str>, i32),
) -> Result<Appended, ErrorCode> {
    if let Some(error) = unwritable(marker)
        && context.partitions.find(&at.0, at.1).is_some()
    {
        return Err(error);
    }
    let markers = Markers {
        producer: (marker.producer_id, marker.producer_epoch),
        commit: marker.transaction_result,
        version: i16::from(marker.transaction_version),
        partitions: [at.clone()].into(),
    };
    let epoch = marker.coordinator_epoch;
    let appended = context.transactions.mark_one(at, &markers, epoch);
    appended.map_err(|error| match error {
        // The coordinator that asks takes it as "not yet".
        ErrorCode::CoordinatorNotAvailable | ErrorCode::CoordinatorLoadInProgress => {
            ErrorCode::NotLeaderOrFollower
        }
        other => other,
    })
}
