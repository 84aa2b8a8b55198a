//! Batches that lie: lengths, counts, deltas and bits that are not what they should be.
//!
//! Invariant under test: a typed error, never a panic, never memory beyond what is carried.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::{BufMut, Bytes, BytesMut};
use logway_protocol::batch::{
    BATCH_HEADER_SIZE, BatchError, BatchHeader, split_batches, verify_crc,
};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::{Compression, compress};
use logway_protocol::record::decode_records;
use logway_protocol::walk::{
    RecordFault, WalkRules, first_record_since, walk_records, walk_records_with,
};
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// The number fields of a record, so that a test can put any value into one of them.
#[derive(Debug, Clone)]
struct Fields {
    length: Option<i64>,
    timestamp: i64,
    offset: i64,
    key: i64,
    value: i64,
    headers: i64,
    header_key: i64,
    header_value: i64,
}

const HONEST: Fields = Fields {
    length: None,
    timestamp: 0,
    offset: 0,
    key: 3,
    value: 5,
    headers: 1,
    header_key: 2,
    header_value: 4,
};

impl Fields {
    fn record(&self) -> Vec<u8> {
        let mut body = vec![0];
        varint(&mut body, self.timestamp);
        varint(&mut body, self.offset);
        varint(&mut body, self.key);
        body.extend(b"key");
        varint(&mut body, self.value);
        body.extend(b"value");
        varint(&mut body, self.headers);
        varint(&mut body, self.header_key);
        body.extend(b"hk");
        varint(&mut body, self.header_value);
        body.extend(b"hval");
        let mut record = Vec::new();
        varint(&mut record, self.length.unwrap_or(body.len() as i64));
        record.extend(body);
        record
    }
}

/// A batch of one record with `content` as its records, stored or compressed.
fn batch_of(codec: Compression, content: &[u8], count: i32, last_offset_delta: i32) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, None, &[]).unwrap();
    let mut header = BatchHeader::decode(&builder.build().unwrap()).unwrap();
    let content = compress(codec, content).unwrap();
    header.attributes = header.attributes.with_compression(codec);
    header.batch_length = (BATCH_HEADER_SIZE - 12 + content.len()) as i32;
    header.record_count = count;
    header.last_offset_delta = last_offset_delta;
    let mut batch = BytesMut::from(header.encode().as_slice());
    batch.put_slice(&content);
    batch.freeze()
}

/// The faults that walking and decoding find; both must find one, or neither.
fn faults(content: &[u8]) -> (Option<RecordFault>, Option<RecordFault>) {
    let fault = |result: Result<(), BatchError>| match result {
        Ok(()) => None,
        Err(BatchError::Record { index: 0, fault }) => Some(fault),
        Err(other) => panic!("unexpected error: {other}"),
    };
    let stored = batch_of(Compression::None, content, 1, 0);
    let walked = fault(walk_records(&stored, LIMIT));
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let compressed = batch_of(codec, content, 1, 0);
        assert_eq!(fault(walk_records(&compressed, LIMIT)), walked, "{codec}");
    }
    (walked, fault(decode_records(&stored, LIMIT).map(|_| ())))
}

#[test]
fn an_honest_record_passes() {
    assert_eq!(faults(&HONEST.record()), (None, None));
}

#[test]
fn every_length_field_of_a_record_may_lie() {
    type Change = fn(&mut Fields, i64);
    let changes: [(&str, Change); 6] = [
        ("length", |f, v| f.length = Some(v)),
        ("key", |f, v| f.key = v),
        ("value", |f, v| f.value = v),
        ("headers", |f, v| f.headers = v),
        ("header key", |f, v| f.header_key = v),
        ("header value", |f, v| f.header_value = v),
    ];
    let lies = [
        -2,
        -1,
        0,
        1,
        6,
        7,
        100,
        i64::from(i32::MAX),
        i64::from(i32::MIN),
        i64::from(i32::MAX) + 1,
        i64::from(u32::MAX),
        i64::MAX,
        i64::MIN,
    ];
    for (field, change) in changes {
        for lie in lies {
            let mut fields = HONEST;
            change(&mut fields, lie);
            let (honest, lying) = (HONEST.record(), fields.record());
            if honest == lying || (field == "headers" && lie == 1) {
                continue;
            }
            let (walked, decoded) = faults(&lying);
            assert!(walked.is_some(), "{field} = {lie} passes the walk");
            assert_eq!(walked, decoded, "{field} = {lie}");
            if i32::try_from(lie).is_err() {
                assert_eq!(walked, Some(RecordFault::VarintTooLong), "{field} = {lie}");
            }
        }
    }
}

