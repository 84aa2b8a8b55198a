//! A broker that may open no more files: it answers with errors or waits, loses nothing, and serves
//! again as soon as descriptors are free.

use std::path::Path;

use harness::process::Process;
use harness::{binary, eventually};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::metadata::MetadataRequest;
use logway_protocol::message::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, TopicProduceData,
};
use logway_protocol::{ErrorCode, Text};

use crate::wire::Client;

/// Files that the broker may open.
const OPEN_FILES: usize = 80;
/// Partitions of the topic; most of their files are not open.
const PARTITIONS: i32 = 8;

impl Client {
    fn send_batch(&mut self, partition: i32, acks: i16) {
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(1000, None, Some(b"value"), &[]).expect("room");
        let data = PartitionProduceData {
            index: partition,
            records: Some(batch.build().expect("a batch")),
        };
        let request = ProduceRequest {
            acks,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Text::from("t"),
                partition_data: vec![data],
                ..Default::default()
            }],
            ..Default::default()
        };
        self.send(9, &request);
    }

    fn batch_answer(&mut self) -> PartitionProduceResponse {
        let mut answer = self.receive::<ProduceRequest>(9);
        answer.responses.remove(0).partition_responses.remove(0)
    }
}

fn broker(folder: &Path) -> Process {
    let limited = format!("ulimit -n {OPEN_FILES}; exec \"$0\" \"$@\"");
    let logway = binary("logway");
    let data = folder.join("broker");
    let args = [
        "-c",
        &limited,
        logway.to_str().expect("UTF-8"),
        "broker",
        "--data-dir",
        data.to_str().expect("UTF-8"),
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ];
    Process::start(Path::new("/bin/sh"), &args, folder)
}

fn open_files(broker: &Process) -> usize {
    let folder = format!("/proc/{}/fd", broker.pid());
    std::fs::read_dir(folder).expect("the process runs").count()
}

#[test]
fn a_broker_out_of_files_loses_nothing_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let kafka = broker.address("kafka");
    let mut client = Client::connect(&kafka);
    let topic = CreatableTopic {
        name: Text::from("t"),
        num_partitions: PARTITIONS,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let topics = vec![topic];
    let request = CreateTopicsRequest {
        topics,
        ..Default::default()
    };
    client.send(7, &request);
    assert_eq!(
        client.receive::<CreateTopicsRequest>(7).topics[0].error_code,
        0
    );
    client.send_batch(0, 1);
    assert_eq!(client.batch_answer().base_offset, 0);

    // Clients of the page, which has no bound of its own, take what is left.
    let mut other = Client::connect(&kafka);
    other.send(9, &MetadataRequest::default());
    other.receive::<MetadataRequest>(9);
    let http = broker.address("http");
    let crowd: Vec<Client> = (0..2 * OPEN_FILES)
        .map(|_| Client::connect(&http))
        .collect();
    eventually("every descriptor to be taken", || {
        let open = open_files(&broker);
        if open < OPEN_FILES { Err(open) } else { Ok(()) }
    });
    let mut waiting = Client::connect(&kafka);
    waiting.send(9, &MetadataRequest::default());
    // The file is open, but its folder must be for the sync, which waits.
    client.send_batch(0, -1);
    for partition in 1..PARTITIONS {
        other.send_batch(partition, 1);
        let code = ErrorCode::from_code(other.batch_answer().error_code);
        assert_eq!(code, ErrorCode::KafkaStorageError, "{partition}");
    }

    drop(crowd);
    let first = client.batch_answer();
    assert_eq!((first.error_code, first.base_offset), (0, 1));
    assert!(!waiting.receive::<MetadataRequest>(9).brokers.is_empty());
    for partition in 1..PARTITIONS {
        other.send_batch(partition, -1);
        let answer = other.batch_answer();
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, 0),
            "{partition}"
        );
    }
    assert!(broker.stop().success());
}
