//! Settings of brokers that change while running, of groups and of client metrics: names, kinds,
//! limits and defaults as in Kafka 4.3. Invariant: what passes `check` can be acted on. Pure; step 7 of
//! the hallway.
//!
//! Kafka keeps a broker's settings that it does not know (they may be a plug-in's); so does this one.
//! Some that Kafka may change while running have nothing to act on here, such as the number of
//! threads: they are kept and shown, and change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use thiserror::Error;

use super::feature::ELIGIBLE_LEADER_REPLICAS;
use super::fixed_settings::FIXED;
use super::image::{
    Image, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC,
};
use super::in_force::InForce;
use super::topic_config::{self, Kind, SETTINGS, default_of};

/// A broker's setting that may be set while it runs and is not a default of topics.
#[derive(Clone, Copy, Debug)]
struct Dynamic {
    name: &'static str,
    kind: Kind,
}

const fn dynamic(name: &'static str, kind: Kind) -> Dynamic {
    Dynamic { name, kind }
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
const TEXT: Kind = Kind::List(&[]);

/// Kafka's dynamic settings of brokers that are not defaults of topics, in the order of their names.
#[rustfmt::skip]
const DYNAMIC: &[Dynamic] = &[
    dynamic("background.threads", Kind::Int { min: 1, max: INT }),
    dynamic("follower.replication.throttled.rate", Kind::Long { min: 0, max: LONG }),
    dynamic("group.consumer.assignment.interval.ms", Kind::Int { min: 0, max: INT }),
    dynamic("leader.replication.throttled.rate", Kind::Long { min: 0, max: LONG }),
    dynamic("log.cleaner.backoff.ms", Kind::Long { min: 0, max: LONG }),
    dynamic("log.cleaner.dedupe.buffer.size", Kind::Long { min: i64::MIN, max: LONG }),
    dynamic("log.cleaner.io.buffer.load.factor", Kind::Number),
    dynamic("log.cleaner.io.buffer.size", Kind::Int { min: 0, max: INT }),
    dynamic("log.cleaner.io.max.bytes.per.second", Kind::Number),
    dynamic("log.cleaner.threads", Kind::Int { min: 0, max: INT }),
    dynamic("max.connection.creation.rate", Kind::Int { min: 0, max: INT }),
    dynamic("max.connections", Kind::Int { min: 0, max: INT }),
    dynamic("max.connections.per.ip", Kind::Int { min: 0, max: INT }),
    dynamic("max.connections.per.ip.overrides", Kind::Text),
    dynamic("metric.reporters", TEXT),
    dynamic("num.io.threads", Kind::Int { min: 1, max: INT }),
    dynamic("num.network.threads", Kind::Int { min: 1, max: INT }),
    dynamic("num.recovery.threads.per.data.dir", Kind::Int { min: 1, max: INT }),
    dynamic("num.replica.fetchers", Kind::Int { min: i32::MIN as i64, max: INT }),
    dynamic("producer.id.expiration.ms", Kind::Int { min: 1, max: INT }),
    dynamic("replica.alter.log.dirs.io.max.bytes.per.second", Kind::Long { min: 0, max: LONG }),
    dynamic("transaction.partition.verification.enable", Kind::Bool),
];

/// A setting of a group or of client metrics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResourceSetting {
    pub(crate) name: &'static str,
    /// The broker setting that is its default, if it has one.
    pub(crate) broker_name: Option<&'static str>,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
}

/// Settings of groups of the consumer protocol (KIP-848).
pub(crate) const GROUP_SETTINGS: &[ResourceSetting] = &[
    ResourceSetting {
        name: "consumer.assignment.interval.ms",
        broker_name: Some("group.consumer.assignment.interval.ms"),
        default: "1000",
        kind: Kind::Int { min: 0, max: INT },
        doc: "Shortest time between two assignments of a group.",
    },
    ResourceSetting {
        name: "consumer.heartbeat.interval.ms",
        broker_name: Some("group.consumer.heartbeat.interval.ms"),
        default: "5000",
        kind: Kind::Int { min: 1, max: INT },
        doc: "Time between two heartbeats of a member.",
    },
    ResourceSetting {
        name: "consumer.session.timeout.ms",
        broker_name: Some("group.consumer.session.timeout.ms"),
        default: "45000",
        kind: Kind::Int { min: 1, max: INT },
        doc: "Time without a heartbeat after which a member is gone.",
    },
];

