//! Record batches against an independent codec, against golden bytes, and round and round.
//!
//! Invariant under test: what is appended comes out again, byte for byte, whoever reads or writes.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::{Bytes, BytesMut};
use kafka_protocol::records as peer;
use logway_protocol::batch::{
    BATCH_HEADER_SIZE, BatchError, BatchHeader, TimestampType, set_base_offset, set_leader_epoch,
    set_max_timestamp, set_producer, split_batches, verify_crc,
};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{ControlType, EndTransaction, control_batch};
use logway_protocol::record::{Record, decode_records, records};
use logway_protocol::walk::{
    Missed, RecordDemands, WalkRules, first_record_since, records_that_miss, walk_records,
    walk_records_with,
};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

/// A record as a test writes it.
#[derive(Debug, Clone)]
struct Line {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn line() -> impl Strategy<Value = Line> {
    let bytes = || prop::option::of(prop::collection::vec(any::<u8>(), 0..300));
    let headers = prop::collection::btree_map(".{0,12}", bytes(), 0..4);
    // A base within a year and deltas of any size, so that small and large varints appear.
    let timestamp = prop_oneof![0..3i64, 1_700_000_000_000..1_731_536_000_000i64];
    (timestamp, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| Line {
        timestamp,
        key,
        value,
        headers: headers.into_iter().collect(),
    })
}

fn lines() -> impl Strategy<Value = Vec<Line>> {
    prop::collection::vec(line(), 1..90)
}

fn fill(builder: &mut BatchBuilder, lines: &[Line]) {
    for line in lines {
        let headers: Vec<(&str, Option<&[u8]>)> = line
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_deref()))
            .collect();
        let (key, value) = (line.key.as_deref(), line.value.as_deref());
        let announced = builder
            .size_with(line.timestamp, key, value, &headers)
            .unwrap();
        builder
            .append(line.timestamp, key, value, &headers)
            .unwrap();
        assert_eq!(builder.size(), announced);
    }
    assert_eq!(builder.len(), lines.len());
}

fn build(compression: Compression, lines: &[Line]) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    fill(&mut builder, lines);
    builder.set_producer(4242, 7, 99).build().unwrap()
}

fn assert_same(records: &[Record], lines: &[Line], base_offset: i64) {
    assert_eq!(records.len(), lines.len());
    for (index, (record, line)) in records.iter().zip(lines).enumerate() {
        assert_eq!(record.offset, base_offset + index as i64);
        assert_eq!(record.timestamp, line.timestamp);
        assert_eq!(record.key.as_deref(), line.key.as_deref());
        assert_eq!(record.value.as_deref(), line.value.as_deref());
        let headers: Vec<_> = record
            .headers
            .iter()
            .map(|header| {
                (
                    header.key.to_string(),
                    header.value.as_ref().map(|v| v.to_vec()),
                )
            })
            .collect();
        assert_eq!(headers, line.headers);
    }
}

fn peer_record(offset: i64, line: &Line) -> peer::Record {
    peer::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: 4242,
        producer_epoch: 7,
        timestamp_type: peer::TimestampType::Creation,
        offset,
        sequence: 99 + offset as i32,
        timestamp: line.timestamp,
        key: line.key.clone().map(Bytes::from),
        value: line.value.clone().map(Bytes::from),
        headers: line
            .headers
            .iter()
            .map(|(name, value)| {
                (
                    kafka_protocol::protocol::StrBytes::from_string(name.clone()),
                    value.clone().map(Bytes::from),
                )
            })
            .collect(),
    }
}

fn golden_line(i: usize) -> Line {
    let text = |text: &str| Some(text.as_bytes().to_vec());
    Line {
        timestamp: 1_700_000_000_000 + i as i64 * 7,
        key: if i.is_multiple_of(3) {
            None
        } else {
            text(&format!("key-{i}"))
        },
        value: if i % 5 == 4 {
            None
        } else {
            text(&format!("value-{i} ").repeat(i * 11 + 1))
        },
        headers: if i.is_multiple_of(2) {
            vec![
                ("trace".to_owned(), text(&format!("t{i}"))),
                ("empty".to_owned(), None),
            ]
        } else {
            vec![("umlaut-ä".to_owned(), text(""))]
        },
    }
}

