//! Random histories of writers, rotations, crashes and broker moods against an oracle that knows every line
//! written. Step 2 of the hallway.
//!
//! At the end every line has arrived, once for a store that knows repeats by (origin, position); a repeat is
//! equal to what it repeats; and per origin lines stand in the order in which they were written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::rig::{Mood, Rig, truncate};

#[derive(Debug, Clone)]
enum Op {
    Append {
        file: usize,
        lines: usize,
    },
    /// Text without line feed; the next append goes on with it.
    Part {
        file: usize,
    },
    /// Renamed to a fresh name that the pattern finds, too.
    Rename {
        file: usize,
    },
    /// Copied, looked at for some steps, truncated.
    CopyTruncate {
        file: usize,
        steps_between: usize,
    },
    Truncate {
        file: usize,
    },
    Delete {
        file: usize,
    },
    Steps(usize),
    Mood(Mood),
    Release {
        count: usize,
        reversed: bool,
    },
    Crash,
    /// Dies, misses what the next operations do, and comes back with the next step.
    Down,
}

fn op() -> impl Strategy<Value = Op> {
    let file = 0..3_usize;
    prop_oneof![
        8 => (file.clone(), 1..40_usize).prop_map(|(file, lines)| Op::Append { file, lines }),
        2 => file.clone().prop_map(|file| Op::Part { file }),
        2 => file.clone().prop_map(|file| Op::Rename { file }),
        2 => (file.clone(), 0..25_usize).prop_map(|(file, steps_between)| Op::CopyTruncate { file, steps_between }),
        1 => file.clone().prop_map(|file| Op::Truncate { file }),
        1 => file.prop_map(|file| Op::Delete { file }),
        8 => (1..30_usize).prop_map(Op::Steps),
        1 => Just(Op::Mood(Mood::Ack)),
        3 => prop_oneof![Just(Mood::Slow), Just(Mood::Full), Just(Mood::Refuse), Just(Mood::Away)].prop_map(Op::Mood),
        2 => (1..4_usize, any::<bool>()).prop_map(|(count, reversed)| Op::Release { count, reversed }),
        2 => Just(Op::Crash),
        2 => Just(Op::Down),
    ]
}

/// The writers, and what they know.
#[derive(Default)]
struct Oracle {
    next_line: u64,
    rotations: u64,
    /// Lines that stand in a file of this name now.
    inside: HashMap<usize, Vec<String>>,
    /// Text without line feed at the end of a file.
    part: HashMap<usize, String>,
    written: Vec<String>,
    /// Lines whose only home was destroyed before the agent had sent them.
    excused: HashSet<String>,
    /// Lines whose only home is a deleted file that the agent holds open.
    fragile: Vec<String>,
}

impl Oracle {
    fn line(&mut self, file: usize, text: &str) -> String {
        let line = format!("{file} {:06} {text}", self.next_line);
        self.next_line += 1;
        line
    }

    fn append(&mut self, rig: &Rig, file: usize, lines: usize) {
        let mut text = String::new();
        if !self.inside.contains_key(&file) && !self.part.contains_key(&file) {
            // All files begin alike, more than a fingerprint covers.
            text.push_str(&HEADER.repeat(30));
        }
        for number in 0..lines {
            let whole = match self.part.remove(&file) {
                Some(part) => {
                    let whole = part + " whole";
                    text.push_str(" whole\n");
                    whole
                }
                None => {
                    let end = if number % 7 == 3 { "\r\n" } else { "\n" };
                    let line = self.line(file, &"some text ".repeat(number % 5));
                    text.push_str(&line);
                    text.push_str(end);
                    line
                }
            };
            self.inside.entry(file).or_default().push(whole.clone());
            self.written.push(whole);
        }
        rig.append(&name(file), text);
    }

    fn part(&mut self, rig: &Rig, file: usize) {
        if self.inside.contains_key(&file) && !self.part.contains_key(&file) {
            let line = self.line(file, "part");
            rig.append(&name(file), &line);
            self.part.insert(file, line);
        }
    }

    /// The file's text goes away under another name, or for good.
    fn leave(&mut self, file: usize) -> Vec<String> {
        self.part.remove(&file);
        self.rotations += 1;
        self.inside.remove(&file).unwrap_or_default()
    }

    fn excuse_unless_stored(&mut self, rig: &Rig, lines: Vec<String>) {
        let stored: HashSet<String> = rig.lines().into_iter().collect();
        self.excused
            .extend(lines.into_iter().filter(|line| !stored.contains(line)));
    }
}

const HEADER: &str = "==== the same header in every file, line by line ====\n";

