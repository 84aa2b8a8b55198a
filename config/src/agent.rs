//! The agent's settings: what to read, where to send it, where to remember how far it got.
//!
//! **Invariant:** no file is opened and no pattern compiled here; the agent does that and reports it itself.

use std::{fmt, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, de};

use crate::{
    error::{ConfigError, Violation, bootstrap, require, topic, within},
    load::{self, Settings},
    quantity,
};

/// Settings of one agent. Sample with every key: `config/agent.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Format of the file; only 1 exists.
    pub version: u32,
    /// Folder for the positions of the files read (Filebeat: registry). Default `/var/lib/logway/agent`.
    pub state_dir: PathBuf,
    /// Brokers to ask first, `HOST:PORT`. Default `["127.0.0.1:9092"]`.
    pub bootstrap: Vec<String>,
    /// Name the broker sees (Kafka: `client.id`). Default `logway-agent`.
    pub client_id: String,
    /// Address of `/healthz` and `/metrics`. Default: none.
    #[serde(deserialize_with = "quantity::address_option")]
    pub http: Option<SocketAddr>,
    /// Whether to send what the files hold now and end, instead of following them. Default false.
    pub once: bool,
    /// Files to read; one entry per group of files that go to one topic.
    pub inputs: Vec<FileInput>,
    /// Metrics of this host; left out: none are collected.
    pub metrics: Option<HostMetrics>,
    /// How records are sent.
    pub output: Output,
}

/// A group of files, found by pattern, whose lines go to one topic (Filebeat: a `filestream` input).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileInput {
    /// Glob patterns of the files; `**` crosses folders. At least one.
    pub paths: Vec<String>,
    /// Glob patterns of files to leave out (Filebeat: `exclude_files`). Default: none.
    pub exclude: Vec<String>,
    /// Topic the lines go to. Default `logs`.
    pub topic: String,
    /// Milliseconds between looks for new, renamed and removed files. Default 1000.
    #[serde(deserialize_with = "quantity::ms")]
    pub scan_interval_ms: u64,
    /// Longest line in bytes; what is longer is cut there and marked. Must fit the broker's
    /// `message_max_bytes`. Default 1000000.
    #[serde(deserialize_with = "quantity::bytes")]
    pub message_max_bytes: usize,
    /// Milliseconds since its last change after which a file not yet begun is left alone. Default: none.
    #[serde(deserialize_with = "quantity::ms_option")]
    pub ignore_older_ms: Option<u64>,
    /// Milliseconds without a new line after which a file is closed until it grows. Default 300000.
    #[serde(deserialize_with = "quantity::ms")]
    pub close_inactive_ms: u64,
}

/// Metrics of this host, under Telegraf's measurement and field names.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HostMetrics {
    /// Topic the metric lines go to. Default `metrics`.
    pub topic: String,
    /// Milliseconds between two collections. Default 10000.
    #[serde(deserialize_with = "quantity::ms")]
    pub interval_ms: u64,
    /// What to collect: `cpu`, `mem`, `disk`, `net`, `load`. Default: all of them.
    pub collect: Vec<Metric>,
}

/// A family of host metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Processor time by state.
    Cpu,
    /// Memory and swap.
    Mem,
    /// Room on mounted file systems.
    Disk,
    /// Traffic of network interfaces.
    Net,
    /// Load averages.
    Load,
}

/// How records are sent (Kafka's producer settings).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// Which acknowledgement moves a file's position: `"all"` or `"1"`. Default `"all"`.
    pub acks: Acks,
    /// Compression of record batches: `none`, `gzip`, `snappy`, `lz4`, `zstd`. Default `lz4`.
    pub compression: Compression,
    /// Milliseconds a batch waits for more lines (`linger.ms`). Default 50.
    #[serde(deserialize_with = "quantity::ms")]
    pub linger_ms: u64,
    /// Bytes of a batch before compression (`batch.size`). Default 262144 (256 KiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub batch_size: usize,
    /// Bytes of lines read but not yet acknowledged; reading waits at the limit (`buffer.memory`).
    /// Default 16777216 (16 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub buffer_memory: usize,
    /// Unanswered requests per broker (`max.in.flight.requests.per.connection`), 1 to 5. Default 5.
    pub max_in_flight: usize,
    /// Milliseconds after which an unanswered request is sent again (`request.timeout.ms`). Default 30000.
    #[serde(deserialize_with = "quantity::ms")]
    pub request_timeout_ms: u64,
}

/// Which acknowledgement counts. `acks=0` is not offered: a position would move over lost lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    /// The partition's leader has it.
    Leader,
    /// The whole in-sync set has it; with one replica, its disk.
    All,
}

