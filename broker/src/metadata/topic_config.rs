//! Every setting a topic can have: Kafka's names, kinds, limits and defaults.
//! Invariant: a value that passes `check` can be read back by `TopicConfig::of`; the same table
//! serves CreateTopics, DescribeConfigs and the partitions. Pure; step 7 of the hallway.

use std::collections::BTreeMap;

use logway_protocol::compression::Compression;
use thiserror::Error;

use super::image::Topic;
use super::in_force::InForce;
use super::topic_name::is_internal;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Bool,
    /// Whole numbers from `min` to `max`, 32 bits wide in Kafka.
    Int {
        min: i64,
        max: i64,
    },
    /// Whole numbers, 16 bits wide in Kafka.
    Short,
    /// Whole numbers from `min` to `max`, 64 bits wide in Kafka.
    Long {
        min: i64,
        max: i64,
    },
    /// Numbers from 0 to 1.
    Ratio,
    /// Any number.
    Number,
    /// Anything.
    Text,
    /// The name of a class, which Kafka would load.
    Class,
    /// Something that nobody is shown.
    Password,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, comma separated; without words, anything.
    List(&'static [&'static str]),
}

impl Kind {
    /// Kafka's number of the type in DescribeConfigs.
    pub(crate) fn code(self) -> i8 {
        match self {
            Kind::Bool => 1,
            Kind::Text | Kind::Word(_) => 2,
            Kind::Int { .. } => 3,
            Kind::Short => 4,
            Kind::Long { .. } => 5,
            Kind::Ratio | Kind::Number => 6,
            Kind::List(_) => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    /// The broker setting that is its default, if it has one.
    pub(crate) broker_name: Option<&'static str>,
    pub(crate) default: &'static str,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
}

const LONG_MAX: &str = "9223372036854775807";
const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;
const COMPRESSIONS: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

const fn setting(
    name: &'static str,
    broker_name: Option<&'static str>,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting {
        name,
        broker_name,
        default,
        kind,
        doc,
    }
}

/// All topic settings of Kafka 4.3, in the order of their names.
#[rustfmt::skip]
pub(crate) const SETTINGS: &[Setting] = &[
    setting("cleanup.policy", Some("log.cleanup.policy"), "delete", Kind::List(&["compact", "delete"]),
        "Whether old segments are deleted, compacted by key, or both."),
    setting("compression.gzip.level", Some("compression.gzip.level"), "-1", Kind::Int { min: -1, max: 9 },
        "Level used when compression.type is gzip."),
    setting("compression.lz4.level", Some("compression.lz4.level"), "9", Kind::Int { min: 1, max: 17 },
        "Level used when compression.type is lz4."),
    setting("compression.type", Some("compression.type"), "producer", Kind::Word(COMPRESSIONS),
        "Final compression of the topic; producer keeps what the producer chose."),
    setting("compression.zstd.level", Some("compression.zstd.level"), "3", Kind::Int { min: -131_072, max: 22 },
        "Level used when compression.type is zstd."),
    setting("delete.retention.ms", Some("log.cleaner.delete.retention.ms"), "86400000", Kind::Long { min: 0, max: LONG },
        "How long tombstones stay in a compacted topic."),
    setting("file.delete.delay.ms", Some("log.segment.delete.delay.ms"), "60000", Kind::Long { min: 0, max: LONG },
        "How long a deleted segment's files stay on disk."),
    setting("flush.messages", Some("log.flush.interval.messages"), LONG_MAX, Kind::Long { min: 1, max: LONG },
        "Records after which the log is forced to disk."),
    setting("flush.ms", Some("log.flush.interval.ms"), LONG_MAX, Kind::Long { min: 0, max: LONG },
        "Time after which the log is forced to disk."),
    setting("follower.replication.throttled.replicas", None, "", Kind::List(&[]),
        "Replicas whose replication is throttled on the follower's side."),
    setting("index.interval.bytes", Some("log.index.interval.bytes"), "4096", Kind::Int { min: 0, max: INT },
        "Bytes of log between two entries of the offset index."),
    setting("leader.replication.throttled.replicas", None, "", Kind::List(&[]),
        "Replicas whose replication is throttled on the leader's side."),
    setting("local.retention.bytes", Some("log.local.retention.bytes"), "-2", Kind::Long { min: -2, max: LONG },
        "Bytes kept locally with tiered storage; -2 takes retention.bytes."),
    setting("local.retention.ms", Some("log.local.retention.ms"), "-2", Kind::Long { min: -2, max: LONG },
        "Time kept locally with tiered storage; -2 takes retention.ms."),
    setting("max.compaction.lag.ms", Some("log.cleaner.max.compaction.lag.ms"), LONG_MAX, Kind::Long { min: 1, max: LONG },
        "Longest time a record stays uncompacted."),
    setting("max.message.bytes", Some("message.max.bytes"), "1048588", Kind::Int { min: 0, max: INT },
        "Largest record batch."),
    setting("message.timestamp.after.max.ms", Some("log.message.timestamp.after.max.ms"), "3600000", Kind::Long { min: 0, max: LONG },
        "How far a record's timestamp may lie after the broker's clock."),
    setting("message.timestamp.before.max.ms", Some("log.message.timestamp.before.max.ms"), LONG_MAX, Kind::Long { min: 0, max: LONG },
        "How far a record's timestamp may lie before the broker's clock."),
    setting("message.timestamp.type", Some("log.message.timestamp.type"), "CreateTime", Kind::Word(&["CreateTime", "LogAppendTime"]),
        "Whose clock gives records their timestamp."),
    setting("min.cleanable.dirty.ratio", Some("log.cleaner.min.cleanable.ratio"), "0.5", Kind::Ratio,
        "Share of uncompacted bytes at which compaction begins."),
    setting("min.compaction.lag.ms", Some("log.cleaner.min.compaction.lag.ms"), "0", Kind::Long { min: 0, max: LONG },
        "Shortest time a record stays uncompacted."),
    setting("min.insync.replicas", Some("min.insync.replicas"), "1", Kind::Int { min: 1, max: INT },
        "In-sync replicas that acks=all needs."),
    setting("preallocate", Some("log.preallocate"), "false", Kind::Bool,
        "Whether segments get their full size at once."),
    setting("remote.log.copy.disable", None, "false", Kind::Bool,
        "Whether copying to remote storage stops."),
    setting("remote.log.delete.on.disable", None, "false", Kind::Bool,
        "Whether remote segments go when tiered storage is switched off."),
    setting("remote.storage.enable", None, "false", Kind::Bool,
        "Whether the topic has tiered storage."),
    setting("retention.bytes", Some("log.retention.bytes"), "-1", Kind::Long { min: i64::MIN, max: LONG },
        "Bytes kept of each partition; -1 keeps all."),
    setting("retention.ms", Some("log.retention.ms"), "604800000", Kind::Long { min: -1, max: LONG },
        "Time a record is kept; -1 keeps it for ever."),
    setting("segment.bytes", Some("log.segment.bytes"), "1073741824", Kind::Int { min: 1_048_576, max: INT },
        "Size at which a new segment begins."),
    setting("segment.index.bytes", Some("log.index.size.max.bytes"), "10485760", Kind::Int { min: 4, max: INT },
        "Largest index file of a segment."),
    setting("segment.jitter.ms", None, "0", Kind::Long { min: 0, max: LONG },
        "Random part taken off segment.ms, so that not all segments roll at once."),
    setting("segment.ms", Some("log.roll.ms"), "604800000", Kind::Long { min: 1, max: LONG },
        "Age at which a new segment begins."),
    setting("unclean.leader.election.enable", Some("unclean.leader.election.enable"), "false", Kind::Bool,
        "Whether a replica outside the in-sync set may lead."),
];

/// Why a setting is refused; the texts are Kafka's.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum SettingError {
    #[error("Unknown topic config name: {0}")]
    Unknown(String),
    #[error("Null value not supported for topic configs: {0}")]
    Null(String),
    #[error("Invalid value {value} for configuration {name}: {problem}")]
    Value {
        name: String,
        value: String,
        problem: String,
    },
    #[error("Configuration '{0}' values must not be empty.")]
    EmptyItem(String),
    #[error(
        "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage."
    )]
    NoTieredStorage,
    #[error(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    )]
    Lags { min: i64, max: i64 },
}

