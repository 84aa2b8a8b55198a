//! One list of scenarios, run by every client that can: against Logway and against Apache Kafka, with what
//! each run prints compared line by line.
//!
//! A client is a program in `clients/`, called as `PROGRAM SCENARIO HOST:PORT`. It does the scenario with the
//! client's own API, prints what a user would see (no ids, no times of day, nothing that may come in another
//! order), and ends with status 0. Nothing may be left over between scenarios but topics and groups whose names
//! start with the client's and the scenario's.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::node::Kafka;
use crate::{broker, peers};

/// The scenarios that every client here is asked for, and what each shows.
const SCENARIOS: &[(&str, &str)] = &[
    (
        "codecs",
        "records in all codecs that the client has, read back",
    ),
    (
        "records",
        "keys, headers, tombstones, timestamps; offsets by time",
    ),
    (
        "resets",
        "reset of offsets: earliest, latest, none, a time, out of range",
    ),
    (
        "joins",
        "a group: members join, one leaves, one falls silent; offsets go on",
    ),
    (
        "static",
        "static members: a restart without a rebalance, two of one name",
    ),
    (
        "cooperative",
        "cooperative rebalance: who keeps a partition never stops",
    ),
    (
        "consumer-protocol",
        "KIP-848: join, share, leave, static, pattern",
    ),
    (
        "transactions",
        "commit, abort, read_committed and read_uncommitted",
    ),
    ("fencing", "a zombie with the same transactional id"),
    (
        "transform",
        "exactly-once consume, transform, produce, cut off half way",
    ),
    (
        "admin",
        "topics, partitions, settings, records deleted, groups and offsets",
    ),
];

/// Runs all scenarios but those in `without` by the program that `client` makes a command of.
fn run_all(client: impl Fn() -> Command + Sync, without: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let logway = broker(folder.path());
    // One for each client: what one sets for the whole cluster is no other's business.
    let kafka = peers::kafka().map(|script| Kafka::start(script, folder.path()));
    for (scenario, _) in SCENARIOS {
        if without.contains(scenario) {
            continue;
        }
        let said = |at: &str| peers::ok(client().args([scenario, at]), "");
        // Both at once: most of a scenario is waiting for sessions to end.
        let (ours, theirs) = std::thread::scope(|scope| {
            let theirs = kafka
                .as_ref()
                .map(|kafka| scope.spawn(|| said(&kafka.address())));
            let ours = said(&logway.address("kafka"));
            let theirs = theirs.map(|theirs| theirs.join().expect("Apache Kafka's run"));
            (ours, theirs)
        });
        assert!(!ours.is_empty(), "{scenario} says nothing");
        if let Some(theirs) = theirs {
            compare(scenario, &ours, &theirs);
        }
    }
    assert!(logway.stop().success());
}

/// Both said the same; if not, the first line that differs.
fn compare(scenario: &str, ours: &str, theirs: &str) {
    let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
    for number in 1.. {
        let (ours, theirs) = (ours.next(), theirs.next());
        assert_eq!(
            ours, theirs,
            "{scenario}, line {number}: left Logway, right Apache Kafka"
        );
        if ours.is_none() {
            return;
        }
    }
}

fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("compat/clients")
        .join(name)
}

/// kafkajs has no static members, no cooperative assignor and no consumer protocol.
#[test]
fn kafkajs_runs_the_scenarios() {
    let Some(modules) = peers::kafkajs() else {
        return;
    };
    let without = ["static", "cooperative", "consumer-protocol"];
    let client = || {
        let mut node = Command::new("node");
        node.env("NODE_PATH", &modules)
            .arg(program("kafkajs/main.js"));
        node
    };
    run_all(client, &without);
}

#[test]
fn franz_go_runs_the_scenarios() {
    let Some(built) = peers::franz_go() else {
        return;
    };
    run_all(|| Command::new(&built), &[]);
}

/// kafka-go has no cooperative assignor and no consumer protocol. Static members and transactions it has as
/// requests only.
#[test]
fn kafka_go_runs_the_scenarios() {
    let Some(built) = peers::kafka_go() else {
        return;
    };
    let without = ["cooperative", "consumer-protocol"];
    run_all(|| Command::new(&built), &without);
}

/// A client that is a folder of Python files, run by an interpreter that has `module`.
fn python(module: &str, folder: &str) -> Option<impl Fn() -> Command + Sync> {
    let python = peers::python(module)?;
    let program = program(folder);
    Some(move || {
        let mut client = Command::new(&python);
        client.env("PYTHONDONTWRITEBYTECODE", "1").arg(&program);
        client
    })
}

#[test]
fn confluent_kafka_runs_the_scenarios() {
    if let Some(client) = python("confluent_kafka", "confluent") {
        run_all(client, &[]);
    }
}

/// kafka-python has no consumer protocol (KIP-848).
#[test]
fn kafka_python_runs_the_scenarios() {
    if let Some(client) = python("kafka", "kafka_python") {
        run_all(client, &["consumer-protocol"]);
    }
}

#[test]
fn java_clients_run_the_scenarios() {
    let Some(script) = peers::kafka() else {
        return;
    };
    let classpath = peers::ok(Command::new(script).arg("classpath"), "");
    let classes = tempfile::tempdir().expect("a folder");
    let sources = std::fs::read_dir(program("java")).expect("the Java client");
    let mut compile = Command::new("javac");
    compile.args(["-cp", classpath.trim(), "-d"]);
    compile.arg(classes.path());
    compile.args(sources.map(|source| source.expect("a source").path()));
    peers::ok(&mut compile, "");
    let classpath = format!("{}:{}", classes.path().display(), classpath.trim());
    let client = || {
        let mut java = Command::new("java");
        // For programs that run for seconds: little memory, and no long compilation.
        java.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        java.args(["-cp", &classpath, "Scenarios"]);
        java
    };
    run_all(client, &[]);
}
