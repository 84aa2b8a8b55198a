//! Partition folders change hands: Logway opens what Apache Kafka wrote before it was killed, goes on
//! under load until it is killed too, and Kafka takes the folder back. Only `partition.metadata` is
//! each one's own. Everybody serves the same records, and the same ones as committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::process::Process;

use crate::node::Kafka;
use crate::{broker, peers};

const TOPIC: &str = "handed";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/transactions.py");
const KEPT: &str = "partition.metadata";

/// A client in Python, with what it is told and asked.
struct Client(PathBuf);

impl Client {
    fn command(&self, mode: &str, at: &str) -> Command {
        let mut command = Command::new(&self.0);
        command.args([SCRIPT, mode, at, TOPIC]);
        command
    }

    fn read(&self, at: &str, isolation: &str) -> Vec<String> {
        let mut read = self.command("read", at);
        let said = peers::ok(read.arg(isolation), "");
        said.lines().map(str::to_owned).collect()
    }
}

/// What consumers of all, and of committed records are given.
#[derive(Debug, PartialEq)]
struct Served {
    all: Vec<String>,
    committed: Vec<String>,
}

impl Served {
    /// Shows where the two part.
    fn assert_is(&self, expected: &Served, who: &str) {
        for (found, expected, which) in [
            (&self.all, &expected.all, "all"),
            (&self.committed, &expected.committed, "committed"),
        ] {
            let same = found.iter().zip(expected).take_while(|(a, b)| a == b);
            let at = same.count();
            assert!(
                found == expected,
                "{who}, {which}: {:?} is not {:?}",
                found.get(at),
                expected.get(at)
            );
        }
    }
}

fn served(client: &Client, at: &str) -> Served {
    Served {
        all: client.read(at, "read_uncommitted"),
        committed: client.read(at, "read_committed"),
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

/// Puts the files of one partition folder, but for `partition.metadata`, in place of another's.
fn hand_over(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) {
    for old in files(to).iter().filter(|path| !path.ends_with(KEPT)) {
        fs::remove_file(old).expect("removed");
    }
    for path in files(from).iter().filter(|path| !path.ends_with(KEPT)) {
        let name = path.file_name().expect("a name");
        if is_wanted(name.to_str().expect("UTF-8")) {
            fs::copy(path, to.join(name)).expect("copied");
        }
    }
}

fn create_topic(kafka: &Kafka, at: &str) {
    let made = ["--partitions", "1", "--replication-factor", "1"];
    let small = ["--config", "segment.bytes=1048576"];
    let tool = [
        "tool",
        "kafka-topics",
        "--bootstrap-server",
        at,
        "--create",
        "--topic",
        TOPIC,
    ];
    kafka.ok(&[&tool[..], &made, &small].concat());
}

/// Logway with Kafka's folder in place of its own empty one: after a clean stop it is to be taken as
/// it is, after a kill all of it is recovered.
fn logway_with(
    kafka: &Kafka,
    folder: &Path,
    is_wanted: impl Fn(&str) -> bool,
    clean: bool,
) -> Process {
    fs::create_dir_all(folder).expect("a folder");
    let logway = broker(folder);
    create_topic(kafka, &logway.address("kafka"));
    if clean {
        assert!(logway.stop().success());
    } else {
        logway.kill();
    }
    let own = folder.join(format!("broker/{TOPIC}-0"));
    hand_over(&kafka.partition(TOPIC), &own, is_wanted);
    broker(folder)
}

fn end_load(mut load: Child) {
    load.kill().expect("the client is killed");
    load.wait().expect("the client ends");
}

/// Kafka's tool finds nothing to complain about.
fn check_files(kafka: &Kafka, folder: &Path) {
    let of = |ending: &str| {
        let found = files(folder).into_iter();
        let found = found.filter(|path| path.extension().is_some_and(|e| e == ending));
        let found: Vec<String> = found.map(|path| path.display().to_string()).collect();
        assert!(!found.is_empty(), "no .{ending}");
        found.join(",")
    };
    let dump = |ending: &str, more: &[&str]| {
        let files = of(ending);
        let said = kafka.ok(&[&["tool", "kafka-dump-log", "--files", &files], more].concat());
        for complaint in [
            "isvalid: false",
            "Found",
            "corrupt",
            "Mismatch",
            "exception",
        ] {
            assert!(
                !said.contains(complaint),
                ".{ending}: {complaint} in {said}"
            );
        }
        said
    };
    dump("log", &["--deep-iteration"]);
    for ending in ["index", "timeindex"] {
        dump(ending, &["--index-sanity-check"]);
        dump(ending, &["--verify-index-only"]);
    }
    assert!(dump("txnindex", &[]).contains("lastStableOffset"));
    assert!(dump("snapshot", &[]).contains("producerId"));
}

/// Logway takes records until it is killed in the middle; what it then serves.
fn load_and_kill(client: &Client, logway: Process, folder: &Path) -> Process {
    let at = logway.address("kafka");
    let mut load = client.command("load", &at);
    let load = load.stdout(Stdio::null()).spawn().expect("the client");
    let own = folder.join(format!("broker/{TOPIC}-0"));
    let segments = || {
        files(&own)
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "log"))
            .count()
    };
    let before = segments();
    harness::eventually("three more segments", || match segments() {
        now if now >= before + 3 => Ok(()),
        now => Err(now),
    });
    logway.kill();
    end_load(load);
    broker(folder)
}

