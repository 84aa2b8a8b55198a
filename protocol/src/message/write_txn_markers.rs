//! WriteTxnMarkers: the end of transactions, written into their partitions (KIP-98).

use crate::text::Text;

api! { WriteTxnMarkers: WriteTxnMarkersRequest => WriteTxnMarkersResponse, versions 1..=2, flexible 1 }

fields! {
    /// Markers to write.
    pub struct WriteTxnMarkersRequest {
        markers: Vec<WritableTxnMarker>, 0..;
    }

    /// Part of [`WriteTxnMarkersRequest`]: writable txn marker.
    pub struct WritableTxnMarker {
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        transaction_result: bool, 0..;
        topics: Vec<WritableTxnMarkerTopic>, 0..;
        coordinator_epoch: i32, 0..;
        transaction_version: i8, 2.., ignorable(true);
    }

    /// Part of [`WriteTxnMarkersRequest`]: writable txn marker topic.
    pub struct WritableTxnMarkerTopic {
        name: Text, 0..;
        partition_indexes: Vec<i32>, 0..;
    }

    /// A result for each marker and partition.
    pub struct WriteTxnMarkersResponse {
        markers: Vec<WritableTxnMarkerResult>, 0..;
    }

    /// Part of [`WriteTxnMarkersResponse`]: writable txn marker result.
    pub struct WritableTxnMarkerResult {
        producer_id: i64, 0..;
        topics: Vec<WritableTxnMarkerTopicResult>, 0..;
    }

    /// Part of [`WriteTxnMarkersResponse`]: writable txn marker topic result.
    pub struct WritableTxnMarkerTopicResult {
        name: Text, 0..;
        partitions: Vec<WritableTxnMarkerPartitionResult>, 0..;
    }

    /// Part of [`WriteTxnMarkersResponse`]: writable txn marker partition result.
    pub struct WritableTxnMarkerPartitionResult {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
