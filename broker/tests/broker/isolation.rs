//! What of a log with transactions is read under which isolation level, and where epochs end.

use std::sync::Arc;

use bytes::Bytes;
use logway_broker::Broker;
use logway_journal::{Log, LogConfig, Recovery, StdDisk};
use logway_protocol::ErrorCode;
use logway_protocol::batch::split_batches;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{EndTransaction, control_batch};
use logway_protocol::message::fetch::PartitionData;
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use logway_protocol::message::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use crate::harness::{Client, Server, batch, one_partition, settings};
use crate::requests::fetch_request;

const NOW_MS: i64 = 4_000_000_000_000;

fn transactional(producer: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(NOW_MS, None, Some(b"value"), &[]).unwrap();
    builder.set_producer(producer, 0, 0).set_transactional(true);
    builder.build().unwrap()
}

fn end_of(producer: i64, committed: bool) -> Bytes {
    let end = EndTransaction {
        committed,
        coordinator_epoch: 0,
    };
    control_batch(end, (producer, 0), NOW_MS).unwrap()
}

/// A broker whose partition `t-0` holds, one record each: 0 plain, 1 of an aborted transaction,
/// 2 of a committed one, 3 and 4 their ends, 5 plain, 6 of an open transaction, 7 plain.
async fn with_transactions() -> Server {
    let server = Server::start().await;
    server.connect().await.create_topic("t", 1).await;
    let folder = server.stop().await;
    // As after a crash: the broker looks at what is there.
    std::fs::remove_file(folder.path().join(".kafka_cleanshutdown")).unwrap();
    let mut log = Log::open(
        Arc::new(StdDisk::new()),
        &folder.path().join("t-0"),
        LogConfig {
            segment_ms: i64::MAX,
            ..LogConfig::default()
        },
        Recovery::default(),
        NOW_MS,
    )
    .unwrap();
    for bytes in [
        batch(&["plain"]),
        transactional(1),
        transactional(2),
        end_of(1, false),
        end_of(2, true),
        batch(&["plain"]),
        transactional(3),
        batch(&["plain"]),
    ] {
        log.append(&bytes, 0, NOW_MS).unwrap();
    }
    drop(log);
    let broker = Broker::start(settings(folder.path())).await.unwrap();
    Server { broker, folder }
}

async fn fetch(client: &mut Client, offset: i64, isolation_level: i8) -> PartitionData {
    let mut request = fetch_request("t", offset, 0);
    request.isolation_level = isolation_level;
    one_partition(&client.ask(12, &request).await)
}

fn offsets(data: &PartitionData) -> Vec<i64> {
    let records = data.records.clone().unwrap();
    split_batches(&records)
        .map(|batch| batch.unwrap().0.base_offset)
        .collect()
}

#[tokio::test]
async fn read_committed_ends_before_the_first_open_transaction() {
    let server = with_transactions().await;
    let mut client = server.connect().await;
    let all = fetch(&mut client, 0, 0).await;
    assert_eq!(offsets(&all), [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(all.aborted_transactions, None);
    let committed = fetch(&mut client, 0, 1).await;
    assert_eq!(offsets(&committed), [0, 1, 2, 3, 4, 5]);
    assert_eq!(
        (committed.high_watermark, committed.last_stable_offset),
        (8, 6)
    );
    let aborted = committed.aborted_transactions.unwrap();
    assert_eq!(aborted.len(), 1);
    assert_eq!((aborted[0].producer_id, aborted[0].first_offset), (1, 1));
    // Behind the marker the transaction no longer matters; behind the stable offset nothing comes.
    let later = fetch(&mut client, 4, 1).await;
    assert_eq!(offsets(&later), [4, 5]);
    assert_eq!(later.aborted_transactions, Some(vec![]));
    for offset in [6, 8] {
        let nothing = fetch(&mut client, offset, 1).await;
        assert_eq!((nothing.error_code, offsets(&nothing)), (0, vec![]));
    }
}

#[tokio::test]
async fn latest_is_the_stable_offset_for_those_who_read_committed() {
    let server = with_transactions().await;
    let mut client = server.connect().await;
    for (isolation_level, timestamp, expected) in [
        (0, -1, 8),
        (1, -1, 6),
        (0, -3, 1),
        (1, -2, 0),
        (1, NOW_MS + 1, -1),
    ] {
        let partition = ListOffsetsPartition {
            timestamp,
            ..Default::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level,
            topics: vec![ListOffsetsTopic {
                name: "t".into(),
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let response = client.ask(11, &request).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.offset, expected, "{isolation_level} {timestamp}");
    }
}

#[tokio::test]
async fn special_timestamps_have_their_versions() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    for (timestamp, since) in [(-3, 7), (-4, 8), (-5, 9), (-6, 11), (-7, 99)] {
        for version in 1..=11 {
            let partition = ListOffsetsPartition {
                timestamp,
                ..Default::default()
            };
            let request = ListOffsetsRequest {
                topics: vec![ListOffsetsTopic {
                    name: "t".into(),
                    partitions: vec![partition],
                }],
                ..Default::default()
            };
            let response = client.ask(version, &request).await;
            let code = response.topics[0].partitions[0].error_code;
            let unsupported = code == ErrorCode::UnsupportedVersion.code();
            assert_eq!(unsupported, version < since, "{timestamp} v{version}");
        }
    }
}

#[tokio::test]
async fn an_epoch_ends_where_the_next_begins_and_unknown_ones_nowhere() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 2).await;
    client.produce("t", 1, batch(&["a", "b"])).await;
    let none = ErrorCode::None;
    for (partition, current, epoch, code, expected) in [
        (0, -1, 0, none, (0, 2)),
        (0, 0, 0, none, (0, 2)),
        (0, -1, 1, none, (-1, -1)),
        (0, -1, -1, none, (-1, -1)),
        (1, -1, 0, none, (0, 0)),
        (0, 9, 0, ErrorCode::UnknownLeaderEpoch, (-1, -1)),
        (7, -1, 0, ErrorCode::UnknownTopicOrPartition, (-1, -1)),
    ] {
        let asked = OffsetForLeaderPartition {
            partition,
            current_leader_epoch: current,
            leader_epoch: epoch,
        };
        let request = OffsetForLeaderEpochRequest {
            topics: vec![OffsetForLeaderTopic {
                topic: "t".into(),
                partitions: vec![asked],
            }],
            ..Default::default()
        };
        for version in 2..=4 {
            let response = client.ask(version, &request).await;
            let end = &response.topics[0].partitions[0];
            assert_eq!(end.error_code, code.code());
            assert_eq!((end.leader_epoch, end.end_offset), expected);
        }
    }
}

#[tokio::test]
async fn a_reader_whose_log_parted_is_told_where() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.create_topic("t", 1).await;
    client.produce("t", 1, batch(&["a", "b"])).await;
    for (offset, epoch, parts, code) in [
        (1, 0, false, ErrorCode::None),
        (2, -1, false, ErrorCode::None),
        // It read further under that epoch than the epoch goes.
        (3, 0, true, ErrorCode::None),
        (1, 5, false, ErrorCode::OffsetOutOfRange),
    ] {
        let mut request = fetch_request("t", offset, 60_000);
        request.min_bytes = i32::from(offset != 2);
        request.topics[0].partitions[0].last_fetched_epoch = epoch;
        let data = one_partition(&client.ask(12, &request).await);
        assert_eq!(data.error_code, code.code(), "{offset} {epoch}");
        let end = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
        assert_eq!(end, if parts { (0, 2) } else { (-1, -1) });
    }
}
