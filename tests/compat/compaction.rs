//! Kafka and Logway compact the same log to the same records, and give batches the same compression.

use std::collections::BTreeMap;
use std::time::SystemTime;

use harness::eventually;
use logway_protocol::batch::BatchHeader;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::Record;

use crate::node::Kafka;
use crate::raw::Raw;
use crate::{broker_with, peers};

/// Looks for something to compact all the time.
const EAGER: &str = "\n[log.cleaner]\nbackoff_ms = 50\n";
const EAGER_KAFKA: &[&str] = &[
    "log.cleaner.backoff.ms=50",
    "log.retention.check.interval.ms=1000",
];
/// Batches are a second apart.
const SEGMENT_MS: i64 = 3500;
const STEP_MS: i64 = 1000;

/// Offset, timestamp, key and value.
type Line = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>);

/// What was sent to both.
#[derive(Default)]
struct Sent {
    lines: Vec<Line>,
    /// Base offset of the active segment: it is not compacted.
    active: i64,
    began_ms: i64,
    batches: i64,
    random: u64,
}

impl Sent {
    fn new() -> Sent {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = i64::try_from(now.expect("after 1970").as_millis()).expect("fits");
        println!("records begin at {now} - 1 h");
        Sent {
            began_ms: now - 3_600_000,
            random: now as u64,
            ..Sent::default()
        }
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.random >> 33) % below
    }

    /// Sends a batch of records with random keys to both; every so often a producer numbers them.
    fn send(&mut self, topic: &str, peers: &mut [Raw; 2], tombstones: bool) {
        let codec = Compression::ALL[self.random(5) as usize];
        let timestamp = self.began_ms + self.batches * STEP_MS;
        let mut builder = BatchBuilder::new(codec);
        let base = self.lines.last().map_or(0, |line| line.0 + 1);
        let count = 1 + self.random(6) as i64;
        for offset in base..base + count {
            let key = vec![b'k', self.random(12) as u8 + b'a'];
            let is_tombstone = tombstones && self.random(4) == 0;
            let size = self.random(60) as usize;
            let value = (!is_tombstone).then(|| vec![offset as u8; size]);
            let at = timestamp + self.random(500) as i64;
            let headers = [("n", Some(&b"v"[..]))];
            builder
                .append(at, Some(&key), value.as_deref(), &headers)
                .expect("fits");
            self.lines.push((offset, at, Some(key), value));
        }
        if self.random(3) == 0 {
            builder.set_producer(100_000 + self.batches, 0, 0);
        }
        self.batches += 1;
        let batch = builder.build().expect("has records");
        for peer in peers {
            let (error, offset) = peer.produce(topic, &batch);
            assert_eq!((error.code(), offset), (0, base), "{topic}");
        }
    }

    /// Ends the active segment with a batch of its own, far later than those before.
    fn end_segment(&mut self, topic: &str, peers: &mut [Raw; 2]) {
        self.batches += 2 * SEGMENT_MS / STEP_MS;
        self.active = self.lines.last().map_or(0, |line| line.0 + 1);
        self.send(topic, peers, false);
    }

    /// What compaction leaves in the end.
    fn compacted(&self, keeps_tombstones: bool) -> Vec<Line> {
        let closed = self.lines.iter().filter(|line| line.0 < self.active);
        let newest: BTreeMap<_, i64> = closed.map(|line| (line.2.clone(), line.0)).collect();
        let stays = |line: &&Line| {
            let is_newest = newest.get(&line.2).is_none_or(|newest| line.0 >= *newest);
            line.0 >= self.active || (is_newest && (keeps_tombstones || line.3.is_some()))
        };
        self.lines.iter().filter(stays).cloned().collect()
    }
}

fn lines(peer: &mut Raw, topic: &str) -> Vec<Line> {
    let records = peer.batches(topic, 0).into_iter().flat_map(|batch| batch.1);
    let line = |record: Record| {
        let key = record.key.map(|key| key.to_vec());
        let value = record.value.map(|value| value.to_vec());
        (record.offset, record.timestamp, key, value)
    };
    records.map(line).collect()
}

