//! Full disks, broken devices, failed syncs and flipped bits.
mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};
use logway_journal::{AppendError, ChangeError, Log, LogConfig, ReadError, Recovery, SyncError};
use support::{Expected, all_batches, batch, batch_at, check_log, dir, small};

fn open_with(disk: &SimDisk, config: LogConfig, recovery: Recovery) -> Log {
    if !disk.files().iter().any(|file| file.starts_with("/data")) {
        disk.put(Path::new("/data/anything"), Vec::new());
    }
    Log::open(Arc::new(disk.clone()), dir(), config, recovery, 0).expect("opens")
}

fn open(disk: &SimDisk) -> Log {
    open_with(disk, small(), Recovery::default())
}

fn fill(log: &mut Log, count: i64) -> Vec<Expected> {
    let append = |number: i64| {
        let times = [number * 2, number * 2 + 1];
        let batch = batch_at(&times, 60);
        let appended = log.append(&batch, 0, 0).expect("appends");
        Expected::new(appended.base_offset, 0, &times, &batch)
    };
    (0..count).map(append).collect()
}

fn after(operation: Operation, kind: FaultKind, after: u64, times: u64) -> Fault {
    Fault {
        operation,
        kind,
        after,
        times,
    }
}

#[test]
fn a_full_disk_fails_the_append_alone_wherever_it_strikes() {
    for (operation, kind) in [
        (Operation::Any, FaultKind::DiskFull),
        (Operation::Write, FaultKind::DiskFull),
        (Operation::Directory, FaultKind::DiskFull),
        (Operation::Directory, FaultKind::Broken),
    ] {
        for strike in (0..60).step_by(4) {
            let disk = SimDisk::new();
            let mut log = open(&disk);
            let mut expected = fill(&mut log, 3);
            disk.inject(after(operation, kind, strike, 5));
            let mut failures = 0;
            for number in 3..60 {
                let batch = batch(number * 2, 1, 90);
                let end = log.log_end_offset();
                match log.append(&batch, (number / 20) as i32, 0) {
                    Ok(appended) => {
                        let epoch = (number / 20) as i32;
                        let at = appended.base_offset;
                        expected.push(Expected::new(at, epoch, &[number * 2], &batch));
                    }
                    Err(AppendError::Disk(error)) => {
                        failures += 1;
                        assert_eq!(error.is_disk_full(), kind == FaultKind::DiskFull);
                        assert_eq!(log.log_end_offset(), end);
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            assert!(failures <= 5);
            disk.heal();
            check_log(&log.reader(), &expected);
            assert!(!log.is_poisoned());
            log.sync().expect("syncs");
            drop(log);
            let log = open(&disk.crash(Surviving::None));
            check_log(&log.reader(), &expected);
        }
    }
}

#[test]
fn a_broken_write_that_can_be_cut_off_fails_the_append_and_otherwise_poisons() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let expected = fill(&mut log, 5);
    disk.inject(after(Operation::Write, FaultKind::DiskFull, 0, 1));
    disk.inject(after(Operation::Write, FaultKind::Broken, 1, 1));
    assert!(matches!(
        log.append(&batch(0, 1, 10), 0, 0),
        Err(AppendError::Disk(_))
    ));
    assert!(
        log.is_poisoned(),
        "half a batch is in the file and cannot be removed"
    );
    disk.heal();
    assert!(matches!(
        log.append(&batch(0, 1, 10), 0, 0),
        Err(AppendError::Poisoned { .. })
    ));
    check_log(&log.reader(), &expected);
    drop(log);
    check_log(&open(&disk.kill()).reader(), &expected);
}

#[test]
fn a_failed_sync_poisons_the_log_for_good_and_reading_goes_on() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let mut expected = fill(&mut log, 2);
    log.sync().expect("syncs");
    let more = batch(9, 1, 10);
    let appended = log.append(&more, 0, 0).expect("appends");
    expected.push(Expected::new(appended.base_offset, 0, &[9], &more));
    disk.inject(after(Operation::Sync, FaultKind::Broken, 0, 1));
    let target = log.sync_handle();
    assert_eq!(target.up_to(), 5);
    assert!(matches!(target.sync(), Err(SyncError::Disk(_))));
    // The next fsync would say that all is well.
    assert!(matches!(
        log.sync_handle().sync(),
        Err(SyncError::Poisoned { .. })
    ));
    assert!(matches!(
        log.append(&more, 0, 0),
        Err(AppendError::Poisoned { .. })
    ));
    assert!(matches!(log.roll(0), Err(ChangeError::Poisoned { .. })));
    assert!(matches!(
        log.truncate_to(0, 0),
        Err(ChangeError::Poisoned { .. })
    ));
    assert!(matches!(
        log.enforce_retention(0, 5),
        Err(ChangeError::Poisoned { .. })
    ));
    assert_eq!(log.durable_offset(), 4);
    check_log(&log.reader(), &expected);
    assert!(matches!(
        log.close_clean(),
        Err(ChangeError::Poisoned { .. })
    ));
    let log = open(&disk.crash(Surviving::None));
    assert_eq!(log.log_end_offset(), 4);
}

#[test]
fn a_sync_begun_before_a_truncation_promises_nothing_after_it() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    fill(&mut log, 4);
    let target = log.sync_handle();
    log.truncate_to(2, 0).expect("truncates");
    fill(&mut log, 3);
    let synced = target.sync().expect("syncs");
    log.synced(synced);
    assert_eq!(log.durable_offset(), 0);
}

