//! confluent-kafka with `group.protocol=consumer` sees the same from Apache Kafka and from Logway.

use std::process::Command;

use crate::node::Kafka;
use crate::{broker, peers};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/consumer_protocol.py");

#[test]
fn members_of_the_consumer_protocol_share_as_with_kafka() {
    let Some(python) = peers::python("confluent_kafka") else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let answers = |address: &str| {
        let mut run = Command::new(&python);
        peers::ok(run.args([SCRIPT, address, "shared"]), "")
    };
    let logway = broker(folder.path());
    let ours = answers(&logway.address("kafka"));
    assert!(ours.ends_with("read twice 0\n"), "{ours}");
    assert!(logway.stop().success());
    if let Some(script) = peers::kafka() {
        let kafka = Kafka::start(script, folder.path());
        assert_eq!(ours, answers(&kafka.address()));
    }
}
