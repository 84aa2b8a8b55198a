//! Produce: what is taken, what is refused and with which code, and producers that send twice.

use bytes::BytesMut;
use logway_protocol::batch::{set_base_offset, set_producer};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::init_producer_id::InitProducerIdRequest;
use logway_protocol::message::metadata::{MetadataRequest, MetadataRequestTopic};
use logway_protocol::message::produce::ProduceRequest;
use logway_protocol::{ErrorCode, Text};

use crate::harness::{Client, Server, batch, sequenced, values};
use crate::requests::produce_request;

async fn code(client: &mut Client, records: bytes::Bytes) -> ErrorCode {
    ErrorCode::from_code(client.produce("t", 1, records).await.error_code)
}

#[tokio::test]
async fn every_kind_of_acks_stores_the_records() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client
        .send(9, &produce_request("t", 0, batch(&["a"])))
        .await;
    assert_eq!(
        client.produce("t", 1, batch(&["b", "c"])).await.base_offset,
        1
    );
    let answer = client.produce("t", -1, batch(&["d"])).await;
    assert_eq!(
        (
            answer.error_code,
            answer.base_offset,
            answer.log_start_offset
        ),
        (0, 3, 0)
    );
    assert_eq!(values(&client.fetch("t", 0).await), ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_connection_may_have_many_produce_requests_in_flight() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let count: i32 = 200;
    for number in 0..count {
        client
            .send(9, &produce_request("t", -1, batch(&[&number.to_string()])))
            .await;
    }
    for number in 0..count {
        let response = client
            .receive::<ProduceRequest>(9, count - 1 - number)
            .await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, i64::from(number))
        );
    }
}

#[tokio::test]
async fn batches_no_consumer_could_read_are_refused() {
    let server = Server::start_with(|settings| settings.message_max_bytes = 2000).await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let good = batch(&["one", "two"]);

    let mut flipped = BytesMut::from(&good[..]);
    *flipped.last_mut().unwrap() ^= 1;
    assert_eq!(
        code(&mut client, flipped.freeze()).await,
        ErrorCode::CorruptMessage
    );

    let mut old = BytesMut::from(&good[..]);
    old[16] = 1;
    assert_eq!(
        code(&mut client, old.freeze()).await,
        ErrorCode::InvalidRecord
    );

    assert_eq!(
        code(&mut client, good.slice(..good.len() - 1)).await,
        ErrorCode::InvalidRecord
    );
    assert_eq!(
        code(&mut client, bytes::Bytes::new()).await,
        ErrorCode::InvalidRecord
    );

    let two = [&good[..], &good[..]].concat();
    assert_eq!(
        code(&mut client, two.into()).await,
        ErrorCode::InvalidRecord
    );

    let mut moved = BytesMut::from(&good[..]);
    set_base_offset(&mut moved, 5).unwrap();
    assert_eq!(
        code(&mut client, moved.freeze()).await,
        ErrorCode::InvalidRecord
    );

    let mut control = BatchBuilder::new(Compression::None);
    control.append(0, Some(b"k"), Some(b"v"), &[]).unwrap();
    control.set_control(true);
    assert_eq!(
        code(&mut client, control.build().unwrap()).await,
        ErrorCode::InvalidRecord
    );

    let large = batch(&[&"x".repeat(3000)]);
    assert_eq!(code(&mut client, large).await, ErrorCode::MessageTooLarge);

    let mut negative = BytesMut::from(&good[..]);
    set_producer(&mut negative, 7, 0, -5).unwrap();
    assert_eq!(
        code(&mut client, negative.freeze()).await,
        ErrorCode::InvalidRecord
    );

    // The count in the header lies: 1000 records announced, two there.
    let mut lying = BytesMut::from(&good[..]);
    lying[23..27].copy_from_slice(&999i32.to_be_bytes());
    lying[57..61].copy_from_slice(&1000i32.to_be_bytes());
    set_producer(&mut lying, -1, -1, -1).unwrap();
    assert_eq!(
        code(&mut client, lying.freeze()).await,
        ErrorCode::InvalidRecord
    );

    assert_eq!(
        code(&mut client, good).await,
        ErrorCode::None,
        "the connection is still good"
    );
    assert_eq!(
        client.offset("t", -1).await.0,
        2,
        "nothing of the above is in the log"
    );
}

#[tokio::test]
async fn a_record_from_the_future_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let mut future = BatchBuilder::new(Compression::None);
    future.append(i64::MAX / 2, None, Some(b"v"), &[]).unwrap();
    let answer = client.produce("t", 1, future.build().unwrap()).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidTimestamp.code());
    assert!(answer.error_message.is_some());
}

