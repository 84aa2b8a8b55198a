//! Rotation, identity and refusals, one story each; the ids are those of the checklist of hard cases. Step 2
//! of the hallway.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::rig::{Mood, Rig, truncate};

fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[test]
fn lines_arrive_byte_for_byte_with_their_position() {
    let mut rig = Rig::new();
    rig.append("a.log", b"one\n\ntwo \xff\xfe\r\nthree\rthree\npart");
    rig.run(3);
    let stored = rig.stored();
    let values: Vec<&[u8]> = stored
        .iter()
        .map(|record| record.value.as_slice())
        .collect();
    assert_eq!(values, [&b"one"[..], b"", b"two \xff\xfe", b"three\rthree"]);
    let positions: Vec<u64> = stored.iter().map(|record| record.position).collect();
    assert_eq!(positions, [0, 4, 5, 13]);
    assert_eq!(stored[0].origin.len(), 16);
    assert!(
        stored
            .iter()
            .all(|record| record.origin == stored[0].origin)
    );
    assert!(
        stored
            .iter()
            .all(|record| record.partition == stored[0].partition)
    );
    assert_eq!(stored[0].path, rig.path("a.log").to_string_lossy());
    rig.append("a.log", b"ly\n");
    rig.run(1);
    assert_eq!(rig.lines().last().map(String::as_str), Some("partly"));
}

#[test]
fn t1_rename_rotation_keeps_the_old_file_until_it_is_drained() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n2\n");
    rig.run(2);
    fs::rename(rig.path("a.log"), rig.path("a.log.1")).expect("renamed");
    rig.append("a.log.1", "3 written after the rename\n");
    rig.append("a.log", "4 in the new file\n");
    rig.run(2);
    rig.append("a.log.1", "5 late\n");
    rig.run(2);
    let expected = [
        "1",
        "2",
        "3 written after the rename",
        "4 in the new file",
        "5 late",
    ];
    assert_eq!(rig.lines(), expected);
    assert_eq!(rig.stored().len(), expected.len(), "nothing is sent twice");
}

#[test]
fn t2_t3_rotations_while_the_output_is_blocked_lose_nothing() {
    let mut rig = Rig::with_glob("logs/a.log");
    rig.append("a.log", "0\n");
    rig.run(2);
    rig.mood(Mood::Full);
    for round in 1..=3 {
        rig.append("a.log", format!("{round} old\n"));
        rig.run(2);
        // The pattern names only a.log: the old file is reachable by its descriptor alone.
        fs::rename(rig.path("a.log"), rig.path("gone")).expect("renamed");
        fs::remove_file(rig.path("gone")).expect("removed");
        rig.append("a.log", format!("{round} new\n"));
        rig.run(2);
    }
    rig.mood(Mood::Ack);
    rig.run(20);
    assert_eq!(
        rig.lines(),
        ["0", "1 old", "1 new", "2 old", "2 new", "3 old", "3 new"]
    );
    assert_eq!(rig.stored().len(), 7);
}

#[test]
fn t4_copytruncate_without_the_copy_in_the_pattern() {
    let mut rig = Rig::with_glob("logs/a.log");
    rig.append("a.log", "long line one\nlong line two\n");
    rig.run(2);
    rig.copy_truncate("a.log", "copy");
    rig.append("a.log", "short\n");
    rig.run(3);
    assert_eq!(rig.lines(), ["long line one", "long line two", "short"]);
    let stored = rig.stored();
    assert_ne!(stored[0].origin, stored[2].origin, "new content, new id");
    assert_eq!(stored[2].position, 0);
}

#[test]
fn t5_truncated_and_regrown_past_the_old_position() {
    let mut rig = Rig::with_glob("logs/a.log");
    rig.append("a.log", "before 1\nbefore 2\n");
    rig.run(2);
    truncate(&rig.path("a.log"));
    rig.append("a.log", "after 1 and this is longer\nafter 2\nafter 3\n");
    rig.run(3);
    let expected = [
        "before 1",
        "before 2",
        "after 1 and this is longer",
        "after 2",
        "after 3",
    ];
    assert_eq!(rig.lines(), expected);
}