fn name(file: usize) -> String {
    format!("{}.log", ["a", "b", "c"][file])
}

fn play(ops: &[Op]) -> Result<(), TestCaseError> {
    // Many syncs: in memory where that is possible.
    let dir = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .expect("a folder");
    fs::create_dir(dir.path().join("logs")).expect("a folder");
    let glob = dir
        .path()
        .join("logs/*.log*")
        .to_string_lossy()
        .into_owned();
    let mut rig = Rig::with(dir, vec![glob]);
    let mut oracle = Oracle::default();
    let mut down = false;
    for op in ops {
        apply(op, &mut rig, &mut oracle, &mut down);
    }
    if down {
        rig.start();
    }
    rig.mood(Mood::Ack);
    rig.release(1000, false);
    rig.run(40);
    check(&rig, &oracle)
}

fn apply(op: &Op, rig: &mut Rig, oracle: &mut Oracle, down: &mut bool) {
    match *op {
        Op::Append { file, lines } => oracle.append(rig, file, lines),
        Op::Part { file } => oracle.part(rig, file),
        Op::Rename { file } if oracle.inside.contains_key(&file) => {
            oracle.leave(file);
            let to = format!("{}.{}", name(file), oracle.rotations);
            fs::rename(rig.path(&name(file)), rig.path(&to)).expect("renamed");
        }
        Op::CopyTruncate {
            file,
            steps_between,
        } if oracle.inside.contains_key(&file) => {
            if !*down {
                // The original must be known before its copy appears; from then on the copy is recognised.
                rig.run(2);
            }
            oracle.leave(file);
            let to = format!("{}.{}", name(file), oracle.rotations);
            fs::copy(rig.path(&name(file)), rig.path(&to)).expect("copied");
            for _ in 0..if *down { 0 } else { steps_between } {
                rig.step(Duration::from_millis(100));
            }
            truncate(&rig.path(&name(file)));
        }
        Op::Truncate { file } if oracle.inside.contains_key(&file) => {
            let lines = oracle.leave(file);
            oracle.excuse_unless_stored(rig, lines);
            truncate(&rig.path(&name(file)));
        }
        Op::Delete { file } if oracle.inside.contains_key(&file) => {
            let lines = oracle.leave(file);
            if *down {
                oracle.excuse_unless_stored(rig, lines);
            } else {
                // Two scans make sure that it is open.
                rig.run(2);
                oracle.fragile.extend(lines);
            }
            fs::remove_file(rig.path(&name(file))).expect("removed");
        }
        Op::Steps(count) => {
            if std::mem::take(down) {
                rig.start();
            }
            for _ in 0..count {
                rig.step(Duration::from_millis(100));
            }
        }
        Op::Mood(mood) => rig.mood(mood),
        Op::Release { count, reversed } => rig.release(count, reversed),
        Op::Crash | Op::Down if !*down => {
            rig.crash();
            let fragile = std::mem::take(&mut oracle.fragile);
            oracle.excuse_unless_stored(rig, fragile);
            *down = true;
            if matches!(op, Op::Crash) {
                rig.start();
                *down = false;
            }
        }
        _ => {}
    }
}

fn check(rig: &Rig, oracle: &Oracle) -> Result<(), TestCaseError> {
    let mut kept: HashMap<(String, u64), Vec<u8>> = HashMap::new();
    let mut last: HashMap<String, u64> = HashMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for record in rig.stored() {
        let key = (record.origin.clone(), record.position);
        if let Some(before) = kept.get(&key) {
            prop_assert_eq!(
                before,
                &record.value,
                "a repeat differs from what it repeats"
            );
            continue;
        }
        let before = last.insert(record.origin.clone(), record.position);
        prop_assert!(
            before.is_none_or(|at| at < record.position),
            "order within {}",
            record.origin
        );
        let line = String::from_utf8(record.value.clone()).expect("the test writes text");
        kept.insert(key, record.value);
        *times.entry(line).or_default() += 1;
    }
    for line in &oracle.written {
        let seen = times.get(line).copied().unwrap_or(0);
        if !oracle.excused.contains(line) {
            prop_assert!(seen > 0, "lost: {}", line);
        }
        prop_assert!(seen <= 1, "twice under two origins: {}", line);
    }
    Ok(())
}

/// Few enough for every day; `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    let asked = std::env::var_os("PROPTEST_CASES").is_some();
    if asked {
        ProptestConfig::default().cases
    } else {
        60
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_arrives_whatever_happens(ops in proptest::collection::vec(op(), 1..40)) {
        play(&ops)?;
    }
}