fn wait_for(peers: &mut [Raw; 2], topic: &str, is_it: impl Fn(&[Line]) -> bool) -> [Vec<Line>; 2] {
    let [kafka, logway] = peers;
    [kafka, logway].map(|peer| {
        eventually("compaction", || {
            let found = lines(peer, topic);
            if is_it(&found) {
                Ok(found)
            } else {
                Err(found.len())
            }
        })
    })
}

#[test]
fn the_same_log_is_compacted_to_the_same_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start_with(script, folder.path(), EAGER_KAFKA);
    let broker = broker_with(folder.path(), EAGER);
    let mut peers = [
        Raw::connect(&kafka.address()),
        Raw::connect(&broker.address("kafka")),
    ];
    let segment_ms = SEGMENT_MS.to_string();
    for (topic, delete_retention_ms) in [("kept", "86400000"), ("gone", "0")] {
        for peer in &mut peers {
            let configs = [
                ("cleanup.policy", "compact"),
                ("segment.ms", &segment_ms),
                ("min.cleanable.dirty.ratio", "0.01"),
                ("delete.retention.ms", delete_retention_ms),
            ];
            peer.create(topic, &configs);
        }
        let mut sent = Sent::new();
        for _ in 0..40 {
            sent.send(topic, &mut peers, true);
        }
        sent.end_segment(topic, &mut peers);
        // Tombstones may be on their way out already.
        let with_values = |lines: &[Line]| -> Vec<Line> {
            lines
                .iter()
                .filter(|line| line.3.is_some())
                .cloned()
                .collect()
        };
        let expected = with_values(&sent.compacted(true));
        wait_for(&mut peers, topic, |found| with_values(found) == expected);
        // A second round, in which tombstones go whose time is over.
        for _ in 0..10 {
            sent.send(topic, &mut peers, false);
        }
        sent.end_segment(topic, &mut peers);
        let expected = sent.compacted(topic == "kept");
        let [from_kafka, from_logway] = wait_for(&mut peers, topic, |found| found == expected);
        assert_eq!(from_kafka, from_logway);
    }
    assert!(broker.stop().success());
    for topic in ["kept-0", "gone-0"] {
        let said = kafka.check_files(&folder.path().join("broker").join(topic));
        assert!(said["log"].contains("isvalid: true"));
    }
}

#[test]
fn batches_get_the_same_compression() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start(script, folder.path());
    let broker = broker_with(folder.path(), "");
    let mut peers = [
        Raw::connect(&kafka.address()),
        Raw::connect(&broker.address("kafka")),
    ];
    for target in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
        for peer in &mut peers {
            peer.create(
                target,
                &[("compression.type", target), ("max.message.bytes", "2000")],
            );
        }
        for codec in Compression::ALL {
            for size in [100, 4000] {
                let mut builder = BatchBuilder::new(codec);
                for timestamp in [1_000_000, 999_000, 1_000_500] {
                    let value = vec![7; size];
                    builder
                        .append(timestamp, Some(b"key"), Some(&value), &[("h", None)])
                        .expect("fits");
                }
                let batch = builder.build().expect("has records");
                let stored = peers.each_mut().map(|peer| {
                    let (error, offset) = peer.produce(target, &batch);
                    let stored = (error.code() == 0).then(|| {
                        let (header, records) = peer.batches(target, offset).remove(0);
                        let header = BatchHeader {
                            partition_leader_epoch: 0,
                            // The codecs of two libraries need not give the same bytes.
                            batch_length: 0,
                            crc: 0,
                            ..header
                        };
                        (header, records)
                    });
                    (error, stored)
                });
                let [from_kafka, from_logway] = stored;
                assert_eq!(from_kafka, from_logway, "{codec} to {target}, {size} bytes");
            }
        }
    }
    assert!(broker.stop().success());
}
