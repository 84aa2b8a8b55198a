//! confluent-kafka and kafka-python do the walk-through of `walkthrough.py`.

use std::process::Command;

use crate::node::Kafka;
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

/// Both clients' records, read back, are the same from Apache Kafka.
#[test]
fn python_clients_read_back_records_as_with_kafka() {
    let clients = [("confluent_kafka", "confluent"), ("kafka", "kafka-python")];
    for (module, client) in clients {
        let Some(python) = peers::python(module) else {
            return;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/compat/records.py");
        let said = |at: &str| peers::ok(Command::new(&python).args([script, client, at]), "");
        let broker = broker(folder.path());
        let ours = said(&broker.address("kafka"));
        assert_eq!(ours.lines().count(), 8, "{ours}");
        assert!(broker.stop().success());
        if let Some(kafka) = peers::kafka() {
            let kafka = Kafka::start(kafka, folder.path());
            assert_eq!(ours, said(&kafka.address()));
        }
    }
}
