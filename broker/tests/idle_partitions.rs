//! What a partition costs that nobody uses (design D5): at most 4 KiB of memory, no open file, no
//! task. One test in a binary of its own, because it counts for the whole process.
#![allow(clippy::unwrap_used)] // Nothing here but the test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use logway_broker::Broker;
use logway_config::broker::Broker as Settings;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::{Message, Request, Text};
use peak_alloc::PeakAlloc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const PARTITIONS: i32 = 1000;
const BYTES_MAX: usize = 4096;
/// Longer than anything here may take: a test that reaches it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the process holds at one moment.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: usize,
    files: usize,
    tasks: usize,
}

impl Held {
    fn now() -> Held {
        Held {
            bytes: HEAP.current_usage(),
            files: open_files(),
            tasks: Handle::current().metrics().num_alive_tasks(),
        }
    }

    fn assert_little_more_than(self, before: Held) {
        let each = self.bytes.saturating_sub(before.bytes) / PARTITIONS as usize;
        assert!(each <= BYTES_MAX, "{each} bytes for each idle partition");
        assert!(self.files <= before.files, "{before:?} became {self:?}");
        assert!(self.tasks <= before.tasks, "{before:?} became {self:?}");
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn start(folder: &Path) -> (Broker, TcpStream) {
    let mut settings = Settings {
        data_dir: folder.to_path_buf(),
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..Settings::default()
    };
    settings.log.retention_check_interval_ms = 100;
    let broker = Broker::start(settings).await.unwrap();
    let stream = TcpStream::connect(broker.kafka_addr()).await.unwrap();
    (broker, stream)
}

async fn ask<R: Request>(stream: &mut TcpStream, version: i16, request: &R) -> R::Response {
    let frame = encode_request(1, Some("test"), version, request).unwrap();
    stream.write_all(&frame).await.unwrap();
    let length = stream.read_i32().await.unwrap();
    let mut frame = BytesMut::zeroed(usize::try_from(length).unwrap());
    stream.read_exact(&mut frame).await.unwrap();
    let (_, body) = decode_response_header(R::KEY, version, frame.freeze()).unwrap();
    R::Response::decode_version(body, version).unwrap()
}

async fn create(stream: &mut TcpStream, name: &str, partitions: i32) {
    let topic = CreatableTopic {
        name: Text::from(name),
        num_partitions: partitions,
        replication_factor: -1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    let response = ask(stream, 7, &request).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
}

fn batch() -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(1000, None, Some(b"value"), &[]).unwrap();
    builder.build().unwrap()
}

/// One record to each partition.
async fn produce(stream: &mut TcpStream, name: &str, partitions: i32) {
    let batch = batch();
    let data = |index| PartitionProduceData {
        index,
        records: Some(batch.clone()),
    };
    let topic = TopicProduceData {
        name: Text::from(name),
        partition_data: (0..partitions).map(data).collect(),
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: 1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
        ..Default::default()
    };
    let response = ask(stream, 9, &request).await;
    let answers = &response.responses[0].partition_responses;
    assert_eq!(answers.len(), partitions as usize);
    assert!(answers.iter().all(|answer| answer.error_code == 0));
}

async fn wait_for_files(at_most: usize) {
    let closed = async {
        while open_files() > at_most {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(PATIENCE, closed).await.is_err() {
        panic!("{} files stay open", open_files());
    }
}

#[tokio::test]
async fn an_idle_partition_costs_little_memory_no_file_and_no_task() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, mut stream) = start(folder.path()).await;
    // What comes into being with the first use is not the partitions'.
    create(&mut stream, "first", 1).await;
    produce(&mut stream, "first", 1).await;
    drop(stream);
    broker.shutdown(PATIENCE).await;

    let (broker, mut stream) = start(folder.path()).await;
    produce(&mut stream, "first", 1).await;
    let few = Held::now();
    create(&mut stream, "many", PARTITIONS).await;
    Held::now().assert_little_more_than(few);

    produce(&mut stream, "many", PARTITIONS).await;
    wait_for_files(few.files).await;
    Held::now().assert_little_more_than(few);
    drop(stream);
    broker.shutdown(PATIENCE).await;

    let (broker, mut stream) = start(folder.path()).await;
    produce(&mut stream, "first", 1).await;
    Held::now().assert_little_more_than(few);
    drop(stream);
    broker.shutdown(PATIENCE).await;
}
