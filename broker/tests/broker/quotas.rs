//! Quotas over the wire: who is over his own is told so and not read from; nobody else waits.

use std::time::{Duration, Instant};

use logway_protocol::message::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest,
};
use logway_protocol::message::fetch::FetchRequest;
use logway_protocol::message::list_groups::ListGroupsRequest;
use logway_protocol::{ErrorCode, Text};

use crate::harness::{Client, PATIENCE, Server, batch, values};
use crate::requests::{fetch_request, produce_request};
use crate::restart::start;

/// Sets, or with none removes, a quota of an entity; the harness's clients are `test`.
async fn set(client: &mut Client, kind: &str, name: Option<&str>, key: &str, value: Option<f64>) {
    let entry = EntryData {
        entity: vec![EntityData {
            entity_type: Text::from(kind),
            entity_name: name.map(Text::from),
        }],
        ops: vec![OpData {
            key: Text::from(key),
            value: value.unwrap_or_default(),
            remove: value.is_none(),
        }],
    };
    let request = AlterClientQuotasRequest {
        entries: vec![entry],
        validate_only: false,
    };
    let answer = client.ask(1, &request).await;
    let code = ErrorCode::from_code(answer.entries[0].error_code);
    assert_eq!(code, ErrorCode::None, "{answer:?}");
}

#[tokio::test]
async fn a_producer_over_its_quota_is_silenced_and_others_are_not() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut admin = server.connect().await;
    client.create_topic("t", 1).await;
    let small = produce_request("t", 1, batch(&["a"]));
    assert_eq!(client.ask(9, &small).await.throttle_time_ms, 0);
    // Ten windows may be used up at once: 1,000 bytes. This is six times as much.
    set(
        &mut admin,
        "client-id",
        Some("test"),
        "producer_byte_rate",
        Some(100.0),
    )
    .await;
    let large = produce_request("t", 1, batch(&[&"x".repeat(1_100)]));
    let begin = Instant::now();
    let answer = client.ask(9, &large).await;
    let partition = &answer.responses[0].partition_responses[0];
    assert_eq!((partition.error_code, partition.base_offset), (0, 1));
    let told = u64::try_from(answer.throttle_time_ms).unwrap();
    assert!(told > 500, "{told}");
    // Whatever it asks next is not read before.
    client.ask(9, &small).await;
    assert!(begin.elapsed() >= Duration::from_millis(told));
    // Another client id has no quota, whatever it sends.
    set(
        &mut admin,
        "client-id",
        Some("test"),
        "producer_byte_rate",
        None,
    )
    .await;
    set(
        &mut admin,
        "client-id",
        Some("other"),
        "producer_byte_rate",
        Some(1.0),
    )
    .await;
    let mut free = server.connect().await;
    assert_eq!(free.ask(9, &large).await.throttle_time_ms, 0);
}

#[tokio::test]
async fn the_users_default_holds_for_whoever_has_not_said_who_he_is() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let large = produce_request("t", 1, batch(&[&"x".repeat(2_000)]));
    set(&mut client, "user", None, "producer_byte_rate", Some(100.0)).await;
    assert!(client.ask(9, &large).await.throttle_time_ms > 0);
    // A quota of his own goes before the default.
    let mut client = server.connect().await;
    set(
        &mut client,
        "user",
        Some("ANONYMOUS"),
        "producer_byte_rate",
        Some(1e9),
    )
    .await;
    assert_eq!(client.ask(9, &large).await.throttle_time_ms, 0);
}

#[tokio::test]
async fn a_fetch_over_its_quota_is_empty_and_loses_nothing() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for value in ["a", "b", "c"] {
        let value = value.repeat(700);
        client.produce("t", 1, batch(&[&value])).await;
    }
    set(
        &mut client,
        "client-id",
        Some("test"),
        "consumer_byte_rate",
        Some(200.0),
    )
    .await;
    let (mut offset, mut silenced, mut sessions) = (0, 0, (0, 0));
    let mut got = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    while got.len() < 3 {
        assert!(Instant::now() < deadline, "got {} of 3", got.len());
        let request = FetchRequest {
            session_id: sessions.0,
            session_epoch: sessions.1,
            ..fetch_request("t", offset, 100)
        };
        let answer = client.ask(12, &request).await;
        assert_eq!(answer.error_code, 0);
        sessions = match answer.session_id {
            0 => (0, 0),
            id => (id, sessions.1 + 1),
        };
        if answer.throttle_time_ms > 0 {
            silenced += 1;
            assert!(answer.responses.is_empty());
            continue;
        }
        for topic in &answer.responses {
            let values = values(&topic.partitions[0]);
            offset += i64::try_from(values.len()).unwrap();
            got.extend(values);
        }
    }
    assert!(silenced > 0);
    assert_eq!(got, ["a", "b", "c"].map(|value| value.repeat(700)));
}

