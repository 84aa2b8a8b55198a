//! The store under torn writes, damage, a full disk and a second owner. Beside step 5 of the hallway.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::store::OpenError;
use super::{FileId, FileRecord, Store};
use crate::input::file::evidence::{Fingerprint, Frontier, Home, Locator, Tail};

fn record(id: u64, acked: u64) -> FileRecord {
    let mut fingerprint = Fingerprint::default();
    fingerprint.extend(b"first line\n");
    let frontier = Frontier::new(acked, &Tail::of(b"some bytes\n"));
    FileRecord {
        id: FileId(id),
        locator: Locator {
            dev: 1,
            ino: id,
            born_ns: 5,
        },
        fingerprint,
        acked: frontier,
        sent: frontier,
        seen_ms: 7,
        path: PathBuf::from(format!("/var/log/{id}.log")),
        home: Home(id * 3),
        before: id.is_multiple_of(2).then_some(FileId(id + 1)),
    }
}

fn acked(store: &Store) -> BTreeMap<u64, u64> {
    store
        .files()
        .map(|file| (file.id.0, file.acked.offset))
        .collect()
}

fn move_to(store: &mut Store, id: u64, offset: u64) {
    store.progress(FileId(id), |file| {
        file.acked = Frontier::new(offset, &Tail::of(b"x"));
        file.sent = file.acked;
    });
}

/// The newest log of changes in a folder.
fn log_of(dir: &Path) -> PathBuf {
    let names = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path());
    let mut logs: Vec<PathBuf> = names
        .filter(|path| path.to_string_lossy().contains("changes."))
        .collect();
    assert_eq!(logs.len(), 1, "one log at a time");
    logs.remove(0)
}

#[test]
fn what_was_flushed_is_there_after_a_crash() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    let mut with_odd_path = record(3, 30);
    with_odd_path.path =
        PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/a/\xff\n"));
    store.put(record(1, 10));
    store.put(record(2, 20));
    store.put(with_odd_path.clone());
    store.sync().expect("synced");
    move_to(&mut store, 1, 11);
    store.forget(FileId(2));
    store.flush().expect("flushed");
    drop(store);
    let store = Store::open(dir.path()).expect("opens");
    assert_eq!(acked(&store), BTreeMap::from([(1, 11), (3, 30)]));
    assert_eq!(store.get(FileId(3)), Some(&with_odd_path));
    assert_eq!(store.get(FileId(1)).map(|file| file.locator.ino), Some(1));
}

#[test]
fn a_log_torn_at_any_byte_gives_a_state_that_once_was() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    store.put(record(1, 0));
    store.put(record(2, 0));
    store.sync().expect("synced");
    drop(store);
    let mut store = Store::open(dir.path()).expect("opens");
    let mut states = vec![acked(&store)];
    for step in 1..=8 {
        move_to(&mut store, 1 + step % 2, step * 100);
        if step == 5 {
            store.put(record(9, 1));
        }
        store.flush().expect("flushed");
        states.push(acked(&store));
    }
    drop(store);
    let log = log_of(dir.path());
    let name = log.file_name().expect("a name").to_owned();
    let whole = fs::read(&log).expect("readable");
    let mut last_seen = 0;
    for length in 0..=whole.len() {
        let torn = tempfile::tempdir().expect("a folder");
        fs::copy(dir.path().join("snapshot"), torn.path().join("snapshot")).expect("copied");
        fs::write(torn.path().join(&name), &whole[..length]).expect("written");
        let store = Store::open(torn.path()).expect("a torn log heals");
        let now = acked(&store);
        // One flush may hold two frames: half of it may be there.
        let known = states.iter().rposition(|state| {
            *state == now
                || state.iter().all(|(id, at)| now.get(id) == Some(at))
                    && now.len() == state.len() + 1
        });
        let known = known.unwrap_or_else(|| panic!("{now:?} at {length} never was"));
        assert!(known >= last_seen, "a longer log never tells less");
        last_seen = known;
    }
    assert_eq!(last_seen, states.len() - 1);
}

