//! What the scenarios share: the cluster's address and names that do not meet.

use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use logway_client::{ClientConfig, ConsumerRecord, Producer, ProducerConfig, ProducerRecord};

mod admin;
mod consume;
mod groups;
mod offsets;
mod produce;
mod transactions;

/// Longest a step of a scenario may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster to test against; says what is not run when there is none.
pub(crate) fn client(scenario: &str) -> Option<ClientConfig> {
    match std::env::var("LOGWAY_TEST_BOOTSTRAP") {
        Ok(servers) => Some(ClientConfig::new(servers.split(','))),
        Err(_) => {
            // Straight to standard error, past the harness, which keeps quiet about what passes.
            let hint = "set LOGWAY_TEST_BOOTSTRAP=host:port to run it";
            let told = format!("NOT RUN: {scenario} ({hint})\n");
            std::io::stderr().write_all(told.as_bytes()).unwrap();
            None
        }
    }
}

/// A name that no other test and no earlier run uses.
pub(crate) fn fresh(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{name}-{}-{}",
        now.as_nanos(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A producer's settings for that cluster.
pub(crate) fn producer(client: &ClientConfig) -> ProducerConfig {
    ProducerConfig {
        client: client.clone(),
        ..Default::default()
    }
}

/// Makes a topic with this many partitions.
pub(crate) async fn create(client: &ClientConfig, topic: &str, partitions: i32) {
    let admin = logway_client::Admin::new(client.clone()).unwrap();
    let topic = logway_client::NewTopic {
        partitions,
        // The records of `fill` are from 1970, and retention would take them.
        configs: vec![("retention.ms".to_owned(), "-1".to_owned())],
        ..logway_client::NewTopic::new(topic)
    };
    admin.create_topic(topic).await.unwrap();
}

/// Sends `value 0`, `value 1`, … in turn to all partitions, with timestamps from 1,000,000 on.
pub(crate) async fn fill(client: &ClientConfig, topic: &str, count: i64) {
    let admin = logway_client::Admin::new(client.clone()).unwrap();
    let partitions = admin.partitions(topic).await.unwrap();
    let producer = Producer::new(producer(client)).unwrap();
    for n in 0..count {
        let mut record = ProducerRecord::new(topic, format!("value {n}"));
        record.partition = Some(i32::try_from(n % partitions as i64).unwrap());
        record.timestamp = Some(1_000_000 + n);
        let _in_flush = producer.send(record).await.unwrap();
    }
    assert_eq!(producer.close(PATIENCE).await, 0);
}

/// A record's value as text.
pub(crate) fn text(record: &ConsumerRecord) -> String {
    String::from_utf8(record.value.as_deref().unwrap_or_default().to_vec()).unwrap()
}
