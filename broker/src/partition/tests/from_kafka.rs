//! A folder that Apache Kafka 4.3.1 wrote: transactions of two producers at a time, committed and
//! aborted in all codecs, one left open. From its `.log` files alone come the same bytes that Kafka
//! wrote into its `.txnindex` and `.snapshot` files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use logway_journal::sim_disk::SimDisk;
use logway_journal::{Disk, Log, LogConfig, Recovery};

use super::super::producer_state::ProducerStates;
use super::super::restore::restore;
use super::super::snapshot;
use super::DIR;

/// Where the transaction that was left open begins.
const OPEN: i64 = 180;
const END: i64 = 183;

/// The files whose names end so, by name.
fn files(suffix: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/partition/tests/written_by_kafka");
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let found = paths.filter(|path| name(path).ends_with(suffix));
    let mut found: Vec<_> = found
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

fn offset(name: &str) -> i64 {
    name.split('.').next().unwrap().parse().unwrap()
}

fn put(disk: &SimDisk, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        disk.put(&Path::new(DIR).join(name), content.clone());
    }
}

fn open(disk: &SimDisk, recovery: Recovery) -> (Log, ProducerStates, i64) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let config = LogConfig::default();
    let mut log = Log::open(shared, Path::new(DIR), config, recovery, 0).unwrap();
    let (producers, from) = restore(&mut log, recovery.clean, -1).unwrap();
    (log, producers, from)
}

fn check(log: &Log, producers: &ProducerStates) {
    assert_eq!(log.log_end_offset(), END);
    assert_eq!(producers.first_open(), Some(OPEN));
    let aborted = log.reader().aborted_transactions(0, END).unwrap();
    let bytes: usize = files(".txnindex").iter().map(|file| file.1.len()).sum();
    assert_eq!(aborted.len(), bytes / 34);
    let overlapping = log.reader().aborted_transactions(150, 154).unwrap();
    let overlapping: Vec<(i64, i64)> = overlapping
        .iter()
        .map(|txn| (txn.producer_id, txn.first_offset))
        .collect();
    assert_eq!(overlapping, [(14, 147), (13, 144), (13, 153)]);
}

#[test]
fn the_log_alone_gives_kafkas_indexes_and_snapshots() {
    let disk = SimDisk::new();
    put(&disk, &files(".log"));
    let (log, producers, from) = open(&disk, Recovery::default());
    assert_eq!(from, 0);
    check(&log, &producers);
    for (name, content) in files(".txnindex") {
        let made = disk.content(&Path::new(DIR).join(&name));
        assert_eq!(made, Some(content), "{name}");
    }
    for (name, content) in files(".snapshot") {
        let disk = SimDisk::new();
        let mut below = files(".log");
        below.retain(|(log, _)| offset(log) < offset(&name));
        put(&disk, &below);
        let (log, producers, _) = open(&disk, Recovery::default());
        assert_eq!(log.log_end_offset(), offset(&name));
        assert_eq!(snapshot::encode(&producers), content, "{name}");
    }
}

#[test]
fn a_clean_folder_is_taken_as_it_is() {
    let disk = SimDisk::new();
    put(&disk, &files(""));
    let recovery = Recovery {
        clean: true,
        recovery_point: END,
        log_start_offset: 0,
    };
    let (log, producers, from) = open(&disk, recovery);
    assert_eq!(from, END, "nothing is read");
    check(&log, &producers);
    drop(log);
    let mut kept = files("");
    // The last segment's time index is made again when it ends.
    kept.retain(|(name, _)| name != "00000000000000000180.timeindex");
    for (name, content) in kept {
        let kept = disk.content(&Path::new(DIR).join(&name));
        assert_eq!(kept, Some(content), "{name}");
    }
}

#[test]
fn past_the_recovery_point_all_is_made_again() {
    for recovery_point in 0..=END {
        let disk = SimDisk::new();
        put(&disk, &files(""));
        let recovery = Recovery {
            recovery_point,
            ..Recovery::default()
        };
        let (log, producers, from) = open(&disk, recovery);
        assert!(from <= recovery_point);
        check(&log, &producers);
        for (name, content) in files(".txnindex") {
            let kept = disk.content(&Path::new(DIR).join(&name));
            assert_eq!(kept, Some(content), "{name}");
        }
    }
}

#[test]
fn a_damaged_transaction_index_is_made_again() {
    let name = "00000000000000000077.txnindex";
    let whole = files(name).remove(0).1;
    let recovery = Recovery {
        clean: true,
        recovery_point: END,
        log_start_offset: 0,
    };
    for at in 0..whole.len() {
        let disk = SimDisk::new();
        put(&disk, &files(""));
        let mut damaged = whole.clone();
        damaged.truncate(at);
        damaged.extend_from_slice(&[0xff; 7]);
        let path = Path::new(DIR).join(name);
        disk.put(&path, damaged);
        let (log, producers, from) = open(&disk, recovery);
        assert_eq!(from, 77, "from the snapshot of that segment");
        check(&log, &producers);
        assert_eq!(disk.content(&path).as_ref(), Some(&whole), "cut at {at}");
    }
}
