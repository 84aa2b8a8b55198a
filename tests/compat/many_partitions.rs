//! Consumers of many partitions, some with incremental fetch sessions (Java, kafka-python) and some
//! with full fetches (librdkafka): all must see the same records, those that come while they wait too.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::{broker, peers};

const PARTITIONS: usize = 150;
const RECORDS: usize = 3000;

/// Lines with keys, so that they go to every partition.
fn lines(from: usize, to: usize) -> String {
    (from..to).map(|i| format!("k{i}:value {i}\n")).collect()
}

fn produce(at: &str, from: usize, to: usize) {
    let mut kcat = Command::new("kcat");
    kcat.args(["-b", at, "-P", "-t", "many", "-K", ":"]);
    peers::ok(&mut kcat, &lines(from, to));
}

/// Runs a consumer on half of the records, sends the rest when it has shown some, and returns what
/// it printed.
fn consumed(mut consumer: Command, at: &str) -> Vec<String> {
    produce(at, 0, RECORDS / 2);
    let mut child = consumer
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the consumer starts");
    let _limit = peers::Limit::of(&child);
    let mut printed = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut seen = Vec::new();
    while seen.len() < RECORDS / 2 {
        let line = printed.next().expect("the consumer goes on");
        seen.push(line.expect("UTF-8"));
    }
    for part in 0..10 {
        // In small steps: most of its partitions have nothing new each time.
        let step = RECORDS / 20;
        let from = RECORDS / 2 + part * step;
        produce(at, from, from + step);
    }
    seen.extend(printed.map(|line| line.expect("UTF-8")));
    assert!(child.wait().expect("the consumer ends").success());
    seen
}

/// Makes the topic on a broker of its own and has a consumer read it.
fn check(consumer: impl FnOnce(&str) -> Option<Command>) {
    if peers::kcat().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let at = broker.address("kafka");
    let Some(command) = consumer(&at) else { return };
    let mut topics = Command::new(harness::binary("logway"));
    let partitions = PARTITIONS.to_string();
    topics.args(["topics", "create", "many", "--bootstrap", &at]);
    peers::ok(topics.args(["--partitions", &partitions]), "");
    let mut seen = consumed(command, &at);
    // Where partition and offset are printed too, each partition's records come in order.
    let mut next = vec![0; PARTITIONS];
    for line in &seen {
        let mut words = line.split(' ');
        let (first, second) = (words.next(), words.next());
        let numbers = first.zip(second).and_then(|(partition, offset)| {
            let partition: usize = partition.parse().ok()?;
            Some((partition, offset.parse::<usize>().ok()?))
        });
        if let Some((partition, offset)) = numbers {
            assert_eq!(next[partition], offset, "partition {partition}");
            next[partition] += 1;
        }
    }
    let value_of = |line: &String| line[line.find("value").expect("a value")..].to_owned();
    seen = seen.iter().map(value_of).collect();
    seen.sort();
    let mut expected: Vec<String> = (0..RECORDS).map(|i| format!("value {i}")).collect();
    expected.sort();
    assert!(seen == expected, "{} of {RECORDS} records", seen.len());
    assert!(broker.stop().success());
}

fn python(module: &str, client: &str, at: &str) -> Option<Command> {
    let mut command = Command::new(peers::python(module)?);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/many_partitions.py");
    let (partitions, records) = (PARTITIONS.to_string(), RECORDS.to_string());
    command.args([script, client, at, "many", &partitions, &records]);
    Some(command)
}

#[test]
fn confluent_kafka_reads_many_partitions() {
    check(|at| python("confluent_kafka", "confluent", at));
}

#[test]
fn kafka_python_reads_many_partitions() {
    check(|at| python("kafka", "kafka-python", at));
}

#[test]
fn kcat_reads_many_partitions() {
    check(|at| {
        let mut kcat = Command::new(peers::kcat()?);
        let count = RECORDS.to_string();
        kcat.args(["-b", at, "-C", "-t", "many", "-o", "beginning", "-q", "-u"]);
        kcat.args(["-c", &count, "-f", "%p %o %s\n"]);
        Some(kcat)
    });
}

#[test]
fn kafkas_own_consumer_reads_many_partitions() {
    check(|at| {
        let mut tool = Command::new(peers::kafka()?);
        let count = RECORDS.to_string();
        tool.args(["tool", "kafka-console-consumer", "--bootstrap-server", at]);
        tool.args([
            "--topic",
            "many",
            "--from-beginning",
            "--max-messages",
            &count,
        ]);
        Some(tool)
    });
}
