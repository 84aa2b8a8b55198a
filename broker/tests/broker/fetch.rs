//! Fetch and ListOffsets: whole batches, limits, the long poll, and offsets by time.

use std::time::{Duration, Instant};

use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::FetchRequest;

use crate::harness::{Server, batch, one_partition, values};
use crate::requests::{fetch_request, produce_request};

#[tokio::test]
async fn a_fetch_inside_a_batch_returns_the_whole_batch() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a", "b", "c"])).await;
    client.produce("t", 1, batch(&["d"])).await;
    assert_eq!(values(&client.fetch("t", 1).await), ["a", "b", "c", "d"]);
    assert_eq!(values(&client.fetch("t", 3).await), ["d"]);
    let end = client.fetch("t", 4).await;
    assert!(end.records.unwrap().is_empty(), "empty, never null");
    assert_eq!(
        (
            end.high_watermark,
            end.last_stable_offset,
            end.log_start_offset
        ),
        (4, 4, 0)
    );
}

#[tokio::test]
async fn stored_batches_are_the_bytes_that_were_sent() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let sent = batch(&["a", "b"]);
    client.produce("t", 1, sent.clone()).await;
    let stored = client.fetch("t", 0).await.records.unwrap();
    // Base offset 0 as sent; only the leader epoch (bytes 12 to 15) is the broker's.
    assert_eq!(stored[..12], sent[..12]);
    assert_eq!(stored[12..16], 0i32.to_be_bytes());
    assert_eq!(stored[16..], sent[16..]);
}

#[tokio::test]
async fn records_that_left_memory_come_from_the_disk() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let large = "x".repeat(20_000);
    for _ in 0..30 {
        client.produce("t", 1, batch(&[&large])).await;
    }
    for _ in 0..3 {
        for entry in std::fs::read_dir(server.folder.path().join("t-0")).unwrap() {
            let file = std::fs::File::open(entry.unwrap().path()).unwrap();
            file.sync_all().unwrap();
            // Where the file system keeps all in memory, this does nothing.
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
        for offset in [0, 29, 7] {
            let read = values(&client.fetch("t", offset).await);
            assert_eq!(read.len(), 30 - usize::try_from(offset).unwrap());
            assert!(read.iter().all(|value| *value == large));
        }
    }
}

#[tokio::test]
async fn limits_hold_but_the_first_batch_always_comes() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let large = "x".repeat(5000);
    for _ in 0..3 {
        client.produce("t", 1, batch(&[&large])).await;
    }
    for (partition_max, max, expected) in [(1, 1 << 20, 1), (1 << 20, 1, 1), (11_000, 1 << 20, 2)] {
        let mut request = fetch_request("t", 0, 0);
        request.max_bytes = max;
        request.topics[0].partitions[0].partition_max_bytes = partition_max;
        let data = one_partition(&client.ask(12, &request).await);
        assert_eq!(values(&data).len(), expected, "{partition_max} {max}");
    }
}

#[tokio::test]
async fn offsets_outside_the_log_and_wrong_epochs_are_named() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a"])).await;
    for offset in [-1, 2, i64::MAX] {
        let data = client.fetch("t", offset).await;
        assert_eq!(
            data.error_code,
            ErrorCode::OffsetOutOfRange.code(),
            "{offset}"
        );
        assert!(data.records.is_some());
    }
    let unknown = client.fetch("absent", 0).await;
    assert_eq!(
        unknown.error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].partitions[0].current_leader_epoch = 9;
    let data = one_partition(&client.ask(12, &request).await);
    assert_eq!(data.error_code, ErrorCode::UnknownLeaderEpoch.code());
    request = fetch_request("t", 0, 0);
    request.session_id = 5;
    request.session_epoch = 1;
    let response = client.ask(12, &request).await;
    assert_eq!(
        response.error_code,
        ErrorCode::FetchSessionIdNotFound.code()
    );
}

#[tokio::test]
async fn a_long_poll_wakes_when_its_partition_gets_records() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    let mut producer = server.connect().await;
    producer.create_topic("t", 1).await;
    producer.create_topic("other", 1).await;
    consumer.send(12, &fetch_request("t", 0, 60_000)).await;
    // Another partition's records do not end the wait: the reply below holds "now".
    producer.produce("other", 1, batch(&["elsewhere"])).await;
    producer.produce("t", 1, batch(&["now"])).await;
    let response = consumer.receive::<FetchRequest>(12, 0).await;
    assert_eq!(values(&one_partition(&response)), ["now"]);
}

#[tokio::test]
async fn a_long_poll_waits_for_min_bytes_over_several_appends() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    let mut producer = server.connect().await;
    producer.create_topic("t", 1).await;
    let one = batch(&["0123456789"]);
    let mut request = fetch_request("t", 0, 60_000);
    request.min_bytes = i32::try_from(one.len() * 3).unwrap();
    producer.produce("t", 1, one.clone()).await;
    consumer.send(12, &request).await;
    producer.produce("t", 1, one.clone()).await;
    producer.produce("t", 1, one.clone()).await;
    let response = consumer.receive::<FetchRequest>(12, 0).await;
    assert_eq!(values(&one_partition(&response)).len(), 3);
}

#[tokio::test]
async fn a_long_poll_ends_at_its_time_and_when_the_topic_goes() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    let mut admin = server.connect().await;
    let id = admin.create_topic("t", 1).await.topics[0].topic_id;
    let began = Instant::now();
    let response = consumer.ask(12, &fetch_request("t", 0, 200)).await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(values(&one_partition(&response)).is_empty());
    consumer.send(12, &fetch_request("t", 0, 60_000)).await;
    admin.delete_topic(id).await;
    let response = consumer.receive::<FetchRequest>(12, 0).await;
    let data = one_partition(&response);
    assert_eq!(data.error_code, ErrorCode::UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn produce_behind_a_long_poll_is_answered_in_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.send(12, &fetch_request("t", 0, 100)).await;
    client
        .send(9, &produce_request("t", 1, batch(&["a"])))
        .await;
    let response = client.receive::<FetchRequest>(12, 1).await;
    assert!(values(&one_partition(&response)).is_empty());
    let frame = client.receive_frame().await;
    assert!(!frame.is_empty());
}

#[tokio::test]
async fn offsets_are_found_by_time_exact_to_the_record() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    assert_eq!(client.offset("t", -3).await, (-1, -1));
    // Timestamps 1000, 1001, 1002 in each batch.
    client.produce("t", 1, batch(&["a", "b", "c"])).await;
    client.produce("t", 1, batch(&["d", "e", "f"])).await;
    assert_eq!(client.offset("t", -1).await, (6, -1));
    assert_eq!(client.offset("t", -2).await, (0, -1));
    assert_eq!(client.offset("t", -4).await, (0, -1));
    assert_eq!(client.offset("t", -5).await, (-1, -1));
    assert_eq!(client.offset("t", -6).await, (-1, -1));
    assert_eq!(client.offset("t", -3).await, (2, 1002));
    assert_eq!(client.offset("t", 0).await, (0, 1000));
    assert_eq!(client.offset("t", 1001).await, (1, 1001));
    assert_eq!(client.offset("t", 1003).await, (-1, -1));
}
