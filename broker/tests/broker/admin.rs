//! The admin requests of one node: partitions, places, sizes, features, and settings of the broker
//! itself that change while it runs.

use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::create_partitions::{CreatePartitionsRequest, CreatePartitionsTopic};
use logway_protocol::message::describe_log_dirs::DescribeLogDirsRequest;
use logway_protocol::message::describe_quorum::{DescribeQuorumRequest, PartitionData, TopicData};
use logway_protocol::message::describe_topic_partitions::{Cursor, DescribeTopicPartitionsRequest};
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::message::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use logway_protocol::{ErrorCode, Text};

use crate::configs::shown;
use crate::harness::{Client, PATIENCE, Server, batch};
use crate::requests::{BROKER, TOPIC};
use crate::restart::start;

async fn grow(client: &mut Client, topic: &str, count: i32, validate_only: bool) -> ErrorCode {
    let request = CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: Text::from(topic),
            count,
            assignments: None,
        }],
        timeout_ms: 30_000,
        validate_only,
    };
    let answer = client.ask(3, &request).await;
    ErrorCode::from_code(answer.results[0].error_code)
}

#[tokio::test]
async fn new_partitions_take_records_at_once_and_after_a_restart() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["old"])).await;
    assert_eq!(grow(&mut client, "t", 3, true).await, ErrorCode::None);
    assert_eq!(grow(&mut client, "t", 3, false).await, ErrorCode::None);
    assert_eq!(
        grow(&mut client, "t", 3, false).await,
        ErrorCode::InvalidPartitions
    );
    assert_eq!(
        grow(&mut client, "t", 200_000, false).await,
        ErrorCode::InvalidPartitions
    );
    client.produce_to("t", 2, batch(&["new"])).await;
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    client.produce_to("t", 1, batch(&["newer"])).await;
    client.produce_to("t", 2, batch(&["newer"])).await;
    assert_eq!(client.offset("t", -1).await.0, 1);
    assert_eq!(
        grow(&mut client, "t", 2, false).await,
        ErrorCode::InvalidPartitions
    );
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn sizes_of_logs_are_those_of_their_files() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 2).await;
    client.produce_to("t", 1, batch(&["a", "b"])).await;
    let answer = client
        .ask(4, &DescribeLogDirsRequest { topics: None })
        .await;
    let folder = &answer.results[0];
    assert_eq!(
        folder.log_dir.as_str(),
        server.folder.path().to_str().unwrap()
    );
    assert!(folder.total_bytes >= folder.usable_bytes && folder.usable_bytes > 0);
    let sizes = folder.topics[0]
        .partitions
        .iter()
        .map(|one| one.partition_size);
    let file = server.folder.path().join("t-1/00000000000000000000.log");
    let length = i64::try_from(std::fs::metadata(file).unwrap().len()).unwrap();
    assert_eq!(sizes.collect::<Vec<_>>(), [0, length]);
}

#[tokio::test]
async fn a_cursor_walks_over_every_partition_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    for (topic, partitions) in [("a", 3), ("b", 1), ("c", 4)] {
        client.create_topic(topic, partitions).await;
    }
    for limit in 1..=9 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let request = DescribeTopicPartitionsRequest {
                response_partition_limit: limit,
                cursor,
                ..DescribeTopicPartitionsRequest::default()
            };
            let answer = client.ask(0, &request).await;
            let before = seen.len();
            for topic in answer.topics {
                let name = topic.name.unwrap().to_string();
                let indexes = topic.partitions.iter().map(|one| one.partition_index);
                seen.extend(indexes.map(|index| format!("{name}{index}")));
            }
            assert!(seen.len() - before <= usize::try_from(limit).unwrap());
            cursor = match answer.next_cursor {
                Some(next) => Some(Cursor {
                    topic_name: next.topic_name,
                    partition_index: next.partition_index,
                }),
                None => break,
            };
        }
        assert_eq!(
            seen,
            ["a0", "a1", "a2", "b0", "c0", "c1", "c2", "c3"],
            "by {limit}"
        );
    }
}

