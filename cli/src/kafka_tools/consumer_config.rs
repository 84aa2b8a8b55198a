//! A consumer's settings from Kafka's names for them.
//!
//! Invariant: a setting that this client has is taken as Kafka takes it; others are without effect.

use logway_client::{AutoOffsetReset, ConsumerConfig, GroupProtocol, IsolationLevel};

use super::exception::Exception;
use super::properties::{self, Properties};

/// What the settings say; `group.id` is left open where they have none.
///
/// # Errors
/// A value cannot be used.
pub(super) fn of(
    bootstrap: &str,
    settings: &Properties,
    client_id: &str,
) -> Result<ConsumerConfig, Exception> {
    let owned = |name| properties::get(settings, name).map(str::to_owned);
    let mut config = ConsumerConfig {
        client: properties::client(bootstrap, settings, client_id)?,
        group_id: owned("group.id"),
        group_instance_id: owned("group.instance.id"),
        group_protocol: group_protocol(settings)?,
        group_remote_assignor: owned("group.remote.assignor"),
        auto_offset_reset: match properties::get(settings, "auto.offset.reset") {
            Some("earliest") => AutoOffsetReset::Earliest,
            Some("none") => AutoOffsetReset::None,
            _ => AutoOffsetReset::Latest,
        },
        isolation_level: isolation_level(properties::get(settings, "isolation.level"))?,
        ..ConsumerConfig::default()
    };
    for (name, to) in [
        ("session.timeout.ms", &mut config.session_timeout),
        ("heartbeat.interval.ms", &mut config.heartbeat_interval),
        ("max.poll.interval.ms", &mut config.max_poll_interval),
        ("fetch.max.wait.ms", &mut config.fetch_max_wait),
    ] {
        if let Some(value) = properties::millis(settings, name) {
            *to = value;
        }
    }
    for (name, to) in [
        ("fetch.min.bytes", &mut config.fetch_min_bytes),
        ("fetch.max.bytes", &mut config.fetch_max_bytes),
        (
            "max.partition.fetch.bytes",
            &mut config.max_partition_fetch_bytes,
        ),
    ] {
        if let Some(value) = properties::get(settings, name) {
            *to = value.parse().map_err(|_| invalid(name, value, ""))?;
        }
    }
    Ok(config)
}

/// Which records of transactions are read.
///
/// # Errors
/// The name is none.
pub(super) fn isolation_level(name: Option<&str>) -> Result<IsolationLevel, Exception> {
    match name.unwrap_or("read_uncommitted") {
        "read_committed" => Ok(IsolationLevel::ReadCommitted),
        "read_uncommitted" => Ok(IsolationLevel::ReadUncommitted),
        other => Err(invalid(
            "isolation.level",
            other,
            ": String must be one of: read_committed, read_uncommitted",
        )),
    }
}

/// Which protocol a member of a group speaks.
fn group_protocol(settings: &Properties) -> Result<GroupProtocol, Exception> {
    let asked = properties::get(settings, "group.protocol").unwrap_or("classic");
    match asked.to_ascii_lowercase().as_str() {
        "classic" => Ok(GroupProtocol::Classic),
        "consumer" => Ok(GroupProtocol::Consumer),
        _ => Err(invalid(
            "group.protocol",
            asked,
            ": String must be one of (case insensitive): [CLASSIC, CONSUMER]",
        )),
    }
}

fn invalid(name: &str, value: &str, why: &str) -> Exception {
    Exception::new(
        "org.apache.kafka.common.config.ConfigException",
        format!("Invalid value {value} for configuration {name}{why}"),
    )
}

#[cfg(test)]
mod tests {
    //! Settings by their names.

    use std::time::Duration;

    use logway_client::{AutoOffsetReset, GroupProtocol, IsolationLevel};

    use super::of;
    use crate::kafka_tools::properties::{self, Properties};

    fn settings(pairs: &[&str]) -> Properties {
        pairs.iter().map(|pair| properties::pair(pair)).collect()
    }

    #[test]
    fn settings_are_taken_by_their_names() {
        let config = of(
            "127.0.0.1:9092",
            &settings(&[
                "group.id=g",
                "group.protocol=CONSUMER",
                "auto.offset.reset=earliest",
                "isolation.level=read_committed",
                "fetch.max.wait.ms=7",
                "max.partition.fetch.bytes=4096",
                "something.else=1",
            ]),
            "c",
        )
        .unwrap();
        assert_eq!(config.group_id.as_deref(), Some("g"));
        assert_eq!(config.group_protocol, GroupProtocol::Consumer);
        assert_eq!(config.auto_offset_reset, AutoOffsetReset::Earliest);
        assert_eq!(config.isolation_level, IsolationLevel::ReadCommitted);
        assert_eq!(config.fetch_max_wait, Duration::from_millis(7));
        assert_eq!(config.max_partition_fetch_bytes, 4096);
        for (wrong, told) in [
            ("group.protocol=new", "configuration group.protocol"),
            ("isolation.level=some", "configuration isolation.level"),
            ("fetch.min.bytes=few", "configuration fetch.min.bytes"),
        ] {
            let error = of("127.0.0.1:9092", &settings(&[wrong]), "c").unwrap_err();
            assert!(error.message.contains(told), "{}", error.message);
        }
    }
}
