//! Requests of the data path with every field overwritten by values that no client means: the broker
//! answers, or closes the connection and counts why; it does not panic and its memory stays bounded.
//!
//! Fields are found without knowing their places: at each byte of a valid request one, two, four
//! or eight bytes are overwritten, so every length, count, offset, epoch and varint has its turn.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::Bytes;
use harness::process::Process;
use harness::{eventually, http};
use logway_protocol::batch::{BATCH_HEADER_SIZE, BatchHeader, set_producer};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::encode_request;
use logway_protocol::message::api_versions::ApiVersionsRequest;
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::{Request, Text, Uuid};

use crate::broker;
use crate::wire::Client;

/// What a field becomes, cut to its width from the left.
const VALUES: [[u8; 8]; 6] = [
    [0; 8],
    [0xff; 8],
    [0x80, 0, 0, 0, 0, 0, 0, 0],
    [0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    [0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0],
    [0x00, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];
const WIDTHS: [usize; 4] = [1, 2, 4, 8];
/// Correlation id of the request that follows each hostile one.
const AFTER: i32 = 77;
/// Memory of the broker's process after all of it; a debug build takes some by itself.
const RESIDENT_BYTES_MAX: u64 = 256 << 20;
/// A fetch may be told to wait for ever; nobody waits for it longer than this.
const LONG_POLL: Duration = Duration::from_millis(300);

/// Sends requests and counts how they end.
struct Sender<'a> {
    broker: &'a Process,
    connection: Option<Client>,
    /// Those that were not waited for any longer: the broker may close one of them later.
    left: Vec<Client>,
    sent: u64,
    closed: u64,
}

impl Sender<'_> {
    /// Sends a frame that must be answered, or ends the connection.
    fn send(&mut self, frame: &[u8], may_wait: bool) {
        self.sent += 1;
        let address = self.broker.address("kafka");
        let mut connection = self
            .connection
            .take()
            .unwrap_or_else(|| Client::connect(&address));
        let after = ApiVersionsRequest::default();
        let after = encode_request(AFTER, None, 0, &after).expect("it encodes");
        if may_wait {
            connection.be_patient(LONG_POLL);
        }
        let both = [frame, &after].concat();
        let mut ended = !connection.send_bytes(&both);
        while !ended {
            match connection.frame() {
                Ok(answer) if answer.starts_with(&AFTER.to_be_bytes()) => {
                    self.connection = Some(connection);
                    return;
                }
                Ok(_) => {}
                Err(error) if may_wait && error.kind() == ErrorKind::WouldBlock => {
                    self.left.push(connection);
                    return;
                }
                Err(error) => {
                    assert_ne!(
                        error.kind(),
                        ErrorKind::WouldBlock,
                        "no answer to {frame:02x?}"
                    );
                    ended = true;
                }
            }
        }
        self.closed += 1;
    }

    /// Connections that the broker has closed by now.
    fn closed(&mut self) -> u64 {
        let before = self.left.len();
        self.left.retain_mut(|connection| !connection.has_ended());
        self.closed += (before - self.left.len()) as u64;
        self.closed
    }

    /// Sends the request with each of its fields overwritten.
    fn overwrite<R: Request>(&mut self, version: i16, request: &R) {
        let frame = encode_request(1, None, version, request).expect("it encodes");
        // Length, key, version, correlation id and client id are another test's.
        let body = 4 + 2 + 2 + 4 + 2;
        let may_wait = R::NAME == "FetchRequest";
        for at in body..frame.len() {
            for width in WIDTHS {
                for value in VALUES {
                    let mut hostile = frame.to_vec();
                    for (byte, value) in hostile[at..].iter_mut().zip(&value[..width]) {
                        *byte = *value;
                    }
                    if hostile != frame {
                        self.send(&hostile, may_wait);
                    }
                }
            }
        }
    }

    /// Sends the batch with each field of its header overwritten and the checksum set right again.
    fn overwrite_batch(&mut self, batch: &Bytes) {
        for at in 0..BATCH_HEADER_SIZE {
            for width in WIDTHS {
                for value in VALUES {
                    let mut hostile = batch.to_vec();
                    let value = &value[..width.min(BATCH_HEADER_SIZE - at)];
                    hostile[at..at + value.len()].copy_from_slice(value);
                    if let Ok(header) = BatchHeader::decode(&hostile) {
                        let (id, epoch) = (header.producer_id, header.producer_epoch);
                        set_producer(&mut hostile, id, epoch, header.base_sequence)
                            .expect("a whole header");
                    }
                    let request = produce(1, hostile.into());
                    let frame = encode_request(1, None, 9, &request).expect("it encodes");
                    self.send(&frame, false);
                }
            }
        }
    }
}