#[tokio::test]
async fn a_producer_that_sends_twice_is_stored_once() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let id = client.ask(4, &idempotent()).await.producer_id;
    for (sequence, value) in (0..6).zip(["a", "b", "c", "d", "e", "f"]) {
        let answer = client
            .produce("t", -1, sequenced(&[value], id, 0, sequence))
            .await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, i64::from(sequence))
        );
    }
    // The last five are recognised and answered with their old offsets.
    for sequence in 1..6 {
        let answer = client
            .produce("t", -1, sequenced(&["again"], id, 0, sequence))
            .await;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, i64::from(sequence))
        );
    }
    let older = code(&mut client, sequenced(&["again"], id, 0, 0)).await;
    assert_eq!(older, ErrorCode::OutOfOrderSequenceNumber);
    let gap = code(&mut client, sequenced(&["z"], id, 0, 8)).await;
    assert_eq!(gap, ErrorCode::OutOfOrderSequenceNumber);
    assert_eq!(
        values(&client.fetch("t", 0).await),
        ["a", "b", "c", "d", "e", "f"]
    );

    assert_eq!(
        code(&mut client, sequenced(&["g"], id, 1, 3)).await,
        ErrorCode::OutOfOrderSequenceNumber
    );
    assert_eq!(
        code(&mut client, sequenced(&["g"], id, 1, 0)).await,
        ErrorCode::None
    );
    assert_eq!(
        code(&mut client, sequenced(&["h"], id, 0, 6)).await,
        ErrorCode::InvalidProducerEpoch
    );
    // Nothing is known of this producer: it may begin anywhere.
    assert_eq!(
        code(&mut client, sequenced(&["i"], id + 1, 0, 41)).await,
        ErrorCode::None
    );
    assert_eq!(client.offset("t", -1).await.0, 8);
}

pub(crate) fn idempotent() -> InitProducerIdRequest {
    InitProducerIdRequest {
        transactional_id: None,
        ..InitProducerIdRequest::default()
    }
}

#[tokio::test]
async fn producer_ids_are_never_given_twice() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let mut ids = Vec::new();
    for version in 0..=5 {
        ids.push(client.ask(version, &idempotent()).await.producer_id);
    }
    assert!(ids.is_sorted_by(|one, other| one < other), "{ids:?}");
    let transactional = InitProducerIdRequest {
        transactional_id: Some(Text::from("tx")),
        transaction_timeout_ms: 1000,
        ..InitProducerIdRequest::default()
    };
    let given = client.ask(4, &transactional).await;
    assert_eq!(given.error_code, ErrorCode::None.code());
    assert!(ids.iter().all(|id| given.producer_id > *id));
}

#[tokio::test]
async fn one_bad_partition_does_not_hurt_the_other() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    let mut request = produce_request("t", 1, batch(&["good"]));
    let mut missing = request.topic_data[0].partition_data[0].clone();
    missing.index = 7;
    request.topic_data[0].partition_data.push(missing);
    request
        .topic_data
        .extend(produce_request("absent", 1, batch(&["x"])).topic_data);
    let response = client.ask(9, &request).await;
    let answers = &response.responses[0].partition_responses;
    assert_eq!(answers[0].error_code, 0);
    assert_eq!(
        answers[1].error_code,
        ErrorCode::UnknownTopicOrPartition.code()
    );
    let absent = &response.responses[1].partition_responses[0];
    assert_eq!(absent.error_code, ErrorCode::UnknownTopicOrPartition.code());
    request.acks = 2;
    let response = client.ask(9, &request).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::InvalidRequiredAcks.code());
}

#[tokio::test]
async fn an_error_without_acks_closes_the_connection() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send(9, &produce_request("absent", 0, batch(&["x"])))
        .await;
    assert!(client.is_closed().await);
}

#[tokio::test]
async fn topics_go_by_id_from_version_13() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let id = client.create_topic("t", 1).await.topics[0].topic_id;
    let mut request = produce_request("", 1, batch(&["x"]));
    request.topic_data[0].topic_id = id;
    let response = client.ask(13, &request).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    request.topic_data[0].topic_id = logway_protocol::Uuid::from_bytes([9; 16]);
    let response = client.ask(13, &request).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(answer.error_code, ErrorCode::UnknownTopicId.code());
}

#[tokio::test]
async fn clients_may_not_write_groups_offsets() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = MetadataRequestTopic {
        name: Some(Text::from("__consumer_offsets")),
        ..MetadataRequestTopic::default()
    };
    let metadata = MetadataRequest {
        topics: Some(vec![topic]),
        ..MetadataRequest::default()
    };
    let response = client.ask(9, &metadata).await;
    assert_eq!(response.topics[0].partitions.len(), 2);
    assert!(response.topics[0].is_internal);
    let answer = client.produce("__consumer_offsets", 1, batch(&["x"])).await;
    assert_eq!(answer.error_code, ErrorCode::InvalidTopicException.code());
}
