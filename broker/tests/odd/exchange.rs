//! Sends one case to a broker and puts what is seen into one line.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use logway_protocol::batch::{BatchHeader, split_batches, verify_crc};
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData,
};
use logway_protocol::record::{Record, decode_records};
use logway_protocol::{ErrorCode, Message, Request, Text, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::cases::{Case, Target};
use crate::requests::create_request;

/// Longer than any answer may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long an answer is waited for that Kafka never gives, as the table says.
const PRODUCE_PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that the records of one batch are unpacked to here.
const UNPACKED_MAX: usize = 1 << 30;

/// One broker that is asked, over a new connection for each case.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    addr: SocketAddr,
    /// Begins every topic's name.
    prefix: String,
}

/// One connection to a broker.
pub(crate) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

impl Exchange {
    pub(crate) fn new(addr: SocketAddr, prefix: &str) -> Exchange {
        Exchange {
            addr,
            prefix: prefix.to_owned(),
        }
    }

    /// Has the broker create the topics in which it keeps groups' offsets.
    pub(crate) async fn prepare(&self) {
        let mut connection = Connection::open(self.addr).await;
        let request = FindCoordinatorRequest {
            coordinator_keys: vec![Text::from("group")],
            ..Default::default()
        };
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let answer = connection.ask(4, &request).await.expect("an answer");
            if answer.coordinators[0].error_code == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no coordinator at {}", self.addr);
    }

    /// What the broker does with the case: answer, then what its log holds. `expected` is what it
    /// is known to do.
    pub(crate) async fn seen(&self, number: usize, case: &Case, expected: &str) -> String {
        let topic = format!("{}-{number}", self.prefix);
        let mut connection = Connection::open(self.addr).await;
        let id = connection.create(&topic, case.configs).await;
        for batch in &case.before {
            let request = produce(1, &topic, id, vec![(0, Some(batch.clone()))]);
            let answer = connection.ask(9, &request).await.expect("an answer");
            let code = answer.responses[0].partition_responses[0].error_code;
            assert_eq!(code, 0, "{}: what comes before is refused", case.name);
        }
        let shot = &case.shot;
        let (name, id) = match shot.target {
            Target::Own => (topic.as_str(), id),
            Target::Named(name) => (name, Uuid::ZERO),
            Target::UnknownId => ("", Uuid::from_bytes([7; 16])),
        };
        let request = ProduceRequest {
            transactional_id: shot.transactional_id.map(Text::from),
            ..produce(shot.acks, name, id, shot.data.clone())
        };
        // Whoever is known to say nothing is not waited for as long as one who is slow.
        let patience = match expected.starts_with("no answer") {
            true => PRODUCE_PATIENCE,
            false => PATIENCE,
        };
        let asked = connection.verdict(shot.version, &request);
        let mut line = match tokio::time::timeout(patience, asked).await {
            Ok(line) => line,
            Err(_) => "no answer".to_owned(),
        };
        let mut reader = Connection::open(self.addr).await;
        write!(line, "; {}", reader.contents(&topic).await).unwrap();
        line
    }
}

fn produce(acks: i16, topic: &str, id: Uuid, data: Vec<(i32, Option<Bytes>)>) -> ProduceRequest {
    let data = data
        .into_iter()
        .map(|(index, records)| PartitionProduceData { index, records });
    ProduceRequest {
        acks,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: Text::from(topic),
            topic_id: id,
            partition_data: data.collect(),
        }],
        ..Default::default()
    }
}

impl Connection {
    pub(crate) async fn open(addr: SocketAddr) -> Connection {
        let stream = TcpStream::connect(addr).await.expect("the broker listens");
        stream.set_nodelay(true).expect("a socket");
        Connection {
            stream,
            correlation_id: 0,
        }
    }

