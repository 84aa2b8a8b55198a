//! What the generator reads and writes by place, against the codec that knows the fields.

use bytes::Bytes;
use logway_protocol::batch;
use logway_protocol::compression::Compression;
use logway_protocol::header::encode_response;
use logway_protocol::message::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use logway_protocol::message::produce::{
    PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use logway_protocol::{ApiKey, RecordsField};

use super::batches::{Batch, ONE_RECORD, PRODUCE, Shape, check_produced};
use super::fetch::{FETCH, records};
use super::fields::Fields;

fn produced(error_code: i16) -> Bytes {
    let partition = PartitionProduceResponse {
        index: 2,
        error_code,
        base_offset: 77,
        ..Default::default()
    };
    let topic = TopicProduceResponse {
        name: "bench".into(),
        partition_responses: vec![partition],
        ..Default::default()
    };
    let response = ProduceResponse {
        responses: vec![topic],
        ..Default::default()
    };
    encode_response(ApiKey::Produce, PRODUCE, 7, &response).unwrap()
}

#[test]
fn a_refused_batch_is_seen() {
    check_produced(&produced(0)[4..], "bench").unwrap();
    let refused = check_produced(&produced(2)[4..], "bench").unwrap_err();
    assert!(
        format!("{refused:#}").contains("partition 2"),
        "{refused:#}"
    );
    // A wrong idea of where the code lies must not pass for success.
    assert!(check_produced(&produced(2)[4..], "bench-2").is_err());
}

fn fetched(error_code: i16, records: &Bytes) -> Bytes {
    let partition = PartitionData {
        error_code,
        high_watermark: 10,
        records: Some(RecordsField::Bytes(records.clone())),
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        topic: "bench".into(),
        partitions: vec![partition],
        ..Default::default()
    };
    let response = FetchResponse {
        responses: vec![topic],
        ..Default::default()
    };
    encode_response(ApiKey::Fetch, FETCH, 7, &response).unwrap()
}

#[test]
fn fetched_batches_are_found_without_decoding() {
    let shape = Shape {
        batch_bytes: 1000,
        ..ONE_RECORD
    };
    let sent = Batch::encode(&shape, &[]).unwrap();
    let mut placed = sent.bytes.to_vec();
    batch::set_base_offset(&mut placed, 42).unwrap();
    let frame = fetched(0, &Bytes::from(placed.clone()));
    let (length, found) = records(&frame[4..]).unwrap();
    assert_eq!((length, found), (placed.len(), &placed[..]));
    assert_eq!(Fields(found).i64().unwrap(), 42);
    // The first bytes of an answer are enough.
    let (length, found) = records(&frame[4..150]).unwrap();
    assert_eq!(length, placed.len());
    assert_eq!(Fields(found).i64().unwrap(), 42);
    assert!(records(&fetched(1, &Bytes::new())[4..]).is_err());
}

#[test]
fn a_batch_is_as_large_as_it_says() {
    let shape = Shape {
        record_bytes: 1024,
        batch_bytes: 256 << 10,
        compression: Compression::None,
    };
    let batch = Batch::encode(&shape, &[]).unwrap();
    assert!(batch.bytes.len() <= shape.batch_bytes);
    assert!(batch.bytes.len() + 2 * shape.record_bytes > shape.batch_bytes);
    assert_eq!(batch.records as usize, batch.bytes.len() / 1024 - 2);
}

#[test]
fn a_due_time_leaves_the_checksum_right() {
    let mut stamped = super::paced::Stamped::new("bench", &ONE_RECORD).unwrap();
    let frame = Bytes::copy_from_slice(stamped.due_at(123_456_789));
    let batch = frame.slice(stamped.batch.clone());
    batch::verify_crc(&batch).unwrap();
    let stamp = &batch[stamped.stamp_at..stamped.stamp_at + 8];
    assert_eq!(stamp, 123_456_789u64.to_be_bytes());
}
