//! The pipeline's settings: which topics to read, where to store them, where to show them.
//!
//! **Invariant:** offsets are kept in the store, so nothing here turns committing to Kafka into the truth.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

use crate::{
    error::{ConfigError, Violation, bootstrap, require, topic, within},
    load::{self, Settings},
    quantity,
};

/// Settings of one pipeline. Sample with every key: `config/pipeline.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pipeline {
    /// Format of the file; only 1 exists.
    pub version: u32,
    /// Brokers to ask first, `HOST:PORT`. Default `["127.0.0.1:9092"]`.
    pub bootstrap: Vec<String>,
    /// Name the broker sees (Kafka: `client.id`). Default `logway-pipeline`.
    pub client_id: String,
    /// Consumer group whose members share the partitions (Kafka: `group.id`). Default `logway-pipeline`.
    pub group_id: String,
    /// Milliseconds without a heartbeat after which the group gives this member up (`session.timeout.ms`).
    /// Default 45000.
    #[serde(deserialize_with = "quantity::ms")]
    pub session_timeout_ms: u64,
    /// Most bytes of one fetch (`fetch.max.bytes`). Default 8388608 (8 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub fetch_max_bytes: i32,
    /// Milliseconds between two measurements of the lag. Default 5000.
    #[serde(deserialize_with = "quantity::ms")]
    pub lag_interval_ms: u64,
    /// Address of the page, `/api/v1`, `/healthz` and `/metrics`. Default `127.0.0.1:8080`.
    #[serde(deserialize_with = "quantity::address")]
    pub http: SocketAddr,
    /// What is read.
    pub topics: Topics,
    /// Where it is kept.
    pub store: Store,
}

/// Topics by what their records are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Topics {
    /// Topics of log lines and application events. Default `["logs", "app"]`.
    pub logs: Vec<String>,
    /// Topics of metric lines. Default `["metrics"]`.
    pub metrics: Vec<String>,
}

/// The embedded store.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// SQLite file; its folder is made if need be. Default `/var/lib/logway/pipeline/store.db`.
    pub path: PathBuf,
    /// Milliseconds rows are kept, by the record's time; left out: for ever. Default: none.
    #[serde(deserialize_with = "quantity::ms_option")]
    pub retention_ms: Option<u64>,
    /// Milliseconds after which a started transaction is committed. Default 200.
    #[serde(deserialize_with = "quantity::ms")]
    pub commit_interval_ms: u64,
    /// Records after which a started transaction is committed. Default 10000.
    pub commit_records: usize,
}

impl Pipeline {
    /// Reads and checks a settings file.
    ///
    /// # Errors
    /// When the file cannot be read, is not TOML, has an unknown key, or a value is wrong; with its line.
    pub fn load(path: &std::path::Path) -> Result<Pipeline, ConfigError> {
        load::load(path)
    }

    /// Whether every value is in its range; for settings made or changed in code.
    ///
    /// # Errors
    /// The first value that is not.
    pub fn check(&self) -> Result<(), Violation> {
        within("version", self.version, 1..=1)?;
        bootstrap(&self.bootstrap)?;
        require(!self.group_id.is_empty(), "group_id", "must not be empty")?;
        within(
            "session_timeout_ms",
            self.session_timeout_ms,
            1000..=3_600_000,
        )?;
        within("fetch_max_bytes", self.fetch_max_bytes, 1024..=i32::MAX)?;
        within("lag_interval_ms", self.lag_interval_ms, 100..=3_600_000)?;
        self.topics
            .check()
            .map_err(|violation| violation.within("topics"))?;
        self.store
            .check()
            .map_err(|violation| violation.within("store"))
    }
}

impl Settings for Pipeline {
    fn check(&self) -> Result<(), Violation> {
        Pipeline::check(self)
    }
}

impl Default for Pipeline {
    fn default() -> Self {
        Pipeline {
            version: 1,
            bootstrap: vec!["127.0.0.1:9092".to_owned()],
            client_id: "logway-pipeline".to_owned(),
            group_id: "logway-pipeline".to_owned(),
            session_timeout_ms: 45_000,
            fetch_max_bytes: 8_388_608,
            lag_interval_ms: 5000,
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            topics: Topics::default(),
            store: Store::default(),
        }
    }
}

impl Topics {
    fn check(&self) -> Result<(), Violation> {
        let empty = self.logs.is_empty() && self.metrics.is_empty();
        require(
            !empty,
            "logs",
            "and `topics.metrics` are both empty: there is nothing to read",
        )?;
        for (kind, names) in [("logs", &self.logs), ("metrics", &self.metrics)] {
            for (index, name) in names.iter().enumerate() {
                topic(&format!("{kind}.{index}"), name)?;
            }
        }
        let both = self
            .metrics
            .iter()
            .position(|name| self.logs.contains(name));
        both.map_or(Ok(()), |index| {
            let problem = "is also under `topics.logs`; a topic holds one kind of record";
            Err(Violation::new(format!("metrics.{index}"), problem))
        })
    }
}

impl Default for Topics {
    fn default() -> Self {
        Topics {
            logs: vec!["logs".to_owned(), "app".to_owned()],
            metrics: vec!["metrics".to_owned()],
        }
    }
}

impl Store {
    fn check(&self) -> Result<(), Violation> {
        require(
            !self.path.as_os_str().is_empty(),
            "path",
            "must name a file",
        )?;
        within("retention_ms", self.retention_ms.unwrap_or(1), 1..=u64::MAX)?;
        within("commit_interval_ms", self.commit_interval_ms, 1..=60_000)?;
        within("commit_records", self.commit_records, 1..=1_000_000)
    }
}

impl Default for Store {
    fn default() -> Self {
        Store {
            path: PathBuf::from("/var/lib/logway/pipeline/store.db"),
            retention_ms: None,
            commit_interval_ms: 200,
            commit_records: 10_000,
        }
    }
}