/// The setting of that name.
pub(crate) fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS
        .binary_search_by(|setting| setting.name.cmp(name))
        .ok()
        .and_then(|index| SETTINGS.get(index))
}

/// A value as it is kept and shown: Kafka shows what it understood, not what was written.
pub(crate) fn canonical(name: &str, value: &str) -> String {
    let value = value.trim();
    match find(name).map(|setting| setting.kind) {
        Some(Kind::Bool) => value.to_ascii_lowercase(),
        Some(Kind::List(_)) => {
            let mut items: Vec<&str> = Vec::new();
            for item in value.split(',').map(str::trim) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            items.join(",")
        }
        Some(Kind::Int { .. } | Kind::Long { .. }) => match value.parse::<i64>() {
            Ok(number) => number.to_string(),
            Err(_) => value.to_owned(),
        },
        _ => value.to_owned(),
    }
}

/// Checks one setting a client gives a topic.
pub(crate) fn check(name: &str, value: Option<&str>) -> Result<(), SettingError> {
    let setting = find(name).ok_or_else(|| SettingError::Unknown(name.to_owned()))?;
    let value = value.ok_or_else(|| SettingError::Null(name.to_owned()))?;
    check_special(name, value)?;
    // Of a list, the item that is wrong is named.
    let items: Vec<&str> = match setting.kind {
        Kind::List(words) if !words.is_empty() && !value.is_empty() => value.split(',').collect(),
        _ => vec![value],
    };
    items.into_iter().map(str::trim).try_for_each(|value| {
        check_kind(setting.kind, value).map_err(|problem| SettingError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            problem,
        })
    })
}

