//! Any bytes as record batches: `cargo +nightly fuzz run batch`.
//!
//! Invariant under test: no panic, and walking and decoding agree about what is sound.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use logway_protocol::batch::{split_batches, verify_crc};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::{Compression, decompress};
use logway_protocol::control::EndTransaction;
use logway_protocol::record::{Record, decode_records};
use logway_protocol::walk::{WalkRules, first_record_since, walk_records, walk_records_with};

const LIMIT: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let bytes = Bytes::copy_from_slice(input);
    for (_, batch) in split_batches(&bytes).flatten() {
        // Hardly any input has a right checksum: look behind it all the same.
        let _sound = verify_crc(&batch);
        let gaps = WalkRules {
            limit_bytes: LIMIT,
            keys_required: false,
            gaps_allowed: true,
        };
        let walked = walk_records_with(&batch, gaps);
        let _found = first_record_since(&batch, 1, LIMIT);
        let decoded = decode_records(&batch, LIMIT);
        if walked.is_ok() {
            let records = decoded.as_ref().expect("a walked batch can be decoded");
            for record in records {
                let _marker = EndTransaction::of(record);
            }
        }
        if walk_records(&batch, LIMIT).is_ok() {
            again(&decoded.expect("a walked batch can be decoded"));
        }
    }
    if let Some((codec, content)) = input.split_first() {
        let codec = Compression::from_code(i16::from(codec % 5)).expect("there are five");
        if let Ok(content) = decompress(codec, content, LIMIT) {
            assert!(content.len() <= LIMIT);
        }
    }
});

/// Builds the records anew: they must come out as they were.
fn again(records: &[Record]) {
    let mut builder = BatchBuilder::new(Compression::None);
    for record in records {
        let headers: Vec<(&str, Option<&[u8]>)> = record
            .headers
            .iter()
            .map(|h| (h.key.as_str(), h.value.as_deref()))
            .collect();
        builder
            .append(
                record.timestamp,
                record.key.as_deref(),
                record.value.as_deref(),
                &headers,
            )
            .expect("far below 2 GiB");
    }
    let rebuilt = decode_records(&builder.build().expect("there are records"), LIMIT * 16)
        .expect("what is built can be decoded");
    assert!(records.iter().zip(&rebuilt).all(|(a, b)| {
        a.timestamp == b.timestamp && a.key == b.key && a.value == b.value && a.headers == b.headers
    }));
}
