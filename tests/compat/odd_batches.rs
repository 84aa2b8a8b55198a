//! The odd produce requests of the broker's own table, sent to Logway and to a real Apache Kafka.

use std::net::SocketAddr;

use crate::node::Kafka;
use crate::odd::{Exchange, all};
use crate::{broker, peers};

fn exchange(addr: &str, prefix: &str) -> Exchange {
    let addr: SocketAddr = addr.parse().expect("IP:PORT");
    Exchange::new(addr, prefix)
}

/// What is not as the table says.
async fn differences(exchange: &Exchange, who: &str, kafka: bool) -> Vec<String> {
    exchange.prepare().await;
    let mut found = Vec::new();
    for (number, case) in all().iter().enumerate() {
        let expected = if kafka { case.kafka } else { case.ours() };
        let seen = exchange.seen(number, case, expected).await;
        let same = match kafka {
            true => seen == case.kafka,
            false => case.is_ours(&seen),
        };
        if !same {
            let name = case.name;
            found.push(format!("{name}\n    table: {expected}\n    {who}: {seen}"));
        }
    }
    found
}

#[test]
fn kafka_and_logway_take_and_refuse_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let found = runtime.block_on(async {
        let theirs = exchange(&kafka.address(), "odd");
        let ours = exchange(&logway.address("kafka"), "odd");
        let mut found = differences(&theirs, "kafka", true).await;
        found.extend(differences(&ours, "logway", false).await);
        found
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(logway.stop().success());
}
