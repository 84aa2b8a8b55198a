//! WriteTxnMarkers 1-2: a transaction coordinator ends transactions in partitions of this broker. On
//! one node the coordinator does that itself; tools send this to end a hanging transaction. v2 says
//! under which transaction version the end was decided. Step 7 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

use super::Header;
use crate::context::Context;
use crate::transaction::{Appended, Markers};

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
    let mut results = Vec::with_capacity(markers.len());
    for (producer_id, begun) in markers {
        let mut topics = Vec::with_capacity(begun.len());
        for (name, begun) in begun {
            let mut partitions = Vec::with_capacity(begun.len());
            for (partition_index, appended) in begun {
                let outcome = match appended {
                    Ok(appended) => appended.await,
                    Err(error) => Err(error),
                };
                partitions.push(WritableTxnMarkerPartitionResult {
                    partition_index,
                    error_code: outcome.err().unwrap_or(ErrorCode::None).code(),
                });
            }
            topics.push(WritableTxnMarkerTopicResult { name, partitions });
        }
        results.push(WritableTxnMarkerResult {
            producer_id,
            topics,
        });
    }
    WriteTxnMarkersResponse { markers: results }
}

fn begin(
    context: &Context,
    marker: &WritableTxnMarker,
    at: &(Arc<str>, i32),
) -> Result<Appended, ErrorCode> {
    // A marker of nobody would stand in the log for ever; Kafka's code fails on it.
    if marker.producer_id == -1 || marker.producer_epoch == -1 {
        return Err(ErrorCode::UnknownServerError);
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
