//! The settings of a broker, shown and changed while it runs: Logway and a real Apache Kafka show the
//! same names with the same types, values and sources, but for what is listed here with its reason.

use std::collections::BTreeMap;

use logway_protocol::message::describe_configs::DescribeConfigsResourceResult;
use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;

use crate::admin::{self, Asked, verdict};
use crate::admin_cases::Case;
use crate::node::Kafka;
use crate::odd::exchange::Connection;
use crate::requests::{BROKER, DELETE, SET, changed, describe_request};
use crate::{broker, peers};

/// Kafka's number of the resource type "group".
const GROUP: i8 = 32;

/// Kafka's number of the source "default".
const DEFAULT: i8 = 5;

/// Settings whose value or its source differs, and why.
const OTHERWISE: &[(&str, &str)] = &[
    ("advertised.listeners", "another address"),
    ("broker.id", "a file need not give it: 1 is the default"),
    ("group.consumer.max.size", "everything has a limit"),
    ("group.coordinator.rebalance.protocols", "no streams groups"),
    ("group.initial.rebalance.delay.ms", "the tests' own"),
    ("group.max.size", "everything has a limit"),
    ("listener.security.protocol.map", "one listener; fixed"),
    ("listeners", "another address; fixed"),
    ("log.dir", "a name of the one folder, not of another"),
    ("log.dirs", "another folder"),
    (
        "log.roll.jitter.ms",
        "there is no jitter, so none can be set",
    ),
    ("max.connections", "everything has a limit"),
    ("node.id", "a file need not give it: 1 is the default"),
    (
        "offsets.topic.replication.factor",
        "one replica is the default",
    ),
    (
        "process.roles",
        "a node has no other role: it is the default",
    ),
    ("queued.max.request.bytes", "everything has a limit"),
    ("socket.receive.buffer.bytes", "left to the system"),
    ("socket.send.buffer.bytes", "left to the system"),
    (
        "transaction.state.log.min.isr",
        "one replica is the default",
    ),
    (
        "transaction.state.log.replication.factor",
        "one replica is the default",
    ),
];

/// How many of Kafka's 340 settings are shown, at least.
const SHOWN_MIN: usize = 113;

async fn settings_of(addr: &str) -> BTreeMap<String, DescribeConfigsResourceResult> {
    let mut at = Connection::open(addr.parse().expect("IP:PORT")).await;
    let answer = at.ask(4, &describe_request(BROKER, &["1"])).await;
    let mut answer = answer.expect("an answer");
    let shown = answer.results.remove(0).configs.into_iter();
    shown.map(|one| (one.name.to_string(), one)).collect()
}

/// What is shown otherwise than by Kafka.
async fn compare(kafka: &str, logway: &str) -> Vec<String> {
    let theirs = settings_of(kafka).await;
    let ours = settings_of(logway).await;
    let mut found = Vec::new();
    for (name, mut own) in ours.clone() {
        let Some(mut of_kafka) = theirs.get(&name).cloned() else {
            found.push(format!("{name} is not one of Kafka's"));
            continue;
        };
        if own.documentation.take().is_none_or(|text| text.is_empty()) {
            found.push(format!("{name} is not explained"));
        }
        of_kafka.documentation = None;
        let of = |one: &DescribeConfigsResourceResult| (one.config_type, one.is_sensitive);
        let is_known = OTHERWISE.iter().any(|(known, _)| *known == name);
        if of(&own) != of(&of_kafka) || is_known == (own == of_kafka) {
            found.push(format!(
                "{name}\n    kafka:  {of_kafka:?}\n    logway: {own:?}"
            ));
        }
    }
    if ours.len() < SHOWN_MIN {
        found.push(format!("only {} settings are shown", ours.len()));
    }
    found
}

type Operation = (&'static str, i8, Option<&'static str>);

const INTERVAL: &str = "group.consumer.assignment.interval.ms";
const FLUSH: &str = "log.flush.interval.ms";

/// Whose settings are changed, and how.
const CHANGES: &[(&str, Operation)] = &[
    ("", (INTERVAL, SET, Some("500"))),
    ("1", (INTERVAL, SET, Some("700"))),
    ("", (INTERVAL, SET, Some("20000"))),
    ("1", (INTERVAL, DELETE, None)),
    ("1", (INTERVAL, SET, Some("20000"))),
    ("", (INTERVAL, SET, Some("15000"))),
    ("1", (INTERVAL, SET, Some("20000"))),
    ("", (INTERVAL, SET, Some("-1"))),
    ("", (INTERVAL, SET, Some("x"))),
    ("1", (INTERVAL, DELETE, None)),
    (
        "",
        ("group.consumer.heartbeat.interval.ms", SET, Some("6000")),
    ),
    ("", (FLUSH, SET, Some("5000"))),
    ("1", (FLUSH, SET, Some("0"))),
    ("1", (FLUSH, SET, Some("soon"))),
    ("", ("num.recovery.threads.per.data.dir", SET, Some("3"))),
    ("", ("num.recovery.threads.per.data.dir", SET, Some("0"))),
    ("", ("background.threads", SET, Some("11"))),
    ("1", ("metric.reporters", SET, Some(""))),
];

/// The default of groups, of topics, and settings that are kept only.
async fn changes(asked: &mut Asked) {
    asked.at.create("t", &[]).await;
    for (name, operation) in CHANGES {
        let request = IncrementalAlterConfigsRequest {
            resources: vec![changed(BROKER, name, &[*operation])],
            validate_only: false,
        };
        asked
            .ask(1, &request, |answer| {
                let one = &answer.responses[0];
                vec![verdict(one.error_code, one.error_message.as_ref())]
            })
            .await;
        asked.settle().await;
        let (setting, ..) = operation;
        let of_topic = "flush.ms";
        let of_group = "consumer.assignment.interval.ms";
        for (kind, name) in [(BROKER, ""), (BROKER, "1"), (2, "t"), (GROUP, "g")] {
            asked
                .ask(4, &describe_request(kind, &[name]), |mut answer| {
                    let result = answer.results.remove(0);
                    let said = verdict(result.error_code, result.error_message.as_ref());
                    let shown = result.configs.into_iter();
                    let shown = shown
                        .filter(|one| [*setting, of_topic, of_group].contains(&one.name.as_str()));
                    let shown = shown.map(|mut one| {
                        one.documentation = None;
                        // What is kept only has no default here.
                        one.synonyms
                            .retain(|synonym| synonym.source != DEFAULT || kind != BROKER);
                        format!("{one:?}")
                    });
                    shown.chain([said]).collect()
                })
                .await;
        }
    }
}

#[test]
fn a_brokers_settings_are_shown_and_changed_as_by_kafka() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let addrs = (kafka.address(), logway.address("kafka"));
    let mut found = runtime.block_on(compare(&addrs.0, &addrs.1));
    let cases: Vec<Case> = vec![Box::new(|asked| Box::pin(changes(asked)))];
    let theirs = runtime.block_on(admin::run(&addrs.0, &cases));
    let ours = runtime.block_on(admin::run(&addrs.1, &cases));
    found.extend(admin::differences(theirs, ours));
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(logway.stop().success());
}
