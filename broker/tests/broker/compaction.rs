//! Logs with `cleanup.policy=compact` are compacted while they are written and read, and batches get
//! the compression that their topic asks for.

use std::time::SystemTime;

use bytes::Bytes;
use logway_broker::Broker;
use logway_protocol::ErrorCode;
use logway_protocol::batch::{BatchHeader, split_batches};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;

use crate::configs::create_with;
use crate::harness::{Client, PATIENCE, Server, batch, settings, values};

/// Every batch begins a segment, and whatever is dirty is compacted.
const COMPACTED: &[(&str, &str)] = &[
    ("cleanup.policy", "compact"),
    ("min.cleanable.dirty.ratio", "0.01"),
    ("segment.ms", "1"),
];

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

/// A batch of keys and values, at a time that counts up.
fn keyed(at: i64, records: &[(&str, Option<&str>)]) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None);
    for (key, value) in records {
        let value = value.map(str::as_bytes);
        builder
            .append(now_ms() + at * 1000, Some(key.as_bytes()), value, &[])
            .unwrap();
    }
    builder
}

/// Offset, key and value of every record from the log's start on.
async fn everything(client: &mut Client, topic: &str) -> Vec<(i64, String, Option<String>)> {
    let end = client.offset(topic, -1).await.0;
    let (mut all, mut next) = (Vec::new(), client.offset(topic, -2).await.0);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    while next < end {
        let data = client.fetch(topic, next).await;
        assert_eq!(data.error_code, 0);
        for batch in split_batches(&data.records.unwrap()) {
            let (header, bytes) = batch.unwrap();
            next = header.next_offset();
            for record in decode_records(&bytes, 1 << 20).unwrap() {
                all.push((
                    record.offset,
                    text(record.key.unwrap()),
                    record.value.map(text),
                ));
            }
        }
    }
    all
}

