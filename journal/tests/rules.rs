//! When segments end and when they go: Kafka's rules, one by one.
mod support;

use std::path::Path;
use std::sync::Arc;

use logway_journal::sim_disk::SimDisk;
use logway_journal::{AppendError, ChangeError, Log, LogConfig, ReadError, Recovery};
use logway_protocol::compression::Compression;
use support::{Expected, batch, batch_at, check_log, compressed_batch_at, dir, offsets_of};

fn open(config: LogConfig) -> Log {
    let disk = SimDisk::new();
    disk.put(Path::new("/data/anything"), Vec::new());
    Log::open(Arc::new(disk), dir(), config, Recovery::default(), 0).expect("opens")
}

fn plain() -> LogConfig {
    LogConfig {
        retention_ms: -1,
        ..LogConfig::default()
    }
}

#[test]
fn a_segment_ends_when_the_batch_would_make_it_too_large() {
    let len = batch(0, 1, 10).len() as u32;
    let mut log = open(LogConfig {
        segment_bytes: 2 * len,
        ..plain()
    });
    let rolled: Vec<bool> = (0..5)
        .map(|_| log.append(&batch(0, 1, 10), 0, 0).expect("appends").rolled)
        .collect();
    assert_eq!(rolled, [false, false, true, false, true]);
    log.set_config(LogConfig {
        segment_bytes: 10,
        ..plain()
    });
    assert!(
        log.append(&batch(0, 1, 10), 0, 0)
            .expect("a batch larger than a segment")
            .rolled
    );
}

#[test]
fn a_segment_ends_by_the_age_of_its_first_batch_in_record_time() {
    let mut log = open(LogConfig {
        segment_ms: 100,
        ..plain()
    });
    let times = [1000, 1100, 900, 1101, 1200, 1300];
    let rolled = times.map(|time| {
        log.append(&batch(time, 1, 1), 0, 999_999)
            .expect("appends")
            .rolled
    });
    assert_eq!(rolled, [false, false, false, true, false, true]);
    // Without timestamps the clock counts, from the segment's creation.
    let mut log = open(LogConfig {
        segment_ms: 100,
        ..plain()
    });
    let rolled = [50, 100, 101, 150].map(|now| {
        log.append(&batch(-1, 1, 1), 0, now)
            .expect("appends")
            .rolled
    });
    assert_eq!(rolled, [false, false, true, false]);
}

#[test]
fn a_segment_ends_when_an_index_is_full() {
    let mut log = open(LogConfig {
        index_interval_bytes: 0,
        segment_index_bytes: 32,
        ..plain()
    });
    let append = |time| {
        log.append(&batch(time, 1, 1), 0, 0)
            .expect("appends")
            .rolled
    };
    let rolled: Vec<bool> = [-1; 10].into_iter().map(append).collect();
    // No entry for the first batch, four for the next four.
    assert_eq!(rolled.iter().position(|rolled| *rolled), Some(5));
    let mut log = open(LogConfig {
        index_interval_bytes: 0,
        segment_index_bytes: 48,
        ..plain()
    });
    let rolled: Vec<bool> = (0..10)
        .map(|time| {
            log.append(&batch(time, 1, 1), 0, 0)
                .expect("appends")
                .rolled
        })
        .collect();
    // Four time index entries fit and one place is kept for the last.
    assert_eq!(rolled.iter().position(|rolled| *rolled), Some(4));
}

