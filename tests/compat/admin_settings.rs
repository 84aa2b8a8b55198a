//! What the brokers are asked in `admin` about quotas and settings.

use logway_protocol::Text;
use logway_protocol::message::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use logway_protocol::message::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest,
};
use logway_protocol::message::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use logway_protocol::message::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, UserName,
};
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use logway_protocol::message::list_config_resources::ListConfigResourcesRequest;

use crate::admin::{Asked, verdict};

type Entity = &'static [(&'static str, Option<&'static str>)];
/// Key and value; none removes.
type Quota = &'static [(&'static str, Option<f64>)];

fn entry((entity, quotas): &(Entity, Quota)) -> EntryData {
    let entity = entity.iter();
    let quotas = quotas.iter();
    EntryData {
        entity: entity
            .map(|(kind, name)| EntityData {
                entity_type: Text::from(*kind),
                entity_name: name.map(Text::from),
            })
            .collect(),
        ops: quotas
            .map(|(key, value)| OpData {
                key: Text::from(*key),
                value: value.unwrap_or_default(),
                remove: value.is_none(),
            })
            .collect(),
    }
}

#[rustfmt::skip]
const QUOTAS: &[&[(Entity, Quota)]] = &[
    &[(&[("client-id", Some("app"))], &[("producer_byte_rate", Some(1_048_576.0)), ("consumer_byte_rate", Some(2.0))])],
    &[(&[("user", Some("bob")), ("client-id", None)], &[("request_percentage", Some(50.5))])],
    &[(&[("user", None)], &[("controller_mutation_rate", Some(0.5))]), (&[("ip", None)], &[("connection_creation_rate", Some(100.0))])],
    &[(&[("ip", Some("127.0.0.9"))], &[("connection_creation_rate", Some(7.0))])],
    &[(&[("ip", Some("127.0.0.9"))], &[("producer_byte_rate", Some(7.0))])],
    &[(&[("user", Some("x"))], &[("connection_creation_rate", Some(7.0))])],
    &[(&[("user", Some("x"))], &[("speed", Some(7.0))])],
    &[(&[("user", Some("x"))], &[("speed", None)])],
    &[(&[("user", Some("x"))], &[("producer_byte_rate", Some(0.0))])],
    &[(&[("user", Some("x"))], &[("producer_byte_rate", Some(-1.0))])],
    &[(&[("user", Some("x"))], &[("producer_byte_rate", Some(1.5))])],
    &[(&[("user", Some("x"))], &[("producer_byte_rate", Some(1e30))])],
    &[(&[("ip", None)], &[("connection_creation_rate", Some(1e10))])],
    &[(&[("user", Some("x"))], &[("producer_byte_rate", Some(1.0)), ("producer_byte_rate", Some(2.0))])],
    &[(&[("user", Some("x"))], &[("consumer_byte_rate", Some(1.0)), ("producer_byte_rate", Some(-2.0))])],
    &[(&[("user", Some("x")), ("ip", None)], &[("producer_byte_rate", Some(1.0))])],
    &[(&[("group", Some("x"))], &[("producer_byte_rate", Some(1.0))])],
    &[(&[], &[("producer_byte_rate", Some(1.0))])],
    &[(&[("user", Some("y"))], &[])],
];

pub(crate) async fn quotas(asked: &mut Asked) {
    for (entries, validate_only) in QUOTAS.iter().flat_map(|case| [(case, true), (case, false)]) {
        let request = AlterClientQuotasRequest {
            entries: entries.iter().map(entry).collect(),
            validate_only,
        };
        asked
            .ask(1, &request, |answer| {
                let entries = answer.entries.iter();
                let entries = entries.map(|one| {
                    let said = verdict(one.error_code, one.error_message.as_ref());
                    let mut parts: Vec<_> =
                        one.entity.iter().map(|part| format!("{part:?}")).collect();
                    parts.sort();
                    format!("{parts:?} {said}")
                });
                entries.collect()
            })
            .await;
    }
}

pub(crate) async fn scram_described(asked: &mut Asked) {
    for users in [
        None,
        Some(vec![]),
        Some(vec!["bob"]),
        Some(vec!["bob", "bob"]),
    ] {
        let named = |users: Vec<&str>| {
            let users = users.into_iter();
            users
                .map(|name| UserName {
                    name: Text::from(name),
                })
                .collect()
        };
        let request = DescribeUserScramCredentialsRequest {
            users: users.map(named),
        };
        asked
            .ask(0, &request, |answer| {
                let said = verdict(answer.error_code, answer.error_message.as_ref());
                let results = answer.results.iter().map(|one| format!("{one:?}"));
                results.chain([said]).collect()
            })
            .await;
    }
}