async fn until(client: &mut Client, topic: &str, offsets: &[i64]) {
    let there = async {
        loop {
            let found = everything(client, topic).await;
            if found
                .iter()
                .map(|record| record.0)
                .eq(offsets.iter().copied())
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(PATIENCE, there).await.is_err() {
        // The connection may have been left in the middle of a reply.
        let mut client = Client::connect(client.stream.peer_addr().unwrap()).await;
        panic!("{:?}", everything(&mut client, topic).await);
    }
}

#[tokio::test]
async fn a_compacted_topic_keeps_the_newest_record_of_each_key() {
    let server = Server::start_with(|settings| settings.log.cleaner.backoff_ms = 1).await;
    let mut client = server.connect().await;
    create_with(&mut client, "t", COMPACTED).await;
    let mut producer = keyed(0, &[("a", Some("1")), ("b", Some("1"))]);
    producer.set_producer(7, 0, 0);
    assert_eq!(
        client
            .produce("t", 1, producer.build().unwrap())
            .await
            .error_code,
        0
    );
    for (at, records) in [
        (1, [("a", Some("2")), ("c", Some("1"))]),
        (2, [("b", None), ("a", Some("3"))]),
        (3, [("d", Some("1")), ("d", Some("2"))]),
        (4, [("a", Some("4")), ("a", Some("5"))]),
    ] {
        let batch = keyed(at, &records).build().unwrap();
        assert_eq!(client.produce("t", -1, batch).await.error_code, 0);
    }
    // The last batch is in the active segment.
    until(&mut client, "t", &[3, 4, 5, 7, 8, 9]).await;
    server
        .wait_for_metric("logway_broker_compaction_removed_records_total")
        .await;
    server
        .wait_for_metric("logway_broker_partitions_uncleanable 0")
        .await;
    // The producer whose records are gone goes on where it was.
    let mut next = keyed(5, &[("e", Some("1"))]);
    next.set_producer(7, 0, 2);
    let next = next.build().unwrap();
    assert_eq!(client.produce("t", 1, next.clone()).await.error_code, 0);
    let data_dir = server.stop().await;
    let checkpoint = std::fs::read_to_string(data_dir.path().join("cleaner-offset-checkpoint"));
    assert!(
        checkpoint
            .unwrap()
            .lines()
            .any(|line| line.starts_with("t 0 "))
    );
    let mut settings = settings(data_dir.path());
    settings.log.cleaner.backoff_ms = 1;
    let broker = Broker::start(settings).await.unwrap();
    let mut client = Client::connect(broker.kafka_addr()).await;
    until(&mut client, "t", &[3, 4, 7, 9, 10]).await;
    assert_eq!(
        client.produce("t", 1, next).await.base_offset,
        10,
        "known over the restart"
    );
    broker.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn tombstones_go_after_their_time_and_old_segments_only_where_they_may() {
    let server = Server::start_with(|settings| {
        settings.log.cleaner.backoff_ms = 1;
        settings.log.cleaner.delete_retention_ms = 0;
        settings.log.retention_check_interval_ms = 1;
        settings.log.retention_ms = 3_600_000;
    })
    .await;
    let mut client = server.connect().await;
    create_with(&mut client, "t", COMPACTED).await;
    let both = [
        ("cleanup.policy", "compact,delete"),
        COMPACTED[1],
        COMPACTED[2],
    ];
    create_with(&mut client, "both", &both).await;
    // Two hours old. Where it may go it does, before it is joined with what is young.
    for topic in ["t", "both"] {
        let old = keyed(-7200, &[("old", Some("1"))]).build().unwrap();
        assert_eq!(client.produce(topic, 1, old).await.error_code, 0);
    }
    let gone = async { while client.offset("both", -2).await.0 == 0 {} };
    tokio::time::timeout(PATIENCE, gone)
        .await
        .expect("retained");
    for topic in ["t", "both"] {
        for (at, records) in [
            (0, [("a", Some("1"))]),
            (1, [("a", None)]),
            (2, [("b", Some("1"))]),
            (3, [("c", Some("1"))]),
        ] {
            let batch = keyed(at, &records).build().unwrap();
            assert_eq!(client.produce(topic, 1, batch).await.error_code, 0);
        }
    }
    // The tombstone got its horizon in one round and goes in the next one, which needs something dirty.
    for at in 4..20 {
        for topic in ["t", "both"] {
            let batch = keyed(at, &[("last", Some("1"))]).build().unwrap();
            assert_eq!(client.produce(topic, 1, batch).await.error_code, 0);
        }
        tokio::task::yield_now().await;
    }
    for topic in ["t", "both"] {
        until_gone(&mut client, topic, "a").await;
    }
    assert_eq!(everything(&mut client, "t").await.first().unwrap().1, "old");
    let first = everything(&mut client, "both").await.remove(0);
    assert_eq!(
        first.1, "b",
        "what is old and not replaced went by retention"
    );
    server.stop().await;
}

/// Produces more until no record of the key is left.
async fn until_gone(client: &mut Client, topic: &str, key: &str) {
    let gone = async {
        let mut at = 20;
        while everything(client, topic)
            .await
            .iter()
            .any(|record| record.1 == key)
        {
            let batch = keyed(at, &[("last", Some("1"))]).build().unwrap();
            assert_eq!(client.produce(topic, 1, batch).await.error_code, 0);
            at += 1;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("goes");
}

#[tokio::test]
async fn a_damaged_log_is_reported_and_left_as_it_is() {
    let server = Server::start_with(|settings| settings.log.cleaner.enable = false).await;
    let mut client = server.connect().await;
    for topic in ["damaged", "sound"] {
        create_with(&mut client, topic, COMPACTED).await;
        for at in 0..4 {
            let batch = keyed(at, &[("a", Some("value"))]).build().unwrap();
            assert_eq!(client.produce(topic, 1, batch).await.error_code, 0);
        }
    }
    let folder = server.stop().await;
    let segment = folder.path().join("damaged-0/00000000000000000001.log");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let mut settings = settings(folder.path());
    settings.log.cleaner.backoff_ms = 1;
    let broker = Broker::start(settings).await.unwrap();
    let server = Server { broker, folder };
    let mut client = server.connect().await;
    until(&mut client, "sound", &[2, 3]).await;
    server
        .wait_for_metric("logway_broker_partitions_uncleanable 1")
        .await;
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
    assert_eq!(client.fetch("damaged", 2).await.error_code, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_topics_compression_goes_before_the_producers() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let text = "value ".repeat(200);
    for (name, codec) in [
        ("uncompressed", Compression::None),
        ("gzip", Compression::Gzip),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ] {
        create_with(&mut client, name, &[("compression.type", name)]).await;
        for sent in Compression::ALL {
            let mut builder = BatchBuilder::new(sent);
            for value in [&text[..], "b"] {
                builder
                    .append(1000, Some(b"k"), Some(value.as_bytes()), &[("h", None)])
                    .unwrap();
            }
            builder.set_producer(i64::from(sent.code()), 3, 0);
            let before = client.offset(name, -1).await.0;
            let batch = builder.build().unwrap();
            assert_eq!(client.produce(name, 1, batch.clone()).await.error_code, 0);
            let data = client.fetch(name, before).await;
            assert_eq!(values(&data), [&text[..], "b"]);
            let stored = data.records.unwrap();
            let header = BatchHeader::decode(&stored).unwrap();
            assert_eq!(header.compression().unwrap(), codec);
            logway_protocol::batch::verify_crc(&stored).unwrap();
            let sent_header = BatchHeader::decode(&batch).unwrap();
            assert_eq!(
                BatchHeader {
                    base_offset: 0,
                    partition_leader_epoch: -1,
                    crc: sent_header.crc,
                    batch_length: sent_header.batch_length,
                    attributes: sent_header.attributes,
                    ..header
                },
                sent_header
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_batch_that_becomes_too_large_is_refused() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let configs = [
        ("compression.type", "uncompressed"),
        ("max.message.bytes", "1000"),
    ];
    create_with(&mut client, "t", &configs).await;
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.append(1000, None, Some(&[7; 2000]), &[]).unwrap();
    let small = builder.build().unwrap();
    assert!(small.len() < 1000);
    let refused = client.produce("t", 1, small).await;
    assert_eq!(refused.error_code, ErrorCode::MessageTooLarge.code());
    assert_eq!(client.produce("t", 1, batch(&["x"])).await.error_code, 0);
    server.stop().await;
}