#[test]
fn offsets_may_be_left_out_and_a_far_one_begins_a_segment_of_its_own() {
    let mut log = open(plain());
    let place = |base_offset: i64| Expected::new(base_offset, 3, &[5, 6], &batch_at(&[5, 6], 9));
    let expected = [0, 2, 10, 3_000_000_000, 9_000_000_000, 9_000_000_002].map(place);
    for one in &expected {
        let appended = log.append_as_is(&one.bytes, 0).expect("appends");
        assert_eq!(appended.base_offset, one.base_offset);
    }
    let repeated = log.append_as_is(&expected[0].bytes, 0);
    assert!(matches!(
        repeated,
        Err(AppendError::Offsets {
            expected: 9_000_000_004,
            ..
        })
    ));
    let reader = log.reader();
    assert_eq!(reader.segment_count(), 3);
    check_log(&reader, &expected);
    let slice = reader.read(5, 1000, true).expect("reads");
    assert_eq!(offsets_of(&slice.bytes().expect("bytes")), [10, 11]);
    let slice = reader.read(4_000_000_000, 1000, true).expect("reads");
    assert_eq!(
        offsets_of(&slice.bytes().expect("bytes")),
        [9_000_000_000, 9_000_000_001, 9_000_000_002, 9_000_000_003]
    );
}

#[test]
fn bytes_that_are_not_one_batch_are_refused() {
    let mut log = open(plain());
    let good = batch(0, 2, 10);
    let mut negative = good.to_vec();
    negative[23..27].copy_from_slice(&(-1i32).to_be_bytes());
    let mut old = good.to_vec();
    old[16] = 1;
    for bytes in [
        &good[..0],
        &good[..60],
        &good[..good.len() - 1],
        &[&good[..], &[0]].concat(),
        &old,
    ] {
        assert!(matches!(
            log.append(bytes, 0, 0),
            Err(AppendError::Batch(_))
        ));
    }
    assert!(matches!(
        log.append(&negative, 0, 0),
        Err(AppendError::Offsets { .. })
    ));
    assert_eq!(log.log_end_offset(), 0);
}

#[test]
fn retention_by_time_goes_by_the_youngest_record_and_stops_at_the_high_watermark() {
    let mut log = open(LogConfig {
        retention_ms: 1000,
        ..LogConfig::default()
    });
    for times in [[100, 900], [500, 50], [2000, 10], [100, 100]] {
        log.append(&batch_at(&times, 10), 0, 0).expect("appends");
        log.roll(0).expect("rolls");
    }
    assert_eq!(
        log.enforce_retention(1900, 8).expect("deletes").segments,
        0,
        "900 is 1000 old, not more"
    );
    let deleted = log.enforce_retention(1901, 8).expect("deletes");
    // The second segment is older; the third is young and keeps the fourth.
    assert_eq!((deleted.segments, log.log_start_offset()), (2, 4));
    assert_eq!(
        log.enforce_retention(9000, 5).expect("deletes").segments,
        0,
        "offset 5 is below no watermark yet"
    );
    assert_eq!(log.enforce_retention(9000, 8).expect("deletes").segments, 2);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (8, 8));
}

#[test]
fn retention_by_time_takes_the_active_segment_too() {
    let mut log = open(LogConfig {
        retention_ms: 1000,
        ..LogConfig::default()
    });
    log.append(&batch(100, 3, 10), 0, 0).expect("appends");
    assert_eq!(log.enforce_retention(5000, 3).expect("deletes").segments, 1);
    assert_eq!(
        (
            log.log_start_offset(),
            log.log_end_offset(),
            log.reader().segment_count()
        ),
        (3, 3, 1)
    );
    assert_eq!(
        log.enforce_retention(9000, 3).expect("deletes").segments,
        0,
        "an empty segment stays"
    );
    assert_eq!(
        log.append(&batch(0, 1, 1), 0, 0)
            .expect("appends")
            .base_offset,
        3
    );
}

#[test]
fn retention_by_size_keeps_at_least_that_much() {
    let len = batch(0, 1, 100).len() as i64;
    let mut log = open(plain());
    for _ in 0..5 {
        log.append(&batch(0, 1, 100), 0, 0).expect("appends");
        log.roll(0).expect("rolls");
    }
    log.set_config(LogConfig {
        retention_bytes: 3 * len - 1,
        ..plain()
    });
    assert_eq!(
        log.enforce_retention(0, 5).expect("deletes").segments,
        2,
        "not below three segments"
    );
    log.set_config(LogConfig {
        retention_bytes: 0,
        ..plain()
    });
    assert_eq!(log.enforce_retention(0, 5).expect("deletes").segments, 3);
}

