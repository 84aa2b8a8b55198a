//! A broker of its own for each test, and a client that sends exactly what it is told.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use logway_broker::Broker;
use logway_config::broker::Broker as Settings;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::create_topics::CreateTopicsResponse;
use logway_protocol::message::fetch::{FetchResponse, PartitionData};
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::produce::PartitionProduceResponse;
use logway_protocol::{Message, Request, Text};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::requests::{create_request, fetch_request, produce_request};

/// Longer than anything here may take: a test that reaches it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long one look at a silent connection takes.
const STEP: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    pub(crate) broker: Broker,
    pub(crate) folder: TempDir,
}

pub(crate) fn settings(folder: &Path) -> Settings {
    Settings {
        data_dir: folder.to_path_buf(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        offsets_topic_num_partitions: 2,
        group_initial_rebalance_delay_ms: 0,
        ..Settings::default()
    }
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(folder.path());
        change(&mut settings);
        let broker = Broker::start(settings).await.unwrap();
        Server { broker, folder }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.broker.kafka_addr()).await
    }

    /// Waits for a counter's line that begins so: what is counted after a reply has no other sign.
    pub(crate) async fn wait_for_metric(&self, line: &str) {
        let found = async {
            while !self
                .broker
                .metrics_text()
                .lines()
                .any(|found| found.starts_with(line))
            {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(PATIENCE, found).await.is_err() {
            panic!("no line `{line}` in\n{}", self.broker.metrics_text());
        }
    }

    /// Waits until a counter is above `seen`; its value then.
    pub(crate) async fn wait_for_more(&self, counter: &str, seen: u64) -> u64 {
        let value = || {
            let text = self.broker.metrics_text();
            let line = text.lines().find_map(|line| line.strip_prefix(counter));
            line.and_then(|value| value.trim().parse().ok())
                .unwrap_or(0)
        };
        let found = async {
            while value() <= seen {
                tokio::task::yield_now().await;
            }
            value()
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{counter} stays at {}, above {seen} is due", value()))
    }

    pub(crate) async fn stop(self) -> TempDir {
        self.broker.shutdown(PATIENCE).await;
        self.folder
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    correlation_id: i32,
}

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Client {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            correlation_id: 0,
        }
    }

    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let frame = encode_request(self.correlation_id, Some("test"), version, request).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next reply, which must be for the request sent `behind` requests before the last one.
    pub(crate) async fn receive<R: Request>(&mut self, version: i16, behind: i32) -> R::Response {
        let frame = tokio::time::timeout(PATIENCE, self.receive_frame())
            .await
            .unwrap();
        let (id, body) = decode_response_header(R::KEY, version, frame).unwrap();
        assert_eq!(
            id,
            self.correlation_id - behind,
            "replies come in request order"
        );
        R::Response::decode_version(body, version).unwrap()
    }

    pub(crate) async fn receive_frame(&mut self) -> Bytes {
        let length = self.stream.read_i32().await.unwrap();
        let mut frame = BytesMut::zeroed(usize::try_from(length).unwrap());
        self.stream.read_exact(&mut frame).await.unwrap();
        frame.freeze()
    }

    pub(crate) async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(version, request).await;
        self.receive::<R>(version, 0).await
    }

    /// The broker closed this connection without a word.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        // In small steps: a machine that stood still for long takes away one of them, not all.
        for _ in 0..PATIENCE.as_millis() / STEP.as_millis() {
            if let Ok(read) = tokio::time::timeout(STEP, self.stream.read(&mut byte)).await {
                return matches!(read, Ok(0) | Err(_));
            }
        }
        panic!("the broker neither answers nor closes");
    }

    pub(crate) async fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
    ) -> CreateTopicsResponse {
        let response = self.ask(7, &create_request(name, partitions, &[])).await;
        assert_eq!(response.topics[0].error_code, 0, "{response:?}");
        response
    }

    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        acks: i16,
        batch: Bytes,
    ) -> PartitionProduceResponse {
        let response = self.ask(9, &produce_request(topic, acks, batch)).await;
        response.responses[0].partition_responses[0].clone()
    }

    /// Appends to a partition of a topic, with `acks=1`.
    pub(crate) async fn produce_to(&mut self, topic: &str, partition: i32, batch: Bytes) {
        let mut request = produce_request(topic, 1, batch);
        request.topic_data[0].partition_data[0].index = partition;
        let response = self.ask(9, &request).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, 0, "{answer:?}");
    }

    pub(crate) async fn fetch(&mut self, topic: &str, offset: i64) -> PartitionData {
        let response = self.ask(12, &fetch_request(topic, offset, 0)).await;
        one_partition(&response)
    }

    pub(crate) async fn offset(&mut self, topic: &str, timestamp: i64) -> (i64, i64) {
        let partition = ListOffsetsPartition {
            timestamp,
            ..Default::default()
        };
        let topic = ListOffsetsTopic {
            name: Text::from(topic),
            partitions: vec![partition],
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![topic],
            ..Default::default()
        };
        let response = self.ask(11, &request).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, 0, "{found:?}");
        (found.offset, found.timestamp)
    }
}

pub(crate) fn one_partition(response: &FetchResponse) -> PartitionData {
    response.responses[0].partitions[0].clone()
}

/// A batch of these values with timestamps 1000, 1001, ….
pub(crate) fn batch(values: &[&str]) -> Bytes {
    builder(values).build().unwrap()
}

/// The same of an idempotent producer.
pub(crate) fn sequenced(values: &[&str], producer: i64, epoch: i16, sequence: i32) -> Bytes {
    // Of now: a producer is forgotten once its records are a day old.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_millis()).unwrap();
    let mut builder = builder_at(values, now);
    builder.set_producer(producer, epoch, sequence);
    builder.build().unwrap()
}

fn builder(values: &[&str]) -> BatchBuilder {
    builder_at(values, 1000)
}

fn builder_at(values: &[&str], first: i64) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None);
    for (value, timestamp) in values.iter().zip(first..) {
        builder
            .append(timestamp, None, Some(value.as_bytes()), &[])
            .unwrap();
    }
    builder
}

/// The values of all records in what a fetch returned.
pub(crate) fn values(data: &PartitionData) -> Vec<String> {
    let records = data.records.clone().expect("records are never null");
    logway_protocol::batch::split_batches(&records)
        .flat_map(|batch| {
            let (_, bytes) = batch.unwrap();
            logway_protocol::record::decode_records(&bytes, 1 << 20).unwrap()
        })
        .map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap())
        .collect()
}