pub(crate) async fn quotas_described(asked: &mut Asked) {
    type Filter = &'static [(&'static str, i8, Option<&'static str>)];
    let filters: &[Filter] = &[
        &[],
        &[("client-id", 0, Some("app"))],
        &[("client-id", 2, None)],
        &[("client-id", 1, None)],
        &[("user", 2, None)],
        &[("user", 0, Some("bob")), ("client-id", 2, None)],
        &[("ip", 2, None)],
        &[("ip", 0, Some("127.0.0.9"))],
        &[("ip", 2, None), ("user", 2, None)],
        &[("group", 2, None)],
        &[("", 2, None)],
        &[("user", 0, None)],
        &[("user", 1, Some("x"))],
        &[("user", 2, Some("x"))],
        &[("user", 9, None)],
        &[("user", 2, None), ("user", 1, None)],
    ];
    for (filter, strict) in filters.iter().flat_map(|one| [(one, true), (one, false)]) {
        let components = filter.iter();
        let request = DescribeClientQuotasRequest {
            components: components
                .map(|(kind, match_type, name)| ComponentData {
                    entity_type: Text::from(*kind),
                    match_type: *match_type,
                    r#match: name.map(Text::from),
                })
                .collect(),
            strict,
        };
        asked
            .ask(1, &request, |mut answer| {
                let said = verdict(answer.error_code, answer.error_message.as_ref());
                let entries = answer.entries.iter_mut().flatten().map(|entry| {
                    entry
                        .entity
                        .sort_by_key(|part| part.entity_type.to_string());
                    entry.values.sort_by_key(|value| value.key.to_string());
                    format!("{entry:?}")
                });
                entries.chain([said]).collect()
            })
            .await;
    }
}

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;

type Operation = (&'static str, i8, Option<&'static str>);

#[rustfmt::skip]
const CONFIGS: &[(i8, &str, &[Operation])] = &[
    (4, "1", &[("log.retention.ms", SET, Some("60000"))]),
    (4, "", &[("log.segment.bytes", SET, Some("2097152"))]),
    (4, "", &[("log.retention.ms", SET, Some("soon"))]),
    (4, "1", &[("log.cleanup.policy", SET, Some("shred"))]),
    (4, "1", &[("log.cleanup.policy", APPEND, Some("compact"))]),
    (4, "1", &[("log.cleanup.policy", DELETE, None)]),
    (4, "1", &[("num.partitions", SET, Some("3"))]),
    (4, "1", &[("num.partitions", SET, Some("3")), ("log.dirs", SET, Some("x"))]),
    (4, "1", &[("broker.rack", SET, Some("r1"))]),
    (4, "", &[("socket.send.buffer.bytes", SET, Some("1"))]),
    (4, "1", &[("foo.bar", SET, Some("3"))]),
    (4, "1", &[("foo.bar", APPEND, Some("3"))]),
    (4, "1", &[("min.insync.replicas", SET, Some("1"))]),
    (4, "", &[("min.insync.replicas", SET, Some("0"))]),
    (4, "", &[("min.insync.replicas", DELETE, None)]),
    (4, "", &[("min.insync.replicas", SET, Some("2"))]),
    (4, "", &[("min.insync.replicas", SET, Some("1"))]),
    (4, "", &[("max.connections.per.ip", SET, Some("500"))]),
    (4, "", &[("max.connections.per.ip", SET, Some("x"))]),
    (4, "", &[("message.max.bytes", SET, Some("500000"))]),
    (4, "", &[("message.max.bytes", SET, Some("-1"))]),
    (4, "", &[("log.cleaner.threads", SET, Some("2"))]),
    (4, "", &[("advertised.listeners", SET, Some("PLAINTEXT://x:1"))]),
    (4, "7", &[("log.retention.ms", SET, Some("1"))]),
    (4, "x", &[("log.retention.ms", SET, Some("1"))]),
    (4, "1", &[("log.retention.ms", SET, Some("70000")), ("log.roll.ms", SET, Some("bad"))]),
    (32, "g", &[("consumer.session.timeout.ms", SET, Some("50000"))]),
    (32, "g", &[("consumer.session.timeout.ms", SET, Some("1"))]),
    (32, "g", &[("consumer.session.timeout.ms", SET, Some("100000"))]),
    (32, "g", &[("consumer.session.timeout.ms", SET, Some("x"))]),
    (32, "g", &[("consumer.heartbeat.interval.ms", SET, Some("6000"))]),
    (32, "g", &[("consumer.heartbeat.interval.ms", SET, Some("100"))]),
    (32, "g", &[("consumer.heartbeat.interval.ms", APPEND, Some("100"))]),
    (32, "g", &[("foo", SET, Some("100"))]),
    (32, "g", &[("foo", DELETE, None)]),
    (32, "", &[("consumer.heartbeat.interval.ms", SET, Some("6000"))]),
    (16, "m", &[("interval.ms", SET, Some("5"))]),
    (16, "m", &[("interval.ms", SET, Some("5000")), ("metrics", SET, Some("a,b"))]),
    (16, "m", &[("match", SET, Some("client_id=app.*"))]),
    (16, "m", &[("match", SET, Some("colour=red"))]),
    (16, "m", &[("match", SET, Some("client_id"))]),
    (16, "m", &[("metrics", APPEND, Some("c"))]),
    (16, "m", &[("foo", SET, Some("a"))]),
    (16, "", &[("metrics", SET, Some("a"))]),
    (8, "1", &[("no.such", SET, Some("DEBUG"))]),
    (8, "1", &[("root", SET, Some("LOUD"))]),
    (8, "1", &[("root", APPEND, Some("DEBUG"))]),
    (8, "7", &[("root", SET, Some("DEBUG"))]),
    (8, "", &[("root", SET, Some("DEBUG"))]),
];

