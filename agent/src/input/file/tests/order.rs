//! The lines of a rotated file before those of its successor, whatever comes between. Step 2 of the hallway.

use std::fs;
use std::time::{Duration, SystemTime};

use super::rig::{Mood, Rig};

/// `a.log` with one acknowledged line, and one more in it that the output does not take.
fn with_an_unsent_line() -> Rig {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n");
    rig.run(2);
    rig.mood(Mood::Full);
    rig.append("a.log", "2\n");
    rig
}

fn rotate(rig: &Rig, from: &str, to: &str) {
    fs::rename(rig.path(from), rig.path(to)).expect("renamed");
}

/// The output takes everything again: all lines are there in the order in which they were written, in one
/// partition.
fn assert_in_order(rig: &mut Rig, last: usize) {
    rig.mood(Mood::Ack);
    rig.run(5);
    let expected: Vec<String> = (1..=last).map(|number| number.to_string()).collect();
    assert_eq!(rig.lines(), expected);
    let stored = rig.stored();
    let first = stored.first().expect("lines").partition;
    assert!(stored.iter().all(|record| record.partition == first));
}

#[test]
fn a_crash_after_the_rotation() {
    let mut rig = with_an_unsent_line();
    rotate(&rig, "a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.run(2);
    rig.crash();
    rig.start();
    assert_in_order(&mut rig, 3);
}

#[test]
fn a_new_file_that_is_empty_at_first() {
    let mut rig = with_an_unsent_line();
    rotate(&rig, "a.log", "a.log.1");
    rig.append("a.log", "");
    rig.run(2);
    rig.append("a.log", "3\n");
    rig.run(2);
    assert_in_order(&mut rig, 3);
}

#[test]
fn a_new_file_that_is_empty_at_first_and_a_crash() {
    let mut rig = with_an_unsent_line();
    rotate(&rig, "a.log", "a.log.1");
    rig.append("a.log", "");
    rig.run(2);
    rig.crash();
    rig.append("a.log", "3\n");
    rig.start();
    assert_in_order(&mut rig, 3);
}

#[test]
fn three_rotations_between_two_scans() {
    let mut rig = with_an_unsent_line();
    // Named as logrotate leaves them: the higher the older.
    rotate(&rig, "a.log", "a.log.3");
    let now = SystemTime::now();
    for (line, name, seconds_ago) in [("3\n", "a.log.2", 20), ("4\n", "a.log.1", 10)] {
        rig.append("a.log", line);
        let file = fs::File::options().append(true).open(rig.path("a.log"));
        let written = now - Duration::from_secs(seconds_ago);
        file.and_then(|file| file.set_modified(written))
            .expect("a time of change");
        rotate(&rig, "a.log", name);
    }
    rig.append("a.log", "5\n");
    assert_in_order(&mut rig, 5);
}

#[test]
fn a_refusal_after_the_rotation() {
    let mut rig = with_an_unsent_line();
    rotate(&rig, "a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.mood(Mood::Refuse);
    rig.run(3);
    assert_in_order(&mut rig, 3);
}

#[test]
fn somebody_who_still_writes_to_the_old_file_does_not_stop_the_new_one() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n");
    rig.run(2);
    rotate(&rig, "a.log", "a.log.1");
    rig.append("a.log", "2\n");
    rig.run(2);
    rig.append("a.log.1", "late\n".repeat(400_000));
    rig.append("a.log", "3\n");
    rig.step(Duration::from_millis(300));
    rig.step(Duration::from_millis(30));
    let lines = rig.lines();
    let new = lines.iter().position(|line| line == "3");
    assert!(
        new.is_some_and(|at| at < 300_000),
        "{new:?} of {}",
        lines.len()
    );
}
