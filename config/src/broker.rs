//! The broker's settings, under Kafka's names with dots as underscores.
//!
//! **Invariant:** every default is Kafka's unless the field says otherwise and why.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

use crate::{
    error::{ConfigError, Violation, host_port, require, within},
    load::{self, Settings},
    quantity,
};

mod bounds;
mod cleaner;
mod group_consumer;

use bounds::split_overrides;
pub use cleaner::Cleaner;
pub use group_consumer::{GroupConsumer, MigrationPolicy};

/// Settings of one broker. Sample with every key: `config/broker.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// Format of the file; only 1 exists.
    pub version: u32,
    /// Folder that holds the partitions and the metadata (Kafka: `log.dirs`). Default `/var/lib/logway/broker`.
    pub data_dir: PathBuf,
    /// Address for Kafka clients (Kafka: `listeners`). Port 0 lets the system choose. Default `127.0.0.1:9092`.
    #[serde(deserialize_with = "quantity::address")]
    pub listen: SocketAddr,
    /// `HOST:PORT` that clients are told to connect to (Kafka: `advertised.listeners`). Default: the address listened on.
    pub advertised: Option<String>,
    /// Address of `/healthz` and `/metrics`. Default: none.
    #[serde(deserialize_with = "quantity::address_option")]
    pub http: Option<SocketAddr>,
    /// Number of this node in the cluster, 0 or more. Default 1.
    pub node_id: i32,
    /// Identity of the cluster. Default: made at the first start and kept in the data folder.
    pub cluster_id: Option<String>,
    /// Partitions of a topic that is created without a number. Default 1.
    pub num_partitions: i32,
    /// Whether a topic comes into being when a client asks for it. Default true.
    pub auto_create_topics_enable: bool,
    /// Whether topics may be deleted. Default true.
    pub delete_topic_enable: bool,
    /// Largest record batch in bytes, header included. Default 1048588.
    #[serde(deserialize_with = "quantity::bytes")]
    pub message_max_bytes: i32,
    /// Whether the broker looks at the records of every batch it takes: their lengths, keys on compacted
    /// topics, timestamps. False trusts batch headers alone (Kafka always looks). Default true.
    pub check_records: bool,
    /// Most bytes that the records of one compressed batch may unpack to. Default 268435456 (256 MiB; Kafka: no limit).
    #[serde(deserialize_with = "quantity::bytes")]
    pub decompressed_max_bytes: usize,
    /// Most bytes that one byte of a compressed batch may unpack to; 16 MiB are always allowed. Default 1000 (Kafka: no limit).
    pub decompressed_max_ratio: u32,
    /// Defaults of every topic's log.
    pub log: Log,
    /// When the log is forced to disk.
    pub flush: Flush,
    /// Partitions of `__consumer_offsets`; fixed once the topic exists. Default 50.
    pub offsets_topic_num_partitions: i32,
    /// Minutes a group's offsets stay after its last member left. Default 10080 (7 days).
    pub offsets_retention_minutes: i32,
    /// Milliseconds between looks for expired offsets. Default 600000.
    #[serde(deserialize_with = "quantity::ms")]
    pub offsets_retention_check_interval_ms: u64,
    /// Largest metadata text of a committed offset in bytes. Default 4096.
    #[serde(deserialize_with = "quantity::bytes")]
    pub offset_metadata_max_bytes: i32,
    /// Partitions of `__transaction_state`; fixed once the topic exists. Default 50.
    pub transaction_state_log_num_partitions: i32,
    /// Longest timeout a transactional producer may ask for, in milliseconds. Default 900000 (15 minutes).
    #[serde(deserialize_with = "quantity::ms")]
    pub transaction_max_timeout_ms: i32,
    /// Milliseconds after which a transactional id without a transaction is forgotten. Default 604800000 (7 days).
    #[serde(deserialize_with = "quantity::ms")]
    pub transactional_id_expiration_ms: i32,
    /// Milliseconds between looks for transactions past their timeout
    /// (Kafka: `transaction.abort.timed.out.transaction.cleanup.interval.ms`). Default 10000.
    #[serde(deserialize_with = "quantity::ms")]
    pub transaction_abort_timed_out_transaction_cleanup_interval_ms: i32,
    /// Milliseconds between looks for transactional ids to forget
    /// (Kafka: `transaction.remove.expired.transaction.cleanup.interval.ms`). Default 3600000.
    #[serde(deserialize_with = "quantity::ms")]
    pub transaction_remove_expired_transaction_cleanup_interval_ms: i32,
    /// Whether a batch of an older client (Produce up to version 11) is taken into a transaction only where the
    /// coordinator knows of it. False lets transactions hang that nobody ends. Default true.
    pub transaction_partition_verification_enable: bool,
    /// Milliseconds a new group waits for more members before its first rebalance. Default 3000.
    #[serde(deserialize_with = "quantity::ms")]
    pub group_initial_rebalance_delay_ms: i32,
    /// Shortest session timeout a member may ask for, in milliseconds. Default 6000.
    #[serde(deserialize_with = "quantity::ms")]
    pub group_min_session_timeout_ms: i32,
    /// Longest session timeout a member may ask for, in milliseconds. Default 1800000.
    #[serde(deserialize_with = "quantity::ms")]
    pub group_max_session_timeout_ms: i32,
    /// Most members of one group. Default 10000 (Kafka: no limit; here everything has one).
    pub group_max_size: i32,
    /// Groups of the consumer protocol.
    pub group_consumer: GroupConsumer,
    /// Largest request in bytes; a longer one closes its connection. Default 104857600 (100 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub socket_request_max_bytes: i32,
    /// Most client connections at one time. Default 10000 (Kafka: no limit; here everything has one).
    pub max_connections: i32,
    /// Most client connections from one address; 0 only admits those with an override. Default 2147483647.
    pub max_connections_per_ip: i32,
    /// Other bounds for single addresses, `ADDRESS:COUNT` separated by commas. Default: none.
    pub max_connections_per_ip_overrides: String,
    /// Milliseconds after which a silent connection is closed. Default 600000.
    #[serde(deserialize_with = "quantity::ms")]
    pub connections_max_idle_ms: u64,
    /// Bytes of requests read but not yet answered, over all connections; readers wait at the limit
    /// (Kafka: `queued.max.request.bytes`, there without limit). Default 268435456 (256 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub queued_max_bytes: usize,
    /// Most bytes in one fetch answer, whatever the client asks for. Default 57671680 (55 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub fetch_max_bytes: i32,
    /// Fetch sessions kept at once; clients without one name all partitions in every fetch
    /// (Kafka: `max.incremental.fetch.session.cache.slots`). Default 1000.
    pub max_incremental_fetch_session_cache_slots: i32,
    /// Windows that the rates of client quotas are measured over. Default 11.
    pub quota_window_num: i32,
    /// Length of such a window in seconds. Default 1.
    pub quota_window_size_seconds: i32,
    /// Milliseconds after which an idle producer's sequence state is forgotten. Default 86400000 (1 day).
    #[serde(deserialize_with = "quantity::ms")]
    pub producer_id_expiration_ms: u64,
}