/// What single settings want beyond their kind.
fn check_special(name: &str, value: &str) -> Result<(), SettingError> {
    let items = || value.split(',').map(str::trim);
    let refuse = |value: String, problem: &str| {
        Err(SettingError::Value {
            name: name.to_owned(),
            value,
            problem: problem.to_owned(),
        })
    };
    match name {
        "cleanup.policy" if !value.is_empty() && items().any(str::is_empty) => {
            Err(SettingError::EmptyItem(name.to_owned()))
        }
        "compression.gzip.level" if value.trim() == "0" => refuse(
            value.to_owned(),
            "Value must be between 1 and 9 or equal to -1",
        ),
        "remote.storage.enable" if value.trim().eq_ignore_ascii_case("true") => {
            Err(SettingError::NoTieredStorage)
        }
        "leader.replication.throttled.replicas" | "follower.replication.throttled.replicas"
            if !value.is_empty() && value.trim() != "*" && !items().all(is_replica) =>
        {
            let shown: Vec<&str> = items().collect();
            refuse(
                format!("[{}]", shown.join(", ")),
                &format!(
                    "{name} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                ),
            )
        }
        _ => Ok(()),
    }
}

/// `PARTITION:BROKER`.
fn is_replica(item: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    item.split_once(':')
        .is_some_and(|(partition, broker)| number(partition) && number(broker))
}

/// Checks all settings that a topic is to have, each by itself and against each other.
pub(crate) fn check_all(
    configs: &BTreeMap<String, String>,
    in_force: &InForce,
) -> Result<(), SettingError> {
    if let Some(unknown) = configs.keys().find(|name| find(name).is_none()) {
        return Err(SettingError::Unknown(unknown.clone()));
    }
    for (name, value) in configs {
        check(name, Some(value))?;
    }
    let number = |name: &str| -> i64 {
        let default = || find(name).map(|setting| default_of(setting, in_force));
        let value = configs.get(name).cloned().or_else(default);
        value
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0)
    };
    let (min, max) = (
        number("min.compaction.lag.ms"),
        number("max.compaction.lag.ms"),
    );
    if min > max {
        return Err(SettingError::Lags { min, max });
    }
    Ok(())
}