fn golden(name: &str) -> Bytes {
    let path = format!("{}/tests/golden/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    Bytes::from(std::fs::read(path).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn same_bytes_as_the_independent_encoder(mut lines in lines()) {
        // The peer takes the smallest timestamp as base; Kafka and we take the first one.
        lines.sort_by_key(|line| line.timestamp);
        let peer_records: Vec<_> =
            lines.iter().enumerate().map(|(i, line)| peer_record(i as i64, line)).collect();
        let options = peer::RecordEncodeOptions { version: 2, compression: peer::Compression::None };
        let mut theirs = BytesMut::new();
        peer::RecordBatchEncoder::encode(&mut theirs, &peer_records, &options).unwrap();
        prop_assert_eq!(build(Compression::None, &lines), theirs.freeze());
    }

    #[test]
    fn the_independent_decoder_reads_ours(lines in lines()) {
        let mut ours = build(Compression::None, &lines);
        let set = peer::RecordBatchDecoder::decode(&mut ours).unwrap();
        let expected: Vec<_> =
            lines.iter().enumerate().map(|(i, line)| peer_record(i as i64, line)).collect();
        prop_assert_eq!(set.records, expected);
    }

    #[test]
    fn all_codecs_bring_back_what_was_appended(lines in lines()) {
        for codec in Compression::ALL {
            let batch = build(codec, &lines);
            verify_crc(&batch).unwrap();
            let header = BatchHeader::decode(&batch).unwrap();
            prop_assert_eq!(header.compression().unwrap(), codec);
            prop_assert_eq!(header.total_size(), batch.len());
            prop_assert_eq!(header.base_timestamp, lines[0].timestamp);
            prop_assert_eq!(Some(header.max_timestamp), lines.iter().map(|l| l.timestamp).max());
            prop_assert_eq!(header.last_offset_delta, lines.len() as i32 - 1);
            assert_same(&decode_records(&batch, LIMIT).unwrap(), &lines, 0);
            walk_records(&batch, LIMIT).unwrap();
        }
    }

    #[test]
    fn a_walk_and_a_search_by_time_agree_with_the_records(lines in lines(), at in 0..90usize) {
        for codec in [Compression::None, Compression::Lz4] {
            let batch = build(codec, &lines);
            let rules = WalkRules { limit_bytes: LIMIT, keys_required: false, gaps_allowed: false };
            let walked = walk_records_with(&batch, rules).unwrap();
            let max = lines.iter().map(|line| line.timestamp).max().unwrap();
            let first = lines.iter().position(|line| line.timestamp == max).unwrap();
            prop_assert_eq!(walked.max_timestamp, max);
            prop_assert_eq!(walked.max_timestamp_offset_delta, first as i32);
            prop_assert_eq!(
                walked.records_size,
                build(Compression::None, &lines).len() - BATCH_HEADER_SIZE
            );
            let wanted = lines[at % lines.len()].timestamp;
            let found = lines.iter().position(|line| line.timestamp >= wanted).unwrap();
            prop_assert_eq!(
                first_record_since(&batch, wanted, LIMIT).unwrap(),
                Some((found as i64, lines[found].timestamp))
            );
            prop_assert_eq!(first_record_since(&batch, max + 1, LIMIT).unwrap(), None);
        }
    }

    #[test]
    fn a_buffer_is_cut_into_its_batches(sets in prop::collection::vec(lines(), 1..4), cut in any::<prop::sample::Index>()) {
        let batches: Vec<Bytes> = sets.iter().map(|lines| build(Compression::None, lines)).collect();
        let whole = Bytes::from(batches.concat());
        let split: Vec<Bytes> = split_batches(&whole).map(|batch| batch.unwrap().1).collect();
        prop_assert_eq!(&split, &batches);

        let length = cut.index(whole.len());
        let mut complete = 0;
        let mut left = length;
        while batches.get(complete).is_some_and(|batch| batch.len() <= left) {
            left -= batches[complete].len();
            complete += 1;
        }
        let items: Vec<_> = split_batches(&whole.slice(..length)).collect();
        prop_assert_eq!(items.len(), complete + usize::from(left > 0));
        for (item, batch) in items.iter().zip(&batches[..complete]) {
            prop_assert_eq!(&item.as_ref().unwrap().1, batch);
        }
        if left > 0 {
            let partial = matches!(items.last(), Some(Err(BatchError::Truncated { .. })));
            prop_assert!(partial);
        }
    }
}