/// Every single bit of the last and of an inner segment's `.log`, one after the other.
#[test]
fn a_flipped_bit_in_the_log_is_found_by_recovery() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let expected = fill(&mut log, 14);
    drop(log);
    let logs = files_ending(&disk, ".log");
    assert!(logs.len() > 1);
    for path in logs {
        let content = disk.content(&path).expect("is there");
        for bit in (0..content.len() * 8).step_by(13) {
            let disk = disk.kill();
            let mut flipped = content.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            disk.put(&path, flipped);
            let log = open(&disk);
            let found = all_batches(&log.reader());
            let at = (bit / 8) as u64;
            let hit = hit_batch(&expected, &path, at);
            let in_prefix = (bit / 8) - hit.1 < 16;
            // Base offset and leader epoch are outside the checksum: such a batch may stay if its
            // offsets still rise, and its records are still those that were sent.
            let sound = found
                .iter()
                .zip(&expected)
                .take_while(|(one, other)| one.1 == other.bytes)
                .count();
            assert!(
                found.len() == sound || in_prefix,
                "bit {bit} of {}",
                path.display()
            );
            assert!(sound >= hit.0, "what is before the damage stays");
        }
    }
}

/// A damaged base offset makes a batch look as if it lay far away from an emptied segment before it:
/// what is recovered must be the same when it is opened once more.
#[test]
fn a_segment_behind_an_emptied_one_goes_also_if_its_offset_looks_far() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let expected = fill(&mut log, 40);
    drop(log);
    let logs = files_ending(&disk, ".log");
    let [.., emptied, last] = logs.as_slice() else {
        panic!("more segments are needed: {logs:?}")
    };
    let mut content = disk.content(last).expect("is there");
    content[3] ^= 0x60;
    disk.put(last, content);
    disk.put(emptied, Vec::new());
    let mut log = open(&disk);
    let kept = all_batches(&log.reader()).len();
    assert!(kept > 0 && kept < expected.len());
    log.append(&batch(1, 1, 10), 0, 0).expect("appends");
    let end = log.log_end_offset();
    drop(log);
    let log = open(&disk.kill());
    assert_eq!(log.log_end_offset(), end);
    assert_eq!(all_batches(&log.reader()).len(), kept + 1);
}

/// Offsets that go back at the end of a segment: an opening that takes the segment on trust does not
/// see it, and reading on at the next offset would lead back into the same segment for ever.
#[test]
fn a_damaged_log_taken_on_trust_is_not_read_in_circles() {
    let disk = SimDisk::new();
    let config = LogConfig {
        index_interval_bytes: 4096,
        ..small()
    };
    let mut log = open_with(&disk, config.clone(), Recovery::default());
    let expected = fill(&mut log, 40);
    let recovery_point = log.close_clean().expect("closes").recovery_point;
    let first = files_ending(&disk, ".log").remove(0);
    let mut content = disk.content(&first).expect("is there");
    let (number, at) = hit_batch(&expected, &first, content.len() as u64 - 1);
    assert!(number > 1);
    content[at..at + 8].copy_from_slice(&0i64.to_be_bytes());
    disk.put(&first, content);
    let trust = Recovery {
        clean: true,
        recovery_point,
        log_start_offset: 0,
    };
    let reader = open_with(&disk, config, trust).reader();
    assert_eq!(reader.log_end_offset(), recovery_point);
    let read: Vec<_> = reader.batches(0).take(expected.len()).collect();
    let (last, sound) = read.split_last().expect("something");
    assert!(matches!(last, Err(ReadError::Corrupt { .. })), "{last:?}");
    let sound = sound.iter().map(|batch| &batch.as_ref().expect("sound").1);
    assert!(sound.eq(expected[..number].iter().map(|batch| &batch.bytes)));
}

/// Number of the batch at a position of a segment file, and where it begins in it.
fn hit_batch(expected: &[Expected], path: &Path, position: u64) -> (usize, usize) {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .expect("a name");
    let base: i64 = stem.parse().expect("an offset");
    let mut at = 0;
    for (number, batch) in expected
        .iter()
        .enumerate()
        .filter(|(_, b)| b.base_offset >= base)
    {
        if (position as usize) < at + batch.bytes.len() {
            return (number, at);
        }
        at += batch.bytes.len();
    }
    panic!("no batch at {position} of {}", path.display());
}

fn files_ending(disk: &SimDisk, suffix: &str) -> Vec<PathBuf> {
    let mut files = disk.files();
    files.retain(|path| path.to_string_lossy().ends_with(suffix));
    files
}

