//! A log on the real disk: append, read, roll, close, open again.
mod support;

use std::sync::Arc;

use logway_journal::{Disk, Log, LogConfig, ReadError, Recovery, StdDisk};
use support::{batch, offsets_of};

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 4096,
        index_interval_bytes: 256,
        ..LogConfig::default()
    }
}

#[test]
fn what_is_appended_is_read_and_survives_a_clean_and_an_unclean_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = folder.path().join("GameLog-0");
    let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
    let open = |recovery| Log::open(Arc::clone(&disk), &dir, config(), recovery, 0).expect("opens");

    let mut log = open(Recovery::default());
    let reader = log.reader();
    for number in 0..300 {
        let appended = log.append(&batch(number, 3, 40), 0, 0).expect("appends");
        assert_eq!(appended.base_offset, number * 3);
        assert_eq!(reader.log_end_offset(), number * 3 + 3);
    }
    assert!(reader.segment_count() > 5);
    let read_all = |reader: &logway_journal::LogReader| {
        let batches = reader.batches(0).map(|batch| batch.expect("sound").1);
        batches
            .flat_map(|batch| offsets_of(&batch))
            .collect::<Vec<_>>()
    };
    let all: Vec<i64> = (0..900).collect();
    assert_eq!(read_all(&reader), all);

    for offset in 0..900 {
        let slice = reader.read(offset, 1, true).expect("reads");
        let offsets = offsets_of(&slice.bytes().expect("bytes"));
        assert!(offsets.contains(&offset), "{offset} is in {offsets:?}");
        assert_eq!(offsets.len(), 3);
        assert_eq!(slice.next_offset(), offset / 3 * 3 + 3);
        let large = reader.read(offset, 1000, false).expect("reads");
        assert!(large.len() <= 1000 && large.len() > 500 || large.next_offset() % 3 == 0);
    }
    assert!(reader.read(900, 100, true).expect("reads").is_empty());
    assert!(matches!(
        reader.read(901, 100, true),
        Err(ReadError::OffsetOutOfRange { .. })
    ));

    log.sync_handle()
        .sync()
        .map(|synced| log.synced(synced))
        .expect("syncs");
    assert_eq!(log.durable_offset(), 900);
    drop(log);
    let log = open(Recovery::default());
    assert_eq!(read_all(&log.reader()), all);
    let closed = log.close_clean().expect("closes");
    assert_eq!(closed.recovery_point, 900);
    let log = open(Recovery {
        clean: true,
        ..Recovery::default()
    });
    assert_eq!(read_all(&log.reader()), all);
    assert_eq!(log.recovery_point(), 900);
    let found = log
        .reader()
        .offset_for_timestamp(250)
        .expect("searches")
        .expect("is there");
    assert_eq!((found.offset, found.timestamp), (750, 250));
    let max = log
        .reader()
        .max_timestamp()
        .expect("searches")
        .expect("is there");
    assert_eq!((max.offset, max.timestamp), (897, 299));
}
