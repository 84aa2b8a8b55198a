//! confluent-kafka and kafka-python do the walk-through of `walkthrough.py`.

use std::process::Command;

use crate::{broker, peers};

fn walk_through(module: &str, client: &str) {
    let Some(python) = peers::python(module) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(folder.path());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/walkthrough.py");
    let mut walk = Command::new(python);
    walk.args([script, client, &broker.address("kafka")]);
    let said = peers::ok(&mut walk, "");
    assert!(said.ends_with("walk-through complete\n"), "{said}");
    assert!(broker.stop().success());
}

#[test]
fn confluent_kafka_walks_through() {
    walk_through("confluent_kafka", "confluent");
}

#[test]
fn kafka_python_walks_through() {
    walk_through("kafka", "kafka-python");
}