pub(super) fn check_kind(kind: Kind, value: &str) -> Result<(), String> {
    let number = |text: &str, min: i64, max: i64, width: &str| -> Result<(), String> {
        let number: i64 = text
            .parse()
            .map_err(|_| format!("Not a number of type {width}"))?;
        if number < min {
            return Err(format!("Value must be at least {min}"));
        }
        if number > max {
            return Err(if width == "INT" && max == INT {
                "Not a number of type INT".to_owned()
            } else {
                format!("Value must be no more than {max}")
            });
        }
        Ok(())
    };
    match kind {
        Kind::Bool if ["true", "false"].contains(&value.to_ascii_lowercase().as_str()) => Ok(()),
        Kind::Bool => Err("Expected value to be either true or false".to_owned()),
        Kind::Int { min, max } => number(value, min, max, "INT"),
        Kind::Long { min, max } => number(value, min, max, "LONG"),
        Kind::Short => number(value, i16::MIN.into(), i16::MAX.into(), "SHORT"),
        Kind::Text | Kind::Class | Kind::Password => Ok(()),
        Kind::Ratio => match value.parse::<f64>() {
            Ok(ratio) if ratio < 0.0 => Err("Value must be at least 0".to_owned()),
            Ok(ratio) if ratio > 1.0 => Err("Value must be no more than 1".to_owned()),
            Ok(ratio) if !ratio.is_nan() => Ok(()),
            _ => Err("Not a number of type DOUBLE".to_owned()),
        },
        Kind::Number if value.parse::<f64>().is_ok() => Ok(()),
        Kind::Number => Err("Not a number of type DOUBLE".to_owned()),
        Kind::Word(words) if words.contains(&value) => Ok(()),
        Kind::Word(words) => Err(format!("String must be one of: {}", words.join(", "))),
        Kind::List(words) if words.is_empty() || value.is_empty() => Ok(()),
        Kind::List(words) => check_kind(Kind::Word(words), value),
    }
}

/// The value a topic has when it says nothing: what was set for the broker while it runs, else its
/// file's, else Kafka's default.
pub(crate) fn default_of(setting: &Setting, in_force: &InForce) -> String {
    let dynamic = setting.broker_name.and_then(|name| in_force.dynamic(name));
    let own = dynamic.map(str::to_owned);
    let own = own.or_else(|| broker_value(setting, in_force));
    own.unwrap_or_else(|| setting.default.to_owned())
}

/// The broker's own value where its settings file has that setting.
pub(crate) fn broker_value(setting: &Setting, in_force: &InForce) -> Option<String> {
    let settings = &in_force.file;
    let cleaner = &settings.log.cleaner;
    let value = match setting.name {
        "delete.retention.ms" => cleaner.delete_retention_ms.to_string(),
        "max.compaction.lag.ms" => cleaner.max_compaction_lag_ms.to_string(),
        "min.cleanable.dirty.ratio" => cleaner.min_cleanable_ratio.to_string(),
        "min.compaction.lag.ms" => cleaner.min_compaction_lag_ms.to_string(),
        "flush.messages" => settings.flush.messages?.to_string(),
        "flush.ms" => settings.flush.ms?.to_string(),
        "index.interval.bytes" => settings.log.index_interval_bytes.to_string(),
        "max.message.bytes" => settings.message_max_bytes.to_string(),
        "message.timestamp.after.max.ms" => settings.log.message_timestamp_after_max_ms.to_string(),
        "message.timestamp.before.max.ms" => {
            settings.log.message_timestamp_before_max_ms.to_string()
        }
        "message.timestamp.type" => settings.log.message_timestamp_type.clone(),
        "retention.bytes" => settings.log.retention_bytes.to_string(),
        "retention.ms" => settings.log.retention_ms.to_string(),
        "segment.bytes" => settings.log.segment_bytes.to_string(),
        "segment.index.bytes" => settings.log.index_size_max_bytes.to_string(),
        "segment.ms" => settings.log.roll_ms.to_string(),
        _ => return None,
    };
    Some(value)
}