/// Settings of a subscription to the metrics of clients (KIP-714).
pub(crate) const METRICS_SETTINGS: &[ResourceSetting] = &[
    ResourceSetting {
        name: "interval.ms",
        broker_name: None,
        default: "300000",
        kind: Kind::Int {
            min: 100,
            max: 3_600_000,
        },
        doc: "Time between two reports of a client.",
    },
    ResourceSetting {
        name: "match",
        broker_name: None,
        default: "",
        kind: TEXT,
        doc: "Which clients are meant, as NAME=REGULAR EXPRESSION.",
    },
    ResourceSetting {
        name: "metrics",
        broker_name: None,
        default: "",
        kind: TEXT,
        doc: "Names of the metrics, or their beginnings; * for all.",
    },
];

/// Names that a subscription may match clients by.
const MATCHERS: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Why a broker, a group or client metrics do not get settings; the texts are Kafka's where it has some.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ResourceError {
    #[error("Cannot update these configs dynamically: [{0}]")]
    Fixed(String),
    #[error("Broker-level min.insync.replicas cannot be altered while ELR is enabled.")]
    MinIsrOfBroker,
    #[error("Cluster-level min.insync.replicas cannot be removed while ELR is enabled.")]
    MinIsrRemoved,
    #[error("Invalid value {value} for configuration {name}: {problem}")]
    Value {
        name: String,
        value: String,
        problem: String,
    },
    #[error("Unknown group config name: {0}")]
    UnknownOfGroup(String),
    #[error("{0}")]
    Group(String),
    #[error("Unknown client metrics configuration: {0}")]
    UnknownOfMetrics(String),
    #[error("{0}")]
    Bounds(String),
    #[error("{0}")]
    Interval(String),
    #[error("Illegal client matching pattern: {0}")]
    Pattern(String),
    #[error("Subscription name can't be empty")]
    NoSubscription,
    #[error("Unknown config name: {0}")]
    UnknownOfBroker(String),
    #[error("Unexpected resource type {0}.")]
    Kind(i8),
}

/// A change to be checked.
pub(super) struct Change<'a> {
    pub(super) kind: i8,
    pub(super) name: &'a str,
    pub(super) present: &'a BTreeMap<String, String>,
    pub(super) wanted: &'a BTreeMap<String, String>,
    /// Names that the request gives values.
    pub(super) set: &'a [&'a str],
}

/// Whether a resource may have the settings it would have after a change.
pub(super) fn check(
    image: &Image,
    file: &Arc<Settings>,
    change: &Change<'_>,
) -> Result<(), ResourceError> {
    match change.kind {
        RESOURCE_BROKER => check_broker(image, file, change),
        RESOURCE_GROUP => check_group(file, change),
        RESOURCE_CLIENT_METRICS => check_metrics(change),
        other => Err(ResourceError::Kind(other)),
    }
}