#[test]
fn t5_the_same_while_the_agent_is_down() {
    let mut rig = Rig::with_glob("logs/a.log");
    rig.append("a.log", "before 1\nbefore 2\n");
    rig.run(2);
    rig.crash();
    truncate(&rig.path("a.log"));
    rig.append("a.log", "after 1 and this is longer\nafter 2\n");
    rig.start();
    rig.run(3);
    assert_eq!(
        rig.lines(),
        [
            "before 1",
            "before 2",
            "after 1 and this is longer",
            "after 2"
        ]
    );
}

#[test]
fn t6_the_copy_of_copytruncate_is_not_read_again_and_its_unread_end_is() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n2\n");
    rig.run(2);
    rig.mood(Mood::Full);
    rig.append("a.log", "3 not read before the truncation\n");
    rig.copy_truncate("a.log", "a.log.1");
    rig.append("a.log", "4\n");
    rig.run(2);
    rig.mood(Mood::Ack);
    rig.run(10);
    assert_eq!(
        rig.lines(),
        ["1", "2", "3 not read before the truncation", "4"]
    );
    assert_eq!(rig.stored().len(), 4, "the copy is recognised");
}

#[test]
fn t6_a_copy_seen_before_its_original_is_truncated_is_held_back() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n2\n");
    rig.run(2);
    fs::copy(rig.path("a.log"), rig.path("a.log.1")).expect("copied");
    rig.run(3);
    truncate(&rig.path("a.log"));
    rig.append("a.log", "3\n");
    rig.run(10);
    assert_eq!(rig.lines(), ["1", "2", "3"]);
    assert_eq!(rig.stored().len(), 3);
}

#[test]
fn t6_copytruncate_while_the_agent_is_down() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n2\n");
    rig.run(2);
    rig.crash();
    rig.append("a.log", "3\n");
    rig.copy_truncate("a.log", "a.log.1");
    rig.append("a.log", "4\n");
    rig.start();
    rig.run(10);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4"]);
    assert_eq!(rig.stored().len(), 4);
}

#[test]
fn equal_files_that_stay_equal_are_both_read_in_the_end() {
    let mut rig = Rig::new();
    rig.append("a.log", "same\n");
    rig.append("b.log", "same\n");
    rig.run(2);
    assert_eq!(
        rig.lines(),
        ["same", "same"],
        "files that are there from the start are independent"
    );
    rig.append("c.log", "same\n");
    rig.run(10);
    assert_eq!(
        rig.lines().len(),
        3,
        "a line too many is better than one too few"
    );
}

#[test]
fn t7_t14_deleted_and_made_again_is_a_new_file() {
    let mut rig = Rig::new();
    rig.append("a.log", "header\n1\n");
    rig.run(2);
    fs::remove_file(rig.path("a.log")).expect("removed");
    rig.append("a.log", "header\n2\n");
    rig.run(20);
    assert_eq!(rig.lines(), ["header", "1", "header", "2"]);
    // And while the agent is down, perhaps on the same inode.
    rig.crash();
    fs::remove_file(rig.path("a.log")).expect("removed");
    rig.append("a.log", "header\n3\nmore than before\n");
    rig.start();
    rig.run(20);
    assert_eq!(rig.lines()[4..], ["header", "3", "more than before"]);
}

#[test]
fn t8_files_with_the_same_long_header_are_told_apart() {
    let mut rig = Rig::new();
    let header = "#".repeat(900).to_owned() + "\n" + &"=".repeat(900) + "\n";
    for name in ["a.log", "b.log", "c.log"] {
        rig.append(name, &header);
        rig.append(name, format!("{name} line\n"));
        rig.run(2);
    }
    rig.run(10);
    rig.crash();
    rig.start();
    rig.append("b.log", "again\n");
    rig.run(10);
    let lines = rig.lines();
    assert_eq!(
        lines.iter().filter(|line| line.ends_with("line")).count(),
        3
    );
    assert_eq!(lines.iter().filter(|line| *line == "again").count(), 1);
    assert_eq!(lines.len(), 3 * 3 + 1);
    assert_eq!(rig.stored().len(), lines.len());
}

