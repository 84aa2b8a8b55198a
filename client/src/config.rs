//! Settings of the client, its producer and its consumer, under Kafka's own names and defaults.
//!
//! Invariant: a configuration that passes its check can be used without further doubt; nothing
//! here touches the network. Serves steps 5 and 10 of the hallway.

use std::time::Duration;

use logway_protocol::compression::Compression;
use thiserror::Error;

/// A setting that cannot be used; found before anything is connected or sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("client setting {name}: {problem}")]
pub struct ConfigError {
    /// The setting in Kafka's spelling (`bootstrap.servers`).
    pub name: &'static str,
    /// What is wrong with its value and what would be right.
    pub problem: String,
}

impl ConfigError {
    fn new(name: &'static str, problem: impl Into<String>) -> Self {
        Self {
            name,
            problem: problem.into(),
        }
    }
}

/// How to reach a cluster; shared by producer, consumer and admin.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `host:port` of some brokers, asked in turn until one answers (`bootstrap.servers`).
    pub bootstrap_servers: Vec<String>,
    /// Name of this client in the brokers' logs and quotas (`client.id`).
    pub client_id: String,
    /// How long an answer may take before its connection is given up (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// How long a connection attempt may take (`socket.connection.setup.timeout.ms`).
    pub connect_timeout: Duration,
    /// Age at which metadata is asked for again without need (`metadata.max.age.ms`).
    pub metadata_max_age: Duration,
    /// First pause after a failed connection attempt (`reconnect.backoff.ms`).
    pub reconnect_backoff: Duration,
    /// Longest pause between connection attempts (`reconnect.backoff.max.ms`).
    pub reconnect_backoff_max: Duration,
    /// First pause before a failed request is sent again (`retry.backoff.ms`).
    pub retry_backoff: Duration,
    /// Longest pause before a failed request is sent again (`retry.backoff.max.ms`).
    pub retry_backoff_max: Duration,
    /// How long a call such as `commit` or an admin operation may take with all its retries
    /// (`default.api.timeout.ms`).
    pub default_api_timeout: Duration,
    /// Largest answer in bytes that is accepted from a broker.
    pub response_max_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: "logway".to_owned(),
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            metadata_max_age: Duration::from_secs(300),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            default_api_timeout: Duration::from_secs(60),
            response_max_bytes: 128 << 20,
        }
    }
}

impl ClientConfig {
    /// Settings for the cluster behind these addresses, everything else at its default.
    pub fn new<S: Into<String>>(bootstrap_servers: impl IntoIterator<Item = S>) -> Self {
        Self {
            bootstrap_servers: bootstrap_servers.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.bootstrap_servers.is_empty() {
            return Err(ConfigError::new(
                "bootstrap.servers",
                "is empty, give at least one host:port",
            ));
        }
        for server in &self.bootstrap_servers {
            check_address(server)?;
        }
        for (name, value) in [
            ("request.timeout.ms", self.request_timeout),
            ("socket.connection.setup.timeout.ms", self.connect_timeout),
            ("metadata.max.age.ms", self.metadata_max_age),
            ("default.api.timeout.ms", self.default_api_timeout),
            ("reconnect.backoff.ms", self.reconnect_backoff),
            ("retry.backoff.ms", self.retry_backoff),
        ] {
            if value.is_zero() {
                return Err(ConfigError::new(name, "must be longer than zero"));
            }
        }
        if self.client_id.len() > 1024 {
            return Err(ConfigError::new("client.id", "is longer than 1024 bytes"));
        }
        if self.response_max_bytes < 1 << 16 {
            return Err(ConfigError::new(
                "response.max.bytes",
                "must be at least 65536",
            ));
        }
        Ok(())
    }
}

fn check_address(server: &str) -> Result<(), ConfigError> {
    let port = server
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty())
        .map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(port) if port > 0 => Ok(()),
        _ => Err(ConfigError::new(
            "bootstrap.servers",
            format!("`{server}` is not host:port"),
        )),
    }
}

/// Whose word is waited for before a record counts as delivered (`acks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// Nobody's: a record counts as delivered once it was handed to the socket.
    None,
    /// The partition leader's.
    Leader,
    /// The whole in-sync set's.
    #[default]
    All,
}

impl Acks {
    /// The value on the wire.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Leader => 1,
            Self::All => -1,
        }
    }
}