fn check_broker(
    image: &Image,
    file: &Arc<Settings>,
    change: &Change<'_>,
) -> Result<(), ResourceError> {
    const MIN_ISR: &str = "min.insync.replicas";
    let named = |wrong: &dyn Fn(&str) -> bool| {
        let names = change.set.iter().copied().filter(|name| wrong(name));
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    if let Some(names) = named(&|name| FIXED.contains(&name)) {
        return Err(ResourceError::Fixed(names));
    }
    for name in change.set {
        let value = change.wanted.get(*name).map_or("", String::as_str);
        check_broker_value(name, value)?;
    }
    let has_elr = image.features().contains_key(ELIGIBLE_LEADER_REPLICAS);
    if has_elr && change.wanted.get(MIN_ISR) != change.present.get(MIN_ISR) {
        if !change.name.is_empty() {
            return Err(ResourceError::MinIsrOfBroker);
        }
        if !change.wanted.contains_key(MIN_ISR) {
            return Err(ResourceError::MinIsrRemoved);
        }
    }
    check_assignment_interval(image, file, change)?;
    check_connections(file, change)
}

/// Bounds of single addresses must be readable, or nobody would be bounded.
fn check_connections(file: &Arc<Settings>, change: &Change<'_>) -> Result<(), ResourceError> {
    const OVERRIDES: &str = "max.connections.per.ip.overrides";
    if !change.set.contains(&OVERRIDES) {
        return Ok(());
    }
    let value = change.wanted.get(OVERRIDES).cloned().unwrap_or_default();
    let settings = Settings {
        max_connections_per_ip_overrides: value.clone(),
        ..Settings::clone(file)
    };
    settings.check().map_err(|violation| ResourceError::Value {
        name: OVERRIDES.to_owned(),
        value,
        problem: violation.to_string(),
    })
}

fn check_broker_value(name: &str, value: &str) -> Result<(), ResourceError> {
    let kind = match find(name) {
        Some(found) => Some(found.kind),
        None => topic_default(name).map(|setting| setting.kind),
    };
    let Some(kind) = kind else {
        return Ok(());
    };
    let items: Vec<&str> = match kind {
        Kind::List(words) if !words.is_empty() && !value.is_empty() => value.split(',').collect(),
        _ => vec![value],
    };
    items.into_iter().map(str::trim).try_for_each(|value| {
        topic_config::check_kind(kind, value).map_err(|problem| ResourceError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            problem,
        })
    })
}

/// The default of groups that would be in force must be one that a group may have of its own.
fn check_assignment_interval(
    image: &Image,
    file: &Settings,
    change: &Change<'_>,
) -> Result<(), ResourceError> {
    const OF_GROUP: &str = "consumer.assignment.interval.ms";
    const INTERVAL: &str = "group.consumer.assignment.interval.ms";
    if change.wanted.get(INTERVAL) == change.present.get(INTERVAL) {
        return Ok(());
    }
    let node = file.node_id.to_string();
    let after = |name: &str| match name == change.name {
        true => change.wanted.get(INTERVAL),
        false => image.configs(RESOURCE_BROKER, name)?.get(INTERVAL),
    };
    let Some(value) = after(&node).or_else(|| after("")) else {
        return Ok(());
    };
    let number = value.trim().parse().unwrap_or(0);
    check_bounds(file, (INTERVAL, OF_GROUP), number).map_err(ResourceError::Bounds)
}

/// The dynamic setting of that name.
fn find(name: &str) -> Option<&'static Dynamic> {
    DYNAMIC.iter().find(|dynamic| dynamic.name == name)
}

/// What a setting that may be set while the broker runs, and is not a default of topics, may be.
pub(crate) fn dynamic_kind(name: &str) -> Option<Kind> {
    find(name).map(|found| found.kind)
}

/// Whether a broker has a setting of that name.
pub(super) fn is_known(name: &str) -> bool {
    is_dynamic(name) || FIXED.contains(&name)
}

/// Whether a broker's setting may be set while it runs.
pub(crate) fn is_dynamic(name: &str) -> bool {
    find(name).is_some() || topic_default(name).is_some()
}

/// The topic setting that a broker's setting is the default of.
fn topic_default(name: &str) -> Option<&'static topic_config::Setting> {
    SETTINGS
        .iter()
        .find(|setting| setting.broker_name == Some(name))
}

