//! Partition folders change hands: Logway opens what Apache Kafka wrote before it was killed, goes on
//! under load until it is killed too, and Kafka takes the folder back. Only `partition.metadata` is
//! each one's own. Everybody serves the same records, and the same ones as committed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::process::Process;

use crate::node::Kafka;
use crate::raw::Raw;
use crate::{broker, broker_with, peers, steady};

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

/// Base offsets of the segments in a folder, in order.
fn segments(folder: &Path) -> Vec<i64> {
    let logs = files(folder).into_iter();
    let logs = logs.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    let base = |path: PathBuf| path.file_stem()?.to_str()?.parse().ok();
    logs.map(|path| base(path).expect("an offset")).collect()
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

fn create_topic(kafka: &Kafka, at: &str, configs: &[&str]) {
    let made = ["--partitions", "1", "--replication-factor", "1"];
    let tool = [
        "tool",
        "kafka-topics",
        "--bootstrap-server",
        at,
        "--create",
        "--topic",
        TOPIC,
    ];
    let configs = ["segment.bytes=1048576"].iter().chain(configs);
    let configs: Vec<&str> = configs.flat_map(|one| ["--config", *one]).collect();
    kafka.ok(&[&tool[..], &made, &configs].concat());
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
    create_topic(kafka, &logway.address("kafka"), &[]);
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

/// Logway takes records until it is killed in the middle; what it then serves.
fn load_and_kill(client: &Client, logway: Process, folder: &Path) -> Process {
    let at = logway.address("kafka");
    let mut load = client.command("load", &at);
    let load = load.stdout(Stdio::null()).spawn().expect("the client");
    let own = folder.join(format!("broker/{TOPIC}-0"));
    let segments = || segments(&own).len();
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
    create_topic(&kafka, &at, &[]);
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
    // A transaction's markers are written after its end was confirmed.
    steady::markers(&mut Raw::connect(&at));
    let expected = served(&client, &at);
    assert!(expected.committed.len() < expected.all.len());
    kafka.kill();

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
    let said = kafka.check_files(&own);
    assert!(said["txnindex"].contains("lastStableOffset"));
    assert!(said["snapshot"].contains("producerId"));

    hand_over(&own, &kafka.partition(TOPIC), |_| true);
    kafka.go_on();
    served(&client, &at).assert_is(&longer, "Kafka with Logway's folder");
    kafka.ok(&["halt", "1"]);

    // What Kafka has closed cleanly is taken as it is.
    let third = folder.path().join("third");
    let logway = logway_with(&kafka, &third, |_| true, true);
    served(&client, &logway.address("kafka")).assert_is(&longer, "Logway after a clean end");
    assert!(logway.stop().success());
}

/// Whether each key is left once among what is committed below the active segment.
fn is_compacted(served: &Served, active: i64) -> bool {
    let mut keys = HashSet::new();
    let mut records = served.committed.iter().filter_map(|line| {
        let mut fields = line.split(' ');
        let offset: i64 = fields.next()?.parse().ok()?;
        // Epoch, kind of timestamp and timestamp lie between them.
        Some((offset, fields.nth(3)?))
    });
    records.all(|(offset, key)| offset >= active || keys.insert(key))
}

/// Kafka has compacted the log by itself up to its active segment.
fn wait_for_kafkas_cleaner(kafka: &Kafka, at: &str, active: i64) {
    let alter = ["tool", "kafka-configs", "--bootstrap-server", at, "--alter"];
    let topic = ["--entity-type", "topics", "--entity-name", TOPIC];
    let eager = ["--add-config", "min.cleanable.dirty.ratio=0"];
    kafka.ok(&[&alter[..], &topic, &eager].concat());
    wait_for_cleaner(&kafka.data(), active);
}

/// A cleaner says that it went over the log up to its active segment.
fn wait_for_cleaner(data: &Path, active: i64) {
    let checkpoint = data.join("cleaner-offset-checkpoint");
    let wanted = format!("{TOPIC} 0 {active}");
    harness::eventually("compaction", || {
        let found = fs::read_to_string(&checkpoint).unwrap_or_default();
        let is_there = found.lines().any(|line| line == wanted);
        if is_there { Ok(()) } else { Err(found) }
    });
}

/// Logway with Kafka's folder, which it compacts, and more records of its own.
fn logway_compacts(kafka: &Kafka, client: &Client, folder: &Path) -> Served {
    let eager = "\n[log.cleaner]\nbackoff_ms = 50\n";
    let logway = broker_with(folder, eager);
    let compact = ["cleanup.policy=compact", "min.cleanable.dirty.ratio=0"];
    create_topic(kafka, &logway.address("kafka"), &compact);
    logway.kill();
    let own = folder.join(format!("broker/{TOPIC}-0"));
    hand_over(&kafka.partition(TOPIC), &own, |_| true);
    let logway = broker_with(folder, eager);
    let at = logway.address("kafka");
    peers::ok(&mut client.command("keyed-plain", &at), "");
    let active = segments(&own).pop().expect("a segment");
    // What is read while segments are replaced is partly of before.
    wait_for_cleaner(&folder.join("broker"), active);
    let compacted = served(client, &at);
    assert!(is_compacted(&compacted, active), "{compacted:?}");
    assert!(logway.stop().success());
    let segments = segments(&own);
    assert!(segments.len() > 3, "{segments:?}");
    let tombstones = compacted.committed.iter();
    assert!(tombstones.filter(|line| line.ends_with(" None")).count() > 5);
    compacted
}

/// Kafka finds in a folder that Logway compacted what Logway serves from it: taken as it is, with all
/// of it recovered, and after its own cleaner went over it, which finds nothing left to do.
#[test]
fn kafka_takes_over_a_folder_that_logway_compacted() {
    let (Some(script), Some(python)) = (peers::kafka(), peers::python("confluent_kafka")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client(python);
    let kafka = Kafka::start_with(script, folder.path(), &["log.cleaner.backoff.ms=50"]);
    let at = kafka.address();
    // Nothing is dirtier than all of it: Kafka compacts nothing yet.
    let compact = ["cleanup.policy=compact", "min.cleanable.dirty.ratio=1"];
    create_topic(&kafka, &at, &compact);
    peers::ok(&mut client.command("keyed", &at), "");
    // Markers that come after the kill would be no part of the folder that is compared.
    steady::markers(&mut Raw::connect(&at));
    kafka.kill();
    let expected = logway_compacts(&kafka, &client, folder.path());
    let own = folder.path().join(format!("broker/{TOPIC}-0"));
    let said = kafka.check_files(&own);
    // A producer's last transaction was aborted; what is kept of it is still to be left out.
    assert!(said["txnindex"].contains("lastStableOffset"));
    assert!(said["snapshot"].contains("producerId"));

    for end in ["kill", "halt"] {
        hand_over(&own, &kafka.partition(TOPIC), |_| true);
        kafka.go_on();
        let who = format!("Kafka with the folder, before a {end}");
        served(&client, &at).assert_is(&expected, &who);
        match end {
            "kill" => kafka.kill(),
            _ => drop(kafka.ok(&[end, "1"])),
        }
    }
    hand_over(&own, &kafka.partition(TOPIC), |_| true);
    kafka.go_on();
    served(&client, &at).assert_is(&expected, "Kafka after a clean end");
    wait_for_kafkas_cleaner(&kafka, &at, *segments(&own).last().expect("a segment"));
    served(&client, &at).assert_is(&expected, "Kafka after its own cleaner");
    assert_eq!(kafka.complaints(TOPIC), [""; 0]);
}