#[tokio::test]
async fn who_asks_too_much_is_told_in_every_answer() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut admin = server.connect().await;
    let groups = ListGroupsRequest::default();
    assert_eq!(client.ask(4, &groups).await.throttle_time_ms, 0);
    // A millionth of a percent of a thread is used up by anything.
    set(
        &mut admin,
        "client-id",
        Some("test"),
        "request_percentage",
        Some(0.000_001),
    )
    .await;
    let begin = Instant::now();
    let first = client.ask(4, &groups).await.throttle_time_ms;
    assert!(first > 0);
    let versions = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1.0".into(),
    };
    let told = client.ask(3, &versions).await.throttle_time_ms;
    // One window at most, and the one before was waited for.
    assert!((1..=1000).contains(&told), "{told}");
    assert!(begin.elapsed() >= Duration::from_millis(first.unsigned_abs().into()));
}

#[tokio::test]
async fn connections_of_an_address_come_no_faster_than_its_quota() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    // Ten windows: ten connections at once, and no more.
    set(
        &mut client,
        "ip",
        None,
        "connection_creation_rate",
        Some(1.0),
    )
    .await;
    let mut open = Vec::new();
    for _ in 0..10 {
        let mut one = server.connect().await;
        one.ask(4, &ListGroupsRequest::default()).await;
        open.push(one);
    }
    let mut refused = server.connect().await;
    refused.send(4, &ListGroupsRequest::default()).await;
    assert!(refused.is_closed().await);
    set(&mut client, "ip", None, "connection_creation_rate", None).await;
    let mut again = server.connect().await;
    again.ask(4, &ListGroupsRequest::default()).await;
}

#[tokio::test]
async fn partitions_are_created_no_faster_than_the_quota() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    set(
        &mut client,
        "client-id",
        Some("test"),
        "controller_mutation_rate",
        Some(0.25),
    )
    .await;
    let create = |name: &str, partitions| CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: Text::from(name),
            num_partitions: partitions,
            replication_factor: 1,
            ..CreatableTopic::default()
        }],
        ..CreateTopicsRequest::default()
    };
    // Eleven seconds' worth, overdrawn by more than a slow disk lets grow again meanwhile.
    let first = client.ask(7, &create("a", 4)).await;
    assert_eq!((first.topics[0].error_code, first.throttle_time_ms), (0, 0));
    let second = client.ask(7, &create("b", 1)).await;
    let code = ErrorCode::from_code(second.topics[0].error_code);
    assert_eq!(code, ErrorCode::ThrottlingQuotaExceeded);
    assert!((1..=5001).contains(&second.throttle_time_ms), "{second:?}");
    // The connection was silent for as long, so that the third comes in time; and an old client is
    // not refused but silenced.
    let third = client.ask(5, &create("b", 2)).await;
    assert_eq!(third.topics[0].error_code, 0);
    assert!(third.throttle_time_ms > 1000, "{third:?}");
}

#[tokio::test]
async fn quotas_survive_a_restart() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    set(
        &mut client,
        "user",
        Some("bob"),
        "producer_byte_rate",
        Some(7.0),
    )
    .await;
    set(
        &mut client,
        "user",
        Some("bob"),
        "consumer_byte_rate",
        Some(8.0),
    )
    .await;
    set(&mut client, "user", Some("bob"), "consumer_byte_rate", None).await;
    drop(client);
    let folder = server.stop().await;
    let (broker, mut client) = start(folder.path(), |_| {}).await;
    let request = DescribeClientQuotasRequest {
        components: vec![ComponentData {
            entity_type: Text::from("user"),
            match_type: 2,
            r#match: None,
        }],
        strict: true,
    };
    let answer = client.ask(1, &request).await;
    let entries = answer.entries.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].entity[0].entity_name.as_deref(), Some("bob"));
    let values: Vec<_> = entries[0]
        .values
        .iter()
        .map(|v| (v.key.as_str(), v.value))
        .collect();
    assert_eq!(values, [("producer_byte_rate", 7.0)]);
    broker.shutdown(PATIENCE).await;
}
