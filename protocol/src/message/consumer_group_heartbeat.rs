//! ConsumerGroupHeartbeat: joins, keeps up and leaves a group whose assignment its coordinator makes (KIP-848).

use crate::text::Text;
use crate::uuid::Uuid;

api! { ConsumerGroupHeartbeat: ConsumerGroupHeartbeatRequest => ConsumerGroupHeartbeatResponse, versions 0..=1, flexible 0 }

fields! {
    /// What the member is, wants and owns; null where nothing changed.
    pub struct ConsumerGroupHeartbeatRequest {
        group_id: Text, 0..;
        member_id: Text, 0..;
        member_epoch: i32, 0..;
        instance_id: Option<Text>, 0..;
        rack_id: Option<Text>, 0..;
        rebalance_timeout_ms: i32 = -1, 0..;
        subscribed_topic_names: Option<Vec<Text>>, 0..;
        subscribed_topic_regex: Option<Text>, 1..;
        server_assignor: Option<Text>, 0..;
        topic_partitions: Option<Vec<TopicPartitions>>, 0..;
    }

    /// Part of [`ConsumerGroupHeartbeatRequest`]: topic partitions.
    pub struct TopicPartitions {
        topic_id: Uuid, 0..;
        partitions: Vec<i32>, 0..;
    }

    /// The member's epoch, and its assignment where that changed.
    pub struct ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<Text>, 0..;
        member_id: Option<Text>, 0..;
        member_epoch: i32, 0..;
        heartbeat_interval_ms: i32, 0..;
        assignment: Option<Assignment>, 0..;
    }

    /// Part of [`ConsumerGroupHeartbeatResponse`]: assignment.
    pub struct Assignment {
        topic_partitions: Vec<ConsumerGroupHeartbeatResponseTopicPartitions>, 0..;
    }

    /// Part of [`ConsumerGroupHeartbeatResponse`]: consumer group heartbeat response topic partitions.
    pub struct ConsumerGroupHeartbeatResponseTopicPartitions {
        topic_id: Uuid, 0..;
        partitions: Vec<i32>, 0..;
    }
}
