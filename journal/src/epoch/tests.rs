//! The epoch file's rules on damaged and unusual input.
use std::path::Path;

use super::{EPOCH_FILE, Epochs};
use crate::sim_disk::SimDisk;

fn load(content: &str) -> (Vec<(i32, i64)>, bool) {
    let disk = SimDisk::new();
    disk.put(
        &Path::new("/log").join(EPOCH_FILE),
        content.as_bytes().to_vec(),
    );
    let (epochs, is_there) = Epochs::load(&disk, Path::new("/log")).expect("loads");
    (pairs(&epochs), is_there)
}

fn pairs(epochs: &Epochs) -> Vec<(i32, i64)> {
    let entries = epochs.entries();
    entries
        .iter()
        .map(|entry| (entry.epoch, entry.start_offset))
        .collect()
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    assert_eq!(load("0\n2\n1 5\n3 9\n"), (vec![(1, 5), (3, 9)], true));
    assert_eq!(load("0\n0\n"), (vec![], true));
    for damaged in [
        "",
        "0\n",
        "1\n0\n",
        "0\n2\n1 5\n",
        "0\n1\n1 5",
        "0\n1\n1 x\n",
        "0\n1\n1\n",
        "0\n2\n3 5\n1 9\n",
        "0\n2\n1 9\n3 5\n",
        "0\n-1\n",
        "0\n99999999999999999999\n",
        "\u{fffd}",
    ] {
        assert_eq!(load(damaged), (vec![], false), "{damaged:?}");
    }
}

#[test]
fn a_new_epoch_drops_what_it_contradicts() {
    let disk = SimDisk::new();
    let (mut epochs, _) = Epochs::load(&disk, Path::new("/log")).expect("loads");
    for (epoch, start) in [(1, 0), (1, 10), (3, 20), (4, 30), (-1, 40)] {
        epochs.assign(epoch, start);
    }
    assert_eq!(pairs(&epochs), [(1, 0), (3, 20), (4, 30)]);
    epochs.assign(5, 30);
    assert_eq!(pairs(&epochs), [(1, 0), (3, 20), (5, 30)]);
    epochs.assign(2, 40);
    assert_eq!(pairs(&epochs), [(1, 0), (2, 40)]);
}

#[test]
fn the_epoch_that_holds_the_log_start_begins_there() {
    let disk = SimDisk::new();
    let (mut epochs, _) = Epochs::load(&disk, Path::new("/log")).expect("loads");
    for (epoch, start) in [(1, 0), (3, 20), (4, 30)] {
        epochs.assign(epoch, start);
    }
    epochs.truncate_start(25);
    assert_eq!(pairs(&epochs), [(3, 25), (4, 30)]);
    epochs.truncate_start(30);
    assert_eq!(pairs(&epochs), [(4, 30)]);
    epochs.truncate_end(30);
    assert_eq!(pairs(&epochs), []);
}
