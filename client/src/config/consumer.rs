//! Settings of the consumer, under Kafka's own names and defaults.
//!
//! Invariant: a configuration that passes its check can be used without further doubt. Serves step
//! 10 of the hallway.

use std::time::Duration;

use super::{ClientConfig, ConfigError};

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
    /// As even as can be, and members keep what they had; everybody stops while the group shares
    /// out anew (KIP-54).
    Sticky,
    /// As even as can be, and members keep what they had; only partitions that move stop, for
    /// which a group shares out twice (KIP-429). The group is cooperative only while this is the
    /// only assignor of all its members.
    CooperativeSticky,
}

impl Assignor {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::RoundRobin => "roundrobin",
            Self::Sticky => "sticky",
            Self::CooperativeSticky => "cooperative-sticky",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [
            Self::Range,
            Self::RoundRobin,
            Self::Sticky,
            Self::CooperativeSticky,
        ]
        .into_iter()
        .find(|assignor| assignor.name() == name)
    }
}

/// Who shares out the partitions of a group (`group.protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// A member, the leader, by the rounds of JoinGroup and SyncGroup.
    #[default]
    Classic,
    /// The coordinator, member by member, without stopping the others (KIP-848). The coordinator
    /// decides about sessions and heartbeats: `session.timeout.ms`, `heartbeat.interval.ms` and
    /// `partition.assignment.strategy` are not used.
    Consumer,
}

/// Settings of a [`Consumer`](crate::Consumer).
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// How to reach the cluster.
    pub client: ClientConfig,
    /// The group whose offsets and assignment are used (`group.id`); needed by `subscribe`,
    /// `commit` and `committed`.
    pub group_id: Option<String>,
    /// Name of a static member (`group.instance.id`, KIP-345): it keeps its partitions while it
    /// restarts within the session's time.
    pub group_instance_id: Option<String>,
    /// Who shares out the partitions (`group.protocol`).
    pub group_protocol: GroupProtocol,
    /// The coordinator's assignor, `uniform` or `range`, with `group.protocol=consumer`; `None`
    /// leaves the choice to it (`group.remote.assignor`).
    pub group_remote_assignor: Option<String>,
    /// Where this consumer is, for assignors that keep reading near (`client.rack`).
    pub client_rack: Option<String>,
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
    /// Assignors this member accepts, the preferred one first (`partition.assignment.strategy`).
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
            group_protocol: GroupProtocol::Classic,
            group_remote_assignor: None,
            client_rack: None,
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
            partition_assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
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
        if self.group_instance_id.as_deref() == Some("") {
            return Err(ConfigError::new(
                "group.instance.id",
                "is empty, leave it out or give a name",
            ));
        }
        if self.group_remote_assignor.is_some() && self.group_protocol != GroupProtocol::Consumer {
            return Err(ConfigError::new(
                "group.remote.assignor",
                "needs group.protocol=consumer",
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
