//! CreateTopics: new topics.

use crate::text::Text;
use crate::uuid::Uuid;

api! { CreateTopics: CreateTopicsRequest => CreateTopicsResponse, versions 2..=7, flexible 5 }

fields! {
    /// Topics with partition counts or assignments, and configs.
    pub struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>, 0..;
        timeout_ms: i32 = 60_000, 0..;
        validate_only: bool, 1..;
    }

    /// Part of [`CreateTopicsRequest`]: creatable topic.
    pub struct CreatableTopic {
        name: Text, 0..;
        num_partitions: i32, 0..;
        replication_factor: i16, 0..;
        assignments: Vec<CreatableReplicaAssignment>, 0..;
        configs: Vec<CreatableTopicConfig>, 0..;
    }

    /// Part of [`CreateTopicsRequest`]: creatable replica assignment.
    pub struct CreatableReplicaAssignment {
        partition_index: i32, 0..;
        broker_ids: Vec<i32>, 0..;
    }

    /// Part of [`CreateTopicsRequest`]: creatable topic config.
    pub struct CreatableTopicConfig {
        name: Text, 0..;
        value: Option<Text> = Some(Text::default()), 0..;
    }

    /// A result for each topic.
    pub struct CreateTopicsResponse {
        throttle_time_ms: i32, 2..;
        topics: Vec<CreatableTopicResult>, 0..;
    }

    /// Part of [`CreateTopicsResponse`]: creatable topic result.
    pub struct CreatableTopicResult {
        name: Text, 0..;
        topic_id: Uuid, 7.., ignorable(true);
        error_code: i16, 0..;
        error_message: Option<Text> = Some(Text::default()), 1..;
        topic_config_error_code: i16, 5.., tag(0), ignorable(true);
        num_partitions: i32 = -1, 5.., ignorable(true);
        replication_factor: i16 = -1, 5.., ignorable(true);
        configs: Option<Vec<CreatableTopicConfigs>> = Some(Vec::new()), 5.., ignorable(true);
    }

    /// Part of [`CreateTopicsResponse`]: creatable topic configs.
    pub struct CreatableTopicConfigs {
        name: Text, 5..;
        value: Option<Text> = Some(Text::default()), 5..;
        read_only: bool, 5..;
        config_source: i8 = -1, 5.., ignorable(true);
        is_sensitive: bool, 5..;
    }
}
