//! Requests as two suites send them: the broker's own, and the compatibility suite, which asks a real
//! Kafka as well.
#![allow(dead_code, reason = "no suite sends all of them")]

use bytes::Bytes;
use logway_protocol::Text;
use logway_protocol::message::alter_configs::{AlterConfigsResource, AlterableConfig};
use logway_protocol::message::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use logway_protocol::message::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

/// Kinds of what has settings.
pub(crate) const TOPIC: i8 = 2;
pub(crate) const BROKER: i8 = 4;

/// What to do with one setting.
pub(crate) const SET: i8 = 0;
pub(crate) const DELETE: i8 = 1;
pub(crate) const APPEND: i8 = 2;
pub(crate) const SUBTRACT: i8 = 3;

/// Creates one topic with settings of its own.
pub(crate) fn create_request(
    name: &str,
    partitions: i32,
    configs: &[(&str, &str)],
) -> CreateTopicsRequest {
    let config = |(name, value): &(&str, &str)| CreatableTopicConfig {
        name: Text::from(*name),
        value: Some(Text::from(*value)),
    };
    let topic = CreatableTopic {
        name: Text::from(name),
        num_partitions: partitions,
        replication_factor: -1,
        configs: configs.iter().map(config).collect(),
        ..CreatableTopic::default()
    };
    CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 30_000,
        ..CreateTopicsRequest::default()
    }
}

/// Asks for all settings of something, with all there is to say about them.
pub(crate) fn describe_request(kind: i8, names: &[&str]) -> DescribeConfigsRequest {
    let resource = |name: &&str| DescribeConfigsResource {
        resource_type: kind,
        resource_name: Text::from(*name),
        configuration_keys: None,
    };
    DescribeConfigsRequest {
        resources: names.iter().map(resource).collect(),
        include_synonyms: true,
        include_documentation: true,
    }
}

/// Changes some settings: name, what to do, value.
pub(crate) fn changed(
    kind: i8,
    name: &str,
    operations: &[(&str, i8, Option<&str>)],
) -> IncrementalAlterConfigsResource {
    let config = |(name, operation, value): &(&str, i8, Option<&str>)| {
        let value = value.map(Text::from);
        IncrementalAlterableConfig {
            name: Text::from(*name),
            config_operation: *operation,
            value,
        }
    };
    IncrementalAlterConfigsResource {
        resource_type: kind,
        resource_name: Text::from(name),
        configs: operations.iter().map(config).collect(),
    }
}

/// Replaces all settings of a topic, as the older request does.
pub(crate) fn replaced(topic: &str, configs: &[(&str, Option<&str>)]) -> AlterConfigsResource {
    let config = |(name, value): &(&str, Option<&str>)| AlterableConfig {
        name: Text::from(*name),
        value: value.map(Text::from),
    };
    AlterConfigsResource {
        resource_type: TOPIC,
        resource_name: Text::from(topic),
        configs: configs.iter().map(config).collect(),
    }
}

/// One batch for partition 0.
pub(crate) fn produce_request(topic: &str, acks: i16, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData {
        index: 0,
        records: Some(batch),
    };
    let topic = TopicProduceData {
        name: Text::from(topic),
        partition_data: vec![data],
        ..Default::default()
    };
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    }
}

/// Up to a MiB of partition 0.
pub(crate) fn fetch_request(topic: &str, offset: i64, wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition {
        partition: 0,
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: Text::from(topic),
        partitions: vec![partition],
        ..FetchTopic::default()
    };
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}
