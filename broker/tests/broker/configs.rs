//! DescribeConfigs: all settings, where they come from, and what they would be otherwise.

use logway_protocol::ErrorCode;
use logway_protocol::message::describe_configs::DescribeConfigsResourceResult;

use crate::harness::{Client, Server, batch};
use crate::requests::{BROKER, TOPIC, create_request, describe_request};

pub(crate) async fn describe(
    client: &mut Client,
    kind: i8,
    name: &str,
) -> (i16, Vec<DescribeConfigsResourceResult>) {
    let result = client
        .ask(4, &describe_request(kind, &[name]))
        .await
        .results
        .remove(0);
    (result.error_code, result.configs)
}

pub(crate) async fn create_with(client: &mut Client, name: &str, configs: &[(&str, &str)]) {
    let request = create_request(name, 1, configs);
    assert_eq!(client.ask(7, &request).await.topics[0].error_code, 0);
}

#[tokio::test]
async fn a_topic_shows_all_settings_with_sources() {
    let server = Server::start_with(|settings| settings.log.retention_bytes = 5_000_000).await;
    let mut client = server.connect().await;
    create_with(&mut client, "t", &[("retention.ms", "60000")]).await;
    let (code, configs) = describe(&mut client, TOPIC, "t").await;
    assert_eq!((code, configs.len()), (0, 33));
    let find = |name: &str| configs.iter().find(|config| config.name == name).unwrap();
    let shown = |name: &str| {
        let config = find(name);
        let synonyms = config.synonyms.iter();
        let synonyms: Vec<_> = synonyms
            .map(|s| {
                (
                    s.name.to_string(),
                    s.value.as_deref().unwrap().to_owned(),
                    s.source,
                )
            })
            .collect();
        (
            config.value.as_deref().unwrap().to_owned(),
            config.config_source,
            synonyms,
        )
    };
    let expected = vec![("retention.ms".to_owned(), "60000".to_owned(), 1)];
    assert_eq!(shown("retention.ms"), ("60000".to_owned(), 1, expected));
    let expected = vec![
        ("log.retention.bytes".to_owned(), "5000000".to_owned(), 4),
        ("log.retention.bytes".to_owned(), "-1".to_owned(), 5),
    ];
    assert_eq!(
        shown("retention.bytes"),
        ("5000000".to_owned(), 4, expected)
    );
    assert_eq!(shown("segment.jitter.ms"), ("0".to_owned(), 5, Vec::new()));
    assert!(configs.iter().all(|config| config.documentation.is_some()));
}

#[tokio::test]
async fn a_broker_shows_its_settings() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let (code, configs) = describe(&mut client, BROKER, "1").await;
    assert_eq!(code, 0);
    let find = |name: &str| configs.iter().find(|config| config.name == name).unwrap();
    assert_eq!(find("node.id").value.as_deref(), Some("1"));
    assert_eq!(
        find("log.segment.bytes").value.as_deref(),
        Some("1073741824")
    );
    assert!(configs.is_sorted_by(|one, other| one.name < other.name));
    let (code, _) = describe(&mut client, BROKER, "2").await;
    assert_eq!(code, ErrorCode::InvalidRequest.code());
    let (code, _) = describe(&mut client, TOPIC, "absent").await;
    assert_eq!(code, ErrorCode::UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn settings_of_a_topic_are_kept() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let stamped = [
        ("message.timestamp.type", "LogAppendTime"),
        ("max.message.bytes", "500"),
    ];
    create_with(&mut client, "t", &stamped).await;
    let answer = client.produce("t", 1, batch(&["a"])).await;
    assert!(
        answer.log_append_time_ms > 1_600_000_000_000,
        "the broker's clock"
    );
    let (offset, timestamp) = client.offset("t", -3).await;
    let stamp = answer.log_append_time_ms;
    assert_eq!((offset, timestamp), (0, stamp));
    assert_eq!(client.offset("t", stamp).await, (0, stamp));
    assert_eq!(client.offset("t", stamp + 1).await, (-1, -1));
    let large = client.produce("t", 1, batch(&[&"x".repeat(1000)])).await;
    assert_eq!(large.error_code, ErrorCode::MessageTooLarge.code());
}

#[tokio::test]
async fn a_compacted_topic_wants_keys() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    create_with(&mut client, "t", &[("cleanup.policy", "compact")]).await;
    let answer = client.produce("t", 1, batch(&["no key"])).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidRecord.code());
    assert_eq!(answer.record_errors[0].batch_index, 0);
}

#[tokio::test]
async fn acks_of_all_want_no_more_in_sync_replicas_than_there_are() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    create_with(&mut client, "t", &[("min.insync.replicas", "2")]).await;
    assert_eq!(client.produce("t", -1, batch(&["a"])).await.error_code, 0);
}

/// A setting's value and the number of its source.
pub(crate) async fn shown(
    client: &mut Client,
    kind: i8,
    resource: &str,
    name: &str,
) -> (String, i8) {
    let (code, configs) = describe(client, kind, resource).await;
    assert_eq!(code, 0);
    let config = configs
        .into_iter()
        .find(|config| config.name == name)
        .unwrap();
    (config.value.unwrap().to_string(), config.config_source)
}
