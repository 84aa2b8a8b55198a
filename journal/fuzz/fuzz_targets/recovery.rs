//! A log whose files were damaged in any way, or are any bytes: `cargo +nightly fuzz run recovery`.
//!
//! Invariant under test: opening never panics and never serves what was not written: what a full
//! recovery leaves is whole, checked, appendable, and the same when it is opened again.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use logway_journal::sim_disk::SimDisk;
use logway_journal::{Log, LogConfig, LogReader, Recovery};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;

const DIR: &str = "/data/GameLog-0";
/// Bytes of a batch that its checksum does not cover and the log sets: offset, length, epoch.
const PREFIX: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((mode, input)) = input.split_first() else {
        return;
    };
    // In a compacted log offsets may be missing between segments.
    let compact = mode & 0x80 != 0;
    let open = |disk: &SimDisk, recovery| open(disk, compact, recovery);
    let (disk, written) = if mode & 1 == 0 {
        damaged(input)
    } else {
        (made_up(input), None)
    };
    let promised = Recovery {
        clean: mode & 2 != 0,
        recovery_point: i64::from((mode >> 3) & 15) * 2,
        log_start_offset: i64::from((mode >> 2) & 1) * 3,
    };
    // What is taken on trust may be wrong, it must not take the process down.
    if let Ok(log) = open(&disk.kill(), promised) {
        read_all(&log.reader());
    }
    let recovered = disk.kill();
    let Ok(mut log) = open(&recovered, Recovery::default()) else {
        return;
    };
    let batches = read_all(&log.reader()).expect("what was recovered is whole");
    if let Some(written) = written {
        assert!(batches.iter().all(|batch| {
            written
                .iter()
                .any(|known| known[PREFIX..] == batch[PREFIX..])
        }));
    }
    if log.append(&batch(7, 1, Compression::None), 0, 0).is_ok() {
        let end = log.log_end_offset();
        drop(log);
        let again = open(&recovered.kill(), Recovery::default()).expect("it was opened before");
        assert_eq!(again.log_end_offset(), end);
        let now = read_all(&again.reader()).expect("it was whole before");
        assert_eq!(now.len(), batches.len() + 1);
    }
});

fn config(compact: bool) -> LogConfig {
    LogConfig {
        compact,
        segment_bytes: 600,
        index_interval_bytes: 100,
        retention_ms: -1,
        ..LogConfig::default()
    }
}

fn open(
    disk: &SimDisk,
    compact: bool,
    recovery: Recovery,
) -> Result<Log, logway_journal::OpenError> {
    Log::open(
        Arc::new(disk.clone()),
        Path::new(DIR),
        config(compact),
        recovery,
        0,
    )
}

/// All batches, or none if one cannot be read.
fn read_all(reader: &LogReader) -> Option<Vec<Bytes>> {
    let batches = reader.batches(reader.log_start_offset());
    batches.map(|batch| Some(batch.ok()?.1)).collect()
}

fn batch(seed: u8, records: u8, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(compression);
    for record in 0..records {
        let value = [seed, record, seed ^ record, 0x55, record];
        let time = i64::from(seed) * 10 + i64::from(record);
        builder
            .append(time, Some(&[seed]), Some(&value), &[])
            .expect("fits");
    }
    builder.build().expect("has records")
}

/// A sound log of some batches, then any number of changed bytes, cuts and removals.
fn damaged(input: &[u8]) -> (SimDisk, Option<Vec<Bytes>>) {
    let disk = SimDisk::new();
    disk.put(Path::new("/data/anything"), Vec::new());
    let mut log = open(&disk, false, Recovery::default()).expect("an empty folder opens");
    let mut written = Vec::new();
    for seed in 0..14 {
        let compression = if seed % 4 == 3 {
            Compression::Lz4
        } else {
            Compression::None
        };
        let batch = batch(seed, 1 + seed % 3, compression);
        log.append(&batch, i32::from(seed / 5), 0).expect("appends");
        written.push(batch);
    }
    log.sync().expect("syncs");
    drop(log);
    let files = disk.files();
    for change in input.chunks_exact(4) {
        let [which, at, low, value] = [change[0], change[1], change[2], change[3]];
        let path: &PathBuf = &files[usize::from(which) % files.len()];
        let Some(mut content) = disk.content(path) else {
            continue;
        };
        let position = (usize::from(at) << 8 | usize::from(low)) % (content.len() + 1);
        match (value, content.get_mut(position)) {
            (0, _) => content.truncate(position),
            (1, _) => content.extend(std::iter::repeat_n(value, usize::from(low))),
            (_, Some(byte)) => *byte ^= value,
            (_, None) => {}
        }
        disk.put(path, content);
    }
    (disk, Some(written))
}

/// Files of any content under the names that a log has.
fn made_up(mut input: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    let names = [
        "00000000000000000000.log",
        "00000000000000000000.index",
        "00000000000000000000.timeindex",
        "leader-epoch-checkpoint",
        "00000000000000000003.log",
        "00000000000000000003.txnindex",
        "00000000000000000003.snapshot",
        "00000000000000000002.log.swap",
    ];
    for name in names {
        let Some((length, rest)) = input.split_first() else {
            break;
        };
        let (content, rest) = rest.split_at(rest.len().min(usize::from(*length) * 2));
        disk.put(&Path::new(DIR).join(name), content.to_vec());
        input = rest;
    }
    disk
}
