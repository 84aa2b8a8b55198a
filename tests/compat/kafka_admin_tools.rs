//! Apache Kafka's own tools administer a Logway broker and print what they print against Kafka 4.3.1:
//! the lines here are Kafka's, ids, addresses and sizes of its log aside.

use std::path::PathBuf;
use std::process::Command;

use harness::process::Process;

use crate::{broker, peers};

struct Tools {
    script: PathBuf,
    at: String,
}

impl Tools {
    fn of(broker: &Process) -> Option<Tools> {
        Some(Tools {
            script: peers::kafka()?,
            at: broker.address("kafka"),
        })
    }

    /// Standard output, and whether the tool was content.
    fn run(&self, line: &str) -> (String, bool) {
        let mut words: Vec<&str> = line.split(' ').collect();
        // One tool wants the word for what it does before the address, the others behind it.
        let at = if words.first() == Some(&"kafka-cluster") {
            2
        } else {
            1
        };
        words.splice(at..at, ["--bootstrap-server", &self.at]);
        let mut command = Command::new(&self.script);
        command.arg("tool").args(words);
        let output = peers::run(&mut command, "");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (said, output.status.success())
    }

    fn ok(&self, line: &str) -> String {
        let (said, content) = self.run(line);
        assert!(content, "{line}\n{said}");
        said
    }
}

#[test]
fn kafkas_tools_change_topics_and_partitions() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let Some(tools) = Tools::of(&broker) else {
        return;
    };
    let says = |line: &str, expected: &str| assert_eq!(tools.ok(line), expected, "{line}");
    let placed = "kafka-topics --create --topic placed --replica-assignment 1,1,1";
    says(placed, "Created topic placed.\n");
    let (said, content) = tools.run("kafka-topics --create --topic bad --replica-assignment 1,7");
    let expected = "Error while executing topic command : The manual partition assignment includes broker 7, but no such broker is registered.\n";
    assert_eq!((said.as_str(), content), (expected, false));
    says("kafka-topics --alter --topic placed --partitions 4", "");
    let (said, content) = tools.run("kafka-topics --alter --topic placed --partitions 2");
    let expected = "Error while executing topic command : The topic placed currently has 4 partition(s); 2 would not be an increase.\n";
    assert_eq!((said.as_str(), content), (expected, false));
    let by_two = "kafka-topics --describe --topic placed --partition-size-limit-per-response 2";
    let said = tools.ok(by_two);
    let partitions = "\tPartition: 3\tLeader: 1\tReplicas: 1\tIsr: 1\tElr: \tLastKnownElr: ";
    assert!(
        said.contains("Configs: min.insync.replicas=1") && said.contains(partitions),
        "{said}"
    );
    let said = tools.ok("kafka-log-dirs --describe --topic-list placed");
    let sizes = r#"{"partition":"placed-3","size":0,"offsetLag":0,"isFuture":false}"#;
    assert!(said.contains(sizes), "{said}");
    let elect = "kafka-leader-election --election-type preferred --topic placed --partition 0";
    says(
        elect,
        "Valid replica already elected for partitions placed-0\n",
    );
    let all = "kafka-leader-election --election-type preferred --all-topic-partitions";
    says(all, "");
    let list = "kafka-reassign-partitions --list";
    says(list, "No partition reassignments found.\n");
    let topics = folder.path().join("topics.json");
    std::fs::write(&topics, r#"{"topics":[{"topic":"placed"}],"version":1}"#).expect("a file");
    let generate = format!(
        "kafka-reassign-partitions --topics-to-move-json-file {} --broker-list 1 --generate",
        topics.display()
    );
    let said = tools.ok(&generate);
    let proposed = r#"{"topic":"placed","partition":3,"replicas":[1],"log_dirs":["any"]}"#;
    assert!(said.contains(proposed), "{said}");
    says("kafka-topics --delete --topic placed", "");
    assert!(broker.stop().success());
}

