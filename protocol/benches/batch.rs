//! Speed of building, checking and decoding record batches: `cargo bench -p logway-protocol`.
//!
//! Each figure is the median of several rounds, in MB of uncompressed records per second and
//! nanoseconds per record. `peer` is the kafka-protocol crate in the same run.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::RecordBatchDecoder;
use logway_protocol::batch::{set_producer, verify_crc};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::records;
use logway_protocol::walk::walk_records;

const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(60);
const LIMIT: usize = 64 << 20;
/// Records of a batch; with lines of about 120 bytes it is the shape of a busy log.
const RECORDS: usize = 1000;

fn main() {
    let lines: Vec<String> = (0..RECORDS).map(line).collect();
    let stored = build(&mut BatchBuilder::new(Compression::None), &lines);
    let size = stored.len();
    println!("{RECORDS} records, {size} bytes uncompressed");
    let report = |name: &str, mut work: Box<dyn FnMut() + '_>| {
        let seconds = median_seconds(&mut work);
        let speed = size as f64 / seconds / 1e6;
        println!(
            "{name:<24} {speed:>9.0} MB/s {:>8.1} ns/record",
            seconds * 1e9 / RECORDS as f64
        );
    };
    report(
        "crc",
        Box::new(|| verify_crc(black_box(&stored)).expect("a sound batch")),
    );
    let mut patched = BytesMut::from(stored.as_ref());
    report(
        "set producer",
        Box::new(|| set_producer(black_box(&mut patched), 1, 2, 3).expect("a whole header")),
    );
    report(
        "decode none, peer",
        Box::new(|| {
            black_box(RecordBatchDecoder::decode(&mut stored.clone()).expect("a sound batch"));
        }),
    );
    for codec in Compression::ALL {
        let mut builder = BatchBuilder::with_capacity(codec, size);
        let batch = build(&mut builder, &lines);
        let ratio = size as f64 / batch.len() as f64;
        println!("-- {codec}: {} bytes, ratio {ratio:.2}", batch.len());
        report(
            &format!("build {codec}"),
            Box::new(|| {
                black_box(build(&mut builder, &lines));
            }),
        );
        report(
            &format!("walk {codec}"),
            Box::new(|| {
                walk_records(black_box(&batch), LIMIT).expect("a sound batch");
            }),
        );
        report(
            &format!("decode {codec}"),
            Box::new(|| {
                for record in records(black_box(&batch), LIMIT).expect("a sound batch") {
                    black_box(record.expect("a sound record"));
                }
            }),
        );
    }
}

/// A line of a log with parts that change.
fn line(i: usize) -> String {
    let hash = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!(
        "2026-11-22T21:{:02}:{:02}.{:03}Z INFO [worker-{}] service.users: request {hash:016x} from \
         10.0.{}.{} took {} us",
        i / 60 % 60,
        i % 60,
        hash % 1000,
        hash % 8,
        hash >> 8 & 255,
        hash >> 16 & 255,
        hash >> 24 & 0xFFFF,
    )
}

fn build(builder: &mut BatchBuilder, lines: &[String]) -> Bytes {
    for (i, line) in lines.iter().enumerate() {
        let timestamp = 1_700_000_000_000 + i as i64;
        builder
            .append(
                timestamp,
                None,
                Some(line.as_bytes()),
                &[("host.name", Some(b"web-1"))],
            )
            .expect("far below 2 GiB");
    }
    builder.build().expect("records are there")
}

/// Median time of one call over the rounds.
fn median_seconds(work: &mut dyn FnMut()) -> f64 {
    work();
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let mut calls = 0;
            while start.elapsed() < ROUND {
                work();
                calls += 1;
            }
            start.elapsed().as_secs_f64() / f64::from(calls)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds.get(ROUNDS / 2).copied().unwrap_or_default()
}
