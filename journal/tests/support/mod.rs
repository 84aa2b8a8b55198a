//! Batches for the journal's tests.
#![allow(dead_code)]

use bytes::Bytes;
use logway_protocol::batch::split_batches;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;

/// A batch of `records` records with values of `size` bytes, all with this timestamp.
pub(crate) fn batch(timestamp: i64, records: usize, size: usize) -> Bytes {
    batch_at(&vec![timestamp; records], size)
}

/// A batch with one record per timestamp.
pub(crate) fn batch_at(timestamps: &[i64], size: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    for timestamp in timestamps {
        let value: Vec<u8> = (0..size)
            .map(|at| (at as i64 * 7 + timestamp) as u8)
            .collect();
        builder
            .append(*timestamp, None, Some(&value), &[])
            .expect("fits");
    }
    builder.build().expect("is not empty")
}

/// Offsets of all records in the bytes of a fetch.
pub(crate) fn offsets_of(bytes: &Bytes) -> Vec<i64> {
    let batches = split_batches(bytes).map(|batch| batch.expect("whole batches").1);
    batches
        .flat_map(|batch| decode_records(&batch, 1 << 20).expect("decodes"))
        .map(|record| record.offset)
        .collect()
}
