//! The real disk: handles, locks, readers beside a writer.
mod owner;
mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use logway_journal::{
    DataDir, DataDirError, Disk, FileHandle, Log, LogConfig, ReadError, Recovery, StdDisk,
};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use owner::rounds::{begin, cleanable, inputs, next_swap};
use support::{Expected, batch, batch_at, check_log, small};

fn open(disk: &Arc<StdDisk>, dir: &Path, config: LogConfig) -> Log {
    let disk: Arc<dyn Disk> = Arc::<StdDisk>::clone(disk);
    Log::open(disk, dir, config, Recovery::default(), 0).expect("opens")
}

fn fill(log: &mut Log, count: i64) -> Vec<Expected> {
    let append = |number: i64| {
        let times = [number, number + 5];
        let batch = batch_at(&times, 100);
        let appended = log.append(&batch, 0, 0).expect("appends");
        Expected::new(appended.base_offset, 0, &times, &batch)
    };
    (0..count).map(append).collect()
}

#[test]
fn few_open_files_serve_many_segments_and_an_idle_log_needs_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(StdDisk::with_open_files_max(4));
    let mut log = open(&disk, &folder.path().join("GameLog-0"), small());
    let mut expected = fill(&mut log, 120);
    assert!(log.reader().segment_count() > 10);
    check_log(&log.reader(), &expected);
    assert!(disk.open_files() <= 4);
    log.release_files();
    assert_eq!(disk.open_files(), 0);
    check_log(&log.reader(), &expected);
    log.release_files();
    let more = batch(3, 1, 10);
    let appended = log
        .append(&more, 0, 0)
        .expect("a log without open files opens them again");
    expected.push(Expected::new(appended.base_offset, 0, &[3], &more));
    check_log(&log.reader(), &expected);
}

#[test]
fn a_slice_is_a_file_range_and_outlives_its_segment() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(StdDisk::new());
    let mut log = open(&disk, &folder.path().join("GameLog-0"), small());
    let expected = fill(&mut log, 60);
    let slice = log.reader().read(4, 1, true).expect("reads");
    let Some(FileHandle::System(file)) = slice.file() else {
        panic!("a system file")
    };
    let mut range = vec![0; slice.len()];
    std::os::unix::fs::FileExt::read_exact_at(&**file, &mut range, slice.position())
        .expect("reads");
    assert_eq!(range, expected[2].bytes);
    log.delete_before(100).expect("deletes");
    assert_eq!(slice.bytes().expect("the file is open"), expected[2].bytes);
    assert!(matches!(
        log.reader().read(4, 1, true),
        Err(ReadError::OffsetOutOfRange { .. })
    ));
}

#[test]
fn a_data_folder_has_one_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/data");
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let first = DataDir::open(Arc::clone(&disk), &path).expect("opens");
    let second = DataDir::open(Arc::clone(&disk), &path);
    assert!(matches!(second, Err(DataDirError::InUse { .. })));
    drop(first);
    DataDir::open(disk, &path).expect("opens once the first is gone");
}

