//! Settings of topics change while the broker runs, and the running logs follow.

use logway_protocol::ErrorCode;
use logway_protocol::message::alter_configs::AlterConfigsRequest;
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource,
};

use crate::configs::shown;
use crate::harness::{Client, PATIENCE, Server, batch, values};
use crate::requests::{APPEND, BROKER, DELETE, SET, SUBTRACT, TOPIC, changed, replaced};
use crate::restart::start;

async fn alter(
    client: &mut Client,
    resources: Vec<IncrementalAlterConfigsResource>,
) -> Vec<ErrorCode> {
    let request = IncrementalAlterConfigsRequest {
        resources,
        validate_only: false,
    };
    let answer = client.ask(1, &request).await;
    let codes = answer.responses.iter();
    codes
        .map(|one| ErrorCode::from_code(one.error_code))
        .collect()
}

async fn set(client: &mut Client, topic: &str, name: &str, value: &str) {
    let set = changed(TOPIC, topic, &[(name, SET, Some(value))]);
    assert_eq!(alter(client, vec![set]).await, [ErrorCode::None]);
}

#[tokio::test]
async fn lists_grow_and_shrink_and_defaults_come_back() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let policy = async |client: &mut Client, operation, value| {
        let one = changed(TOPIC, "t", &[("cleanup.policy", operation, value)]);
        assert_eq!(alter(client, vec![one]).await, [ErrorCode::None]);
        shown(client, TOPIC, "t", "cleanup.policy").await
    };
    let both = ("delete,compact".to_owned(), 1);
    assert_eq!(policy(&mut client, APPEND, Some("compact")).await, both);
    let one = ("compact".to_owned(), 1);
    assert_eq!(policy(&mut client, SUBTRACT, Some("delete")).await, one);
    let default = ("delete".to_owned(), 5);
    assert_eq!(policy(&mut client, DELETE, None).await, default);
}

#[tokio::test]
async fn one_bad_setting_changes_nothing_of_its_topic_and_no_other_topic() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("a", 1).await;
    client.create_topic("b", 1).await;
    let bad = changed(
        TOPIC,
        "a",
        &[
            ("retention.ms", SET, Some("9")),
            ("segment.ms", SET, Some("x")),
        ],
    );
    let good = changed(TOPIC, "b", &[("retention.ms", SET, Some("9"))]);
    let twice = changed(TOPIC, "c", &[]);
    let other = changed(BROKER, "1", &[("num.partitions", SET, Some("9"))]);
    let codes = alter(&mut client, vec![bad, good, twice.clone(), twice, other]).await;
    let invalid = ErrorCode::InvalidRequest;
    let expected = [
        ErrorCode::InvalidConfig,
        ErrorCode::None,
        invalid,
        invalid,
        invalid,
    ];
    assert_eq!(codes, expected);
    assert_eq!(shown(&mut client, TOPIC, "a", "retention.ms").await.1, 5);
    assert_eq!(
        shown(&mut client, TOPIC, "b", "retention.ms").await,
        ("9".to_owned(), 1)
    );
}

#[tokio::test]
async fn validate_only_changes_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for (value, code) in [("9", ErrorCode::None), ("x", ErrorCode::InvalidConfig)] {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![changed(TOPIC, "t", &[("retention.ms", SET, Some(value))])],
            validate_only: true,
        };
        let answer = client.ask(0, &request).await;
        assert_eq!(answer.responses[0].error_code, code.code());
    }
    assert_eq!(shown(&mut client, TOPIC, "t", "retention.ms").await.1, 5);
}

#[tokio::test]
async fn the_older_request_replaces_everything() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    set(&mut client, "t", "retention.ms", "9").await;
    for version in 0..=2 {
        let request = AlterConfigsRequest {
            resources: vec![replaced("t", &[("segment.ms", Some("77"))])],
            validate_only: false,
        };
        let answer = client.ask(version, &request).await;
        assert_eq!(answer.responses[0].error_code, 0);
        assert_eq!(
            shown(&mut client, TOPIC, "t", "segment.ms").await,
            ("77".to_owned(), 1)
        );
        assert_eq!(shown(&mut client, TOPIC, "t", "retention.ms").await.1, 5);
    }
}

#[tokio::test]
async fn running_logs_follow_and_a_restart_remembers() {
    let server = Server::start_with(|settings| settings.log.retention_check_interval_ms = 1).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    set(&mut client, "t", "retention.ms", "-1").await;
    client.produce("t", 1, batch(&["old"])).await;
    // Largest batch: refused from now on.
    set(&mut client, "t", "max.message.bytes", "100").await;
    let large = batch(&[&"x".repeat(200)]);
    let refused = client.produce("t", 1, large.clone()).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
    set(&mut client, "t", "max.message.bytes", "1000").await;
    assert_eq!(client.produce("t", 1, large).await.error_code, 0);
    // Whose clock: the broker's from now on.
    set(&mut client, "t", "message.timestamp.type", "LogAppendTime").await;
    let stamped = client.produce("t", 1, batch(&["new"])).await;
    assert!(stamped.log_append_time_ms > 0);
    let (offset, timestamp) = client.offset("t", -3).await;
    assert_eq!((offset, timestamp), (2, stamped.log_append_time_ms));
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |settings| {
        settings.log.retention_check_interval_ms = 1;
    })
    .await;
    assert_eq!(
        shown(&mut client, TOPIC, "t", "max.message.bytes").await,
        ("1000".to_owned(), 1)
    );
    // Age: the next look takes everything.
    set(&mut client, "t", "retention.ms", "1").await;
    let emptied = async {
        while client.offset("t", -2).await.0 < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, emptied)
        .await
        .expect("old records go");
    assert!(values(&client.fetch("t", 3).await).is_empty());
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn smaller_segments_begin_with_the_next_record() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let value = "x".repeat(600_000);
    let logs = || {
        let folder = server.folder.path().join("t-0");
        let files = std::fs::read_dir(folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".log")).count()
    };
    for _ in 0..3 {
        client.produce("t", 1, batch(&[&value])).await;
    }
    assert_eq!(logs(), 1);
    set(&mut client, "t", "segment.bytes", "1048576").await;
    client.produce("t", 1, batch(&[&value])).await;
    assert_eq!(logs(), 2);
}

#[tokio::test]
async fn a_log_is_flushed_when_it_is_told_to() {
    let server = Server::start_with(|settings| settings.flush.on_acks_all = false).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a"])).await;
    // One that takes long is asked for again, so only more of them says something.
    let syncs = "logway_broker_sync_seconds_count";
    set(&mut client, "t", "flush.ms", "1").await;
    server.wait_for_more(syncs, 0).await;
    set(&mut client, "t", "flush.ms", "9223372036854775807").await;
    set(&mut client, "t", "flush.messages", "1").await;
    let seen = server.wait_for_more(syncs, 0).await;
    client.produce("t", 1, batch(&["b"])).await;
    server.wait_for_more(syncs, seen).await;
}
