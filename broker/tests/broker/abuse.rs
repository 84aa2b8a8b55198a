//! Peers that send garbage: each is cut off with a counted reason, and the rest goes on.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use logway_broker::Broker;
use logway_protocol::message::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use logway_protocol::message::metadata::MetadataRequest;
use logway_protocol::{ErrorCode, Message};
use tokio::io::AsyncWriteExt;

use crate::harness::{Server, batch, settings};
use crate::requests::{fetch_request, produce_request};

/// A length prefix and what follows it.
fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len()).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// A header of version 1 with an empty client id.
fn header(api: i16, version: i16) -> BytesMut {
    let mut header = BytesMut::new();
    header.put_i16(api);
    header.put_i16(version);
    header.put_i32(7);
    header.put_i16(0);
    header
}

async fn is_refused(server: &Server, bytes: &[u8], reason: &str) {
    let mut client = server.connect().await;
    // The broker may close before it has taken everything.
    let _sent = client.stream.write_all(bytes).await;
    assert!(client.is_closed().await, "{reason}");
    server
        .wait_for_metric(&format!(
            "logway_broker_refused_total{{reason=\"{reason}\"}} "
        ))
        .await;
}

async fn still_serves(server: &Server) {
    let response = server
        .connect()
        .await
        .ask(4, &MetadataRequest::default())
        .await;
    assert_eq!(response.brokers.len(), 1);
}

#[tokio::test]
async fn frames_that_lie_about_their_length() {
    let server = Server::start().await;
    is_refused(&server, &i32::MAX.to_be_bytes(), "request_too_large").await;
    is_refused(&server, b"GET / HTTP/1.1\r\n\r\n", "request_too_large").await;
    is_refused(&server, &[0xff; 64], "request_too_small").await;
    still_serves(&server).await;
}

#[tokio::test]
async fn a_request_that_ends_early() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .stream
        .write_all(&frame(&[0; 100])[..50])
        .await
        .unwrap();
    client.stream.shutdown().await.unwrap();
    assert!(client.is_closed().await);
    server
        .wait_for_metric("logway_broker_refused_total{reason=\"request_truncated\"} 1")
        .await;
}

#[tokio::test]
async fn apis_and_versions_nobody_serves() {
    let server = Server::start().await;
    is_refused(&server, &frame(&header(999, 0)), "unknown_api").await;
    // StopReplica is Kafka's, but not ours.
    is_refused(&server, &frame(&header(5, 0)), "unknown_api").await;
    // Produce 0-2 are advertised for old librdkafka and refused.
    is_refused(&server, &frame(&header(0, 2)), "unsupported_version").await;
    still_serves(&server).await;
}

#[tokio::test]
async fn bodies_with_hostile_counts() {
    let server = Server::start().await;
    // Metadata v1: an array of 2^31-1 topics in no bytes.
    let mut metadata = header(3, 1);
    metadata.put_i32(i32::MAX);
    is_refused(&server, &frame(&metadata), "bad_request_body").await;
    // Metadata v12, five bytes that make one known codec allocate 309 GB.
    let server = Server::start().await;
    let mut flexible = header(3, 12);
    flexible.put_u8(0);
    flexible.put_slice(&[0xff, 0xff, 0xff, 0xff, 0x0f]);
    is_refused(&server, &frame(&flexible), "bad_request_body").await;
    // A client id that is longer than the frame.
    let server = Server::start().await;
    let mut id = BytesMut::new();
    id.put_slice(&[0, 3, 0, 1, 0, 0, 0, 7, 0x7f, 0xff]);
    is_refused(&server, &frame(&id), "bad_request_header").await;
    still_serves(&server).await;
}

#[tokio::test]
async fn bytes_behind_a_request_are_left_alone() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    // Metadata 13 for all topics as librdkafka 2.16 sends it: three bytes too many.
    let mut metadata = header(3, 13);
    metadata.put_u8(0);
    metadata.put_slice(&[0, 0, 0, 0, 1, 0, 0]);
    client.stream.write_all(&frame(&metadata)).await.unwrap();
    assert_eq!(&client.receive_frame().await[..4], 7i32.to_be_bytes());
}

#[tokio::test]
async fn api_versions_of_the_future_is_told_the_version_to_ask_in() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .stream
        .write_all(&frame(&header(18, 77)))
        .await
        .unwrap();
    let mut answer = client.receive_frame().await;
    assert_eq!(&answer.split_to(4)[..], 7i32.to_be_bytes());
    let response = ApiVersionsResponse::decode_version(answer, 0).unwrap();
    assert_eq!(response.error_code, ErrorCode::UnsupportedVersion.code());
    // Nothing else: franz-go takes a longer list for the whole answer, and misses the features.
    let apis = response.api_keys.iter();
    let versions: Vec<_> = apis
        .map(|api| (api.api_key, api.min_version, api.max_version))
        .collect();
    assert_eq!(versions, [(18, 0, 4)]);
}