/// Settings of a [`Producer`](crate::Producer).
#[derive(Debug, Clone)]
pub struct ProducerConfig {
    /// How to reach the cluster.
    pub client: ClientConfig,
    /// Whose word is waited for (`acks`).
    pub acks: Acks,
    /// How long a batch waits for more records (`linger.ms`).
    pub linger: Duration,
    /// Size in bytes, before compression, at which a batch is sent at once (`batch.size`).
    pub batch_size: usize,
    /// How batches made from single records are compressed (`compression.type`).
    pub compression: Compression,
    /// Bytes of records that may wait in the producer (`buffer.memory`); senders wait beyond.
    pub buffer_memory: usize,
    /// Unanswered requests per broker (`max.in.flight.requests.per.connection`), 1 to 5 with
    /// idempotence.
    pub max_in_flight: usize,
    /// How long a record may take with all its retries (`delivery.timeout.ms`); `None` retries
    /// for ever.
    pub delivery_timeout: Option<Duration>,
    /// Whether brokers drop repeats of a batch (`enable.idempotence`); needs `acks=all`.
    pub enable_idempotence: bool,
    /// Largest record and largest request in bytes (`max.request.size`).
    pub max_request_size: usize,
    /// Whether a broker may create a missing topic (Kafka's producers always allow it).
    pub allow_auto_create_topics: bool,
    /// Name under which transactions are taken up again, by this producer or its successor
    /// (`transactional.id`); needs idempotence. Of two producers with one name the older is fenced.
    pub transactional_id: Option<String>,
    /// Time after which the coordinator aborts an open transaction (`transaction.timeout.ms`).
    pub transaction_timeout: Duration,
    /// How long a call that begins or ends a transaction waits (`max.block.ms`). `send` waits for
    /// memory as long as need be.
    pub max_block: Duration,
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            acks: Acks::All,
            linger: Duration::from_millis(5),
            batch_size: 16_384,
            compression: Compression::None,
            buffer_memory: 32 << 20,
            max_in_flight: 5,
            delivery_timeout: Some(Duration::from_secs(120)),
            enable_idempotence: true,
            max_request_size: 1 << 20,
            allow_auto_create_topics: true,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            max_block: Duration::from_secs(60),
        }
    }
}

impl ProducerConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.client.check()?;
        if self.enable_idempotence && self.acks != Acks::All {
            return Err(ConfigError::new(
                "enable.idempotence",
                "needs acks=all, switch one of both",
            ));
        }
        if self.transactional_id.as_deref() == Some("") {
            return Err(ConfigError::new(
                "transactional.id",
                "is empty, leave it out or give a name",
            ));
        }
        if self.transactional_id.is_some() && !self.enable_idempotence {
            return Err(ConfigError::new(
                "transactional.id",
                "needs enable.idempotence, switch it on",
            ));
        }
        if self.transaction_timeout.as_millis() == 0 {
            return Err(ConfigError::new(
                "transaction.timeout.ms",
                "must be at least 1",
            ));
        }
        let in_flight_max = if self.enable_idempotence { 5 } else { 1000 };
        if !(1..=in_flight_max).contains(&self.max_in_flight) {
            return Err(ConfigError::new(
                "max.in.flight.requests.per.connection",
                format!("is {}, allowed is 1 to {in_flight_max}", self.max_in_flight),
            ));
        }
        if self.batch_size == 0 {
            return Err(ConfigError::new("batch.size", "must be at least 1"));
        }
        if !(1024..=(1 << 30)).contains(&self.max_request_size) {
            return Err(ConfigError::new(
                "max.request.size",
                "must be 1 KiB to 1 GiB",
            ));
        }
        if !(1024..=u32::MAX as usize).contains(&self.buffer_memory) {
            return Err(ConfigError::new("buffer.memory", "must be 1 KiB to 4 GiB"));
        }
        if self
            .delivery_timeout
            .is_some_and(|timeout| timeout < self.linger)
        {
            return Err(ConfigError::new(
                "delivery.timeout.ms",
                "is shorter than linger.ms",
            ));
        }
        Ok(())
    }
}

/// Where to begin when a group has no committed offset, or it is out of range
/// (`auto.offset.reset`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AutoOffsetReset {
    /// At the first record there is.
    Earliest,
    /// After the last record there is.
    #[default]
    Latest,
    /// Nowhere: `poll` returns an error and the caller decides.
    None,
}

/// Which records of transactions are seen (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IsolationLevel {
    /// All, also those of unfinished and aborted transactions.
    #[default]
    ReadUncommitted,
    /// Only those of committed transactions.
    ReadCommitted,
}

impl IsolationLevel {
    /// The value on the wire.
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// How the partitions of a group are shared out (`partition.assignment.strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assignor {
    /// Ranges of each topic's partitions, members in order of their ids.
    Range,
    /// All partitions of all topics dealt out in turn.
    RoundRobin,
}

impl Assignor {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Range, Self::RoundRobin]
            .into_iter()
            .find(|assignor| assignor.name() == name)
    }
}