/// The setting of that name among these.
fn setting_of(all: &'static [ResourceSetting], name: &str) -> Option<&'static ResourceSetting> {
    all.iter().find(|setting| setting.name == name)
}

/// The bounds of a group's setting (Kafka's `group.consumer.min.*` and `group.consumer.max.*`).
fn group_bounds(file: &Settings, name: &str) -> (i64, i64) {
    let own = &file.group_consumer;
    let (least, most) = match name {
        "consumer.assignment.interval.ms" => (
            own.min_assignment_interval_ms,
            own.max_assignment_interval_ms,
        ),
        "consumer.heartbeat.interval.ms" => {
            (own.min_heartbeat_interval_ms, own.max_heartbeat_interval_ms)
        }
        _ => (own.min_session_timeout_ms, own.max_session_timeout_ms),
    };
    (i64::from(least), i64::from(most))
}

/// Whether a number lies within what groups may have; `shown` is the setting's name to its owner.
fn check_bounds(
    file: &Settings,
    (shown, of_group): (&str, &str),
    number: i64,
) -> Result<(), String> {
    let (min, max) = group_bounds(file, of_group);
    let limit = of_group.trim_start_matches("consumer.");
    if number < min {
        return Err(format!(
            "{shown} must be greater than or equal to group.consumer.min.{limit}"
        ));
    }
    if number > max {
        return Err(format!(
            "{shown} must be less than or equal to group.consumer.max.{limit}"
        ));
    }
    Ok(())
}

fn check_group(file: &Settings, change: &Change<'_>) -> Result<(), ResourceError> {
    for name in change.wanted.keys() {
        if setting_of(GROUP_SETTINGS, name).is_none() {
            return Err(ResourceError::UnknownOfGroup(name.clone()));
        }
    }
    for (name, value) in change.wanted {
        let Some(setting) = setting_of(GROUP_SETTINGS, name) else {
            continue;
        };
        topic_config::check_kind(setting.kind, value).map_err(|problem| {
            let text = format!("Invalid value {value} for configuration {name}: {problem}");
            ResourceError::Group(text)
        })?;
        let number: i64 = value.parse().unwrap_or(0);
        check_bounds(file, (name, name), number).map_err(ResourceError::Group)?;
    }
    let number = |index: usize| -> i64 {
        let setting = GROUP_SETTINGS.get(index);
        let value = setting.map(|s| change.wanted.get(s.name).map_or(s.default, String::as_str));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    if number(2) <= number(1) {
        return Err(ResourceError::Group(
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms"
                .into(),
        ));
    }
    Ok(())
}

fn check_metrics(change: &Change<'_>) -> Result<(), ResourceError> {
    for (name, value) in change.wanted {
        let Some(setting) = setting_of(METRICS_SETTINGS, name) else {
            return Err(ResourceError::UnknownOfMetrics(name.clone()));
        };
        if let Kind::Int { min, max } = setting.kind {
            let number: Option<i64> = value.parse().ok();
            if number.is_none_or(|number| !(min..=max).contains(&number)) {
                return Err(ResourceError::Interval(format!(
                    "Invalid value {value} for {name}, interval must be between {min} and {max} (1 hour)"
                )));
            }
        }
        if name == "match" {
            let patterns = value
                .split(',')
                .map(str::trim)
                .filter(|one| !one.is_empty());
            for pattern in patterns {
                let key = pattern.split_once('=').map(|(key, _)| key.trim());
                if !key.is_some_and(|key| MATCHERS.contains(&key)) {
                    return Err(ResourceError::Pattern(pattern.to_owned()));
                }
            }
        }
    }
    Ok(())
}

/// A value as it is kept and shown.
pub(super) fn canonical(kind: i8, name: &str, value: &str) -> String {
    match (kind, topic_default(name)) {
        (RESOURCE_TOPIC, _) => topic_config::canonical(name, value),
        (RESOURCE_BROKER, Some(setting)) => topic_config::canonical(setting.name, value),
        _ => value.trim().to_owned(),
    }
}

/// The value of a list that was not set; none if the setting is no list.
pub(super) fn list_default(kind: i8, name: &str) -> Option<String> {
    let found = match kind {
        RESOURCE_BROKER => match topic_default(name) {
            Some(setting) => {
                let is_list = matches!(setting.kind, Kind::List(_));
                return is_list.then(|| default_of(setting, &InForce::of_file(&Arc::default())));
            }
            None => find(name).map(|found| found.kind),
        },
        _ => None,
    };
    found
        .filter(|kind| matches!(kind, Kind::List(_)))
        .map(|_| String::new())
}
