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