#[tokio::test]
async fn api_versions_has_a_header_of_version_0_always() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1.0".into(),
    };
    for version in 0..=4 {
        // Decoding consumes every byte: a tag section in the header would be left over.
        let response = client.ask(version, &request).await;
        assert_eq!(response.error_code, 0);
        let named = response.finalized_features.iter();
        let mut named: Vec<&str> = named.map(|feature| &*feature.name).collect();
        named.sort_unstable();
        // Only what works here is finalized.
        let all = [
            "eligible.leader.replicas.version",
            "group.version",
            "metadata.version",
            "transaction.version",
        ];
        assert_eq!(named, if version < 3 { &[][..] } else { &all[..] });
        for (api, min) in [(11, 0), (10, 0), (1, 4)] {
            let found = response
                .api_keys
                .iter()
                .find(|found| found.api_key == api)
                .unwrap();
            assert_eq!(found.min_version, min, "api {api}");
        }
    }
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away() {
    let server = Server::start_with(|settings| settings.max_connections = 1).await;
    let mut first = server.connect().await;
    first.ask(4, &MetadataRequest::default()).await;
    let mut second = server.connect().await;
    assert!(second.is_closed().await);
    first.ask(4, &MetadataRequest::default()).await;
    server
        .wait_for_metric("logway_broker_refused_total{reason=\"too_many_connections\"} 1")
        .await;
}

#[tokio::test]
async fn silent_connections_are_closed() {
    let server = Server::start_with(|settings| settings.connections_max_idle_ms = 50).await;
    let mut client = server.connect().await;
    assert!(client.is_closed().await);
    server
        .wait_for_metric("logway_broker_refused_total{reason=\"idle\"} 1")
        .await;
}

#[tokio::test]
async fn peers_that_stall_are_cut_off() {
    // Prepared by a broker that waits, however slow the machine is.
    let server = Server::start().await;
    let mut writer = server.connect().await;
    writer.create_topic("t", 1).await;
    let value = "x".repeat(1_000_000);
    for _ in 0..10 {
        writer.produce("t", 1, batch(&[&value])).await;
    }
    drop(writer);
    let folder = server.stop().await;
    let mut impatient = settings(folder.path());
    impatient.connections_max_idle_ms = 2500;
    let broker = Broker::start(impatient).await.unwrap();
    let server = Server { broker, folder };
    let mut sender = server.connect().await;
    sender
        .stream
        .write_all(&frame(&[0; 100])[..50])
        .await
        .unwrap();
    assert!(sender.is_closed().await);
    server
        .wait_for_metric("logway_broker_refused_total{reason=\"slow_sender\"} 1")
        .await;
    // Asks for far more than the sockets' buffers hold and reads nothing of it.
    let mut reader = server.connect().await;
    let mut request = fetch_request("t", 0, 0);
    request.max_bytes = 50 << 20;
    request.topics[0].partitions[0].partition_max_bytes = 50 << 20;
    for _ in 0..3 {
        reader.send(12, &request).await;
    }
    server
        .wait_for_metric("logway_broker_refused_total{reason=\"slow_reader\"} 1")
        .await;
}

#[tokio::test]
async fn a_sender_that_is_slow_but_goes_on_is_waited_for() {
    let server = Server::start_with(|settings| settings.connections_max_idle_ms = 4000).await;
    let mut sender = server.connect().await;
    let mut metadata = header(3, 1);
    metadata.put_i32(-1);
    let mut pace = tokio::time::interval(Duration::from_millis(500));
    // Twice as long as a sender may pause; no pause is anywhere near that, on a slow machine either.
    for byte in frame(&metadata).chunks(1) {
        pace.tick().await;
        sender.stream.write_all(byte).await.unwrap();
    }
    assert_eq!(&sender.receive_frame().await[..4], 7i32.to_be_bytes());
}

#[tokio::test]
async fn requests_wait_for_memory_and_still_pass() {
    // Room for one request at a time: twenty connections share it.
    let server = Server::start_with(|settings| {
        settings.socket_request_max_bytes = 1_100_000;
        settings.queued_max_bytes = 1_100_000;
    })
    .await;
    server.connect().await.create_topic("t", 1).await;
    let value = "x".repeat(900_000);
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        client
            .send(9, &produce_request("t", 1, batch(&[&value])))
            .await;
        clients.push(client);
    }
    for mut client in clients {
        let frame = client.receive_frame().await;
        assert!(!frame.is_empty());
    }
    assert_eq!(server.connect().await.offset("t", -1).await.0, 20);
}

#[tokio::test]
async fn connections_of_one_address_are_bounded_apart() {
    let server = Server::start_with(|settings| {
        settings.max_connections_per_ip = 0;
        settings.max_connections_per_ip_overrides = "192.0.2.1:9, 127.0.0.1:2".to_owned();
    })
    .await;
    let mut first = server.connect().await;
    first.ask(4, &MetadataRequest::default()).await;
    let mut second = server.connect().await;
    second.ask(4, &MetadataRequest::default()).await;
    assert!(server.connect().await.is_closed().await);
    let reason = "too_many_connections_of_address";
    server
        .wait_for_metric(&format!(
            "logway_broker_refused_total{{reason=\"{reason}\"}} 1"
        ))
        .await;
    // A place that was left is free again.
    drop(second);
    server.wait_for_metric("logway_broker_connections 1").await;
    let mut third = server.connect().await;
    third.ask(4, &MetadataRequest::default()).await;
}
