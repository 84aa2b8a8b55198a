//! DescribeTopicPartitions: topics with their partitions, page by page (KIP-966).

use crate::text::Text;
use crate::uuid::Uuid;

api! { DescribeTopicPartitions: DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse, versions 0..=0, flexible 0 }

fields! {
    /// Topics asked for and where to go on.
    pub struct DescribeTopicPartitionsRequest {
        topics: Vec<TopicRequest>, 0..;
        response_partition_limit: i32 = 2000, 0..;
        cursor: Option<Cursor>, 0..;
    }

    /// Part of [`DescribeTopicPartitionsRequest`]: topic request.
    pub struct TopicRequest {
        name: Text, 0..;
    }

    /// Part of [`DescribeTopicPartitionsRequest`]: cursor.
    pub struct Cursor {
        topic_name: Text, 0..;
        partition_index: i32, 0..;
    }

    /// Topics, and where to go on.
    pub struct DescribeTopicPartitionsResponse {
        throttle_time_ms: i32, 0.., ignorable(true);
        topics: Vec<DescribeTopicPartitionsResponseTopic>, 0..;
        next_cursor: Option<DescribeTopicPartitionsResponseCursor>, 0..;
    }

    /// Part of [`DescribeTopicPartitionsResponse`]: describe topic partitions response topic.
    pub struct DescribeTopicPartitionsResponseTopic {
        error_code: i16, 0..;
        name: Option<Text> = Some(Text::default()), 0..;
        topic_id: Uuid, 0.., ignorable(true);
        is_internal: bool, 0.., ignorable(true);
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, 0..;
        topic_authorized_operations: i32 = i32::MIN, 0..;
    }

    /// Part of [`DescribeTopicPartitionsResponse`]: describe topic partitions response partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32 = -1, 0.., ignorable(true);
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        eligible_leader_replicas: Option<Vec<i32>>, 0..;
        last_known_elr: Option<Vec<i32>>, 0..;
        offline_replicas: Vec<i32>, 0.., ignorable(true);
    }

    /// Part of [`DescribeTopicPartitionsResponse`]: describe topic partitions response cursor.
    pub struct DescribeTopicPartitionsResponseCursor {
        topic_name: Text, 0..;
        partition_index: i32, 0..;
    }
}
