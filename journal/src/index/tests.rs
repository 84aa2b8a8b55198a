//! Searching an index that lies in a file, in memory, or in both, against searching a list.
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::{IndexView, OffsetEntry, TAIL_ENTRIES, TimeEntry};
use crate::disk::{Disk, DiskFile};
use crate::residency::Access;
use crate::sim_disk::SimDisk;

const BASE: i64 = 1 << 40;

fn entry(number: u32) -> OffsetEntry {
    OffsetEntry {
        offset: BASE + i64::from(number) * 10,
        position: number * 100,
    }
}

fn file() -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new();
    let file = disk.file(Path::new("/00000000000000000000.index"));
    (disk, file)
}

fn filled(file: &dyn DiskFile, count: u32, persisted: u32) -> IndexView<OffsetEntry> {
    let mut view = IndexView::empty();
    for number in 0..count {
        view.push(entry(number));
        if number + 1 == persisted {
            view.flush(file, BASE).expect("flushes");
        }
    }
    view
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn floor_and_count_agree_with_a_list(
        count in 0..1500u32,
        persisted in 0..1500u32,
        target in -20..15_020i64,
    ) {
        let persisted = persisted.min(count);
        let (_disk, file) = file();
        let view = filled(&*file, count, persisted);
        let list: Vec<OffsetEntry> = (0..count).map(entry).collect();
        let holds = |entry: &OffsetEntry| entry.offset <= BASE + target;
        let number = list.partition_point(holds);
        let wanted = number.checked_sub(1).map(|at| (entry(at as u32), list.get(number).copied()));
        prop_assert_eq!(view.floor(&*file, BASE, &mut Access::default(), holds), wanted);
        prop_assert_eq!(view.count_while(&*file, BASE, holds) as usize, number);
        prop_assert_eq!(view.last(&*file, BASE), list.last().copied());
        prop_assert_eq!(view.entries(), count);
    }
}

#[test]
fn a_view_stays_what_it_was_while_the_writer_goes_on() {
    let (_disk, file) = file();
    let mut view = filled(&*file, 10, 5);
    let before = view.clone();
    for number in 10..10 + TAIL_ENTRIES as u32 {
        view.push(entry(number));
    }
    assert!(view.is_flush_due());
    view.flush(&*file, BASE).expect("flushes");
    assert_eq!(before.entries(), 10);
    assert_eq!(before.last(&*file, BASE), Some(entry(9)));
    assert_eq!(view.entries(), 10 + TAIL_ENTRIES as u32);
    assert_eq!(view.file_len(), u64::from(view.entries()) * 8);
}

#[test]
fn a_missing_or_short_file_counts_as_empty() {
    let (_disk, file) = file();
    let view = IndexView::<TimeEntry>::of_file(3);
    assert_eq!(
        view.floor(&*file, 0, &mut Access::default(), |_| true),
        None
    );
    assert_eq!(view.count_while(&*file, 0, |_| true), 0);
    assert_eq!(view.last(&*file, 0), None);
    file.create().expect("creates");
    file.set_len(35).expect("resizes");
    assert_eq!(
        view.floor(&*file, 0, &mut Access::default(), |_| true),
        None
    );
}