#[test]
fn delete_before_moves_the_log_start_into_a_segment() {
    let mut log = open(plain());
    let mut expected = Vec::new();
    for number in 0..6 {
        let batch = batch_at(&[number, number], 10);
        let appended = log.append(&batch, 2, 0).expect("appends");
        expected.push(Expected::new(
            appended.base_offset,
            2,
            &[number, number],
            &batch,
        ));
        if number % 2 == 1 {
            log.roll(0).expect("rolls");
        }
    }
    assert_eq!(log.delete_before(7).expect("deletes").segments, 1);
    let reader = log.reader();
    assert_eq!((reader.log_start_offset(), reader.segment_count()), (7, 3));
    check_log(&reader, &expected);
    assert!(matches!(
        reader.read(6, 1, true),
        Err(ReadError::OffsetOutOfRange {
            log_start_offset: 7,
            ..
        })
    ));
    assert_eq!(log.delete_before(3).expect("deletes").segments, 0);
    assert_eq!(log.log_start_offset(), 7, "the log start never goes back");
    assert!(matches!(
        log.delete_before(13),
        Err(ChangeError::Read(ReadError::OffsetOutOfRange { .. }))
    ));
    assert_eq!(reader.epoch_end_offset(2), Some((2, 12)));
}

#[test]
fn epochs_answer_as_kafkas_offset_for_leader_epoch() {
    let mut log = open(plain());
    for epoch in [1, 1, 4, 4, 7] {
        log.append(&batch(0, 10, 1), epoch, 0).expect("appends");
    }
    let reader = log.reader();
    assert_eq!(reader.latest_epoch(), Some((7, 40)));
    let ends = [0, 1, 2, 4, 6, 7, 8, -1].map(|epoch| reader.epoch_end_offset(epoch));
    let wanted = [
        Some((0, 0)),
        Some((1, 20)),
        Some((1, 20)),
        Some((4, 40)),
        Some((4, 40)),
        Some((7, 50)),
        None,
        None,
    ];
    assert_eq!(ends, wanted);
    log.assign_epoch(9, 50).expect("assigns");
    assert_eq!(reader.epoch_end_offset(8), Some((7, 50)));
    log.truncate_to(30, 0).expect("truncates");
    assert_eq!(reader.latest_epoch(), Some((4, 20)));
    assert_eq!(reader.epoch_end_offset(7), None);
}

#[test]
fn times_inside_compressed_batches_are_found_exactly() {
    let mut log = open(plain());
    let mut expected = Vec::new();
    for (number, with) in [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ]
    .into_iter()
    .enumerate()
    {
        let times = [10, 40, 20, 30].map(|time| time + number as i64 * 15);
        let batch = compressed_batch_at(&times, 50, with);
        let appended = log.append(&batch, 0, 0).expect("appends");
        expected.push(Expected::new(appended.base_offset, 0, &times, &batch));
    }
    check_log(&log.reader(), &expected);
}

#[test]
fn a_restart_elsewhere_empties_the_log() {
    let mut log = open(LogConfig {
        segment_bytes: 200,
        ..plain()
    });
    for _ in 0..6 {
        log.append(&batch(0, 1, 50), 0, 0).expect("appends");
    }
    let reader = log.reader();
    log.restart_at(1000, 0).expect("restarts");
    assert_eq!(
        (
            reader.log_start_offset(),
            reader.log_end_offset(),
            reader.segment_count()
        ),
        (1000, 1000, 1)
    );
    assert_eq!(
        log.append(&batch(0, 1, 1), 0, 0)
            .expect("appends")
            .base_offset,
        1000
    );
    assert_eq!(log.truncate_to(500, 0).expect("truncates"), 500);
    assert_eq!(
        (reader.log_start_offset(), reader.log_end_offset()),
        (500, 500)
    );
}