pub(crate) async fn configs(asked: &mut Asked) {
    for (kind, name, operations) in CONFIGS {
        let operations = operations.iter();
        let resource = IncrementalAlterConfigsResource {
            resource_type: *kind,
            resource_name: Text::from(*name),
            configs: operations
                .map(
                    |(name, config_operation, value)| IncrementalAlterableConfig {
                        name: Text::from(*name),
                        config_operation: *config_operation,
                        value: value.map(Text::from),
                    },
                )
                .collect(),
        };
        let request = IncrementalAlterConfigsRequest {
            resources: vec![resource],
            validate_only: false,
        };
        asked
            .ask(1, &request, |answer| {
                let one = &answer.responses[0];
                vec![verdict(one.error_code, one.error_message.as_ref())]
            })
            .await;
        asked.settle().await;
    }
}

/// Settings that this broker and Kafka both have, of which everything is compared.
const SHARED: &[&str] = &[
    "log.retention.ms",
    "log.segment.bytes",
    "log.cleanup.policy",
    "min.insync.replicas",
    "message.max.bytes",
    "max.connections.per.ip",
    "log.cleaner.threads",
    "num.partitions",
    "log.cleaner.backoff.ms",
    "producer.id.expiration.ms",
    "fetch.max.bytes",
    "foo.bar",
    "quota.window.num",
    "quota.window.size.seconds",
    "log.roll.ms",
    "compression.type",
];

pub(crate) async fn configs_described(asked: &mut Asked) {
    let resources = [
        (4, "1"),
        (4, ""),
        (4, "7"),
        (4, "x"),
        (2, "a"),
        (2, "missing"),
        (2, "a b"),
        (32, "g"),
        (32, "other"),
        (32, ""),
        (16, "m"),
        (16, "other"),
        (16, ""),
        (8, "7"),
        (8, ""),
        (8, "x"),
    ];
    for (kind, name) in resources {
        let keys = SHARED.iter().map(|name| Text::from(*name)).collect();
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: Text::from(name),
            configuration_keys: (kind == 4).then_some(keys),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            include_documentation: false,
        };
        asked
            .ask(4, &request, |answer| {
                let result = &answer.results[0];
                let said = verdict(result.error_code, result.error_message.as_ref());
                // Share groups and streams groups are not served here.
                let shown = result.configs.iter().filter(|one| {
                    !one.name.as_str().starts_with("share.")
                        && !one.name.as_str().starts_with("streams.")
                });
                shown.map(|one| format!("{one:?}")).chain([said]).collect()
            })
            .await;
    }
    for (version, resource_types) in [
        (0, vec![]),
        (1, vec![]),
        (1, vec![2]),
        (1, vec![16, 32]),
        (1, vec![4]),
        (1, vec![99]),
    ] {
        let request = ListConfigResourcesRequest { resource_types };
        asked
            .ask(version, &request, |answer| {
                let found = answer.config_resources.iter().map(|one| format!("{one:?}"));
                found.chain([verdict(answer.error_code, None)]).collect()
            })
            .await;
    }
}
