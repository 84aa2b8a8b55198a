//! Settings of the client, its producer and its consumer, under Kafka's own names and defaults.
//!
//! Invariant: a configuration that passes its check can be used without further doubt; nothing
//! here touches the network. Serves steps 5 and 10 of the hallway.

use std::time::Duration;

use logway_protocol::compression::Compression;
use thiserror::Error;

mod consumer;

pub use consumer::{Assignor, AutoOffsetReset, ConsumerConfig, GroupProtocol, IsolationLevel};

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

#[cfg(test)]
mod tests;