#[test]
fn folders_change_hands_between_kafka_and_logway() {
    let (Some(script), Some(python)) = (peers::kafka(), peers::python("confluent_kafka")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client(python);
    let kafka = Kafka::start(script, folder.path());
    let at = kafka.address();
    create_topic(&kafka, &at);
    let bootstrap = format!("bootstrap.servers={at}");
    kafka.ok(&[
        "tool",
        "kafka-producer-perf-test",
        "--topic",
        TOPIC,
        "--num-records",
        "4000",
        "--record-size",
        "1000",
        "--throughput",
        "-1",
        "--transactional-id",
        "perf",
        "--transaction-duration-ms",
        "50",
        "--producer-props",
        &bootstrap,
    ]);
    peers::ok(&mut client.command("write", &at), "");
    let expected = served(&client, &at);
    assert!(expected.committed.len() < expected.all.len());
    kafka.ok(&["kill", "1"]);

    // With all that Kafka left, and with its segments alone.
    let first = folder.path().join("first");
    let logway = logway_with(&kafka, &first, |_| true, false);
    served(&client, &logway.address("kafka")).assert_is(&expected, "Logway");
    assert!(logway.stop().success());
    let logway = broker(&first);
    served(&client, &logway.address("kafka")).assert_is(&expected, "Logway again");
    assert!(logway.stop().success());
    let second = folder.path().join("second");
    let logway = logway_with(&kafka, &second, |name| name.ends_with(".log"), false);
    served(&client, &logway.address("kafka")).assert_is(&expected, "Logway with the logs alone");

    let logway = load_and_kill(&client, logway, &second);
    let longer = served(&client, &logway.address("kafka"));
    assert!(longer.all.len() > expected.all.len());
    let before_end = expected.all.len() - 1;
    assert_eq!(longer.all[..before_end], expected.all[..before_end]);
    assert_eq!(
        longer.committed, expected.committed,
        "a transaction is open"
    );
    logway.kill();
    let own = second.join(format!("broker/{TOPIC}-0"));
    check_files(&kafka, &own);

    hand_over(&own, &kafka.partition(TOPIC), |_| true);
    kafka.ok(&["cont", "1"]);
    served(&client, &at).assert_is(&longer, "Kafka with Logway's folder");
    kafka.ok(&["halt", "1"]);

    // What Kafka has closed cleanly is taken as it is.
    let third = folder.path().join("third");
    let logway = logway_with(&kafka, &third, |_| true, true);
    served(&client, &logway.address("kafka")).assert_is(&longer, "Logway after a clean end");
    assert!(logway.stop().success());
}
