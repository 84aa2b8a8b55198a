//! The bytes on disk, held against bytes written down here.
mod owner;
mod support;

use std::path::Path;
use std::sync::Arc;

use logway_journal::sim_disk::SimDisk;
use logway_journal::{DataDir, Log, LogConfig, LogState};
use logway_protocol::batch::BatchHeader;
use owner::Owned;
use support::{batch, batch_at, dir};

fn open(disk: &SimDisk, config: &LogConfig) -> (DataDir, Log) {
    let Owned { data, log } = Owned::open(disk, config).expect("opens");
    (data, log)
}

fn content(disk: &SimDisk, name: &str) -> Vec<u8> {
    disk.content(&dir().join(name))
        .unwrap_or_else(|| panic!("{name} is there"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_log_file_is_the_batches_with_offset_and_epoch_set() {
    let disk = SimDisk::new();
    let (_data, mut log) = open(&disk, &LogConfig::default());
    let (one, two) = (batch(1000, 2, 3), batch(2000, 1, 0));
    log.append(&one, 7, 0).expect("appends");
    log.append(&two, 8, 0).expect("appends");
    let file = content(&disk, "00000000000000000000.log");
    let (first, second) = file.split_at(one.len());
    assert_eq!(
        hex(&first[..17]),
        format!("0000000000000000{:08x}0000000702", one.len() - 12)
    );
    assert_eq!(
        hex(&second[..17]),
        format!("0000000000000002{:08x}0000000802", two.len() - 12)
    );
    assert_eq!(first[16..], one[16..]);
    assert_eq!(second[16..], two[16..]);
    let header = BatchHeader::decode(second).expect("a header");
    assert_eq!((header.base_offset, header.partition_leader_epoch), (2, 8));
    assert_eq!(
        content(&disk, "leader-epoch-checkpoint"),
        b"0\n2\n7 0\n8 2\n"
    );
}

#[test]
fn index_entries_name_the_last_offset_and_the_position_of_their_batch() {
    let disk = SimDisk::new();
    let config = LogConfig {
        index_interval_bytes: 150,
        ..LogConfig::default()
    };
    let (_data, mut log) = open(&disk, &config);
    // A batch has 61 + 2 * (n + 7) bytes: no entry for the first; the clock jumps back and forth.
    let times = [[10, 11], [50, 40], [30, 31], [20, 21], [60, 70], [65, 66]];
    let batches = times.map(|times| batch_at(&times, 20));
    let len = batches[0].len();
    assert_eq!(len, 61 + 2 * 27);
    for batch in &batches {
        log.append(batch, 0, 0).expect("appends");
    }
    log.close_clean().expect("closes");
    // Entries where the position is more than 150 past the last entry's: batches 2 and 4.
    let index = format!("00000005{:08x}00000009{:08x}", len * 2, len * 4);
    assert_eq!(hex(&content(&disk, "00000000000000000000.index")), index);
    let times = format!("{:016x}00000003{:016x}00000009", 50, 70);
    assert_eq!(
        hex(&content(&disk, "00000000000000000000.timeindex")),
        times
    );
}

#[test]
fn a_new_segment_is_named_by_its_base_offset_and_indexes_count_from_it() {
    let disk = SimDisk::new();
    let config = LogConfig {
        index_interval_bytes: 0,
        ..LogConfig::default()
    };
    let (_data, mut log) = open(&disk, &config);
    for number in 0..4 {
        log.append(&batch(100 + number, 3, 10), 0, 0)
            .expect("appends");
        if number == 1 {
            assert!(log.roll(0).expect("rolls"));
            assert!(
                !log.roll(0).expect("rolls"),
                "an empty segment is not rolled"
            );
        }
    }
    log.close_clean().expect("closes");
    let len = batch(0, 3, 10).len();
    assert_eq!(
        hex(&content(&disk, "00000000000000000006.index")),
        format!("00000005{len:08x}")
    );
    let times = format!("{:016x}00000005", 103);
    assert_eq!(
        hex(&content(&disk, "00000000000000000006.timeindex")),
        times
    );
    let times = format!("{:016x}00000005", 101);
    assert_eq!(
        hex(&content(&disk, "00000000000000000000.timeindex")),
        times
    );
    let names: Vec<String> = disk
        .files()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(
        names,
        [
            "/data/GameLog-0/00000000000000000000.index",
            "/data/GameLog-0/00000000000000000000.log",
            "/data/GameLog-0/00000000000000000000.timeindex",
            "/data/GameLog-0/00000000000000000006.index",
            "/data/GameLog-0/00000000000000000006.log",
            "/data/GameLog-0/00000000000000000006.timeindex",
            "/data/GameLog-0/leader-epoch-checkpoint",
        ]
    );
}

#[test]
fn checkpoints_and_the_clean_mark_have_kafkas_text_and_are_read_back() {
    let disk = SimDisk::new();
    let (mut data, log) = open(&disk, &LogConfig::default());
    assert!(!data.was_clean());
    drop(log);
    let state = |recovery_point, log_start_offset| LogState {
        recovery_point,
        log_start_offset,
    };
    let states = [
        ("GameLog-0", state(12, 5)),
        ("a-b.c_d-11", state(3, 0)),
        ("nodigits", state(1, 1)),
    ];
    data.write_checkpoints(states).expect("writes");
    data.mark_clean().expect("marks");
    let file = |name| {
        String::from_utf8(
            disk.content(&Path::new("/data").join(name))
                .expect("is there"),
        )
    };
    assert_eq!(
        file("recovery-point-offset-checkpoint"),
        Ok("0\n2\nGameLog 0 12\na-b.c_d 11 3\n".to_owned())
    );
    assert_eq!(
        file("log-start-offset-checkpoint"),
        Ok("0\n1\nGameLog 0 5\n".to_owned())
    );
    assert_eq!(
        file(".kafka_cleanshutdown"),
        Ok("{\"version\":0,\"brokerEpoch\":-1}".to_owned())
    );

    let data = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).expect("opens");
    assert!(data.was_clean());
    assert_eq!(data.folders(), ["GameLog-0"]);
    let recovery = data.recovery("GameLog-0");
    assert_eq!(
        (
            recovery.clean,
            recovery.recovery_point,
            recovery.log_start_offset
        ),
        (true, 12, 5)
    );
    assert_eq!(data.recovery("other-0").recovery_point, 0);
    let again = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).expect("opens");
    assert!(!again.was_clean(), "the mark is for one start");

    disk.put(
        Path::new("/data/recovery-point-offset-checkpoint"),
        b"0\n5\nGameLog 0 12\n".to_vec(),
    );
    let damaged = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).expect("opens");
    assert_eq!(damaged.recovery("GameLog-0").recovery_point, 0);
}

