//! Metadata: brokers, topics, partitions and their leaders.

use crate::text::Text;
use crate::uuid::Uuid;

api! { Metadata: MetadataRequest => MetadataResponse, versions 0..=13, flexible 9 }

fields! {
    /// Asks for some topics by name or id, or for all (null; in version 0 an empty array).
    pub struct MetadataRequest {
        topics: Option<Vec<MetadataRequestTopic>> = Some(Vec::new()), 0.., nullable(1..);
        allow_auto_topic_creation: bool = true, 4..;
        include_cluster_authorized_operations: bool, 8..=10;
        include_topic_authorized_operations: bool, 8..;
    }

    /// Part of [`MetadataRequest`]: metadata request topic.
    pub struct MetadataRequestTopic {
        topic_id: Uuid, 10.., ignorable(true);
        name: Option<Text> = Some(Text::default()), 0.., nullable(10..);
    }

    /// The cluster as the broker sees it.
    pub struct MetadataResponse {
        throttle_time_ms: i32, 3.., ignorable(true);
        brokers: Vec<MetadataResponseBroker>, 0..;
        cluster_id: Option<Text>, 2.., ignorable(true);
        controller_id: i32 = -1, 1.., ignorable(true);
        topics: Vec<MetadataResponseTopic>, 0..;
        cluster_authorized_operations: i32 = i32::MIN, 8..=10;
        error_code: i16, 13.., ignorable(true);
    }

    /// Part of [`MetadataResponse`]: metadata response broker.
    pub struct MetadataResponseBroker {
        node_id: i32, 0..;
        host: Text, 0..;
        port: i32, 0..;
        rack: Option<Text>, 1.., ignorable(true);
    }

    /// Part of [`MetadataResponse`]: metadata response topic.
    pub struct MetadataResponseTopic {
        error_code: i16, 0..;
        name: Option<Text> = Some(Text::default()), 0.., nullable(12..);
        topic_id: Uuid, 10.., ignorable(true);
        is_internal: bool, 1.., ignorable(true);
        partitions: Vec<MetadataResponsePartition>, 0..;
        topic_authorized_operations: i32 = i32::MIN, 8..;
    }

    /// Part of [`MetadataResponse`]: metadata response partition.
    pub struct MetadataResponsePartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32 = -1, 7.., ignorable(true);
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 5.., ignorable(true);
    }
}
