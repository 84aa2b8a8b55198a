//! The broker's settings under Kafka's names, as DescribeConfigs shows them.
//! Invariant: what is shown is what is in force; settings Kafka has and this broker does not act on
//! are shown with Kafka's default only where a topic setting takes its default from them. Pure;
//! beside step 7 of the hallway.

mod steady;

use logway_config::broker::Broker as Settings;

use crate::metadata::{InForce, Kind, SETTINGS, broker_value};
use steady::STEADY;

/// One broker setting with the value of the settings file.
#[derive(Clone, Debug)]
pub(crate) struct BrokerSetting {
    pub(crate) name: &'static str,
    /// None where it has none, as with Kafka.
    pub(crate) value: Option<String>,
    pub(crate) default: Option<String>,
    pub(crate) kind: Kind,
    pub(crate) doc: &'static str,
}

const INT: Kind = Kind::Int {
    min: i32::MIN as i64,
    max: i32::MAX as i64,
};
const LONG: Kind = Kind::Long {
    min: i64::MIN,
    max: i64::MAX,
};
const LIST: Kind = Kind::List(&[]);

/// All settings in the order of their names.
pub(crate) fn all(in_force: &InForce) -> Vec<BrokerSetting> {
    let settings = &in_force.file;
    let defaults = Settings::default();
    let mut all: Vec<BrokerSetting> = own(settings)
        .into_iter()
        .zip(own(&defaults))
        .map(
            |((name, value, kind, doc), (_, default, _, _))| BrokerSetting {
                name,
                value: Some(value),
                default: Some(default),
                kind,
                doc,
            },
        )
        .collect();
    all.extend(STEADY.iter().map(|steady| BrokerSetting {
        name: steady.name,
        value: steady.value.map(str::to_owned),
        default: steady.value.map(str::to_owned),
        kind: steady.kind,
        doc: steady.doc,
    }));
    for setting in SETTINGS {
        if let Some(name) = setting.broker_name {
            let value = broker_value(setting, in_force);
            all.push(BrokerSetting {
                name,
                value: Some(value.unwrap_or_else(|| setting.default.to_owned())),
                default: Some(setting.default.to_owned()),
                kind: setting.kind,
                doc: setting.doc,
            });
        }
    }
    all.sort_by_key(|setting| setting.name);
    all
}

type Row = (&'static str, String, Kind, &'static str);

