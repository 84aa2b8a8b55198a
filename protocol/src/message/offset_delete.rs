//! OffsetDelete: single offsets of a group are removed (KIP-496).

use crate::text::Text;

api! { OffsetDelete: OffsetDeleteRequest => OffsetDeleteResponse, versions 0..=0, flexible never }

fields! {
    /// Partitions whose offsets go.
    pub struct OffsetDeleteRequest {
        group_id: Text, 0..;
        topics: Vec<OffsetDeleteRequestTopic>, 0..;
    }

    /// Part of [`OffsetDeleteRequest`]: offset delete request topic.
    pub struct OffsetDeleteRequestTopic {
        name: Text, 0..;
        partitions: Vec<OffsetDeleteRequestPartition>, 0..;
    }

    /// Part of [`OffsetDeleteRequest`]: offset delete request partition.
    pub struct OffsetDeleteRequestPartition {
        partition_index: i32, 0..;
    }

    /// A result for each partition.
    pub struct OffsetDeleteResponse {
        error_code: i16, 0..;
        throttle_time_ms: i32, 0.., ignorable(true);
        topics: Vec<OffsetDeleteResponseTopic>, 0..;
    }

    /// Part of [`OffsetDeleteResponse`]: offset delete response topic.
    pub struct OffsetDeleteResponseTopic {
        name: Text, 0..;
        partitions: Vec<OffsetDeleteResponsePartition>, 0..;
    }

    /// Part of [`OffsetDeleteResponse`]: offset delete response partition.
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