#[test]
fn golden_batches_decode_to_what_their_encoders_were_given() {
    let lines: Vec<Line> = (0..64).map(golden_line).collect();
    let names = ["gzip", "snappy", "lz4", "zstd"];
    for (encoder, base_offset) in [("java", 1000), ("librdkafka", 0)] {
        let none = golden(&format!("{encoder}-none"));
        verify_crc(&none).unwrap();
        assert_same(
            &decode_records(&none, LIMIT).unwrap(),
            &lines[..8],
            base_offset,
        );
        for codec in names {
            let batch = golden(&format!("{encoder}-{codec}"));
            verify_crc(&batch).unwrap();
            let header = BatchHeader::decode(&batch).unwrap();
            assert_eq!(header.compression().unwrap().name(), codec);
            assert_same(&decode_records(&batch, LIMIT).unwrap(), &lines, base_offset);
            walk_records(&batch, LIMIT).unwrap();
        }
    }
    let python = golden("kafka-python-gzip");
    assert_same(&decode_records(&python, LIMIT).unwrap(), &lines, 0);
}

#[test]
fn an_uncompressed_batch_has_the_bytes_of_the_java_client() {
    let lines: Vec<Line> = (0..8).map(golden_line).collect();
    let mut batch = BytesMut::from(build(Compression::None, &lines).as_ref());
    set_base_offset(&mut batch, 1000).unwrap();
    set_leader_epoch(&mut batch, 5).unwrap();
    assert_eq!(batch.freeze(), golden("java-none"));
}

#[test]
fn transaction_markers_have_the_bytes_of_the_java_client() {
    for (committed, name) in [(true, "java-commit"), (false, "java-abort")] {
        let marker = EndTransaction {
            committed,
            coordinator_epoch: 31,
        };
        let ours = control_batch(marker, (4242, 7), 1_700_000_000_000).unwrap();
        let mut theirs = BytesMut::from(golden(name).as_ref());
        set_leader_epoch(&mut theirs, -1).unwrap();
        assert_eq!(ours, theirs.freeze());

        let header = BatchHeader::decode(&ours).unwrap();
        assert!(header.is_control() && header.is_transactional());
        let records = decode_records(&ours, LIMIT).unwrap();
        assert_eq!(EndTransaction::of(&records[0]).unwrap(), Some(marker));
    }
}

#[test]
fn control_records_of_other_types_and_broken_ones_are_told_apart() {
    let record = |key: &'static [u8], value: &'static [u8]| Record {
        offset: 0,
        timestamp: 0,
        key: Some(Bytes::from_static(key)),
        value: Some(Bytes::from_static(value)),
        headers: Vec::new(),
    };
    let leader_change = record(&[0, 0, 0, 2], &[]);
    assert_eq!(
        ControlType::of(&leader_change).unwrap(),
        ControlType::Other(2)
    );
    assert_eq!(EndTransaction::of(&leader_change).unwrap(), None);
    // A later version may append fields.
    let later = record(&[0, 1, 0, 1, 9], &[0, 1, 0, 0, 0, 3, 9]);
    let marker = EndTransaction {
        committed: true,
        coordinator_epoch: 3,
    };
    assert_eq!(EndTransaction::of(&later).unwrap(), Some(marker));
    for broken in [
        record(&[], &[]),
        record(&[0, 0, 0], &[]),
        record(&[0xFF, 0xFF, 0, 1], &[0, 0, 0, 0, 0, 1]),
        record(&[0, 0, 0, 1], &[0, 0, 0, 0, 0]),
    ] {
        assert!(matches!(
            EndTransaction::of(&broken),
            Err(BatchError::InvalidControlRecord)
        ));
    }
}

#[test]
fn patches_of_a_finished_batch_keep_it_valid() {
    let lines: Vec<Line> = (0..3).map(golden_line).collect();
    let mut batch = BytesMut::from(build(Compression::Zstd, &lines).as_ref());
    let crc = BatchHeader::decode(&batch).unwrap().crc;
    set_base_offset(&mut batch, i64::MAX - 10).unwrap();
    set_leader_epoch(&mut batch, 77).unwrap();
    verify_crc(&batch).unwrap();
    assert_eq!(BatchHeader::decode(&batch).unwrap().crc, crc);

    set_producer(&mut batch, 1 << 40, 12, i32::MAX).unwrap();
    verify_crc(&batch).unwrap();
    let header = BatchHeader::decode(&batch).unwrap();
    assert_ne!(header.crc, crc);
    assert_eq!((header.producer_id, header.producer_epoch), (1 << 40, 12));
    assert_eq!(
        header.last_sequence(),
        1,
        "sequences go on at 0 after i32::MAX"
    );
    assert_eq!(header.next_offset(), i64::MAX - 7);
    assert_eq!(header.encode(), batch[..BATCH_HEADER_SIZE]);

    set_max_timestamp(&mut batch, TimestampType::LogAppendTime, 5).unwrap();
    verify_crc(&batch).unwrap();
    let batch = batch.freeze();
    let stamped = decode_records(&batch, LIMIT).unwrap();
    assert!(stamped.iter().all(|record| record.timestamp == 5));
    let first = (i64::MAX - 10, 5);
    assert_eq!(first_record_since(&batch, 5, LIMIT).unwrap(), Some(first));
    let header = BatchHeader::decode(&batch).unwrap();
    assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);

    let mut short = [0; BATCH_HEADER_SIZE - 1];
    assert!(matches!(
        set_base_offset(&mut short, 1),
        Err(BatchError::Truncated { .. })
    ));
    assert!(matches!(
        set_producer(&mut short, 1, 1, 1),
        Err(BatchError::Truncated { .. })
    ));
}