/// Compression of record batches, by Kafka's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As they are.
    None,
    /// gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Agent {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has an unknown key, or a value is wrong; with its line.
    pub fn load(path: &std::path::Path) -> Result<Agent, ConfigError> {
        load::load(path)
    }

    /// Whether every value is in its range; for settings made or changed in code.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check(&self) -> Result<(), Violation> {
        within("version", self.version, 1..=1)?;
        require(
            !self.state_dir.as_os_str().is_empty(),
            "state_dir",
            "must name a folder",
        )?;
        bootstrap(&self.bootstrap)?;
        require(
            !self.inputs.is_empty() || self.metrics.is_some(),
            "inputs",
            "is empty and there is no [metrics]: the agent would have nothing to do",
        )?;
        for (index, input) in self.inputs.iter().enumerate() {
            input
                .check()
                .map_err(|violation| violation.within(&format!("inputs.{index}")))?;
        }
        if let Some(metrics) = &self.metrics {
            metrics
                .check()
                .map_err(|violation| violation.within("metrics"))?;
        }
        self.output
            .check()
            .map_err(|violation| violation.within("output"))
    }
}

impl Settings for Agent {
    fn check(&self) -> Result<(), Violation> {
        Agent::check(self)
    }
}

impl Default for Agent {
    fn default() -> Self {
        Agent {
            version: 1,
            state_dir: PathBuf::from("/var/lib/logway/agent"),
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            client_id: "logway-agent".to_owned(),
            http: None,
            once: false,
            inputs: Vec::new(),
            metrics: None,
            output: Output::default(),
        }
    }
}

impl FileInput {
    fn check(&self) -> Result<(), Violation> {
        require(
            !self.paths.is_empty(),
            "paths",
            "must name at least one file pattern",
        )?;
        for (index, path) in self.paths.iter().enumerate() {
            require(
                !path.is_empty(),
                &format!("paths.{index}"),
                "must not be empty",
            )?;
        }
        topic("topic", &self.topic)?;
        within("scan_interval_ms", self.scan_interval_ms, 10..=3_600_000)?;
        within("message_max_bytes", self.message_max_bytes, 64..=1 << 30)?;
        within(
            "ignore_older_ms",
            self.ignore_older_ms.unwrap_or(1),
            1..=u64::MAX,
        )?;
        within("close_inactive_ms", self.close_inactive_ms, 1..=u64::MAX)
    }
}

impl Default for FileInput {
    fn default() -> Self {
        FileInput {
            paths: Vec::new(),
            exclude: Vec::new(),
            topic: "logs".to_owned(),
            scan_interval_ms: 1000,
            message_max_bytes: 1_000_000,
            ignore_older_ms: None,
            close_inactive_ms: 300_000,
        }
    }
}

impl HostMetrics {
    fn check(&self) -> Result<(), Violation> {
        topic("topic", &self.topic)?;
        within("interval_ms", self.interval_ms, 100..=86_400_000)?;
        require(
            !self.collect.is_empty(),
            "collect",
            "must name at least one of cpu, mem, disk, net, load",
        )
    }
}

impl Default for HostMetrics {
    fn default() -> Self {
        let collect = vec![
            Metric::Cpu,
            Metric::Mem,
            Metric::Disk,
            Metric::Net,
            Metric::Load,
        ];
        HostMetrics {
            topic: "metrics".to_owned(),
            interval_ms: 10_000,
            collect,
        }
    }
}

impl Output {
    fn check(&self) -> Result<(), Violation> {
        within("linger_ms", self.linger_ms, 0..=60_000)?;
        within("batch_size", self.batch_size, 1024..=64 << 20)?;
        within("max_in_flight", self.max_in_flight, 1..=5)?;
        within(
            "request_timeout_ms",
            self.request_timeout_ms,
            100..=3_600_000,
        )?;
        let problem = format!(
            "must hold at least one batch of batch_size ({})",
            self.batch_size
        );
        require(
            self.buffer_memory >= self.batch_size,
            "buffer_memory",
            problem,
        )
    }
}

impl Default for Output {
    fn default() -> Self {
        Output {
            acks: Acks::All,
            compression: Compression::Lz4,
            linger_ms: 50,
            batch_size: 262_144,
            buffer_memory: 16_777_216,
            max_in_flight: 5,
            request_timeout_ms: 30_000,
        }
    }
}

impl Compression {
    /// Kafka's name of it (`compression.type`).
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        use Compression::{Gzip, Lz4, None, Snappy, Zstd};
        let found = [None, Gzip, Snappy, Lz4, Zstd]
            .into_iter()
            .find(|known| known.name() == text);
        found.ok_or_else(|| format!("compression is none, gzip, snappy, lz4 or zstd, not `{text}`"))
    }
}

impl std::str::FromStr for Acks {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" | "-1" => Ok(Acks::All),
            "1" => Ok(Acks::Leader),
            _ => Err(format!("acks is \"all\" or \"1\", not \"{text}\"")),
        }
    }
}

impl<'de> Deserialize<'de> for Acks {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Acks;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"all\" or \"1\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Acks, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Acks, E> {
                text.parse().map_err(E::custom)
            }
        }

        input.deserialize_any(Visitor)
    }
}