#[test]
fn damage_anywhere_keeps_the_other_records_and_heals() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    for id in 1..=5 {
        store.put(record(id, id));
    }
    store.sync().expect("synced");
    drop(store);
    drop(Store::open(dir.path()).expect("opens and writes a snapshot of all"));
    let snapshot = fs::read(dir.path().join("snapshot")).expect("readable");
    for at in (0..snapshot.len()).step_by(3) {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x55;
        fs::write(dir.path().join("snapshot"), &damaged).expect("written");
        let store = Store::open(dir.path()).expect("heals");
        assert!(
            store.len() >= 4,
            "one flip costs at most one record, at {at}: {}",
            store.len()
        );
        drop(store);
        let healed = acked(&Store::open(dir.path()).expect("opens"));
        assert_eq!(acked(&Store::open(dir.path()).expect("opens")), healed);
    }
    for broken in [&b""[..], &[0; 5000], b"not a state file at all"] {
        fs::write(dir.path().join("snapshot"), broken).expect("written");
        fs::write(log_of(dir.path()), broken).expect("written");
        let mut store = Store::open(dir.path()).expect("starts with nothing");
        assert_eq!(store.len(), 0);
        store.put(record(1, 1));
        store.sync().expect("works again");
    }
}

#[test]
fn a_record_lost_in_the_middle_of_the_log_only_means_repeats() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    store.put(record(1, 0));
    store.sync().expect("synced");
    let mut ends = Vec::new();
    for offset in [10, 20, 30] {
        move_to(&mut store, 1, offset);
        store.flush().expect("flushed");
        ends.push(fs::metadata(log_of(dir.path())).expect("there").len() as usize);
    }
    drop(store);
    let log = log_of(dir.path());
    let mut bytes = fs::read(&log).expect("readable");
    bytes[ends[0] + 12] ^= 1;
    fs::write(&log, &bytes).expect("written");
    assert_eq!(
        acked(&Store::open(dir.path()).expect("opens")),
        BTreeMap::from([(1, 30)])
    );
}

#[test]
fn a_full_disk_is_survived_and_nothing_is_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    store.put(record(1, 0));
    store.sync().expect("synced");
    let good = std::mem::replace(
        &mut store.log,
        fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a full device"),
    );
    move_to(&mut store, 1, 50);
    assert!(store.flush().is_err());
    move_to(&mut store, 1, 60);
    store.log = good;
    store.flush().expect("room again");
    drop(store);
    assert_eq!(
        acked(&Store::open(dir.path()).expect("opens")),
        BTreeMap::from([(1, 60)])
    );
}

#[test]
fn the_log_is_rewritten_when_it_grows_and_costs_the_change_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut store = Store::open(dir.path()).expect("opens");
    for id in 0..1000 {
        store.put(record(id, 0));
    }
    store.flush().expect("flushed");
    let before = fs::metadata(log_of(dir.path())).expect("there").len();
    move_to(&mut store, 5, 1);
    store.flush().expect("flushed");
    let change = fs::metadata(log_of(dir.path())).expect("there").len() - before;
    assert!(change < 100, "one move of one file costs {change} bytes");
    for round in 0..60_000 {
        move_to(&mut store, round % 1000, round);
        store.flush().expect("flushed");
    }
    let log = fs::metadata(log_of(dir.path())).expect("there").len();
    assert!(log < 3 << 20, "the log stays bounded: {log}");
    let expected = acked(&store);
    drop(store);
    assert_eq!(acked(&Store::open(dir.path()).expect("opens")), expected);
}

#[test]
fn two_agents_do_not_share_a_folder() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = Store::open(dir.path()).expect("opens");
    let second = Store::open(dir.path()).expect_err("is refused");
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    assert!(
        second
            .to_string()
            .contains(&dir.path().display().to_string())
    );
    drop(first);
    Store::open(dir.path()).expect("free again");
}

#[test]
fn a_state_of_version_1_is_read() {
    let mut known = record(7, 70);
    (known.home, known.before) = (Home(7), None);
    let mut payload = Vec::new();
    super::record::encode_file(&mut payload, &known);
    // That version had no home and no file before in front of the path.
    let path_len = known.path.as_os_str().len();
    let at = payload.len() - path_len;
    payload.drain(at - 16..at);
    payload[0] = b'F';
    let mut bytes = Vec::new();
    super::frame::push(
        &mut bytes,
        &[b"H\x01".as_slice(), &5_u64.to_le_bytes()].concat(),
    );
    super::frame::push(&mut bytes, &payload);
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("snapshot"), bytes).expect("written");
    let store = Store::open(dir.path()).expect("opens");
    assert_eq!(store.files().collect::<Vec<_>>(), [&known]);
}