#[test]
fn negative_lengths_are_named() {
    let negative = |change: fn(&mut Fields)| {
        let mut fields = HONEST;
        change(&mut fields);
        faults(&fields.record()).0.unwrap().to_string()
    };
    assert_eq!(negative(|f| f.length = Some(-1)), "record has length -1");
    assert_eq!(negative(|f| f.key = -2), "key has length -2");
    assert_eq!(negative(|f| f.header_key = -1), "header key has length -1");
    assert_eq!(negative(|f| f.headers = -1), "it announces -1 headers");
}

#[test]
fn offset_deltas_count_from_zero() {
    for offset in [-1, 1, 2, i64::from(i32::MAX), i64::from(i32::MIN)] {
        let (walked, decoded) = faults(&Fields { offset, ..HONEST }.record());
        let fault = RecordFault::OffsetDelta {
            actual: offset as i32,
        };
        assert_eq!((walked, decoded), (Some(fault), Some(fault)));
    }
    let twice = [HONEST.record(), HONEST.record()].concat();
    for codec in Compression::ALL {
        let batch = batch_of(codec, &twice, 2, 1);
        let error = walk_records(&batch, LIMIT).unwrap_err();
        assert!(
            matches!(
                error,
                BatchError::Record {
                    index: 1,
                    fault: RecordFault::OffsetDelta { actual: 0 }
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn compaction_leaves_gaps_which_a_producer_may_not() {
    let first = Fields {
        offset: 3,
        ..HONEST
    }
    .record();
    let second = Fields {
        offset: 9,
        ..HONEST
    }
    .record();
    let gaps = WalkRules {
        limit_bytes: LIMIT,
        keys_required: true,
        gaps_allowed: true,
    };
    let compacted = batch_of(
        Compression::Zstd,
        &[first.clone(), second.clone()].concat(),
        2,
        12,
    );
    walk_records_with(&compacted, gaps).unwrap();
    assert_eq!(decode_records(&compacted, LIMIT).unwrap()[1].offset, 9);
    assert!(matches!(
        walk_records(&compacted, LIMIT),
        Err(BatchError::InvalidLastOffset { .. })
    ));
    walk_records_with(&batch_of(Compression::None, &[], 0, 12), gaps).unwrap();
    assert!(
        decode_records(&batch_of(Compression::None, &[], 0, 12), LIMIT)
            .unwrap()
            .is_empty()
    );
    let backwards = batch_of(Compression::None, &[second, first].concat(), 2, 12);
    assert!(matches!(
        walk_records_with(&backwards, gaps),
        Err(BatchError::Record { .. })
    ));
}

#[test]
fn long_varints_end() {
    // 5 bytes for 32 bits and 10 for 64, or else the record is refused.
    for (at, longest) in [(0, 5), (2, 10), (3, 5)] {
        for length in [longest, longest + 1, 40] {
            let mut content = Vec::new();
            content.extend([20, 0, 0].get(..at).unwrap_or_default());
            content.extend(vec![0xFF; length - 1]);
            content.push(0x7F);
            content.extend([0; 40]);
            assert_eq!(
                faults(&content).0,
                Some(RecordFault::VarintTooLong),
                "{at} {length}"
            );
        }
    }
    // The extremes themselves are fine.
    for timestamp in [i64::MIN, i64::MAX] {
        assert_eq!(
            faults(
                &Fields {
                    timestamp,
                    ..HONEST
                }
                .record()
            ),
            (None, None)
        );
    }
}

#[test]
fn counts_of_records_may_lie() {
    let content = HONEST.record();
    for codec in Compression::ALL {
        for count in [i32::MIN, -1, 0, 2, 1000, i32::MAX] {
            for last in [i32::MIN, -1, 0, count.wrapping_sub(1), i32::MAX] {
                let batch = batch_of(codec, &content, count, last);
                walk_records(&batch, LIMIT).unwrap_err();
                decode_records(&batch, LIMIT).unwrap_err();
                for gaps_allowed in [false, true] {
                    let rules = WalkRules {
                        limit_bytes: LIMIT,
                        keys_required: false,
                        gaps_allowed,
                    };
                    walk_records_with(&batch, rules).unwrap_err();
                }
            }
        }
        let extra = batch_of(codec, &[content.clone(), vec![0]].concat(), 1, 0);
        let error = walk_records(&extra, LIMIT).unwrap_err();
        assert!(
            matches!(error, BatchError::TrailingRecords { count: 1 }),
            "{error}"
        );
        assert!(matches!(
            decode_records(&extra, LIMIT),
            Err(BatchError::TrailingRecords { count: 1 })
        ));
    }
}

#[test]
fn every_length_of_the_batch_itself_may_lie() {
    let good = batch_of(Compression::None, &HONEST.record(), 1, 0);
    for length in [i32::MIN, -1, 0, 1, 48, 49, good.len() as i32 - 13, i32::MAX] {
        let mut batch = BytesMut::from(good.as_ref());
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        let batch = batch.freeze();
        verify_crc(&batch).unwrap_err();
        walk_records(&batch, LIMIT).unwrap_err();
        decode_records(&batch, LIMIT).unwrap_err();
        first_record_since(&batch, 0, LIMIT).unwrap_err();
        assert!(split_batches(&batch).count() <= 2);
        assert!(split_batches(&batch).any(|item| item.is_err()));
    }
    for magic in [0, 1, 3, -1] {
        let mut batch = BytesMut::from(good.as_ref());
        batch[16] = magic as u8;
        let error = split_batches(&batch.freeze()).next().unwrap().unwrap_err();
        assert!(matches!(error, BatchError::UnsupportedMagic(m) if m == magic));
    }
    for compression in 5..8u8 {
        let mut batch = BytesMut::from(good.as_ref());
        batch[22] = compression;
        let error = walk_records(&batch, LIMIT).unwrap_err();
        assert!(matches!(error, BatchError::UnknownCompression(c) if c == compression));
    }
}

#[test]
fn a_batch_may_not_be_larger_than_the_limit() {
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..100 {
        builder.append(0, None, Some(&[b'x'; 10_000]), &[]).unwrap();
    }
    let content = builder.build().unwrap().slice(BATCH_HEADER_SIZE..);
    for codec in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let batch = batch_of(codec, &content, 100, 99);
        walk_records(&batch, content.len()).unwrap();
        decode_records(&batch, content.len()).unwrap();
        for limit in [0, 1, 5_000, 100_000, content.len() - 1] {
            let errors = [
                walk_records(&batch, limit).unwrap_err(),
                decode_records(&batch, limit).unwrap_err(),
            ];
            for error in errors {
                let BatchError::Compression(cause) = error else {
                    panic!("{codec}: {error}")
                };
                let text = format!("{codec} data holds more than the allowed {limit} bytes");
                assert_eq!(cause.to_string(), text);
            }
        }
    }
}

#[test]
fn a_header_name_that_is_not_utf8_does_not_stop_the_consumer() {
    let mut content = HONEST.record();
    let at = content.windows(2).position(|bytes| bytes == b"hk").unwrap();
    content[at] = 0xFF;
    let batch = batch_of(Compression::None, &content, 1, 0);
    let records = decode_records(&batch, LIMIT).unwrap();
    assert_eq!(records[0].headers[0].key.as_str(), "\u{FFFD}k");
}

/// A valid batch of a few records in any codec.
fn valid() -> impl Strategy<Value = Bytes> {
    let values = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..12);
    (prop::sample::select(Compression::ALL.to_vec()), values).prop_map(|(codec, values)| {
        let mut builder = BatchBuilder::new(codec);
        for (i, value) in values.iter().enumerate() {
            builder
                .append(i as i64, Some(b"k"), Some(value), &[("h", None)])
                .unwrap();
        }
        builder.build().unwrap()
    })
}

fn read_everything(batch: &Bytes) {
    let rules = WalkRules {
        limit_bytes: LIMIT,
        keys_required: true,
        gaps_allowed: true,
    };
    // Only that nothing panics: most of these are errors.
    drop(verify_crc(batch));
    drop(walk_records(batch, LIMIT));
    drop(walk_records_with(batch, rules));
    drop(first_record_since(batch, 3, LIMIT));
    drop(decode_records(batch, LIMIT));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_flipped_bit_in_its_range_fails_the_checksum(batch in valid(), at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let mut bytes = BytesMut::from(batch.as_ref());
        let index = 17 + at.index(batch.len() - 17);
        bytes[index] ^= 1 << bit;
        let bytes = bytes.freeze();
        prop_assert!(
            matches!(verify_crc(&bytes), Err(BatchError::CrcMismatch { .. })),
            "a flip at {} goes unseen", index
        );
        read_everything(&bytes);
    }

    #[test]
    fn changed_bytes_never_panic(batch in valid(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = BytesMut::from(batch.as_ref());
        for (at, byte) in changes {
            let index = at.index(bytes.len());
            bytes[index] = byte;
        }
        let bytes = bytes.freeze();
        read_everything(&bytes);
        for (_, batch) in split_batches(&bytes).flatten() {
            read_everything(&batch);
        }
    }

    #[test]
    fn arbitrary_bytes_are_cut_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = bytes;
        if bytes.len() > 16 {
            bytes[16] = 2;
        }
        let bytes = Bytes::from(bytes);
        let items: Vec<_> = split_batches(&bytes).collect();
        prop_assert!(items.iter().rev().skip(1).all(Result::is_ok), "an error is the last item");
        read_everything(&bytes);
    }

    #[test]
    fn truncated_batches_are_errors(batch in valid(), at in any::<prop::sample::Index>()) {
        let cut = batch.slice(..at.index(batch.len()));
        let noticed = matches!(verify_crc(&cut), Err(BatchError::Truncated { .. }));
        prop_assert!(noticed);
        prop_assert!(walk_records(&cut, LIMIT).is_err());
        prop_assert!(decode_records(&cut, LIMIT).is_err());
    }

    #[test]
    fn arbitrary_content_in_any_codec_never_panics(
        codec in prop::sample::select(Compression::ALL.to_vec()),
        content in prop::collection::vec(any::<u8>(), 0..200),
        count in -1..20i32,
    ) {
        read_everything(&batch_of(codec, &content, count, count.wrapping_sub(1)));
    }

    /// Stored records have a short way that compressed ones have not: both must say the same.
    #[test]
    fn the_short_way_over_stored_records_says_what_the_long_way_says(
        sizes in prop::collection::vec((-1i64..200, -1i64..200, -400_000i64..400_000), 1..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        keys_required in any::<bool>(),
        gaps_allowed in any::<bool>(),
    ) {
        let count = sizes.len() as i32;
        let mut content = Vec::new();
        for (offset, (key, value, timestamp)) in sizes.into_iter().enumerate() {
            let mut body = vec![0];
            varint(&mut body, timestamp);
            varint(&mut body, offset as i64);
            for field in [key, value] {
                varint(&mut body, field);
                body.extend(std::iter::repeat_n(7, usize::try_from(field).unwrap_or(0)));
            }
            body.push(0);
            varint(&mut content, body.len() as i64);
            content.extend(body);
        }
        for (at, value) in changes {
            let at = at.index(content.len());
            content[at] = value;
        }
        let rules = WalkRules { limit_bytes: LIMIT, keys_required, gaps_allowed };
        let walk = |codec| walk_records_with(&batch_of(codec, &content, count, count - 1), rules);
        let (stored, compressed) = (walk(Compression::None), walk(Compression::Snappy));
        // The one place where the two may differ: a count that cannot be true for stored bytes.
        if !matches!(stored, Err(BatchError::InvalidRecordCount { .. })) {
            prop_assert_eq!(format!("{stored:?}"), format!("{compressed:?}"));
        }
    }
}
