//! Incremental fetch sessions on the wire (KIP-227): what they leave out, refuse and remember.

use std::collections::HashMap;

use logway_protocol::ErrorCode;
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use logway_protocol::message::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic,
};

use crate::harness::{Client, Server, batch, values};

/// A request for partitions of topic `t`, each from an offset.
fn request(session: (i32, i32), partitions: &[(i32, i64)]) -> FetchRequest {
    let partitions = partitions
        .iter()
        .map(|(partition, fetch_offset)| FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            partition_max_bytes: 1 << 20,
            ..Default::default()
        })
        .collect();
    let topic = FetchTopic {
        topic: "t".into(),
        partitions,
        ..Default::default()
    };
    FetchRequest {
        max_bytes: 1 << 20,
        session_id: session.0,
        session_epoch: session.1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// Partition, end of the log and values of every partition in a response.
fn told(response: &FetchResponse) -> Vec<(i32, i64, Vec<String>)> {
    assert_eq!(response.error_code, 0);
    let partitions = response.responses.iter().flat_map(|t| &t.partitions);
    partitions
        .map(|data| (data.partition_index, data.high_watermark, values(data)))
        .collect()
}

async fn append(client: &mut Client, partition: i32, value: &str) {
    client.produce_to("t", partition, batch(&[value])).await;
}

#[tokio::test]
async fn an_incremental_answer_holds_what_is_new() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 3).await;
    append(&mut client, 1, "a").await;
    let all = [(0, 0), (1, 0), (2, 0)];
    let first = client.ask(12, &request((0, 0), &all)).await;
    let id = first.session_id;
    assert!(id > 0);
    assert_eq!(
        told(&first),
        [(0, 0, vec![]), (1, 1, vec!["a".to_owned()]), (2, 0, vec![])]
    );
    // What the client did not move on from comes again; the rest is left out.
    let again = client.ask(12, &request((id, 1), &[])).await;
    assert_eq!(told(&again), [(1, 1, vec!["a".to_owned()])]);
    let moved = client.ask(12, &request((id, 2), &[(1, 1)])).await;
    assert_eq!((told(&moved), moved.session_id), (vec![], id));
    append(&mut client, 2, "b").await;
    let mut forget = request((id, 3), &[]);
    forget.forgotten_topics_data = vec![ForgottenTopic {
        topic: "t".into(),
        partitions: vec![0, 9],
        ..Default::default()
    }];
    assert_eq!(
        told(&client.ask(12, &forget).await),
        [(2, 1, vec!["b".to_owned()])]
    );
    append(&mut client, 0, "c").await;
    let rest = client.ask(12, &request((id, 4), &[(2, 1)])).await;
    assert_eq!(told(&rest), [], "a forgotten partition is not told about");
    // Whoever takes it up again is told about it.
    let taken = client.ask(12, &request((id, 5), &[(0, 0)])).await;
    assert_eq!(told(&taken), [(0, 1, vec!["c".to_owned()])]);
}

#[tokio::test]
async fn requests_out_of_their_turn_are_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let id = client.ask(12, &request((0, 0), &[(0, 0)])).await.session_id;
    for (session, code) in [
        ((id, 2), ErrorCode::InvalidFetchSessionEpoch),
        ((id + 1, 1), ErrorCode::FetchSessionIdNotFound),
    ] {
        let refused = client.ask(12, &request(session, &[])).await;
        assert_eq!(refused.error_code, code.code());
        assert_eq!((refused.session_id, refused.responses.len()), (0, 0));
    }
    let by_id = client.ask(13, &request((id, 1), &[])).await;
    assert_eq!(by_id.error_code, ErrorCode::FetchSessionTopicIdError.code());
    assert_eq!(client.ask(12, &request((id, 1), &[])).await.error_code, 0);
    // The last request of a session ends it; so does one that leaves nothing to read.
    let last = client.ask(12, &request((id, -1), &[(0, 0)])).await;
    assert_eq!((last.session_id, told(&last).len()), (0, 1));
    let gone = client.ask(12, &request((id, 2), &[])).await;
    assert_eq!(gone.error_code, ErrorCode::FetchSessionIdNotFound.code());
    let id = client.ask(12, &request((0, 0), &[(0, 0)])).await.session_id;
    let mut empty = request((id, 1), &[]);
    empty.forgotten_topics_data = vec![ForgottenTopic {
        topic: "t".into(),
        partitions: vec![0],
        ..Default::default()
    }];
    assert_eq!(client.ask(12, &empty).await.session_id, 0);
    let gone = client.ask(12, &request((id, 2), &[])).await;
    assert_eq!(gone.error_code, ErrorCode::FetchSessionIdNotFound.code());
}