fn batch(compression: Compression) -> Bytes {
    let mut batch = BatchBuilder::new(compression);
    for _ in 0..3 {
        batch
            .append(1000, Some(b"key"), Some(b"value"), &[("h", None)])
            .expect("room");
    }
    batch.build().expect("a batch")
}

fn produce(acks: i16, records: Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: Text::from("p"),
            topic_id: Uuid::from_bytes([9; 16]),
            partition_data: vec![PartitionProduceData {
                index: 0,
                records: Some(records),
            }],
        }],
        ..Default::default()
    }
}

fn fetch() -> FetchRequest {
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![FetchTopic {
            topic: Text::from("f"),
            partitions: vec![FetchPartition {
                partition: 0,
                fetch_offset: 0,
                partition_max_bytes: 1 << 20,
                ..FetchPartition::default()
            }],
            ..FetchTopic::default()
        }],
        ..FetchRequest::default()
    }
}

fn list_offsets() -> ListOffsetsRequest {
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: Text::from("f"),
            partitions: vec![ListOffsetsPartition {
                timestamp: 1000,
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    }
}

fn leader_epoch() -> OffsetForLeaderEpochRequest {
    OffsetForLeaderEpochRequest {
        topics: vec![OffsetForLeaderTopic {
            topic: Text::from("f"),
            partitions: vec![OffsetForLeaderPartition::default()],
        }],
        ..OffsetForLeaderEpochRequest::default()
    }
}

fn delete_records() -> DeleteRecordsRequest {
    DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Text::from("d"),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset: 1,
            }],
        }],
        timeout_ms: 1000,
    }
}

/// Topics `p`, `f` and `d`, the last two with records.
fn prepare(address: &str) {
    let mut client = Client::connect(address);
    let topics = ["p", "f", "d"].map(|name| CreatableTopic {
        name: Text::from(name),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    });
    let topics = topics.to_vec();
    let request = CreateTopicsRequest {
        topics,
        ..CreateTopicsRequest::default()
    };
    client.send(7, &request);
    client.receive::<CreateTopicsRequest>(7);
    for name in ["f", "d"] {
        let mut request = produce(1, batch(Compression::None));
        request.topic_data[0].name = Text::from(name);
        client.send(9, &request);
        client.receive::<ProduceRequest>(9);
    }
}

/// Connections that the broker says it closed, by any reason. Those of batches are error names.
fn counted(broker: &Process) -> u64 {
    let (_, page) = http::get(&broker.address("http"), "/metrics").expect("the page");
    let page = String::from_utf8(page).expect("text");
    let lines = page.lines().filter_map(|line| {
        let rest = line.strip_prefix("logway_broker_refused_total{reason=\"")?;
        let (reason, count) = rest.split_once("\"} ")?;
        reason.starts_with(char::is_lowercase).then_some(count)
    });
    lines
        .map(|count| count.parse::<u64>().expect("a number"))
        .sum()
}

#[test]
fn hostile_fields_are_answered_or_counted_and_cost_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    prepare(&broker.address("kafka"));
    let mut sender = Sender {
        broker: &broker,
        connection: None,
        left: Vec::new(),
        sent: 0,
        closed: 0,
    };
    for version in [3, 8, 9, 13] {
        sender.overwrite(version, &produce(1, batch(Compression::None)));
    }
    sender.overwrite(9, &produce(0, batch(Compression::Lz4)));
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        sender.overwrite_batch(&batch(compression));
    }
    for version in [4, 11, 12, 13] {
        sender.overwrite(version, &fetch());
    }
    for version in [1, 5, 6, 7] {
        sender.overwrite(version, &list_offsets());
    }
    for version in 2..=4 {
        sender.overwrite(version, &leader_epoch());
    }
    for version in 0..=2 {
        sender.overwrite(version, &delete_records());
    }
    let (sent, closed) = (sender.sent, sender.closed);
    assert!(
        sent > 10_000 && closed > 100,
        "{sent} sent, {closed} closed"
    );
    eventually("every closed connection to be counted", || {
        let (counted, closed) = (counted(&broker), sender.closed());
        if counted == closed {
            Ok(())
        } else {
            Err((counted, closed))
        }
    });
    drop(sender);
    assert!(!broker.log().contains("panicked"), "{}", broker.log());
    let resident = broker.resident_bytes();
    assert!(
        resident < RESIDENT_BYTES_MAX,
        "{resident} bytes after {sent} requests"
    );
    assert!(broker.stop().success());
}
