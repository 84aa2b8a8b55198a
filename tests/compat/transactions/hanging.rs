//! Transactions that no coordinator will end: its records are gone, the partitions still wait.
//! `kafka-transactions` finds and ends them, Kafka's own and ours, with Kafka and with Logway.

use std::path::Path;
use std::process::Command;

use harness::binary;

use super::talk::Talk;
use super::{FIRST, SECOND};
use crate::node::Kafka;
use crate::raw::Raw;
use crate::requests::create_request;
use crate::{broker, peers};

/// Opens transactions whose records look old: two that will hang, in partitions 0 and 1.
fn open(address: &str) {
    let request = create_request("t", 3, &[("retention.ms", "-1")]);
    let made = Raw::connect(address).ask(7, &request);
    assert_eq!(made.topics[0].error_code, 0, "{made:?}");
    let mut talk = Talk::start(address);
    for (id, partition) in [("left", 0), ("lost", 1)] {
        let p = talk.init(5, id, 60_000, None);
        talk.add(3, id, p, &[("t", &[partition])]);
        talk.produce_to(11, id, p, ("t", partition));
    }
}

/// Whoever coordinated transactions remembers none.
fn forget(data: &Path) {
    for entry in std::fs::read_dir(data).expect("its folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("__transaction_state-")) {
            std::fs::remove_dir_all(path).expect("removed");
        }
    }
}

/// Runs the tool; what it said and how it ended, without what is each broker's own.
fn said(tool: &dyn Fn() -> Command, at: &str, args: &[&str]) -> String {
    let mut command = tool();
    command.args(["--bootstrap-server", at]).args(args);
    let output = peers::run(&mut command, "");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    // Of an error what went wrong, not where in which program.
    let error = error.lines().find(|line| !line.contains("WARN"));
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.join(" ")
    });
    let lines: Vec<String> = lines.filter(|line| !line.is_empty()).collect();
    let code = output.status.code();
    format!("{args:?} {code:?} {lines:?} {}", error.unwrap_or("-"))
}

/// What both tools are asked, in order: each ends one of the two.
fn ask(tool: &dyn Fn() -> Command, address: &str, by_offset: bool) -> Vec<String> {
    let mut talk = Talk::start(address);
    talk.read_committed("t");
    let before = talk.lines.pop().expect("a line");
    let mut seen = vec![before];
    let mut run = |args: &[&str]| seen.push(said(tool, address, args));
    let partition = if by_offset { "0" } else { "1" };
    let place = ["--topic", "t", "--partition", partition];
    run(&["find-hanging", "--topic", "t"]);
    run(&[
        "find-hanging",
        "--topic",
        "t",
        "--max-transaction-timeout",
        "99999999",
    ]);
    run(&["find-hanging"]);
    run(&[&["describe-producers"], &place[..]].concat());
    run(&[&["abort"], &place[..]].concat());
    run(&[&["abort"], &place[..], &["--start-offset", "77"]].concat());
    if by_offset {
        run(&[&["abort"], &place[..], &["--start-offset", "0"]].concat());
    } else {
        let id = producer(tool, address);
        let of = ["--producer-id", &id, "--producer-epoch", "0"];
        run(&[&["abort"], &place[..], &of[..]].concat());
        let all = [&of[..], &["--coordinator-epoch", "0"]].concat();
        run(&[&["abort"], &place[..], &all[..]].concat());
    }
    run(&[&["describe-producers"], &place[..]].concat());
    run(&["find-hanging", "--topic", "t"]);
    terminate(&mut talk, &mut run);
    talk.read_committed("t");
    seen.extend(talk.lines);
    // Producer ids and times are each broker's own.
    seen.iter().map(|line| without_numbers(line)).collect()
}

/// The producer whose transaction is open in partition 1.
fn producer(tool: &dyn Fn() -> Command, address: &str) -> String {
    let mut command = tool();
    command.args(["--bootstrap-server", address, "describe-producers"]);
    let text = peers::ok(command.args(["--topic", "t", "--partition", "1"]), "");
    let lines = text.lines().skip(1);
    let mut open = lines.filter(|line| !line.contains("None"));
    let line = open.next().unwrap_or_else(|| panic!("none open: {text}"));
    line.split_whitespace().next().expect("an id").to_owned()
}

/// `forceTerminateTransaction`, of an open transaction, a closed one and none.
fn terminate(talk: &mut Talk, run: &mut dyn FnMut(&[&str])) {
    let p = talk.init(5, "forced", 60_000, None);
    talk.produce_to(12, "forced", p, ("t", 2));
    let force = |run: &mut dyn FnMut(&[&str]), id: &str| {
        run(&["forceTerminateTransaction", "--transactionalId", id]);
    };
    force(run, "forced");
    talk.settle("forced");
    talk.describe(&["forced"]);
    talk.end(SECOND, "forced", p, true);
    talk.end(FIRST, "forced", p, true);
    talk.produce_to(12, "forced", p, ("t", 2));
    force(run, "forced");
    talk.describe(&["forced"]);
    force(run, "nobody");
    run(&["forceTerminateTransaction"]);
}

/// Numbers of five digits and more are ids and times.
fn without_numbers(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        if digits > 4 { "#" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn hanging_transactions_are_found_and_ended_as_with_kafka() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let link = folder.path().join("kafka-transactions.sh");
    std::os::unix::fs::symlink(binary("logway"), &link).expect("a link");
    let kafkas = || {
        let mut command = Command::new(&script);
        command.args(["tool", "kafka-transactions"]);
        command
    };
    let ours = || Command::new(&link);
    let kafka = Kafka::start(script.clone(), folder.path());
    open(&kafka.address());
    kafka.ok(&["halt", "1"]);
    forget(&kafka.data());
    kafka.go_on();
    let logway = broker(folder.path());
    open(&logway.address("kafka"));
    assert!(logway.stop().success());
    forget(&folder.path().join("broker"));
    let logway = broker(folder.path());
    let at = logway.address("kafka");
    let mut differences = Vec::new();
    let mut compare = |what: &str, theirs: Vec<String>, own: Vec<String>| {
        assert_eq!(theirs.len(), own.len(), "{theirs:#?}\n{own:#?}");
        let differing = theirs.iter().zip(&own).filter(|(one, other)| one != other);
        differences.extend(differing.map(|(one, other)| format!("{what}\n  {one}\n  {other}")));
    };
    let theirs = ask(&kafkas, &kafka.address(), true);
    compare("kafka's tool", theirs, ask(&kafkas, &at, true));
    let theirs = ask(&ours, &kafka.address(), false);
    compare("our tool", theirs, ask(&ours, &at, false));
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(logway.stop().success());
}