#[rustfmt::skip]
fn own(s: &Settings) -> Vec<Row> {
    let advertised = s.advertised.clone().unwrap_or_else(|| s.listen.to_string());
    vec![
        ("advertised.listeners", format!("PLAINTEXT://{advertised}"), LIST, "Where clients are told to connect to."),
        ("auto.create.topics.enable", s.auto_create_topics_enable.to_string(), Kind::Bool, "Whether a topic comes into being when a client asks for it."),
        ("broker.id", s.node_id.to_string(), INT, "Number of this broker."),
        ("connections.max.idle.ms", s.connections_max_idle_ms.to_string(), LONG, "Time after which a silent connection is closed."),
        ("delete.topic.enable", s.delete_topic_enable.to_string(), Kind::Bool, "Whether topics may be deleted."),
        ("fetch.max.bytes", s.fetch_max_bytes.to_string(), INT, "Most bytes in one fetch answer."),
        ("group.consumer.assignment.interval.ms", s.group_consumer.assignment_interval_ms.to_string(), INT, "Least time between two assignments of one group of the consumer protocol."),
        ("group.consumer.assignors", s.group_consumer.assignors.join(","), LIST, "Assignors of groups of the consumer protocol, the default first."),
        ("group.consumer.heartbeat.interval.ms", s.group_consumer.heartbeat_interval_ms.to_string(), INT, "Time between heartbeats that members of the consumer protocol are told."),
        ("group.consumer.max.assignment.interval.ms", s.group_consumer.max_assignment_interval_ms.to_string(), INT, "Most time between two assignments that a group of the consumer protocol may have of its own."),
        ("group.consumer.max.heartbeat.interval.ms", s.group_consumer.max_heartbeat_interval_ms.to_string(), INT, "Most time between heartbeats that a group of the consumer protocol may have of its own."),
        ("group.consumer.max.session.timeout.ms", s.group_consumer.max_session_timeout_ms.to_string(), INT, "Most session timeout that a group of the consumer protocol may have of its own."),
        ("group.consumer.max.size", s.group_consumer.max_size.to_string(), INT, "Most members of one group of the consumer protocol."),
        ("group.consumer.migration.policy", s.group_consumer.migration_policy.name().into(), Kind::Text, "Whether a live group may change its protocol."),
        ("group.consumer.min.assignment.interval.ms", s.group_consumer.min_assignment_interval_ms.to_string(), INT, "Least time between two assignments that a group of the consumer protocol may have of its own."),
        ("group.consumer.min.heartbeat.interval.ms", s.group_consumer.min_heartbeat_interval_ms.to_string(), INT, "Least time between heartbeats that a group of the consumer protocol may have of its own."),
        ("group.consumer.min.session.timeout.ms", s.group_consumer.min_session_timeout_ms.to_string(), INT, "Least session timeout that a group of the consumer protocol may have of its own."),
        ("group.consumer.session.timeout.ms", s.group_consumer.session_timeout_ms.to_string(), INT, "Time without a heartbeat after which a member of the consumer protocol is out."),
        ("group.initial.rebalance.delay.ms", s.group_initial_rebalance_delay_ms.to_string(), INT, "Time a new group waits for more members."),
        ("group.max.session.timeout.ms", s.group_max_session_timeout_ms.to_string(), INT, "Longest session timeout a member may ask for."),
        ("group.max.size", s.group_max_size.to_string(), INT, "Most members of one group."),
        ("group.min.session.timeout.ms", s.group_min_session_timeout_ms.to_string(), INT, "Shortest session timeout a member may ask for."),
        ("listeners", format!("PLAINTEXT://{}", s.listen), LIST, "Addresses served."),
        ("log.cleaner.backoff.ms", s.log.cleaner.backoff_ms.to_string(), LONG, "Time between looks for something to compact."),
        ("log.cleaner.dedupe.buffer.size", s.log.cleaner.dedupe_buffer_size.to_string(), LONG, "Memory for the keys of the log that is compacted."),
        ("log.cleaner.enable", s.log.cleaner.enable.to_string(), Kind::Bool, "Whether logs are compacted."),
        ("log.cleaner.io.buffer.size", s.log.cleaner.io_buffer_size.to_string(), INT, "Memory for reading and writing while a log is compacted."),
        ("log.cleaner.io.max.bytes.per.second", s.log.cleaner.io_max_bytes_per_second.map_or_else(|| "1.7976931348623157E308".into(), |rate| rate.to_string()), Kind::Number, "Bytes read and written per second while a log is compacted, at most."),
        ("log.dir", s.data_dir.display().to_string(), LIST, "Folder of the partitions, as log.dirs."),
        ("log.dirs", s.data_dir.display().to_string(), LIST, "Folder of the partitions."),
        ("log.retention.check.interval.ms", s.log.retention_check_interval_ms.to_string(), LONG, "Time between looks for expired segments."),
        ("max.connections", s.max_connections.to_string(), INT, "Most client connections at one time."),
        ("max.incremental.fetch.session.cache.slots", s.max_incremental_fetch_session_cache_slots.to_string(), INT, "Fetch sessions kept at once."),
        ("max.connections.per.ip", s.max_connections_per_ip.to_string(), INT, "Most client connections from one address."),
        ("max.connections.per.ip.overrides", s.max_connections_per_ip_overrides.clone(), Kind::Text, "Other bounds for single addresses."),
        ("node.id", s.node_id.to_string(), INT, "Number of this node."),
        ("num.partitions", s.num_partitions.to_string(), INT, "Partitions of a topic that is created without a number."),
        ("offset.metadata.max.bytes", s.offset_metadata_max_bytes.to_string(), INT, "Largest metadata text of a committed offset."),
        ("offsets.retention.check.interval.ms", s.offsets_retention_check_interval_ms.to_string(), LONG, "Time between looks for expired offsets."),
        ("offsets.retention.minutes", s.offsets_retention_minutes.to_string(), INT, "How long a group's offsets stay after its last member left."),
        ("offsets.topic.num.partitions", s.offsets_topic_num_partitions.to_string(), INT, "Partitions of the topic that keeps the groups' offsets."),
        ("producer.id.expiration.ms", s.producer_id_expiration_ms.to_string(), INT, "Time after which an idle producer's sequences are forgotten."),
        ("queued.max.request.bytes", s.queued_max_bytes.to_string(), LONG, "Bytes of requests read and not yet answered."),
        ("quota.window.num", s.quota_window_num.to_string(), INT, "Windows that the rates of client quotas are measured over."),
        ("quota.window.size.seconds", s.quota_window_size_seconds.to_string(), INT, "Length of such a window."),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", s.transaction_abort_timed_out_transaction_cleanup_interval_ms.to_string(), INT, "Time between looks for transactions past their timeout."),
        ("transaction.max.timeout.ms", s.transaction_max_timeout_ms.to_string(), INT, "Longest timeout a transactional producer may ask for."),
        ("transaction.partition.verification.enable", s.transaction_partition_verification_enable.to_string(), Kind::Bool, "Whether a batch of an older client is taken into a transaction only where the coordinator knows of it."),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", s.transaction_remove_expired_transaction_cleanup_interval_ms.to_string(), INT, "Time between looks for transactional ids to forget."),
        ("transaction.state.log.num.partitions", s.transaction_state_log_num_partitions.to_string(), INT, "Partitions of the topic that keeps the transactions' states."),
        ("transactional.id.expiration.ms", s.transactional_id_expiration_ms.to_string(), INT, "Time after which a transactional id without a transaction is forgotten."),
        ("socket.request.max.bytes", s.socket_request_max_bytes.to_string(), INT, "Largest request."),
    ]
}