    async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation_id += 1;
        let frame = encode_request(self.correlation_id, Some("odd"), version, request);
        // A broker that has closed already shows when its answer is read.
        let _closed = self.stream.write_all(&frame.expect("encodes")).await;
    }

    /// The answer to a request; none if the broker closed the connection.
    pub(crate) async fn ask<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Option<R::Response> {
        self.send(version, request).await;
        let frame = tokio::time::timeout(PATIENCE, self.frame());
        let frame = frame.await.expect("the broker answers or closes")?;
        let (id, body) = decode_response_header(R::KEY, version, frame).expect("a header");
        assert_eq!(id, self.correlation_id);
        Some(R::Response::decode_version(body, version).expect("a response"))
    }

    async fn frame(&mut self) -> Option<Bytes> {
        let length = self.stream.read_i32().await.ok()?;
        let mut frame = BytesMut::zeroed(usize::try_from(length).ok()?);
        self.stream.read_exact(&mut frame).await.ok()?;
        Some(frame.freeze())
    }

    /// Creates a topic of two partitions and waits until both have a leader.
    pub(crate) async fn create(&mut self, name: &str, configs: &[(&str, &str)]) -> Uuid {
        let configs = [configs, &[("retention.ms", "-1")]].concat();
        let request = create_request(name, 2, &configs);
        let created = self.ask(7, &request).await.expect("an answer");
        assert_eq!(created.topics[0].error_code, 0, "{created:?}");
        let id = created.topics[0].topic_id;
        // A partition may take a moment to lead.
        let patience = Instant::now() + PATIENCE;
        while Instant::now() < patience {
            if self.end(name, 0).await.is_some() && self.end(name, 1).await.is_some() {
                return id;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("topic {name} has no leader");
    }

    async fn end(&mut self, topic: &str, partition_index: i32) -> Option<i64> {
        let partition = ListOffsetsPartition {
            partition_index,
            timestamp: -1,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: Text::from(topic),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let answer = self.ask(7, &request).await.expect("an answer");
        let found = &answer.topics[0].partitions[0];
        (found.error_code == 0).then_some(found.offset)
    }

    /// The answer to a produce request in a few words.
    async fn verdict(&mut self, version: i16, request: &ProduceRequest) -> String {
        if request.acks == 0 {
            self.send(version, request).await;
            // Silence and a closed connection look the same until something else is asked.
            let alive = self.ask(0, &ApiVersionsRequest::default()).await.is_some();
            return if alive { "silent" } else { "closed" }.to_owned();
        }
        match self.ask(version, request).await {
            Some(answer) => words(&answer),
            None => "closed".to_owned(),
        }
    }

    /// How many records a consumer gets from the topic's first partition.
    async fn contents(&mut self, topic: &str) -> String {
        let end = self.end(topic, 0).await.expect("a leader");
        if end == 0 {
            return "empty".to_owned();
        }
        let partition = FetchPartition {
            partition: 0,
            partition_max_bytes: 64 << 20,
            ..FetchPartition::default()
        };
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 64 << 20,
            topics: vec![FetchTopic {
                topic: Text::from(topic),
                partitions: vec![partition],
                ..FetchTopic::default()
            }],
            ..FetchRequest::default()
        };
        let answer = self.ask(12, &request).await.expect("an answer");
        let data = &answer.responses[0].partitions[0];
        let records = data.records.as_deref().cloned().unwrap_or_default();
        let mut read = 0;
        let mut notes = String::new();
        for batch in split_batches(&records) {
            let Ok((header, bytes)) = batch else {
                return format!("unreadable batch, end {end}");
            };
            if verify_crc(&bytes).is_err() {
                return format!("bad checksum at {}", header.base_offset);
            }
            match decode_records(&bytes, UNPACKED_MAX) {
                Ok(records) => {
                    read += records.len();
                    notes = stored(&header, &records);
                }
                Err(_) => return format!("unreadable records, end {end}"),
            }
        }
        if read as i64 == end {
            format!("{read} readable{notes}")
        } else {
            format!("{read} readable, end {end}{notes}")
        }
    }
}

/// What of the last batch's header a consumer or an index would notice.
fn stored(header: &BatchHeader, records: &[Record]) -> String {
    let mut notes = String::new();
    let bits = header.attributes.0 & !0x07;
    if bits != 0 {
        write!(notes, ", bits {bits:#x}").unwrap();
    }
    let newest = records.iter().map(|record| record.timestamp).max();
    if newest != Some(header.max_timestamp) {
        notes.push_str(", max timestamp wrong");
    }
    notes
}

fn words(answer: &ProduceResponse) -> String {
    let partitions = answer.responses.iter().flat_map(|t| &t.partition_responses);
    let mut partitions: Vec<&PartitionProduceResponse> = partitions.collect();
    // Kafka answers in the order of a hash map.
    partitions.sort_by_key(|partition| partition.index);
    let words: Vec<String> = partitions.into_iter().map(one).collect();
    if words.is_empty() {
        return "no partitions".to_owned();
    }
    words.join(", ")
}

fn one(answer: &PartitionProduceResponse) -> String {
    let mut line = ErrorCode::from_code(answer.error_code).name().to_owned();
    if answer.error_code == 0 {
        write!(line, " at {}", answer.base_offset).unwrap();
    } else {
        assert_eq!(answer.base_offset, -1, "{answer:?}");
    }
    if answer.log_append_time_ms >= 0 {
        line.push_str(" stamped");
    }
    if answer.log_start_offset >= 0 && answer.error_code != 0 {
        write!(line, " start {}", answer.log_start_offset).unwrap();
    }
    if answer.error_message.is_some() {
        line.push_str(" +message");
    }
    let errors = answer.record_errors.iter();
    let errors: Vec<String> = errors.map(|error| error.batch_index.to_string()).collect();
    if !errors.is_empty() {
        write!(line, " records {}", errors.join(" ")).unwrap();
    }
    line
}
