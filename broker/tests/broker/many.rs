//! Many partitions in one request: made, written, removed and made again together, over clean and
//! unclean starts.

use std::collections::BTreeSet;

use logway_broker::Broker;
use logway_protocol::Text;
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::delete_topics::DeleteTopicsRequest;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};

use crate::harness::{Client, Server, batch, settings};
use crate::restart::copy_as_killed;

const TOPICS: i32 = 20;
const PARTITIONS: i32 = 10;

fn name(number: i32) -> Text {
    Text::from(format!("many-{number}"))
}

async fn create_all(client: &mut Client, also: &[&str]) -> Vec<i16> {
    let names = (0..TOPICS).map(name);
    let names = names.chain(also.iter().map(|name| Text::from(*name)));
    let topic = |name| CreatableTopic {
        name,
        num_partitions: PARTITIONS,
        replication_factor: -1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: names.map(topic).collect(),
        ..Default::default()
    };
    let response = client.ask(7, &request).await;
    let codes = response.topics.iter().map(|topic| topic.error_code);
    codes.collect()
}

async fn delete_all(client: &mut Client) {
    let request = DeleteTopicsRequest {
        topic_names: (0..TOPICS).map(name).collect(),
        timeout_ms: 30_000,
        ..DeleteTopicsRequest::default()
    };
    let response = client.ask(5, &request).await;
    assert_eq!(response.responses.len(), TOPICS as usize);
    assert!(response.responses.iter().all(|topic| topic.error_code == 0));
}

/// One batch of two records to every partition.
async fn produce_to_all(client: &mut Client) {
    let data = |index| PartitionProduceData {
        index,
        records: Some(batch(&["a", "b"])),
    };
    let topic = |number| TopicProduceData {
        name: name(number),
        partition_data: (0..PARTITIONS).map(data).collect(),
        ..Default::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 30_000,
        topic_data: (0..TOPICS).map(topic).collect(),
        ..Default::default()
    };
    let response = client.ask(9, &request).await;
    let answers = response.responses.iter();
    let answers = answers.flat_map(|topic| &topic.partition_responses);
    assert!(answers.clone().all(|answer| answer.error_code == 0));
    assert_eq!(answers.count(), (TOPICS * PARTITIONS) as usize);
}

/// The different log ends of all partitions.
async fn log_ends(client: &mut Client) -> BTreeSet<i64> {
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..Default::default()
    };
    let topic = |number| ListOffsetsTopic {
        name: name(number),
        partitions: (0..PARTITIONS).map(partition).collect(),
    };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: (0..TOPICS).map(topic).collect(),
        ..Default::default()
    };
    let response = client.ask(7, &request).await;
    let found = response.topics.iter().flat_map(|topic| &topic.partitions);
    let end = found.map(|partition| {
        assert_eq!(partition.error_code, 0, "{partition:?}");
        partition.offset
    });
    end.collect()
}

fn folders(server: &Server) -> usize {
    let entries = std::fs::read_dir(server.folder.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let is_log = |name: &String| name.starts_with("many-") && !name.ends_with("-delete");
    names.filter(is_log).count()
}

#[tokio::test]
async fn topics_of_one_request_get_a_verdict_each_in_its_order() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let codes = create_all(&mut client, &["not/a/name", "a.b", "a_b"]).await;
    let (made, refused) = codes.split_at(TOPICS as usize);
    assert!(made.iter().all(|code| *code == 0));
    // The last collides with the one before it, which was made by the same request.
    assert_eq!(refused, [17, 0, 17]);
    assert_eq!(folders(&server), (TOPICS * PARTITIONS) as usize);
    server.stop().await;
}

#[tokio::test]
async fn names_used_again_begin_with_empty_logs_also_after_a_kill() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    create_all(&mut client, &[]).await;
    produce_to_all(&mut client).await;
    assert_eq!(log_ends(&mut client).await, [2].into());
    drop(client);
    // The clean stop writes all the logs into the checkpoints.
    let folder = server.stop().await;
    let broker = Broker::start(settings(folder.path())).await.unwrap();
    let server = Server { broker, folder };
    let mut client = server.connect().await;
    assert_eq!(log_ends(&mut client).await, [2].into());

    delete_all(&mut client).await;
    assert_eq!(folders(&server), 0);
    create_all(&mut client, &[]).await;
    assert_eq!(log_ends(&mut client).await, [0].into());
    let folder = tempfile::tempdir().unwrap();
    copy_as_killed(server.folder.path(), folder.path());
    let broker = Broker::start(settings(folder.path())).await.unwrap();
    let server = Server { broker, folder };
    let mut client = server.connect().await;
    assert_eq!(log_ends(&mut client).await, [0].into());
    produce_to_all(&mut client).await;
    assert_eq!(log_ends(&mut client).await, [2].into());
    server.stop().await;
}