/// Settings of a [`Consumer`](crate::Consumer).
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// How to reach the cluster.
    pub client: ClientConfig,
    /// The group whose offsets and assignment are used (`group.id`); needed by `subscribe`,
    /// `commit` and `committed`.
    pub group_id: Option<String>,
    /// Name of a static member (`group.instance.id`).
    pub group_instance_id: Option<String>,
    /// Where to begin without a committed offset (`auto.offset.reset`).
    pub auto_offset_reset: AutoOffsetReset,
    /// Whether positions are committed while polling (`enable.auto.commit`; off here).
    pub enable_auto_commit: bool,
    /// How often they are (`auto.commit.interval.ms`).
    pub auto_commit_interval: Duration,
    /// Bytes a broker collects before it answers (`fetch.min.bytes`).
    pub fetch_min_bytes: i32,
    /// Bytes of an answer, all partitions together (`fetch.max.bytes`).
    pub fetch_max_bytes: i32,
    /// Bytes of one partition in an answer (`max.partition.fetch.bytes`).
    pub max_partition_fetch_bytes: i32,
    /// How long a broker waits for `fetch_min_bytes` (`fetch.max.wait.ms`).
    pub fetch_max_wait: Duration,
    /// Records that one `poll` returns at most (`max.poll.records`).
    pub max_poll_records: usize,
    /// Bytes of fetched batches that wait for `poll`; fetching pauses beyond.
    pub queued_max_bytes: usize,
    /// Largest decompressed size in bytes of one batch; a larger one is an error.
    pub decompressed_max_bytes: usize,
    /// How long a group waits for a silent member (`session.timeout.ms`).
    pub session_timeout: Duration,
    /// How often a member reports (`heartbeat.interval.ms`).
    pub heartbeat_interval: Duration,
    /// How long a caller may work between two polls before the member leaves its group
    /// (`max.poll.interval.ms`).
    pub max_poll_interval: Duration,
    /// Which records of transactions are seen (`isolation.level`).
    pub isolation_level: IsolationLevel,
    /// Assignors this member accepts, the preferred one first.
    pub partition_assignors: Vec<Assignor>,
    /// Whether a broker may create a missing topic (`allow.auto.create.topics`).
    pub allow_auto_create_topics: bool,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            client: ClientConfig::default(),
            group_id: None,
            group_instance_id: None,
            auto_offset_reset: AutoOffsetReset::Latest,
            enable_auto_commit: false,
            auto_commit_interval: Duration::from_secs(5),
            fetch_min_bytes: 1,
            fetch_max_bytes: 50 << 20,
            max_partition_fetch_bytes: 1 << 20,
            fetch_max_wait: Duration::from_millis(500),
            max_poll_records: 500,
            queued_max_bytes: 16 << 20,
            decompressed_max_bytes: 64 << 20,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_secs(3),
            max_poll_interval: Duration::from_secs(300),
            isolation_level: IsolationLevel::ReadUncommitted,
            partition_assignors: vec![Assignor::Range, Assignor::RoundRobin],
            allow_auto_create_topics: true,
        }
    }
}

impl ConsumerConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.client.check()?;
        if self.group_id.as_deref() == Some("") {
            return Err(ConfigError::new(
                "group.id",
                "is empty, leave it out or give a name",
            ));
        }
        if self.group_id.is_none() && self.enable_auto_commit {
            return Err(ConfigError::new("enable.auto.commit", "needs a group.id"));
        }
        if self.heartbeat_interval.is_zero() || self.heartbeat_interval >= self.session_timeout {
            return Err(ConfigError::new(
                "heartbeat.interval.ms",
                "must be longer than zero and shorter than session.timeout.ms",
            ));
        }
        if self.fetch_max_wait >= self.client.request_timeout {
            return Err(ConfigError::new(
                "fetch.max.wait.ms",
                "must be shorter than request.timeout.ms",
            ));
        }
        if self.partition_assignors.is_empty() {
            return Err(ConfigError::new(
                "partition.assignment.strategy",
                "is empty",
            ));
        }
        for (name, value) in [
            ("fetch.max.bytes", i64::from(self.fetch_max_bytes)),
            (
                "max.partition.fetch.bytes",
                i64::from(self.max_partition_fetch_bytes),
            ),
            ("fetch.min.bytes", i64::from(self.fetch_min_bytes)),
            (
                "max.poll.records",
                self.max_poll_records.try_into().unwrap_or(i64::MAX),
            ),
            (
                "queued.max.bytes",
                self.queued_max_bytes.try_into().unwrap_or(i64::MAX),
            ),
            (
                "decompressed.max.bytes",
                self.decompressed_max_bytes.try_into().unwrap_or(i64::MAX),
            ),
        ] {
            if value < 1 {
                return Err(ConfigError::new(name, "must be at least 1"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
