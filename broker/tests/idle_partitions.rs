//! What a partition costs that nobody uses (design D5): at most 4 KiB of memory, no open file, no
//! task. One test in a binary of its own, because it counts for the whole process.
#![allow(clippy::unwrap_used)] // Nothing here but the test.

#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "broker/harness.rs"]
mod harness;
mod requests;

use std::path::Path;

use harness::{Client, PATIENCE, batch, settings};
use logway_broker::Broker;
use logway_protocol::message::produce::PartitionProduceData;
use peak_alloc::PeakAlloc;
use requests::produce_request;
use tokio::runtime::Handle;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const PARTITIONS: i32 = 1000;
const BYTES_MAX: usize = 4096;
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

    /// No file stays open: the keeper has one for a moment now and then.
    async fn assert_little_more_than(before: Held) {
        wait_for_files(before.files).await;
        let now = Held::now();
        let each = now.bytes.saturating_sub(before.bytes) / PARTITIONS as usize;
        assert!(each <= BYTES_MAX, "{each} bytes for each idle partition");
        assert!(now.tasks <= before.tasks, "{before:?} became {now:?}");
    }
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

async fn start(folder: &Path) -> (Broker, Client) {
    let mut settings = settings(folder);
    settings.log.retention_check_interval_ms = 100;
    let broker = Broker::start(settings).await.unwrap();
    let client = Client::connect(broker.kafka_addr()).await;
    (broker, client)
}

/// One record to each partition.
async fn produce(client: &mut Client, name: &str, partitions: i32) {
    let mut request = produce_request(name, 1, batch(&["value"]));
    let data = &mut request.topic_data[0].partition_data;
    let first = data.remove(0);
    data.extend((0..partitions).map(|index| PartitionProduceData {
        index,
        ..first.clone()
    }));
    let response = client.ask(9, &request).await;
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
    let (broker, mut client) = start(folder.path()).await;
    // What comes into being with the first use is not the partitions'.
    client.create_topic("first", 1).await;
    produce(&mut client, "first", 1).await;
    drop(client);
    broker.shutdown(PATIENCE).await;

    let (broker, mut client) = start(folder.path()).await;
    produce(&mut client, "first", 1).await;
    let few = Held::now();
    client.create_topic("many", PARTITIONS).await;
    Held::assert_little_more_than(few).await;

    produce(&mut client, "many", PARTITIONS).await;
    Held::assert_little_more_than(few).await;
    drop(client);
    broker.shutdown(PATIENCE).await;

    let (broker, mut client) = start(folder.path()).await;
    produce(&mut client, "first", 1).await;
    Held::assert_little_more_than(few).await;
    drop(client);
    broker.shutdown(PATIENCE).await;
}