#[test]
fn t9_empty_and_tiny_files() {
    let mut rig = Rig::new();
    rig.append("a.log", "");
    rig.append("b.log", "\n");
    rig.append("c.log", "x");
    rig.run(3);
    assert_eq!(rig.lines(), [""]);
    rig.append("a.log", "now\n");
    rig.append("c.log", "y\n");
    rig.run(3);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines, ["", "now", "xy"]);
}

#[test]
fn t10_hard_links_symlinks_and_overlapping_patterns_are_read_once() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(dir.path().join("logs/sub")).expect("a folder");
    let base = dir.path().join("logs").to_string_lossy().into_owned();
    let mut rig = Rig::with(
        dir,
        vec![
            format!("{base}/**/*.log"),
            format!("{base}/*.log"),
            format!("{base}/a.log"),
        ],
    );
    rig.append("a.log", "1\n");
    fs::hard_link(rig.path("a.log"), rig.path("b.log")).expect("linked");
    std::os::unix::fs::symlink(rig.path("a.log"), rig.path("sub/c.log")).expect("linked");
    std::os::unix::fs::symlink(rig.path(""), rig.path("sub/loop")).expect("linked");
    std::os::unix::fs::symlink("/nowhere/at/all", rig.path("dangling.log")).expect("linked");
    rig.run(3);
    assert_eq!(rig.stored().len(), 1);
}

#[test]
fn t12_deleted_while_open_is_read_to_its_end_with_its_last_line() {
    use std::io::Write;
    let mut rig = Rig::new();
    let mut writer = fs::File::create(rig.path("a.log")).expect("made");
    writer.write_all(b"1\n").expect("written");
    rig.run(2);
    writer.write_all(b"2\n").expect("written");
    fs::remove_file(rig.path("a.log")).expect("removed");
    writer.write_all(b"3\nlast without end").expect("written");
    rig.run(3);
    assert_eq!(rig.lines(), ["1", "2", "3"]);
    rig.run(15);
    assert_eq!(rig.lines(), ["1", "2", "3", "last without end"]);
    assert_eq!(rig.engine().store.len(), 0, "its state is forgotten");
}

