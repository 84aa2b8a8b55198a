//! Odd requests to groups, sent by hand to Apache Kafka and to Logway: members that lie, requests of
//! the other protocol, groups that change it. Both have to say the same, line by line.

mod deletion;
mod histories;
mod kills;
mod migration;
mod play;
mod scenes;
mod settings;

use crate::node::Kafka;
use crate::{broker_with, peers};
use play::Play;

/// Both assign at once: what is compared must not hang on the clock.
const AT_ONCE: &str = "[group_consumer]\nassignment_interval_ms = 0\n";
const KAFKA_AT_ONCE: &str = "group.consumer.assignment.interval.ms=0";

#[test]
fn odd_requests_to_groups_are_answered_as_kafka_answers_them() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let kafka = Kafka::start_with(script, folder.path(), &[KAFKA_AT_ONCE]);
    let logway = broker_with(folder.path(), AT_ONCE);
    let seen = |address: &str| {
        let mut play = Play::new(address);
        scenes::all(&mut play);
        play.seen
    };
    let (theirs, ours) = (seen(&kafka.address()), seen(&logway.address("kafka")));
    let mut differences = Vec::new();
    for (their, our) in theirs.iter().zip(&ours) {
        if their != our {
            differences.push(format!("kafka:  {their}\nlogway: {our}"));
        }
    }
    assert_eq!(theirs.len(), ours.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(logway.stop().success());
}