/// Defaults of every topic's log; a topic's own configuration goes before them (Kafka: `log.*`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Bytes after which a segment is closed (`log.segment.bytes`). Default 1073741824 (1 GiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub segment_bytes: i32,
    /// Milliseconds after which a segment is closed even when small (`log.roll.ms`). Default 604800000 (7 days).
    #[serde(deserialize_with = "quantity::ms")]
    pub roll_ms: i64,
    /// Bytes of log between two index entries (`log.index.interval.bytes`). Default 4096.
    #[serde(deserialize_with = "quantity::bytes")]
    pub index_interval_bytes: i32,
    /// Largest index file in bytes (`log.index.size.max.bytes`). Default 10485760 (10 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub index_size_max_bytes: i32,
    /// Milliseconds a record is kept, -1 for ever (`log.retention.ms`). Default 604800000 (7 days).
    #[serde(deserialize_with = "quantity::ms")]
    pub retention_ms: i64,
    /// Bytes of a partition that are kept, -1 for no limit (`log.retention.bytes`). Default -1.
    #[serde(deserialize_with = "quantity::bytes")]
    pub retention_bytes: i64,
    /// Milliseconds between looks for expired segments (`log.retention.check.interval.ms`). Default 300000.
    #[serde(deserialize_with = "quantity::ms")]
    pub retention_check_interval_ms: u64,
    /// Whose clock gives records their timestamp, `CreateTime` or `LogAppendTime` (`log.message.timestamp.type`).
    /// Default `CreateTime`.
    pub message_timestamp_type: String,
    /// How far a timestamp may lie before the broker's clock (`log.message.timestamp.before.max.ms`). Default: any.
    #[serde(deserialize_with = "quantity::ms")]
    pub message_timestamp_before_max_ms: i64,
    /// How far a timestamp may lie after it (`log.message.timestamp.after.max.ms`). Default 3600000 (1 hour).
    #[serde(deserialize_with = "quantity::ms")]
    pub message_timestamp_after_max_ms: i64,
    /// How logs with `cleanup.policy=compact` are compacted.
    pub cleaner: Cleaner,
}