/// What the broker makes of a batch that a producer compressed otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TargetCompression {
    pub(crate) codec: Compression,
    /// The codec's default if there is none; snappy and lz4 have only one here.
    pub(crate) level: Option<i32>,
}

/// A topic's settings in the form the partitions work with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TopicConfig {
    pub(crate) segment_bytes: i64,
    pub(crate) segment_ms: i64,
    pub(crate) segment_index_bytes: i64,
    pub(crate) index_interval_bytes: i64,
    pub(crate) retention_ms: i64,
    pub(crate) retention_bytes: i64,
    pub(crate) message_bytes_max: usize,
    pub(crate) log_append_time: bool,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
    pub(crate) flush_messages: i64,
    pub(crate) flush_ms: i64,
    pub(crate) compacted: bool,
    pub(crate) deletes: bool,
    pub(crate) delete_retention_ms: i64,
    pub(crate) min_compaction_lag_ms: i64,
    pub(crate) max_compaction_lag_ms: i64,
    pub(crate) min_cleanable_dirty_ratio: f64,
    /// None: what the producer chose.
    pub(crate) compression: Option<TargetCompression>,
}

impl TopicConfig {
    /// What holds for a topic on this broker. A topic that the broker keeps its own state in is never
    /// cut by age or size, whatever its settings say: its oldest record may be the only one that
    /// says where a group stands.
    pub(crate) fn of_topic(topic: &Topic, in_force: &InForce) -> TopicConfig {
        let config = TopicConfig::of(&topic.configs, in_force);
        if !is_internal(&topic.name) {
            return config;
        }
        TopicConfig {
            compacted: true,
            deletes: false,
            ..config
        }
    }

    /// What holds for a topic with these own settings on a broker with those defaults.
    pub(crate) fn of(configs: &BTreeMap<String, String>, in_force: &InForce) -> TopicConfig {
        let text = |name: &str| -> String {
            let own = configs.get(name).cloned();
            own.or_else(|| find(name).map(|setting| default_of(setting, in_force)))
                .unwrap_or_default()
        };
        let number = |name: &str| -> i64 { text(name).trim().parse().unwrap_or(i64::MAX) };
        let policy = text("cleanup.policy");
        TopicConfig {
            segment_bytes: number("segment.bytes"),
            segment_ms: number("segment.ms"),
            segment_index_bytes: number("segment.index.bytes"),
            index_interval_bytes: number("index.interval.bytes"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            message_bytes_max: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            flush_messages: number("flush.messages"),
            flush_ms: number("flush.ms"),
            compacted: policy.split(',').any(|part| part.trim() == "compact"),
            deletes: policy.split(',').any(|part| part.trim() == "delete"),
            delete_retention_ms: number("delete.retention.ms"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: text("min.cleanable.dirty.ratio")
                .trim()
                .parse()
                .unwrap_or(1.0),
            compression: target_compression(&text),
        }
    }
}

/// The compression that `compression.type` asks for, with its level.
fn target_compression(text: &impl Fn(&str) -> String) -> Option<TargetCompression> {
    let codec = match text("compression.type").trim() {
        "uncompressed" => Compression::None,
        name => name.parse().ok()?,
    };
    let level = text(&format!("compression.{codec}.level"));
    Some(TargetCompression {
        codec,
        level: level.trim().parse().ok(),
    })
}
