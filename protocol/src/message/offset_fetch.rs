//! OffsetFetch: positions that a group has committed; several groups from version 8, topics by id from version 10.

use crate::text::Text;
use crate::uuid::Uuid;

api! { OffsetFetch: OffsetFetchRequest => OffsetFetchResponse, versions 1..=10, flexible 6 }

fields! {
    /// Which partitions; null asks for all.
    pub struct OffsetFetchRequest {
        group_id: Text, 0..=7;
        topics: Option<Vec<OffsetFetchRequestTopic>> = Some(Vec::new()), 0..=7, nullable(2..=7);
        groups: Vec<OffsetFetchRequestGroup>, 8..;
        require_stable: bool, 7..;
    }

    /// Part of [`OffsetFetchRequest`]: offset fetch request topic.
    pub struct OffsetFetchRequestTopic {
        name: Text, 0..=7;
        partition_indexes: Vec<i32>, 0..=7;
    }

    /// Part of [`OffsetFetchRequest`]: offset fetch request group.
    pub struct OffsetFetchRequestGroup {
        group_id: Text, 8..;
        member_id: Option<Text>, 9.., ignorable(true);
        member_epoch: i32 = -1, 9.., ignorable(true);
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()), 8..;
    }

    /// Part of [`OffsetFetchRequest`]: offset fetch request topics.
    pub struct OffsetFetchRequestTopics {
        name: Text, 8..=9, ignorable(true);
        topic_id: Uuid, 10.., ignorable(true);
        partition_indexes: Vec<i32>, 8..;
    }

    /// The committed offsets; -1 where there is none.
    pub struct OffsetFetchResponse {
        throttle_time_ms: i32, 3.., ignorable(true);
        topics: Vec<OffsetFetchResponseTopic>, 0..=7;
        error_code: i16, 2..=7, ignorable(true);
        groups: Vec<OffsetFetchResponseGroup>, 8..;
    }

    /// Part of [`OffsetFetchResponse`]: offset fetch response topic.
    pub struct OffsetFetchResponseTopic {
        name: Text, 0..=7;
        partitions: Vec<OffsetFetchResponsePartition>, 0..=7;
    }

    /// Part of [`OffsetFetchResponse`]: offset fetch response partition.
    pub struct OffsetFetchResponsePartition {
        partition_index: i32, 0..=7;
        committed_offset: i64, 0..=7;
        committed_leader_epoch: i32 = -1, 5..=7, ignorable(true);
        metadata: Option<Text> = Some(Text::default()), 0..=7;
        error_code: i16, 0..=7;
    }

    /// Part of [`OffsetFetchResponse`]: offset fetch response group.
    pub struct OffsetFetchResponseGroup {
        group_id: Text, 8..;
        topics: Vec<OffsetFetchResponseTopics>, 8..;
        error_code: i16, 8..;
    }

    /// Part of [`OffsetFetchResponse`]: offset fetch response topics.
    pub struct OffsetFetchResponseTopics {
        name: Text, 8..=9, ignorable(true);
        topic_id: Uuid, 10.., ignorable(true);
        partitions: Vec<OffsetFetchResponsePartitions>, 8..;
    }

    /// Part of [`OffsetFetchResponse`]: offset fetch response partitions.
    pub struct OffsetFetchResponsePartitions {
        partition_index: i32, 8..;
        committed_offset: i64, 8..;
        committed_leader_epoch: i32 = -1, 8.., ignorable(true);
        metadata: Option<Text> = Some(Text::default()), 8..;
        error_code: i16, 8..;
    }
}
