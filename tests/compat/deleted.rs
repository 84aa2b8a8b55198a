//! What is found by time after the first records were deleted: Logway and Apache Kafka name the same
//! offsets, but for one thing, in which Kafka names a record that is gone.
//!
//! Asked for the maximal timestamp, Kafka looks at whole segments. Until the segment goes it finds
//! deleted records too, and whoever goes to the offset that it names is out of range. KIP-734 asks for
//! a record that can be read; here it is the youngest of those that are left.

use std::path::Path;

use logway_protocol::Text;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use logway_protocol::message::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

use crate::node::Kafka;
use crate::raw::Raw;
use crate::requests::fetch_request;
use crate::{broker, peers};

/// The youngest record.
const MAX_TIMESTAMP: i64 = -3;

/// Timestamps of the records, batch by batch: the youngest of all is the first, then the third.
const BATCHES: [&[i64]; 4] = [&[9_000, 8_000, 8_500], &[2_000], &[3_000, 1_000], &[2_500]];
/// Offsets before which records are deleted, one after the other; some lie inside a batch.
const STARTS: [i64; 5] = [1, 2, 3, 5, 7];

/// Code, offset, timestamp.
type Found = (i16, i64, i64);

fn find(raw: &mut Raw, timestamp: i64) -> Found {
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: Text::from("t"),
            partitions: vec![ListOffsetsPartition {
                timestamp,
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let answer = raw.ask(7, &request);
    let found = &answer.topics[0].partitions[0];
    (found.error_code, found.offset, found.timestamp)
}

fn delete(raw: &mut Raw, offset: i64) -> (i16, i64) {
    let request = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: Text::from("t"),
            partitions: vec![DeleteRecordsPartition {
                partition_index: 0,
                offset,
            }],
        }],
        timeout_ms: 30_000,
    };
    let answer = raw.ask(2, &request);
    let deleted = &answer.topics[0].partitions[0];
    (deleted.error_code, deleted.low_watermark)
}

/// All answers but one kind, and the youngest record after each deletion.
fn transcript(address: &str) -> (Vec<String>, Vec<Found>) {
    let mut raw = Raw::connect(address);
    raw.create("t", &[]);
    for batch in BATCHES {
        let mut builder = BatchBuilder::new(Compression::None);
        for timestamp in batch {
            let appended = builder.append(*timestamp, None, Some(b"value"), &[]);
            appended.expect("fits");
        }
        raw.produce("t", &builder.build().expect("builds"));
    }
    let mut lines = Vec::new();
    let mut youngest = vec![find(&mut raw, MAX_TIMESTAMP)];
    for start in STARTS {
        lines.push(format!("before {start}: {:?}", delete(&mut raw, start)));
        for timestamp in [-1, -2, 0, 1_500, 2_100, 2_900, 8_200, 8_900, 9_001] {
            lines.push(format!("at {timestamp}: {:?}", find(&mut raw, timestamp)));
        }
        youngest.push(find(&mut raw, MAX_TIMESTAMP));
    }
    (lines, youngest)
}

/// The code with which a reader is answered at an offset.
fn read(address: &str, offset: i64) -> i16 {
    let answer = Raw::connect(address).ask(12, &fetch_request("t", offset, 0));
    answer.responses[0].partitions[0].error_code
}

fn compare(kafka: &str, folder: &Path) {
    let logway = broker(folder);
    let address = logway.address("kafka");
    let (theirs, kafkas_youngest) = transcript(kafka);
    let (ours, youngest) = transcript(&address);
    assert_eq!(theirs, ours);
    // Kafka: the first record, whatever was deleted; out of range (1) for who goes there.
    assert_eq!(kafkas_youngest, [(0, 0, 9_000); 6]);
    assert_eq!(read(kafka, 0), 1);
    // Here: the youngest that is left, then none.
    let left = [
        (0, 0, 9_000),
        (0, 2, 8_500),
        (0, 2, 8_500),
        (0, 4, 3_000),
        (0, 6, 2_500),
        (0, -1, -1),
    ];
    assert_eq!(youngest, left);
    assert!(logway.stop().success());
}

#[test]
fn records_are_found_by_time_after_a_deletion_as_in_kafka_but_for_deleted_ones() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(script, folder.path());
    compare(&kafka.address(), folder.path());
}