/// When the log is forced to disk (Kafka: `log.flush.*`).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flush {
    /// Whether an `acks=all` answer of an unreplicated partition waits for fsync (grouped). Default true;
    /// false is Kafka's own behaviour: acknowledged records may be lost when the machine fails.
    pub on_acks_all: bool,
    /// Records after which a partition is flushed (`log.flush.interval.messages`). Default: none.
    pub messages: Option<u64>,
    /// Milliseconds after which a partition is flushed (`log.flush.interval.ms`). Default: none.
    #[serde(deserialize_with = "quantity::ms_option")]
    pub ms: Option<u64>,
}

impl Broker {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has an unknown key, or a value is wrong; with its line.
    pub fn load(path: &std::path::Path) -> Result<Broker, ConfigError> {
        load::load(path)
    }

    /// Whether every value is in its range; for settings made or changed in code.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check(&self) -> Result<(), Violation> {
        within("version", self.version, 1..=1)?;
        require(
            !self.data_dir.as_os_str().is_empty(),
            "data_dir",
            "must name a folder",
        )?;
        if let Some(address) = &self.advertised {
            host_port(address).map_err(|problem| Violation::new("advertised", problem))?;
        }
        within("node_id", self.node_id, 0..=i32::MAX)?;
        if let Some(id) = &self.cluster_id {
            require(
                (1..=64).contains(&id.len()),
                "cluster_id",
                "must have 1 to 64 characters",
            )?;
        }
        within("num_partitions", self.num_partitions, 1..=100_000)?;
        within("message_max_bytes", self.message_max_bytes, 1024..=i32::MAX)?;
        self.log
            .check()
            .map_err(|violation| violation.within("log"))?;
        self.flush
            .check()
            .map_err(|violation| violation.within("flush"))?;
        self.check_groups()?;
        self.check_transactions()?;
        self.check_limits()
    }

    /// The bounds of `max_connections_per_ip_overrides`; what is malformed is left out, see `check`.
    #[must_use]
    pub fn connection_overrides(&self) -> Vec<(IpAddr, i32)> {
        let overrides = split_overrides(&self.max_connections_per_ip_overrides);
        overrides.into_iter().flatten().collect()
    }
}

impl Settings for Broker {
    fn check(&self) -> Result<(), Violation> {
        Broker::check(self)
    }
}