#[test]
fn damaged_indexes_cost_time_and_never_an_answer() {
    let disk = SimDisk::new();
    let config = LogConfig {
        index_interval_bytes: 0,
        segment_bytes: 1500,
        ..small()
    };
    let mut log = open_with(&disk, config.clone(), Recovery::default());
    let expected = fill(&mut log, 16);
    let end = log.close_clean().expect("closes").recovery_point;
    let clean = Recovery {
        clean: true,
        recovery_point: end,
        log_start_offset: 0,
    };
    let unclean = Recovery {
        clean: false,
        ..clean
    };
    for suffix in [".index", ".timeindex"] {
        for path in files_ending(&disk, suffix) {
            let content = disk.content(&path).expect("is there");
            let flips = (0..content.len() * 8).map(|bit| {
                let mut flipped = content.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                flipped
            });
            let cuts = [0, 1, 8, 12].into_iter().filter(|len| *len < content.len());
            let cuts = cuts.map(|len| content[..len].to_vec());
            let zeros = [
                [content.clone(), vec![0; 4096]].concat(),
                vec![0; content.len()],
            ];
            for damaged in flips.step_by(11).chain(cuts).chain(zeros) {
                for recovery in [clean, unclean] {
                    let disk = disk.kill();
                    disk.put(&path, damaged.clone());
                    let log = open_with(&disk, config.clone(), recovery);
                    check_log(&log.reader(), &expected);
                }
            }
        }
    }
}

#[test]
fn missing_indexes_are_made_again_as_they_were() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let expected = fill(&mut log, 30);
    let end = log.close_clean().expect("closes").recovery_point;
    let indexes = [
        files_ending(&disk, ".index"),
        files_ending(&disk, ".timeindex"),
    ]
    .concat();
    let before: Vec<_> = indexes.iter().map(|path| disk.content(path)).collect();
    for clean in [true, false] {
        for recovery_point in [0, end / 2, end] {
            let disk = disk.kill();
            for path in &indexes {
                logway_journal::Disk::remove_file(&disk, path).expect("removes");
            }
            let recovery = Recovery {
                clean,
                recovery_point,
                log_start_offset: 0,
            };
            let log = open_with(&disk, small(), recovery);
            check_log(&log.reader(), &expected);
            log.close_clean().expect("closes");
            let made: Vec<_> = indexes.iter().map(|path| disk.content(path)).collect();
            assert_eq!(
                made, before,
                "clean {clean}, recovery point {recovery_point}"
            );
        }
    }
}

#[test]
fn leftovers_go_and_unknown_files_stay() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    let expected = fill(&mut log, 4);
    drop(log);
    let leftovers = [
        "00000000000000000007.log.deleted",
        "leader-epoch-checkpoint.tmp",
        "00000000000000000000.log.cleaned",
    ];
    let orphan = "00000000000000000500.index";
    for name in leftovers.into_iter().chain([orphan, "partition.metadata"]) {
        disk.put(&dir().join(name), vec![1, 2, 3]);
    }
    check_log(&open(&disk).reader(), &expected);
    let names: Vec<PathBuf> = disk.files();
    for name in leftovers.into_iter().chain([orphan]) {
        assert!(!names.contains(&dir().join(name)), "{name} is removed");
    }
    assert!(names.contains(&dir().join("partition.metadata")));
}

#[test]
fn a_log_left_as_it_was_found_costs_no_write_and_no_sync() {
    for count in [0, 1, 5, 40] {
        let disk = SimDisk::new();
        let mut log = open(&disk);
        let expected = fill(&mut log, count);
        let closed = log.close_clean().expect("closes");
        let recovery = |clean| Recovery {
            clean,
            recovery_point: closed.recovery_point,
            log_start_offset: closed.log_start_offset,
        };
        // From here on every change fails.
        disk.inject(after(Operation::Any, FaultKind::Broken, 0, u64::MAX));
        for _ in 0..2 {
            let log = open_with(&disk, small(), recovery(true));
            check_log(&log.reader(), &expected);
            assert_eq!(log.recovery_point(), closed.recovery_point);
            assert_eq!(log.close_clean().expect("closes"), closed);
        }
        // After a kill the recovery point still holds, also where the segment has no index entry.
        let log = open_with(&disk, small(), recovery(false));
        check_log(&log.reader(), &expected);
        assert_eq!(log.recovery_point(), closed.recovery_point);
    }
}

/// The simulated disk refuses room ahead of a log, as a disk does that is nearly full.
#[test]
fn a_disk_without_room_to_set_aside_takes_what_is_appended() {
    let disk = SimDisk::new();
    let mut log = open_with(&disk, LogConfig::default(), Recovery::default());
    let append = |number: i64| {
        let batch = batch_at(&[number], 100 << 10);
        let appended = log.append(&batch, 0, 0).expect("appends");
        Expected::new(appended.base_offset, 0, &[number], &batch)
    };
    let expected: Vec<Expected> = (0..30).map(append).collect();
    log.rest();
    check_log(&log.reader(), &expected);
    drop(log);
    let log = open_with(&disk.kill(), LogConfig::default(), Recovery::default());
    check_log(&log.reader(), &expected);
}
