//! Changes of settings, well and badly asked for: Logway and a real Apache Kafka give the same code,
//! the same text, and show the same settings afterwards.

use std::fmt::Write;

use logway_protocol::message::alter_configs::AlterConfigsRequest;
use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;
use logway_protocol::{ErrorCode, Text};

use crate::node::Kafka;
use crate::odd::exchange::Connection;
use crate::requests::{
    APPEND, BROKER, DELETE, SET, SUBTRACT, TOPIC, changed, describe_request, replaced,
};
use crate::{broker, peers, steady};

type Operation = (&'static str, i8, Option<&'static str>);
/// Settings with their values.
type Values = &'static [(&'static str, Option<&'static str>)];
type Resource = (i8, &'static str, &'static [Operation]);

/// Requests one after the other: each changes what the ones before it left.
#[rustfmt::skip]
const INCREMENTAL: &[(&[Resource], bool)] = &[
    (&[(TOPIC, "a", &[("retention.ms", SET, Some("3600000")), ("cleanup.policy", SET, Some("compact,delete"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", SET, Some("5"))])], true),
    (&[(TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("compact"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", APPEND, Some("compact"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", APPEND, Some("compact"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("nothing"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", APPEND, Some("nonsense"))])], false),
    (&[(TOPIC, "a", &[("leader.replication.throttled.replicas", APPEND, Some("0:1"))])], false),
    (&[(TOPIC, "a", &[("leader.replication.throttled.replicas", APPEND, Some("1:1,0:1"))])], false),
    (&[(TOPIC, "a", &[("leader.replication.throttled.replicas", SUBTRACT, Some("0:1,1:1"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", APPEND, Some("1"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", SUBTRACT, Some("1"))])], false),
    (&[(TOPIC, "a", &[("no.such", APPEND, Some("1"))])], false),
    (&[(TOPIC, "a", &[("no.such", SET, Some("1"))])], false),
    (&[(TOPIC, "a", &[("no.such", DELETE, None)])], false),
    (&[(TOPIC, "a", &[("retention.ms", SET, Some("soon"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", SET, Some("-2"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", SET, None)])], false),
    (&[(TOPIC, "a", &[("retention.ms", APPEND, None), ("segment.ms", SET, None)])], false),
    (&[(TOPIC, "a", &[("retention.ms", SET, Some(" 77 "))])], false),
    (&[(TOPIC, "a", &[("retention.ms", DELETE, Some("ignored"))])], false),
    (&[(TOPIC, "a", &[("retention.ms", DELETE, None)])], false),
    (&[(TOPIC, "a", &[("segment.bytes", SET, Some("1"))])], false),
    (&[(TOPIC, "a", &[("segment.bytes", SET, Some("99999999999"))])], false),
    (&[(TOPIC, "a", &[("segment.ms", SET, Some("0"))])], false),
    (&[(TOPIC, "a", &[("max.message.bytes", SET, Some("-1"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some("purge"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some(""))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some("delete,delete"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", DELETE, None)])], false),
    (&[(TOPIC, "a", &[("compression.type", SET, Some("brotli"))])], false),
    (&[(TOPIC, "a", &[("compression.type", SET, Some("none"))])], false),
    (&[(TOPIC, "a", &[("preallocate", SET, Some("perhaps"))])], false),
    (&[(TOPIC, "a", &[("preallocate", SET, Some("TRUE"))])], false),
    (&[(TOPIC, "a", &[("min.cleanable.dirty.ratio", SET, Some("1.5"))])], false),
    (&[(TOPIC, "a", &[("min.cleanable.dirty.ratio", SET, Some("half"))])], false),
    (&[(TOPIC, "a", &[("message.timestamp.type", SET, Some("Never"))])], false),
    (&[(TOPIC, "a", &[("min.compaction.lag.ms", SET, Some("50")), ("max.compaction.lag.ms", SET, Some("20"))])], false),
    (&[(TOPIC, "a", &[("min.compaction.lag.ms", SET, Some("50"))])], false),
    (&[(TOPIC, "a", &[("max.compaction.lag.ms", SET, Some("20"))])], false),
    (&[(TOPIC, "a", &[("max.compaction.lag.ms", SET, Some("80"))])], false),
    (&[(TOPIC, "a", &[("flush.ms", SET, Some("1")), ("flush.ms", SET, Some("2"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some(" compact , delete "))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some("delete,,compact"))])], false),
    (&[(TOPIC, "a", &[("cleanup.policy", SET, Some("compact")), ("retention.ms", SET, Some("bad"))])], false),
    (&[(TOPIC, "a", &[("flush.messages", SET, Some("0x10"))])], false),
    (&[(TOPIC, "a", &[("flush.messages", SET, Some("+5"))])], false),
    (&[(TOPIC, "a", &[("retention.bytes", SET, Some("-99"))])], false),
    (&[(TOPIC, "a", &[("compression.gzip.level", SET, Some("0"))])], false),
    (&[(TOPIC, "a", &[("compression.zstd.level", SET, Some("23"))])], false),
    (&[(TOPIC, "a", &[("local.retention.ms", SET, Some("5"))])], false),
    (&[(TOPIC, "a", &[("remote.storage.enable", SET, Some("true"))])], false),
    (&[(TOPIC, "a", &[("leader.replication.throttled.replicas", SET, Some("*"))])], false),
    (&[(TOPIC, "a", &[("leader.replication.throttled.replicas", SET, Some("x"))])], false),
    (&[(TOPIC, "a", &[])], false),
    (&[(TOPIC, "a", &[("flush.ms", SET, Some("1"))]), (TOPIC, "a", &[("flush.ms", SET, Some("2"))])], false),
    (&[(TOPIC, "a", &[("flush.ms", SET, Some("9"))]), (TOPIC, "missing", &[("flush.ms", SET, Some("2"))]), (TOPIC, "b", &[("flush.ms", SET, Some("8"))])], false),
    (&[(TOPIC, "missing", &[("no.such", SET, Some("1"))])], false),
    (&[(TOPIC, "missing", &[])], false),
    (&[(TOPIC, "", &[("flush.ms", SET, Some("1"))])], false),
    (&[(TOPIC, "a/b", &[("flush.ms", SET, Some("1"))])], false),
    (&[(BROKER, "7", &[("log.retention.ms", SET, Some("1"))])], false),
    (&[(BROKER, "x", &[("log.retention.ms", SET, Some("1"))])], false),
    (&[(BROKER, "1", &[("log.retention.ms", DELETE, None)])], false),
    (&[(BROKER, "1", &[("log.retention.ms", SET, None)])], false),
    (&[(99, "x", &[("a", SET, Some("1"))])], false),
    (&[(0, "x", &[("a", SET, Some("1"))])], false),
    (&[], false),
];

/// The same with the older request, which replaces everything.
const LEGACY: &[&[(&str, Values)]] = &[
    &[(
        "b",
        &[("retention.ms", Some("1000")), ("segment.ms", Some("2000"))],
    )],
    &[("b", &[("segment.ms", Some("2000"))])],
    &[("b", &[("segment.ms", Some("bad"))])],
    &[("b", &[("segment.ms", None)])],
    &[("b", &[("segment.ms", Some("1")), ("segment.ms", Some("2"))])],
    &[("b", &[("no.such", Some("1"))])],
    &[("missing", &[("segment.ms", Some("1"))])],
    &[("b", &[])],
];

fn said(code: i16, message: Option<&Text>) -> String {
    let code = ErrorCode::from_code(code).name();
    format!("{code} {}", message.map_or("-", |message| message.as_str()))
}

async fn incremental(at: &mut Connection, resources: &[Resource], validate_only: bool) -> String {
    let resources = resources
        .iter()
        .map(|(kind, name, operations)| changed(*kind, name, operations));
    let request = IncrementalAlterConfigsRequest {
        resources: resources.collect(),
        validate_only,
    };
    let answer = at.ask(1, &request).await.expect("an answer");
    let mut lines: Vec<String> = answer
        .responses
        .iter()
        .map(|one| {
            let said = said(one.error_code, one.error_message.as_ref());
            format!("{} {}: {said}", one.resource_type, one.resource_name)
        })
        .collect();
    lines.sort();
    lines.join("; ")
}

async fn legacy(at: &mut Connection, resources: &[(&str, Values)]) -> String {
    let resources = resources
        .iter()
        .map(|(name, configs)| replaced(name, configs));
    let request = AlterConfigsRequest {
        resources: resources.collect(),
        validate_only: false,
    };
    let answer = at.ask(2, &request).await.expect("an answer");
    let lines = answer.responses.iter();
    let lines = lines.map(|one| said(one.error_code, one.error_message.as_ref()));
    lines.collect::<Vec<_>>().join("; ")
}

/// Settings of topics `a` and `b` that are not defaults, with their synonyms.
async fn shown(at: &mut Connection) -> String {
    let answer = at
        .ask(4, &describe_request(TOPIC, &["a", "b"]))
        .await
        .expect("an answer");
    let mut text = String::new();
    for result in &answer.results {
        let own = result.configs.iter();
        let own = own.filter(|config| config.config_source == 1);
        let mut own: Vec<_> = own.collect();
        own.sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
        for config in own {
            let value = config.value.as_deref().unwrap_or("null");
            write!(text, " {}.{}={value}", result.resource_name, config.name).expect("a string");
            for synonym in &config.synonyms {
                let value = synonym.value.as_deref().unwrap_or("null");
                write!(text, " <{}:{}={value}>", synonym.source, synonym.name).expect("a string");
            }
        }
    }
    text
}

/// A change is seen by whoever asks next, at once in Logway, soon in Kafka.
async fn settled(at: &mut Connection, marks: &mut u32) -> String {
    steady::changes(at, marks).await;
    shown(at).await
}

async fn differences(theirs: &mut Connection, ours: &mut Connection) -> Vec<String> {
    for at in [&mut *theirs, &mut *ours] {
        at.create("a", &[]).await;
        at.create("b", &[]).await;
    }
    let (mut found, mut marks) = (Vec::new(), 0);
    let mut compare = |what: String, theirs: String, ours: String| {
        if theirs != ours {
            found.push(format!("{what}\n    kafka:  {theirs}\n    logway: {ours}"));
        }
    };
    for (resources, validate_only) in INCREMENTAL {
        let kafka = incremental(theirs, resources, *validate_only).await;
        let logway = incremental(ours, resources, *validate_only).await;
        compare(format!("{resources:?}"), kafka, logway);
        let logway = shown(ours).await;
        compare(
            format!("after {resources:?}"),
            settled(theirs, &mut marks).await,
            logway,
        );
    }
    for resources in LEGACY {
        let (kafka, logway) = (
            legacy(theirs, resources).await,
            legacy(ours, resources).await,
        );
        compare(format!("{resources:?}"), kafka, logway);
        let logway = shown(ours).await;
        compare(
            format!("after {resources:?}"),
            settled(theirs, &mut marks).await,
            logway,
        );
    }
    found
}

#[test]
fn settings_change_as_in_kafka() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(script) = peers::kafka() else { return };
    let kafka = Kafka::start(script, folder.path());
    let logway = broker(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let found = runtime.block_on(async {
        let at = |addr: &str| Connection::open(addr.parse().expect("IP:PORT"));
        let mut theirs = at(&kafka.address()).await;
        let mut ours = at(&logway.address("kafka")).await;
        differences(&mut theirs, &mut ours).await
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(logway.stop().success());
}