/// Readers run beside a writer that appends, rolls, deletes and truncates: each read gives whole
/// batches of the log or says that the offset is not in it.
#[test]
fn readers_see_whole_batches_whatever_the_writer_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(StdDisk::with_open_files_max(6));
    let mut log = open(&disk, &folder.path().join("GameLog-0"), small());
    fill(&mut log, 10);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in [log.reader(), log.reader(), log.reader()] {
            let stop = &stop;
            scope.spawn(move || {
                let mut offset = 0;
                while !stop.load(Ordering::Relaxed) {
                    offset = read_on(&reader, offset);
                }
            });
        }
        for round in 0..150 {
            fill(&mut log, 20);
            let end = log.log_end_offset();
            if round % 3 == 0 {
                log.delete_before(end - 60).expect("deletes");
            }
            if round % 4 == 0 {
                log.truncate_to(end - 10, 0).expect("truncates");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Reads once and returns the offset for the next read.
fn read_on(reader: &logway_journal::LogReader, offset: i64) -> i64 {
    match reader.read(offset, 700, true) {
        Ok(slice) => {
            // A truncation may take the bytes away, or write others, after the slice was made.
            if let Ok(bytes) = slice.bytes() {
                assert_eq!(bytes.len(), slice.len());
            }
            assert!(slice.next_offset() >= offset);
            slice.next_offset()
        }
        Err(ReadError::OffsetOutOfRange {
            log_start_offset,
            log_end_offset,
            ..
        }) => {
            assert!(log_start_offset <= log_end_offset);
            log_start_offset
        }
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn what_was_just_written_is_read_without_a_disk() {
    let dir = tempfile::tempdir().unwrap();
    let file = StdDisk::new().file(&dir.path().join("f"));
    file.create().unwrap();
    let bytes: Vec<u8> = (0..300_000u32).map(|at| at as u8).collect();
    file.write_at([&bytes, &[]], 0).unwrap();
    let handle = file.open().unwrap();
    let mut read = vec![0; 200_000];
    assert_eq!(handle.read_resident(&mut read, 5).unwrap(), 200_000);
    assert_eq!(read, bytes[5..200_005]);
    // At the end it reads what there is, and behind it nothing.
    assert_eq!(handle.read_resident(&mut read, 299_990).unwrap(), 10);
    assert_eq!(read[..10], bytes[299_990..]);
    let at_end = handle.read_resident(&mut read, 300_000).unwrap_err();
    assert_eq!(at_end.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(handle.read_resident(&mut [], 7).unwrap(), 0);
    handle.warm(1000, 200_000, 99_000).unwrap();
    let error = handle.warm(200_000, 200_000, 0).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_search_in_memory_finds_the_same_or_says_that_it_needs_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(StdDisk::new());
    let mut log = open(&disk, &dir.path().join("t-0"), small());
    fill(&mut log, 300);
    let reader = log.reader();
    for offset in 0..reader.log_end_offset() {
        for (max_bytes, below) in [(1, i64::MAX), (700, i64::MAX), (1 << 20, offset + 7)] {
            let found = reader.read_below(offset, below, max_bytes, true).unwrap();
            let in_memory = reader.read_below_in_memory(offset, below, max_bytes, true);
            // Just written, so usually there; a machine short of memory may have dropped it.
            if let Some(in_memory) = in_memory.unwrap() {
                assert_eq!(in_memory.position(), found.position());
                assert_eq!(in_memory.len(), found.len());
                assert_eq!(in_memory.next_offset(), found.next_offset());
            }
        }
    }
    let outside = reader.read_below_in_memory(1 << 40, i64::MAX, 1, true);
    assert!(matches!(outside, Err(ReadError::OffsetOutOfRange { .. })));
}

/// Readers go on through swaps with their files closed and opened again all the time: what they
/// read is always whole, in order and of one time.
#[test]
fn readers_go_on_while_segments_are_compacted() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("GameLog-0");
    let disk = Arc::new(StdDisk::with_open_files_max(2));
    let config = LogConfig {
        segment_bytes: 4000,
        index_interval_bytes: 100,
        compact: true,
        ..LogConfig::default()
    };
    let opened = Log::open(disk, &dir, config.clone(), Recovery::default(), 0);
    let mut log = opened.expect("opens");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for from_end in [false, true] {
            let (reader, done) = (log.reader(), &done);
            scope.spawn(move || {
                let mut rounds = 0;
                while rounds == 0 || !done.load(Ordering::Relaxed) {
                    let end = reader.log_end_offset();
                    let mut before = if from_end { end / 2 } else { 0 } - 1;
                    for batch in reader.batches(before + 1) {
                        let (header, bytes) = batch.expect("a sound batch");
                        for record in decode_records(&bytes, 1 << 20).expect("decodes") {
                            // The first batch may begin before what was asked for.
                            if record.offset > before {
                                before = record.offset;
                            }
                            let key = record.key.expect("a key");
                            let value = record.value.expect("a value");
                            let written =
                                i64::from_be_bytes(value[..8].try_into().expect("8 bytes"));
                            assert_eq!(written, record.offset);
                            assert_eq!(i64::from(key[0]), record.offset % 50);
                        }
                        assert!(header.last_offset() >= before);
                    }
                    reader.release_files();
                    rounds += 1;
                }
            });
        }
        for round in 0..60 {
            for _ in 0..10 {
                let mut builder = BatchBuilder::new(Compression::None);
                for offset in log.log_end_offset()..log.log_end_offset() + 10 {
                    let value = [offset.to_be_bytes(), [7; 8]].concat();
                    let key = [(offset % 50) as u8];
                    builder
                        .append(offset, Some(&key), Some(&value), &[])
                        .expect("fits");
                }
                log.append(&builder.build().expect("has records"), 0, 0)
                    .expect("appends");
            }
            log.roll(0).expect("rolls");
            log.sync().expect("syncs");
            let mut cleaning = begin(cleanable(&log), inputs(&config)).expect("reads");
            while next_swap(&mut log, &mut cleaning, &HashMap::new()).expect("swaps") {}
            assert!(log.reader().size_bytes() < 16_000, "in round {round}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// Bytes that a file holds on the disk beyond those written to it.
fn ahead(log: &Log) -> u64 {
    let name = format!("{:020}.log", log.active_base_offset());
    let metadata = fs::metadata(log.dir().join(name)).expect("the active segment");
    assert!(
        metadata.len() < 4 << 20,
        "the size is that of what was written"
    );
    (metadata.blocks() * 512).saturating_sub(metadata.len())
}

/// A log that is written fast: 2 MiB and more at once, so that it has room ahead.
fn fast(disk: &Arc<StdDisk>, dir: &Path) -> Log {
    let mut log = open(disk, dir, LogConfig::default());
    fill(&mut log, 250);
    assert!(ahead(&log) < 64 << 10, "a small log has none");
    let large = batch(1, 8, 32 << 10);
    for _ in 0..8 {
        log.append(&large, 0, 0).expect("appends");
    }
    assert!(
        ahead(&log) > 1 << 20,
        "no room ahead of a fast log: is this a file system without fallocate?"
    );
    log
}

#[test]
fn room_ahead_of_a_fast_log_is_given_back() {
    type End = fn(Log, &Arc<StdDisk>) -> Log;
    let ends: [(&str, End); 5] = [
        ("idle", |mut log, _| {
            log.rest();
            log
        }),
        ("closed", |log, disk| {
            let dir = log.dir().to_path_buf();
            log.close_clean().expect("closes");
            let clean = Recovery {
                clean: true,
                ..Recovery::default()
            };
            let disk: Arc<dyn Disk> = Arc::<StdDisk>::clone(disk);
            Log::open(disk, &dir, LogConfig::default(), clean, 0).expect("opens")
        }),
        ("killed", |log, disk| {
            let dir = log.dir().to_path_buf();
            drop(log);
            open(disk, &dir, LogConfig::default())
        }),
        ("cut", |mut log, _| {
            log.truncate_to(log.log_end_offset() - 1, 0).expect("cuts");
            log
        }),
        ("begun again", |mut log, _| {
            log.restart_at(1000, 0).expect("begins");
            log
        }),
    ];
    for (name, end) in ends {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = Arc::new(StdDisk::new());
        let log = end(fast(&disk, &folder.path().join("GameLog-0")), &disk);
        assert!(ahead(&log) < 64 << 10, "{name}: {}", ahead(&log));
    }
}

#[test]
fn a_rolled_segment_gives_its_room_back_and_the_log_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(StdDisk::new());
    let mut log = fast(&disk, &folder.path().join("GameLog-0"));
    let first = log.dir().join("00000000000000000000.log");
    let before = fs::metadata(&first).expect("a segment").len();
    assert!(log.roll(0).expect("rolls"));
    let metadata = fs::metadata(&first).expect("a segment");
    assert_eq!(metadata.len(), before);
    assert!(metadata.blocks() * 512 < before + (64 << 10));
    let large = batch(1, 8, 32 << 10);
    for _ in 0..8 {
        log.append(&large, 0, 0).expect("appends");
    }
    assert!(ahead(&log) > 1 << 20);
    let end = log.log_end_offset();
    drop(log);
    let log = open(
        &disk,
        &folder.path().join("GameLog-0"),
        LogConfig::default(),
    );
    assert_eq!(log.log_end_offset(), end);
}
