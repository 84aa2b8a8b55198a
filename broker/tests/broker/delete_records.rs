//! DeleteRecords: logs get a later start, for good, and what is asked for badly is refused.

use logway_protocol::ErrorCode;
use logway_protocol::Text;
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

use crate::configs::create_with;
use crate::harness::{Client, PATIENCE, Server, batch, values};
use crate::restart::{copy_as_killed, start};

/// Low watermark and code of each partition.
async fn delete(client: &mut Client, topic: &str, wanted: &[(i32, i64)]) -> Vec<(i64, ErrorCode)> {
    let partitions = wanted
        .iter()
        .map(|(partition_index, offset)| DeleteRecordsPartition {
            partition_index: *partition_index,
            offset: *offset,
        });
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Text::from(topic),
            partitions: partitions.collect(),
        }],
        timeout_ms: 30_000,
    };
    let answer = client.ask(2, &request).await;
    let partitions = answer.topics[0].partitions.iter();
    partitions
        .map(|found| (found.low_watermark, ErrorCode::from_code(found.error_code)))
        .collect()
}

async fn create_compacted(client: &mut Client, policy: &str) {
    let name = policy.replace(',', "-");
    create_with(client, &name, &[("cleanup.policy", policy)]).await;
}

#[tokio::test]
async fn records_before_the_offset_are_gone_in_every_version() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a", "b", "c"])).await;
    client.produce("t", 1, batch(&["d"])).await;
    let none = ErrorCode::None;
    assert_eq!(delete(&mut client, "t", &[(0, 3)]).await, [(3, none)]);
    assert_eq!(client.offset("t", -2).await.0, 3);
    assert_eq!(values(&client.fetch("t", 3).await), ["d"]);
    let gone = client.fetch("t", 2).await;
    assert_eq!(gone.error_code, ErrorCode::OffsetOutOfRange.code());
    // An earlier start is none; -1 is the end.
    assert_eq!(delete(&mut client, "t", &[(0, 1)]).await, [(3, none)]);
    assert_eq!(delete(&mut client, "t", &[(0, -1)]).await, [(4, none)]);
    let answer = client.produce("t", 1, batch(&["e"])).await;
    assert_eq!((answer.base_offset, answer.log_start_offset), (4, 4));
    for version in 0..=2 {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: Text::from("t"),
                partitions: vec![DeleteRecordsPartition {
                    partition_index: 0,
                    offset: 4,
                }],
            }],
            timeout_ms: 1,
        };
        let answer = client.ask(version, &request).await;
        assert_eq!(answer.topics[0].partitions[0].low_watermark, 4);
    }
}

#[tokio::test]
async fn what_cannot_be_deleted_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 2).await;
    client.produce("t", 1, batch(&["a"])).await;
    create_compacted(&mut client, "compact").await;
    create_compacted(&mut client, "compact,delete").await;
    let out = (-1, ErrorCode::OffsetOutOfRange);
    let wanted = [
        (0, 2),
        (0, -2),
        (0, i64::MIN),
        (1, 1),
        (9, 0),
        (-1, 0),
        (0, 1),
    ];
    let unknown = (-1, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        delete(&mut client, "t", &wanted).await,
        [out, out, out, out, unknown, unknown, (1, ErrorCode::None)]
    );
    assert_eq!(delete(&mut client, "absent", &[(0, 0)]).await, [unknown]);
    let policy = (-1, ErrorCode::PolicyViolation);
    assert_eq!(delete(&mut client, "compact", &[(0, 0)]).await, [policy]);
    let none = (0, ErrorCode::None);
    assert_eq!(
        delete(&mut client, "compact-delete", &[(0, 0)]).await,
        [none]
    );
    client.create_topic("__consumer_offsets", 1).await;
    let internal = (-1, ErrorCode::InvalidTopicException);
    assert_eq!(
        delete(&mut client, "__consumer_offsets", &[(0, 0)]).await,
        [internal]
    );
}

#[tokio::test]
async fn deleted_records_stay_away_after_a_kill() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 2).await;
    client.produce("t", -1, batch(&["a", "b", "c"])).await;
    let none = ErrorCode::None;
    assert_eq!(
        delete(&mut client, "t", &[(0, 2), (1, 0)]).await,
        [(2, none), (0, none)]
    );
    let killed = tempfile::tempdir().unwrap();
    copy_as_killed(server.folder.path(), killed.path());
    let (broker, mut client) = start(killed.path(), |_| {}).await;
    assert_eq!(client.offset("t", -2).await.0, 2);
    assert_eq!(client.offset("t", -1).await.0, 3);
    broker.shutdown(PATIENCE).await;
}
