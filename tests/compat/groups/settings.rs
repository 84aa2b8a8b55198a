//! Settings of single groups of the consumer protocol (`kafka-configs --entity-type groups`): what is
//! refused, what a member is told after a change, when its session ends, and what counts after the
//! broker's bounds became tighter. Apache Kafka and Logway say the same.

use std::fmt::Write;

use harness::eventually;
use logway_protocol::Text;
use logway_protocol::message::consumer_group_describe::ConsumerGroupDescribeRequest;
use logway_protocol::message::create_topics::CreateTopicsRequest;
use logway_protocol::message::incremental_alter_configs::IncrementalAlterConfigsRequest;

use super::play::{error, join, plain};
use crate::node::Kafka;
use crate::raw::Raw;
use crate::requests::{DELETE, SET, changed, create_request, describe_request};
use crate::{broker_with, peers, steady};

const GROUP: i8 = 32;
const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
const ASSIGNMENT: &str = "consumer.assignment.interval.ms";

/// Changes that are refused, and some that are not: settings with their values, `None` takes away.
#[rustfmt::skip]
const CHANGES: &[&[(&str, Option<&str>)]] = &[
    &[(SESSION, Some("499"))],
    &[(SESSION, Some("60001"))],
    &[(SESSION, Some("0"))],
    &[(SESSION, Some("soon"))],
    &[(SESSION, Some(""))],
    &[(SESSION, Some("99999999999"))],
    &[(SESSION, Some("3000"))],
    &[(HEARTBEAT, Some("49"))],
    &[(HEARTBEAT, Some("15001"))],
    &[(HEARTBEAT, Some("-1"))],
    &[(HEARTBEAT, Some("1.5"))],
    &[(HEARTBEAT, Some("900")), (SESSION, Some("900"))],
    &[(HEARTBEAT, Some("14000")), (SESSION, Some("13999"))],
    &[(ASSIGNMENT, Some("-1"))],
    &[(ASSIGNMENT, Some("15001"))],
    &[(ASSIGNMENT, Some("0"))],
    &[("no.such", Some("1"))],
    &[("no.such", None)],
    &[("session.timeout.ms", Some("5000"))],
    &[(HEARTBEAT, Some("9000")), ("no.such", Some("1"))],
    &[(HEARTBEAT, Some(" 9000 "))],
    &[(SESSION, None)],
    &[(HEARTBEAT, Some("700"))],
    &[(HEARTBEAT, None)],
    &[(ASSIGNMENT, None)],
];

/// Both brokers' bounds at first, and what they are after the restart.
const BOUNDS: [(&str, i32); 3] = [
    ("min.session.timeout.ms", 500),
    ("min.heartbeat.interval.ms", 50),
    ("session.timeout.ms", 50_000),
];
const TIGHTER: [(&str, i32); 5] = [
    ("min.session.timeout.ms", 45_000),
    ("min.heartbeat.interval.ms", 2_000),
    ("session.timeout.ms", 50_000),
    ("heartbeat.interval.ms", 4_000),
    ("max.heartbeat.interval.ms", 6_000),
];

fn of_kafka(bounds: &[(&str, i32)]) -> Vec<String> {
    let each = bounds.iter();
    each.map(|(name, value)| format!("group.consumer.{name}={value}"))
        .collect()
}

fn of_logway(bounds: &[(&str, i32)]) -> String {
    let mut text = String::from("[group_consumer]\n");
    for (name, value) in bounds {
        writeln!(text, "{} = {value}", name.replace('.', "_")).expect("a string");
    }
    text
}

fn alter(raw: &mut Raw, group: &str, values: &[(&str, Option<&str>)]) -> String {
    let operations: Vec<_> = values
        .iter()
        .map(|(name, value)| (*name, if value.is_some() { SET } else { DELETE }, *value))
        .collect();
    let request = IncrementalAlterConfigsRequest {
        resources: vec![changed(GROUP, group, &operations)],
        validate_only: false,
    };
    let answer = raw.ask(1, &request);
    let one = &answer.responses[0];
    let message = one.error_message.as_deref().unwrap_or("-");
    format!("{} {message}", error(one.error_code))
}

/// The group's settings that Logway knows, with where each comes from.
fn shown(raw: &mut Raw, group: &str) -> String {
    let answer = raw.ask(4, &describe_request(GROUP, &[group]));
    let mut text = error(answer.results[0].error_code);
    for name in [SESSION, HEARTBEAT, ASSIGNMENT] {
        let mut all = answer.results[0].configs.iter();
        let config = all.find(|config| config.name.as_str() == name);
        let config = config.expect("every group has it");
        let value = config.value.as_deref().unwrap_or("null");
        let source = config.config_source;
        write!(text, " {}={value}<{source}>", config.name).expect("a string");
        for synonym in &config.synonyms {
            let value = synonym.value.as_deref().unwrap_or("null");
            write!(text, "[{} {}={value}]", synonym.source, synonym.name).expect("a string");
        }
    }
    text
}

