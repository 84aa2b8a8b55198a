//! Apache Kafka's own command-line tools do the same walk-through.

use std::path::PathBuf;
use std::process::Command;

use harness::process::Process;

use crate::{broker, peers};

struct Tools {
    script: PathBuf,
    at: String,
}

impl Tools {
    fn command(&self, tool: &str, args: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command
            .args(["tool", tool, "--bootstrap-server", &self.at])
            .args(args);
        command
    }

    fn ok(&self, tool: &str, args: &[&str], input: &str) -> String {
        peers::ok(&mut self.command(tool, args), input)
    }
}

fn tools(broker: &Process) -> Option<Tools> {
    Some(Tools {
        script: peers::kafka()?,
        at: broker.address("kafka"),
    })
}

/// Current offset, end offset and lag of a group on partition 0 of `topic`.
fn described(text: &str, topic: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.split_whitespace().nth(1) == Some(topic));
    let line = line.unwrap_or_else(|| panic!("no line for {topic} in:\n{text}"));
    line.split_whitespace()
        .skip(2)
        .take(4)
        .map(str::to_owned)
        .collect()
}

#[test]
fn kafkas_tools_walk_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let Some(tools) = tools(&broker) else { return };
    let topic = ["--topic", "GameLog"];
    let with = |more: &[&'static str]| [&topic[..], more].concat();
    let made = with(&["--create", "--partitions", "1", "--replication-factor", "1"]);
    assert!(
        tools
            .ok("kafka-topics", &made, "")
            .contains("Created topic GameLog.")
    );
    assert_eq!(tools.ok("kafka-topics", &["--list"], "").trim(), "GameLog");
    let said = tools.ok("kafka-topics", &with(&["--describe"]), "");
    assert!(
        said.contains("PartitionCount: 1") && said.contains("Leader: 1"),
        "{said}"
    );

    let lines: String = (0..18).map(|i| format!("user{i} entered\n")).collect();
    tools.ok("kafka-console-producer", &topic, &lines);
    let from_start = with(&["--from-beginning", "--max-messages", "18"]);
    assert_eq!(tools.ok("kafka-console-consumer", &from_start, ""), lines);

    let group = ["--group", "testgroup"];
    let as_group = [&from_start[..], &group].concat();
    assert_eq!(tools.ok("kafka-console-consumer", &as_group, ""), lines);
    let describe = [&group[..], &["--describe"]].concat();
    let said = tools.ok("kafka-consumer-groups", &describe, "");
    assert_eq!(
        described(&said, "GameLog"),
        ["0", "18", "18", "0"],
        "{said}"
    );
    tools.ok("kafka-console-producer", &topic, "one\ntwo\nthree\n");
    let said = tools.ok("kafka-consumer-groups", &describe, "");
    assert_eq!(
        described(&said, "GameLog"),
        ["0", "18", "21", "3"],
        "{said}"
    );
    let reset = [
        &group[..],
        &topic,
        &["--reset-offsets", "--to-earliest", "--execute"],
    ]
    .concat();
    tools.ok("kafka-consumer-groups", &reset, "");
    let said = tools.ok("kafka-consumer-groups", &describe, "");
    assert_eq!(
        described(&said, "GameLog"),
        ["0", "0", "21", "21"],
        "{said}"
    );
    assert!(
        tools
            .ok("kafka-consumer-groups", &["--list"], "")
            .contains("testgroup")
    );
    let said = tools.ok("kafka-get-offsets", &topic, "");
    assert_eq!(said.trim(), "GameLog:0:21");
    tools.ok("kafka-topics", &with(&["--delete"]), "");
    assert!(
        !tools
            .ok("kafka-topics", &["--list"], "")
            .contains("GameLog")
    );
    assert!(broker.stop().success());
}

#[test]
fn kafkas_tools_change_settings_and_delete_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let Some(tools) = tools(&broker) else { return };
    let topic = ["--topic", "orders"];
    let with = |more: &[&'static str]| [&topic[..], more].concat();
    tools.ok(
        "kafka-topics",
        &with(&["--create", "--partitions", "1"]),
        "",
    );
    let both = "retention.ms=3600000,cleanup.policy=[compact,delete]";
    let said = tools.ok(
        "kafka-configs",
        &with(&["--alter", "--add-config", both]),
        "",
    );
    assert_eq!(said.trim(), "Completed updating config for topic orders.");
    let said = tools.ok("kafka-configs", &with(&["--describe"]), "");
    // As Apache Kafka 4.3.1 has it.
    assert_eq!(
        said,
        "Dynamic configs for topic orders are:\n  \
         cleanup.policy=compact,delete sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:cleanup.policy=compact,delete, DEFAULT_CONFIG:log.cleanup.policy=delete}\n  \
         retention.ms=3600000 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:retention.ms=3600000}\n"
    );
    let reset = with(&["--alter", "--delete-config", "cleanup.policy"]);
    tools.ok("kafka-configs", &reset, "");
    let bad = with(&["--alter", "--add-config", "retention.ms=soon"]);
    let refused = peers::run(&mut tools.command("kafka-configs", &bad), "");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success()
            && said.contains(
                "Invalid value soon for configuration retention.ms: Not a number of type LONG"
            ),
        "{said}"
    );

    tools.ok("kafka-console-producer", &topic, "one\ntwo\nthree\n");
    let offsets = folder.path().join("offsets.json");
    let wanted = r#"{"partitions":[{"topic":"orders","partition":0,"offset":2}],"version":1}"#;
    std::fs::write(&offsets, wanted).expect("a file");
    let file = ["--offset-json-file", offsets.to_str().expect("UTF-8")];
    let said = tools.ok("kafka-delete-records", &file, "");
    assert!(
        said.contains("partition: orders-0\tlow_watermark: 2"),
        "{said}"
    );
    let earliest = with(&["--time", "-2"]);
    assert_eq!(
        tools.ok("kafka-get-offsets", &earliest, "").trim(),
        "orders:0:2"
    );
    assert!(broker.stop().success());
}