#[test]
fn t16_what_is_no_readable_file_is_rejected_and_the_rest_goes_on() {
    let mut rig = Rig::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        rig.path("fifo.log"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a fifo");
    fs::create_dir(rig.path("folder.log")).expect("a folder");
    rig.append("good.log", "1\n");
    rig.run(3);
    assert_eq!(rig.lines(), ["1"]);
    let text = rig.telemetry.text();
    assert!(
        text.contains("files_rejected_total{reason=\"not_a_file\"}"),
        "{text}"
    );
}

#[test]
fn t17_a_path_that_is_not_text() {
    let mut rig = Rig::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.log");
    fs::write(rig.path("").join(name), "1\n").expect("written");
    rig.run(2);
    assert_eq!(rig.lines(), ["1"]);
    rig.crash();
    rig.start();
    rig.run(2);
    assert_eq!(rig.stored().len(), 1);
}

#[test]
fn c3_a_long_line_is_cut_marked_and_the_next_ones_are_whole() {
    let mut rig = Rig::new();
    let long = "x".repeat(700_000);
    rig.append("a.log", format!("before\n{long}\nafter\n"));
    rig.run(3);
    let stored = rig.stored();
    assert_eq!(stored.len(), 3);
    assert_eq!(stored[1].value.len(), 1000);
    assert_eq!(stored[1].truncated, Some(700_000));
    assert_eq!((stored[0].truncated, stored[2].truncated), (None, None));
    assert!(rig.telemetry.text().contains("lines_truncated_total 1"));
}

#[test]
fn s2_s4_positions_move_only_over_a_gapless_run_of_acknowledgements() {
    let mut rig = Rig::new();
    rig.mood(Mood::Slow);
    for round in 0..5 {
        rig.append("a.log", format!("{round}\n"));
        rig.run(1);
    }
    // The last batch is acknowledged first: a crash now must repeat everything.
    rig.release(1, true);
    rig.run(1);
    rig.crash();
    rig.mood(Mood::Ack);
    rig.start();
    rig.run(2);
    assert_eq!(rig.stored().len(), 10);
    assert_eq!(
        rig.lines(),
        ["0", "1", "2", "3", "4"],
        "repeats carry the same origin and position"
    );
    rig.crash();
    rig.start();
    rig.run(2);
    assert_eq!(rig.stored().len(), 10, "all is acknowledged now");
}

#[test]
fn k2_a_line_that_the_broker_refuses_is_given_up_alone() {
    let mut rig = Rig::new();
    rig.cluster.lock().record_bytes_max = 600;
    let noise: String = (0..900_u32)
        .map(|n| char::from(33 + (n * n % 89 + n % 5) as u8))
        .collect();
    rig.append("a.log", format!("1\n2\n{noise}\n3\n"));
    rig.run(5);
    assert_eq!(rig.lines(), ["1", "2", "3"]);
    let text = rig.telemetry.text();
    assert!(
        text.contains("records_dropped_total{reason=\"too_large\"} 1"),
        "{text}"
    );
    rig.crash();
    rig.start();
    rig.append("a.log", "4\n");
    rig.run(3);
    assert_eq!(rig.lines(), ["1", "2", "3", "4"]);
}

#[test]
fn k7_refusals_send_the_same_lines_again_in_order() {
    let mut rig = Rig::new();
    rig.mood(Mood::Refuse);
    rig.append("a.log", "1\n2\n3\n");
    rig.run(5);
    let tries = rig.cluster.lock().batches;
    assert!(tries >= 2, "it is tried again");
    assert!(tries <= 10, "and not in a busy loop: {tries}");
    rig.mood(Mood::Ack);
    rig.run(3);
    assert_eq!(rig.lines(), ["1", "2", "3"]);
}

#[test]
fn nothing_is_read_while_the_topic_is_unknown() {
    let mut rig = Rig::new();
    rig.mood(Mood::Away);
    rig.append("a.log", lines_of("1\n2").join("\n") + "\n");
    rig.run(3);
    assert!(rig.stored().is_empty());
    rig.mood(Mood::Ack);
    rig.run(2);
    assert_eq!(rig.lines(), ["1", "2"]);
}

#[test]
fn once_reads_everything_to_its_end_and_finishes() {
    let mut rig = Rig::new();
    rig.crash();
    rig.once = true;
    rig.append("a.log", "1\n2 without end");
    rig.append("b.log", "3\n".repeat(100_000));
    rig.append("c.log", "x".repeat(5000));
    rig.mood(Mood::Slow);
    rig.start();
    for _ in 0..1000 {
        assert!(
            !rig.step(Duration::from_millis(10)),
            "not before the last acknowledgement"
        );
    }
    rig.release(1_000_000, false);
    rig.mood(Mood::Ack);
    assert!((0..100).any(|_| rig.step(Duration::from_millis(10))));
    assert_eq!(rig.stored().len(), 2 + 100_000 + 1);
    // A second time there is nothing to do.
    rig.crash();
    rig.start();
    assert!((0..100).any(|_| rig.step(Duration::from_millis(10))));
    assert_eq!(rig.stored().len(), 2 + 100_000 + 1);
}

#[test]
fn an_idle_file_is_closed_and_opened_when_it_grows() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n");
    for _ in 0..310 {
        rig.step(Duration::from_secs(1));
    }
    assert!(rig.telemetry.text().contains("files_open 0"));
    rig.append("a.log", "2\n");
    rig.run(3);
    assert_eq!(rig.lines(), ["1", "2"]);
    assert_eq!(rig.stored().len(), 2);
}

