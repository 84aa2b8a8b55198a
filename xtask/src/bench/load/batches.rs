//! The batches that are sent, encoded once before a run, and whole produce requests around them.

use anyhow::Context;
use bytes::Bytes;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::{ErrorCode, Message, Request};

/// A version that all peers speak and that names topics by name.
pub(crate) const PRODUCE: i16 = 9;
/// What the values' text is made of: compression has something to do, and not too little.
const WORDS: [&str; 9] = [
    "GET", "/users", "200", "alice", "order", "placed", "in", "12ms", "host-7",
];

/// Size of records and batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Shape {
    /// Bytes of one record's value.
    pub(crate) record_bytes: usize,
    /// Bytes of one batch before compression, at most; one record at least.
    pub(crate) batch_bytes: usize,
    /// Compression of the batches.
    pub(crate) compression: Compression,
}

/// One small record.
pub(crate) const ONE_RECORD: Shape = Shape {
    record_bytes: 100,
    batch_bytes: 1,
    compression: Compression::None,
};

/// An encoded batch.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// As it lies on the wire.
    pub(crate) bytes: Bytes,
    /// Records in it.
    pub(crate) records: u64,
}

impl Batch {
    /// Encodes one; every record's value begins with `prefix`.
    pub(crate) fn encode(shape: &Shape, prefix: &[u8]) -> anyhow::Result<Self> {
        let mut builder = BatchBuilder::new(shape.compression);
        let mut value = Vec::new();
        let mut random = 0usize;
        while builder.is_empty() || builder.size() + shape.record_bytes < shape.batch_bytes {
            value.clear();
            value.extend_from_slice(prefix);
            while value.len() < shape.record_bytes {
                random = random
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                value.extend_from_slice(WORDS[(random >> 33) % WORDS.len()].as_bytes());
                value.push(b' ');
            }
            value.truncate(shape.record_bytes);
            builder.append(now_ms()?, None, Some(&value), &[])?;
        }
        let records = builder.len() as u64;
        let bytes = builder.build()?;
        Ok(Self { bytes, records })
    }

    /// A produce request with this batch for one partition.
    pub(crate) fn request(&self, topic: &str, partition: i32, acks: i16) -> anyhow::Result<Bytes> {
        let data = PartitionProduceData {
            index: partition,
            records: Some(self.bytes.clone()),
        };
        request(topic, vec![data], acks)
    }

    /// One produce request with this batch for each of the first `partitions` partitions.
    pub(crate) fn request_to_all(&self, topic: &str, partitions: i32) -> anyhow::Result<Bytes> {
        let data = (0..partitions).map(|index| PartitionProduceData {
            index,
            records: Some(self.bytes.clone()),
        });
        request(topic, data.collect(), 1)
    }
}

/// Now, so that neither retention nor a bound on timestamps concerns the records.
fn now_ms() -> anyhow::Result<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    i64::try_from(now.as_millis()).context("the clock")
}

fn request(topic: &str, data: Vec<PartitionProduceData>, acks: i16) -> anyhow::Result<Bytes> {
    let topic = TopicProduceData {
        name: topic.into(),
        partition_data: data,
        ..Default::default()
    };
    let request = ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    Ok(encode_request(7, Some("bench"), PRODUCE, &request)?)
}

/// Fails if the answer to a request with one batch says that it was refused.
pub(crate) fn check_produced(frame: &[u8], topic: &str) -> anyhow::Result<()> {
    // Correlation id, tags, count of topics, length of the name; then count of partitions, index, code.
    let name = 4 + 1 + 1 + 1;
    let code = name + topic.len() + 1 + 4;
    let is_topic = frame.get(name..name + topic.len()) == Some(topic.as_bytes());
    if is_topic && frame.get(code..code + 2) == Some(&[0, 0]) {
        return Ok(());
    }
    check_all_produced(frame)
}

/// Fails if the answer says that a batch was refused, whichever.
pub(crate) fn check_all_produced(frame: &[u8]) -> anyhow::Result<()> {
    let frame = Bytes::copy_from_slice(frame);
    let (_, body) = decode_response_header(ProduceRequest::KEY, PRODUCE, frame)?;
    let response = <ProduceRequest as Request>::Response::decode_version(body, PRODUCE)?;
    let topics = response.responses.iter();
    for partition in topics.flat_map(|topic| &topic.partition_responses) {
        ErrorCode::check(partition.error_code)
            .with_context(|| format!("a batch for partition {} was refused", partition.index))?;
    }
    Ok(())
}