async fn set(client: &mut Client, name: &str, setting: &str, value: Option<&str>) {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![IncrementalAlterConfigsResource {
            resource_type: BROKER,
            resource_name: Text::from(name),
            configs: vec![IncrementalAlterableConfig {
                name: Text::from(setting),
                config_operation: i8::from(value.is_none()),
                value: value.map(Text::from),
            }],
        }],
        validate_only: false,
    };
    let answer = client.ask(1, &request).await;
    assert_eq!(answer.responses[0].error_code, 0, "{answer:?}");
}

#[tokio::test]
async fn defaults_of_topics_change_while_the_broker_runs() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let large = batch(&[&"x".repeat(2_000)]);
    assert_eq!(client.produce("t", 1, large.clone()).await.error_code, 0);
    // For all brokers, then for this one, which goes before; the topic's own would go before both.
    set(&mut client, "", "message.max.bytes", Some("1500")).await;
    let refused = client.produce("t", 1, large.clone()).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
    let of_topic = shown(&mut client, TOPIC, "t", "max.message.bytes").await;
    assert_eq!(of_topic, ("1500".to_owned(), 3));
    set(&mut client, "1", "message.max.bytes", Some("100000")).await;
    assert_eq!(client.produce("t", 1, large.clone()).await.error_code, 0);
    let of_broker = shown(&mut client, BROKER, "1", "message.max.bytes").await;
    assert_eq!(of_broker, ("100000".to_owned(), 2));
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    assert_eq!(client.produce("t", 1, large.clone()).await.error_code, 0);
    set(&mut client, "1", "message.max.bytes", None).await;
    let refused = client.produce("t", 1, large.clone()).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
    set(&mut client, "", "message.max.bytes", None).await;
    assert_eq!(client.produce("t", 1, large).await.error_code, 0);
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn bounds_on_connections_change_while_the_broker_runs() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    set(&mut client, "", "max.connections.per.ip", Some("1")).await;
    let mut second = server.connect().await;
    second.send(4, &ListGroupsRequest::default()).await;
    assert!(second.is_closed().await);
    set(
        &mut client,
        "",
        "max.connections.per.ip.overrides",
        Some("127.0.0.1:2"),
    )
    .await;
    let mut second = server.connect().await;
    second.ask(4, &ListGroupsRequest::default()).await;
}

#[tokio::test]
async fn features_are_finalized_all_or_none_and_survive_a_restart() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let elr = "eligible.leader.replicas.version";
    let update = |level, kind, other: Option<&str>| {
        let names = [Some(elr), other].into_iter().flatten();
        UpdateFeaturesRequest {
            feature_updates: names
                .map(|feature| FeatureUpdateKey {
                    feature: Text::from(feature),
                    max_version_level: level,
                    upgrade_type: kind,
                    ..FeatureUpdateKey::default()
                })
                .collect(),
            ..UpdateFeaturesRequest::default()
        }
    };
    let refused = client.ask(2, &update(0, 2, Some("no.such"))).await;
    assert_eq!(refused.error_code, ErrorCode::InvalidUpdateVersion.code());
    assert!(finalized(&mut client).await.contains(&(elr.to_owned(), 1)));
    assert_eq!(client.ask(2, &update(0, 2, None)).await.error_code, 0);
    let levels = finalized(&mut client).await;
    assert!(levels.iter().all(|(name, _)| name != elr), "{levels:?}");
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    assert_eq!(finalized(&mut client).await, levels);
    broker.shutdown(PATIENCE).await;
}

async fn finalized(client: &mut Client) -> Vec<(String, i16)> {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1.0".into(),
    };
    let answer = client.ask(4, &request).await;
    let finalized = answer.finalized_features.iter();
    finalized
        .map(|feature| (feature.name.to_string(), feature.max_version_level))
        .collect()
}

#[tokio::test]
async fn the_quorums_log_grows_with_every_change() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = DescribeQuorumRequest {
        topics: vec![TopicData {
            topic_name: Text::from("__cluster_metadata"),
            partitions: vec![PartitionData { partition_index: 0 }],
        }],
    };
    let mut end = 0;
    for topic in ["a", "b"] {
        client.create_topic(topic, 1).await;
        for version in 0..=2 {
            let answer = client.ask(version, &request).await;
            let state = &answer.topics[0].partitions[0];
            assert_eq!((state.error_code, state.leader_id), (0, 1));
            assert_eq!(state.current_voters[0].log_end_offset, state.high_watermark);
            assert!(version > 0 || state.high_watermark > end);
            end = state.high_watermark;
        }
    }
}