#[test]
fn e6_a_folder_that_vanishes_for_a_while_is_no_deletion() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n");
    rig.run(2);
    rig.crash();
    fs::rename(rig.path(""), rig.dir.path().join("unmounted")).expect("renamed");
    rig.start();
    for _ in 0..100 {
        rig.step(Duration::from_secs(1));
    }
    fs::rename(rig.dir.path().join("unmounted"), rig.path("")).expect("renamed");
    rig.append("a.log", "2\n");
    rig.run(10);
    assert_eq!(rig.lines(), ["1", "2"]);
    assert_eq!(rig.stored().len(), 2);
}

#[test]
fn t5_truncated_after_a_crash_before_the_unacknowledged_lines_were_read_again() {
    let mut rig = Rig::new();
    rig.mood(Mood::Slow);
    rig.append("a.log", "sent, not acknowledged\n");
    rig.run(2);
    rig.crash();
    rig.mood(Mood::Away);
    rig.start();
    rig.run(2);
    // Nothing of it is read yet, so there is no tail to compare: what was sent must be remembered.
    rig.copy_truncate("a.log", "a.log.1");
    rig.append("a.log", "another content, longer\nthan before\n");
    rig.run(2);
    rig.mood(Mood::Ack);
    rig.run(10);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "another content, longer",
            "sent, not acknowledged",
            "than before"
        ]
    );
    let stored = rig.stored();
    assert_eq!(stored.len(), 4);
    assert_eq!(
        (&stored[0].origin, stored[0].position),
        (&stored[1].origin, stored[1].position)
    );
}

#[test]
fn replaced_between_its_discovery_and_its_first_line() {
    let mut rig = Rig::new();
    rig.mood(Mood::Away);
    rig.append("a.log", "seen, never read\n");
    rig.run(2);
    truncate(&rig.path("a.log"));
    rig.append("a.log", "another content that is longer\n");
    rig.mood(Mood::Ack);
    rig.run(10);
    rig.crash();
    rig.start();
    rig.run(10);
    assert_eq!(rig.lines(), ["another content that is longer"]);
    assert_eq!(rig.stored().len(), 1, "it is recognised after a restart");
}

#[test]
fn e3_an_entry_that_cannot_be_looked_at_is_no_deletion() {
    let mut rig = Rig::new();
    rig.append("a.log", "1\n");
    rig.run(2);
    rig.crash();
    // A link to itself cannot be followed: a scan that meets it has not seen everything.
    fs::rename(rig.path("a.log"), rig.dir.path().join("aside")).expect("renamed");
    std::os::unix::fs::symlink(rig.path("a.log"), rig.path("a.log")).expect("linked");
    rig.append("b.log", "others go on\n");
    rig.start();
    for _ in 0..60 {
        rig.step(Duration::from_secs(1));
    }
    let text = rig.telemetry.text();
    assert!(
        text.contains("files_rejected_total{reason=\"failed\"}"),
        "{text}"
    );
    assert!(!text.contains("scans_incomplete_total 0"), "{text}");
    fs::remove_file(rig.path("a.log")).expect("removed");
    fs::rename(rig.dir.path().join("aside"), rig.path("a.log")).expect("renamed");
    rig.append("a.log", "2\n");
    rig.run(10);
    assert_eq!(rig.lines(), ["1", "others go on", "2"]);
    assert_eq!(rig.stored().len(), 3);
}

#[test]
fn c1_an_unfinished_line_is_held_until_nobody_has_written_for_long() {
    let mut rig = Rig::new();
    rig.append("new.log", "1\nunfin");
    rig.append("old.log", "2\nlast line of a file that was never finished");
    let old = fs::File::options()
        .append(true)
        .open(rig.path("old.log"))
        .expect("the test's file");
    old.set_modified(std::time::SystemTime::now() - Duration::from_hours(1))
        .expect("made old");
    rig.run(3);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(
        lines,
        ["1", "2", "last line of a file that was never finished"]
    );
    rig.append("new.log", "ished\n");
    rig.append("old.log", " goes on\n");
    rig.run(3);
    let mut lines = rig.lines();
    lines.sort();
    assert_eq!(lines[..2], [" goes on", "1"]);
    assert!(lines.contains(&"unfinished".to_owned()), "{lines:?}");
    assert_eq!(rig.stored().len(), 5);
}