#[test]
fn a_removed_log_is_gone_as_a_whole_and_its_remains_at_the_next_start() {
    let disk = SimDisk::new();
    let (mut data, mut log) = open(&disk, &LogConfig::default());
    log.append(&batch(0, 1, 1), 0, 0).expect("appends");
    drop(log);
    let state = LogState {
        recovery_point: 900,
        log_start_offset: 700,
    };
    data.write_checkpoints([("GameLog-0", state), ("GameLog-1", state)])
        .expect("writes");
    data.remove_log("GameLog-0", 0xabc).expect("removes");
    assert!(disk.files().iter().all(|path| !path.starts_with(dir())));
    disk.put(
        Path::new("/data/GameLog-1.00000000000000000000000000000abc-delete/x.log"),
        vec![1],
    );
    let data = DataDir::open(Arc::new(disk.clone()), Path::new("/data")).expect("opens");
    assert!(data.folders().is_empty());
    // A new log of that name is not taken for the old one.
    assert_eq!(data.recovery("GameLog-0").log_start_offset, 0);
    assert_eq!(data.recovery("GameLog-0").recovery_point, 0);
    assert_eq!(data.recovery("GameLog-1").log_start_offset, 700);
    assert!(
        disk.files()
            .iter()
            .all(|path| !path.to_string_lossy().contains("delete"))
    );
}