#[test]
fn kafkas_tools_describe_the_cluster() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let Some(tools) = Tools::of(&broker) else {
        return;
    };
    let said = tools.ok("kafka-features describe");
    let feature = "Feature: metadata.version                          SupportedMinVersion: 3.3-IV3          SupportedMaxVersion: 4.3-IV0          FinalizedVersionLevel: 4.3-IV0          Epoch: ";
    assert!(said.contains(feature), "{said}");
    let (said, content) =
        tools.run("kafka-features downgrade --feature metadata.version=1 --dry-run");
    let expected = "Can not downgrade metadata.version to 1. The update failed for all features since the following feature had an error: Invalid update version 1 for feature metadata.version. Local controller 1 only supports versions 7-30\n";
    assert_eq!((said.as_str(), content), (expected, false));
    let said = tools.ok("kafka-metadata-quorum describe --status");
    for line in [
        "LeaderId:               1\n",
        "LeaderEpoch:            1\n",
        "MaxFollowerLag:         0\n",
        "CurrentVoters:          [{\"id\": 1, ",
        "CurrentObservers:       []\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let said = tools.ok("kafka-metadata-quorum describe --replication");
    assert!(
        said.contains("\t0  \t") && said.contains("\tLeader\t"),
        "{said}"
    );
    assert!(
        tools
            .ok("kafka-cluster cluster-id")
            .starts_with("Cluster ID: ")
    );
    let said = tools.ok("kafka-cluster list-endpoints");
    let line = said.lines().nth(1).unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..2], ["1", "127.0.0.1"], "{said}");
    assert_eq!(words[3..], ["null", "unfenced", "broker"], "{said}");
    assert!(broker.stop().success());
}

/// Settings of everything that `kafka-configs` knows but topics, as Kafka's own transcripts have it.
#[rustfmt::skip]
const SETTINGS: &[(&str, &str)] = &[
    ("--describe --entity-type brokers --entity-name 1", "Dynamic configs for broker 1 are:\n"),
    ("--alter --broker 1 --add-config log.cleaner.threads=2", "Completed updating config for broker 1.\n"),
    ("--describe --broker 1", "Dynamic configs for broker 1 are:\n  log.cleaner.threads=2 sensitive=false synonyms={DYNAMIC_BROKER_CONFIG:log.cleaner.threads=2, DEFAULT_CONFIG:log.cleaner.threads=1}\n"),
    ("--alter --entity-type brokers --entity-default --add-config log.retention.ms=7200000", "Completed updating default config for brokers in the cluster.\n"),
    ("--describe --broker-defaults", "Default configs for brokers in the cluster are:\n  log.retention.ms=7200000 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:log.retention.ms=7200000}\n  min.insync.replicas=1 sensitive=false synonyms={DYNAMIC_DEFAULT_BROKER_CONFIG:min.insync.replicas=1}\n"),
    ("--alter --broker 1 --delete-config log.cleaner.threads", "Completed updating config for broker 1.\n"),
    ("--alter --entity-type clients --entity-name app --add-config producer_byte_rate=1048576,consumer_byte_rate=2097152", "Completed updating config for client app.\n"),
    ("--describe --entity-type clients", "Quota configs for client-id 'app' are consumer_byte_rate=2097152.0, producer_byte_rate=1048576.0\n"),
    ("--alter --entity-type users --entity-name bob --entity-type clients --entity-default --add-config request_percentage=50", "Completed updating config for user bob.\n"),
    ("--describe --entity-type users --entity-type clients", "Quota configs for user-principal 'bob', the default client-id are request_percentage=50.0\n"),
    ("--describe --entity-type users", ""),
    ("--alter --entity-type ips --entity-name 127.0.0.9 --add-config connection_creation_rate=5", "Completed updating config for ip 127.0.0.9.\n"),
    ("--describe --entity-type ips", "Quota configs for ip '127.0.0.9' are connection_creation_rate=5.0\n"),
    ("--alter --entity-type groups --entity-name g1 --add-config consumer.session.timeout.ms=50000", "Completed updating config for group g1.\n"),
    ("--describe --entity-type groups", "Dynamic configs for group g1 are:\n  consumer.session.timeout.ms=50000 sensitive=false synonyms={DYNAMIC_GROUP_CONFIG:consumer.session.timeout.ms=50000, DEFAULT_CONFIG:group.consumer.session.timeout.ms=45000}\n"),
];

#[test]
fn kafkas_tools_set_quotas_and_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let Some(tools) = Tools::of(&broker) else {
        return;
    };
    for (line, expected) in SETTINGS {
        let said = tools.ok(&format!("kafka-configs {line}"));
        assert_eq!(said, *expected, "kafka-configs {line}");
    }
    assert!(broker.stop().success());
}