#[tokio::test]
async fn a_broker_without_room_for_sessions_answers_in_full() {
    let server =
        Server::start_with(|settings| settings.max_incremental_fetch_session_cache_slots = 1).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    assert!(client.ask(12, &request((0, 0), &[(0, 0)])).await.session_id > 0);
    let second = client.ask(12, &request((0, 0), &[(0, 0)])).await;
    assert_eq!((second.session_id, told(&second).len()), (0, 1));
    server
        .wait_for_metric("logway_broker_fetch_sessions 1")
        .await;
}

#[tokio::test]
async fn a_session_waits_for_any_of_its_partitions() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    let mut producer = server.connect().await;
    producer.create_topic("t", 50).await;
    let all: Vec<(i32, i64)> = (0..50).map(|partition| (partition, 0)).collect();
    let id = consumer.ask(12, &request((0, 0), &all)).await.session_id;
    let mut moved: Vec<(i32, i64)> = Vec::new();
    for (epoch, partition) in (1..).zip([7, 49, 8, 0]) {
        let mut waiting = request((id, epoch), &moved);
        waiting.max_wait_ms = 60_000;
        waiting.min_bytes = 1;
        consumer.send(12, &waiting).await;
        append(&mut producer, partition, "now").await;
        let response = consumer.receive::<FetchRequest>(12, 0).await;
        assert_eq!(told(&response), [(partition, 1, vec!["now".to_owned()])]);
        moved = vec![(partition, 1)];
    }
}

#[tokio::test]
async fn a_session_hears_when_its_topic_goes_and_comes_back() {
    let server = Server::start().await;
    let mut consumer = server.connect().await;
    let mut admin = server.connect().await;
    let topic_id = admin.create_topic("t", 1).await.topics[0].topic_id;
    let id = consumer
        .ask(12, &request((0, 0), &[(0, 0)]))
        .await
        .session_id;
    assert_eq!(told(&consumer.ask(12, &request((id, 1), &[])).await), []);
    admin.delete_topic(topic_id).await;
    for epoch in [2, 3] {
        let gone = consumer.ask(12, &request((id, epoch), &[])).await;
        assert_eq!(
            gone.responses[0].partitions[0].error_code,
            ErrorCode::UnknownTopicOrPartition.code(),
            "an error is told every time"
        );
    }
    admin.create_topic("t", 1).await;
    append(&mut admin, 0, "new").await;
    let back = consumer.ask(12, &request((id, 4), &[])).await;
    assert_eq!(told(&back), [(0, 1, vec!["new".to_owned()])]);
}

#[tokio::test]
async fn a_session_hears_that_records_were_deleted() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    append(&mut client, 0, "a").await;
    let first = client.ask(12, &request((0, 0), &[(0, 1)])).await;
    let id = first.session_id;
    assert_eq!(told(&client.ask(12, &request((id, 1), &[])).await), []);
    let partition = DeleteRecordsPartition {
        partition_index: 0,
        offset: 1,
    };
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "t".into(),
            partitions: vec![partition],
        }],
        timeout_ms: 10_000,
    };
    let deleted = client.ask(2, &delete).await;
    assert_eq!(deleted.topics[0].partitions[0].error_code, 0);
    let news = client.ask(12, &request((id, 2), &[])).await;
    assert_eq!(news.responses[0].partitions[0].log_start_offset, 1);
    assert_eq!(told(&client.ask(12, &request((id, 3), &[])).await), []);
}

/// Appends at random; a client with a session and small answers must come to know the same as one
/// that asks for everything each time.
#[tokio::test]
async fn incremental_answers_add_up_to_full_ones() {
    const PARTITIONS: i32 = 20;
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", PARTITIONS).await;
    let all: Vec<(i32, i64)> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
    let mut read: HashMap<i32, (i64, Vec<String>)> = HashMap::new();
    let mut moved = all.clone();
    let (mut session, mut seed) = ((0, 0), 7u64);
    for round in 0..200u64 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        if round < 150 {
            let partition = i32::try_from((seed >> 33) % 20).unwrap();
            append(&mut client, partition, &format!("{round}")).await;
        }
        let mut ask = request(session, &moved);
        if round % 3 > 0 {
            ask.max_bytes = 100;
        }
        let response = client.ask(12, &ask).await;
        session = (response.session_id, i32::try_from(round).unwrap() + 1);
        moved.clear();
        for (partition, end, values) in told(&response) {
            let known = read.entry(partition).or_default();
            known.0 = end;
            if !values.is_empty() {
                known.1.extend(values);
                moved.push((partition, i64::try_from(known.1.len()).unwrap()));
            }
        }
    }
    for (partition, end, values) in told(&client.ask(12, &request((0, -1), &all)).await) {
        assert_eq!(read[&partition], (end, values), "{partition}");
    }
}