impl Default for Broker {
    fn default() -> Self {
        Broker {
            version: 1,
            data_dir: PathBuf::from("/var/lib/logway/broker"),
            listen: SocketAddr::from(([127, 0, 0, 1], 9092)),
            advertised: None,
            http: None,
            node_id: 1,
            cluster_id: None,
            num_partitions: 1,
            auto_create_topics_enable: true,
            delete_topic_enable: true,
            message_max_bytes: 1_048_588,
            check_records: true,
            decompressed_max_bytes: 268_435_456,
            decompressed_max_ratio: 1000,
            log: Log::default(),
            flush: Flush::default(),
            offsets_topic_num_partitions: 50,
            offsets_retention_minutes: 10_080,
            offsets_retention_check_interval_ms: 600_000,
            offset_metadata_max_bytes: 4096,
            transaction_state_log_num_partitions: 50,
            transaction_max_timeout_ms: 900_000,
            transactional_id_expiration_ms: 604_800_000,
            transaction_abort_timed_out_transaction_cleanup_interval_ms: 10_000,
            transaction_remove_expired_transaction_cleanup_interval_ms: 3_600_000,
            transaction_partition_verification_enable: true,
            group_initial_rebalance_delay_ms: 3000,
            group_min_session_timeout_ms: 6000,
            group_max_session_timeout_ms: 1_800_000,
            group_max_size: 10_000,
            group_consumer: GroupConsumer::default(),
            socket_request_max_bytes: 104_857_600,
            max_connections: 10_000,
            max_connections_per_ip: i32::MAX,
            max_connections_per_ip_overrides: String::new(),
            connections_max_idle_ms: 600_000,
            queued_max_bytes: 268_435_456,
            fetch_max_bytes: 57_671_680,
            max_incremental_fetch_session_cache_slots: 1000,
            quota_window_num: 11,
            quota_window_size_seconds: 1,
            producer_id_expiration_ms: 86_400_000,
        }
    }
}

impl Log {
    fn check(&self) -> Result<(), Violation> {
        within("segment_bytes", self.segment_bytes, 1024..=i32::MAX)?;
        within("roll_ms", self.roll_ms, 1..=i64::MAX)?;
        within(
            "index_interval_bytes",
            self.index_interval_bytes,
            0..=i32::MAX,
        )?;
        within(
            "index_size_max_bytes",
            self.index_size_max_bytes,
            12..=i32::MAX,
        )?;
        within("retention_ms", self.retention_ms, -1..=i64::MAX)?;
        within("retention_bytes", self.retention_bytes, -1..=i64::MAX)?;
        let check = self.retention_check_interval_ms;
        within("retention_check_interval_ms", check, 1..=86_400_000)?;
        require(
            ["CreateTime", "LogAppendTime"].contains(&self.message_timestamp_type.as_str()),
            "message_timestamp_type",
            "must be CreateTime or LogAppendTime",
        )?;
        let before = self.message_timestamp_before_max_ms;
        within("message_timestamp_before_max_ms", before, 0..=i64::MAX)?;
        let after = self.message_timestamp_after_max_ms;
        within("message_timestamp_after_max_ms", after, 0..=i64::MAX)?;
        let cleaner = self.cleaner.check();
        cleaner.map_err(|violation| violation.within("cleaner"))
    }
}

impl Default for Log {
    fn default() -> Self {
        Log {
            segment_bytes: 1_073_741_824,
            roll_ms: 604_800_000,
            index_interval_bytes: 4096,
            index_size_max_bytes: 10_485_760,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            retention_check_interval_ms: 300_000,
            message_timestamp_type: "CreateTime".to_owned(),
            message_timestamp_before_max_ms: i64::MAX,
            message_timestamp_after_max_ms: 3_600_000,
            cleaner: Cleaner::default(),
        }
    }
}

impl Flush {
    fn check(&self) -> Result<(), Violation> {
        within("messages", self.messages.unwrap_or(1), 1..=u64::MAX)?;
        within("ms", self.ms.unwrap_or(1), 1..=u64::MAX)
    }
}

impl Default for Flush {
    fn default() -> Self {
        Flush {
            on_acks_all: true,
            messages: None,
            ms: None,
        }
    }
}
