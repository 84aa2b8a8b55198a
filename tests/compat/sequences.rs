//! Idempotent producers with odd sequences get the same answers from Apache Kafka and from Logway,
//! before and after a clean restart of both.

use std::process::Command;

use crate::node::Kafka;
use crate::{broker, peers};

const TOPIC: &str = "sequences";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/sequences.py");

#[test]
fn sequences_are_judged_as_kafka_judges_them() {
    let (Some(script), Some(python)) = (peers::kafka(), peers::python("socket")) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let create = |at: &str| {
        let tool = ["tool", "kafka-topics", "--bootstrap-server", at, "--create"];
        let one = [
            "--topic",
            TOPIC,
            "--partitions",
            "1",
            "--replication-factor",
            "1",
        ];
        kafka.ok(&[&tool[..], &one].concat());
    };
    let answers = |at: &str, phase: &str| {
        let mut send = Command::new(&python);
        peers::ok(send.args([SCRIPT, at, TOPIC, phase]), "")
    };
    create(&kafka.address());
    create(&logway.address("kafka"));
    let expected = answers(&kafka.address(), "first");
    assert_eq!(answers(&logway.address("kafka"), "first"), expected);
    kafka.ok(&["halt", "1"]);
    kafka.go_on();
    assert!(logway.stop().success());
    let logway = broker(folder.path());
    let expected = answers(&kafka.address(), "again");
    assert_eq!(answers(&logway.address("kafka"), "again"), expected);
    assert!(logway.stop().success());
}