#[test]
fn a_builder_is_used_again_and_keeps_its_settings() {
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::with_capacity(codec, 4096);
        assert!(matches!(builder.build(), Err(BatchError::Empty)));
        assert_eq!(builder.size(), BATCH_HEADER_SIZE);
        builder.set_transactional(true).set_producer(9, 8, 7);
        for round in 1..4 {
            let lines: Vec<Line> = (round..round + 5).map(golden_line).collect();
            fill(&mut builder, &lines);
            let batch = builder.build().unwrap();
            assert!(builder.is_empty());
            let header = BatchHeader::decode(&batch).unwrap();
            assert!(header.is_transactional());
            assert_eq!((header.base_offset, header.partition_leader_epoch), (0, -1));
            assert_eq!(header.base_sequence, 7);
            assert_same(&decode_records(&batch, LIMIT).unwrap(), &lines, 0);
        }
    }
}

#[test]
fn records_of_an_uncompressed_batch_are_slices_of_it() {
    let lines: Vec<Line> = (0..4).map(golden_line).collect();
    let batch = build(Compression::None, &lines);
    let within = batch.as_ptr_range();
    for record in records(&batch, 0).unwrap() {
        let record = record.unwrap();
        let header_key = record.headers[0].key.as_bytes().as_ptr();
        assert!(within.contains(&header_key));
        for field in [record.key, record.value].into_iter().flatten() {
            assert!(within.contains(&field.as_ptr()));
        }
    }
}

#[test]
fn a_compacted_topic_needs_keys() {
    let rules = WalkRules {
        limit_bytes: LIMIT,
        keys_required: true,
        gaps_allowed: false,
    };
    let keyed: Vec<Line> = (0..9).filter(|i| i % 3 != 0).map(golden_line).collect();
    walk_records_with(&build(Compression::Gzip, &keyed), rules).unwrap();
    let unkeyed: Vec<Line> = (1..5).map(golden_line).collect();
    let error = walk_records_with(&build(Compression::Gzip, &unkeyed), rules).unwrap_err();
    assert!(
        matches!(error, BatchError::Record { index: 2, .. }),
        "{error}"
    );
}

#[test]
fn records_that_miss_a_demand_are_named() {
    let mut builder = BatchBuilder::new(Compression::Lz4);
    let keys: [Option<&[u8]>; 4] = [Some(b"k"), None, Some(b""), Some(b"k")];
    for (key, timestamp) in keys.into_iter().zip([10, 20, -1, 90]) {
        builder.append(timestamp, key, Some(b"v"), &[]).unwrap();
    }
    let batch = builder.build().unwrap();
    let demands = RecordDemands {
        limit_bytes: LIMIT,
        keys: true,
        timestamps: 15..=50,
        named_max: 10,
    };
    let missed = [
        (0, Missed::Timestamp(10)),
        (1, Missed::Key),
        (3, Missed::Timestamp(90)),
    ];
    assert_eq!(records_that_miss(&batch, &demands).unwrap(), missed);
    let few = RecordDemands {
        named_max: 1,
        ..demands.clone()
    };
    assert_eq!(records_that_miss(&batch, &few).unwrap(), missed[..1]);
    let rules = WalkRules {
        limit_bytes: LIMIT,
        keys_required: false,
        gaps_allowed: false,
    };
    let walked = walk_records_with(&batch, rules).unwrap();
    assert_eq!((walked.min_timestamp, walked.max_timestamp), (10, 90));
}

#[test]
fn names_of_compressions_are_those_of_kafka() {
    for codec in Compression::ALL {
        assert_eq!(codec.to_string().parse::<Compression>().unwrap(), codec);
        assert_eq!(Compression::from_code(codec.code()), Some(codec));
    }
    assert_eq!(Compression::from_code(5), None);
    let error = "brotli".parse::<Compression>().unwrap_err();
    let expected = "unknown compression \"brotli\": use none, gzip, snappy, lz4 or zstd";
    assert_eq!(error.to_string(), expected);
}