/// The interval that a member of the group is told; it joins, or joins again.
fn told(raw: &mut Raw, group: &str) -> i32 {
    let answer = raw.ask(1, &join(group, "m", &["apples"]));
    assert_eq!(answer.error_code, 0, "{answer:?}");
    answer.heartbeat_interval_ms
}

fn eventually_told(raw: &mut Raw, group: &str, wanted: i32) {
    eventually("the interval that was set", || match told(raw, group) {
        now if now == wanted => Ok(()),
        now => Err(now),
    });
}

fn members(raw: &mut Raw, group: &str) -> Vec<String> {
    let request = ConsumerGroupDescribeRequest {
        group_ids: vec![Text::from(group)],
        ..ConsumerGroupDescribeRequest::default()
    };
    let answer = raw.ask(1, &request);
    let members = answer.groups[0].members.iter();
    members.map(|member| member.member_id.to_string()).collect()
}

/// Waits for the coordinators; then there is a member in each of the two groups.
fn ready(raw: &mut Raw) {
    steady::groups(raw);
    for group in ["g", "h"] {
        told(raw, group);
    }
}

fn before(raw: &mut Raw) -> Vec<String> {
    let request: CreateTopicsRequest = create_request("apples", 4, &[]);
    assert_eq!(raw.ask(7, &request).topics[0].error_code, 0);
    ready(raw);
    let mut seen = vec![shown(raw, "g")];
    for change in CHANGES {
        seen.push(format!("{change:?}: {}", alter(raw, "g", change)));
    }
    seen.push(alter(raw, "", &[(SESSION, Some("5000"))]));
    // What is taken away counts no longer, what stays counts at the next heartbeat.
    let now = told(raw, "h");
    seen.push(format!("unset {now}"));
    alter(
        raw,
        "h",
        &[(HEARTBEAT, Some("700")), (SESSION, Some("1500"))],
    );
    eventually_told(raw, "h", 700);
    seen.push(shown(raw, "h"));
    // The member of `h` falls silent, and is out long before the broker's own 50 s.
    let began = std::time::Instant::now();
    eventually("a session that ends", || {
        let left = members(raw, "h");
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    let early = began.elapsed().as_millis() < 40_000;
    seen.push(format!("out early: {early}"));
    let gone = raw.ask(1, &plain("h", "m", 2)).error_code;
    seen.push(format!("then {}", error(gone)));
    // Alone it would leave a session that is shorter than the broker's interval.
    seen.push(alter(raw, "h", &[(HEARTBEAT, None)]));
    seen.push(alter(raw, "h", &[(HEARTBEAT, None), (SESSION, None)]));
    eventually_told(raw, "h", 5_000);
    // Kept over the restart, and outside of the bounds that come with it.
    for (group, interval) in [("g", "9000"), ("h", "300")] {
        alter(raw, group, &[(HEARTBEAT, Some(interval))]);
        eventually_told(raw, group, interval.parse().expect("a number"));
    }
    seen
}

fn after(raw: &mut Raw) -> Vec<String> {
    ready(raw);
    let mut seen = Vec::new();
    for group in ["g", "h", "other"] {
        seen.push(format!("{group} is told {}", told(raw, group)));
        seen.push(shown(raw, group));
    }
    for change in [(HEARTBEAT, Some("6001")), (SESSION, Some("44999"))] {
        seen.push(format!("{change:?}: {}", alter(raw, "g", &[change])));
    }
    seen
}

#[test]
fn settings_of_groups_count_as_in_kafka() {
    let Some(script) = peers::kafka() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let bounds = of_kafka(&BOUNDS);
    let bounds: Vec<&str> = bounds.iter().map(String::as_str).collect();
    let kafka = Kafka::start_with(script, folder.path(), &bounds);
    let mut theirs = before(&mut Raw::connect(&kafka.address()));
    kafka.ok(&["halt", "1"]);
    let settings = kafka.data().with_file_name("server.properties");
    let text = std::fs::read_to_string(&settings).expect("its settings");
    let text = format!("{text}\n{}\n", of_kafka(&TIGHTER).join("\n"));
    std::fs::write(&settings, text).expect("its settings");
    kafka.go_on();
    theirs.extend(after(&mut Raw::connect(&kafka.address())));

    let logway = broker_with(folder.path(), &of_logway(&BOUNDS));
    let mut ours = before(&mut Raw::connect(&logway.address("kafka")));
    assert!(logway.stop().success());
    let logway = broker_with(folder.path(), &of_logway(&TIGHTER));
    ours.extend(after(&mut Raw::connect(&logway.address("kafka"))));
    assert!(logway.stop().success());

    let pairs = theirs.iter().zip(&ours).filter(|(their, our)| their != our);
    let differences: Vec<String> = pairs
        .map(|(their, our)| format!("kafka:  {their}\nlogway: {our}"))
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_eq!(theirs.len(), ours.len());
}
