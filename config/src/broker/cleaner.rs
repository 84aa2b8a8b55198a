//! How the broker compacts logs, under the names of Kafka's `log.cleaner.*`.
//!
//! **Invariant:** every default is Kafka's.

use serde::Deserialize;

use crate::{
    error::{Violation, require, within},
    quantity,
};

/// Compaction (Kafka: `log.cleaner.*`): one thread, which works on one log after the other.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cleaner {
    /// Whether logs are compacted at all (`log.cleaner.enable`). Default true.
    pub enable: bool,
    /// Memory for the keys of one log in bytes (`log.cleaner.dedupe.buffer.size`); taken as it is
    /// needed, and only while a log is compacted. Default 134217728 (128 MiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub dedupe_buffer_size: usize,
    /// Memory for reading and writing in bytes (`log.cleaner.io.buffer.size`). Default 524288 (512 KiB).
    #[serde(deserialize_with = "quantity::bytes")]
    pub io_buffer_size: usize,
    /// Bytes read and written per second, at most (`log.cleaner.io.max.bytes.per.second`). Default: no limit.
    #[serde(deserialize_with = "quantity::bytes_option")]
    pub io_max_bytes_per_second: Option<u64>,
    /// Milliseconds between looks for something to compact (`log.cleaner.backoff.ms`). Default 15000.
    #[serde(deserialize_with = "quantity::ms")]
    pub backoff_ms: u64,
    /// Share of a log's bytes, 0 to 1, that must be dirty (`log.cleaner.min.cleanable.ratio`). Default 0.5.
    pub min_cleanable_ratio: f64,
    /// Milliseconds that a record stays uncompacted at least (`log.cleaner.min.compaction.lag.ms`). Default 0.
    #[serde(deserialize_with = "quantity::ms")]
    pub min_compaction_lag_ms: i64,
    /// Milliseconds that a record stays uncompacted at most (`log.cleaner.max.compaction.lag.ms`).
    /// Default 9223372036854775807 (for ever).
    #[serde(deserialize_with = "quantity::ms")]
    pub max_compaction_lag_ms: i64,
    /// Milliseconds that a tombstone stays after it was compacted (`log.cleaner.delete.retention.ms`).
    /// Default 86400000 (1 day).
    #[serde(deserialize_with = "quantity::ms")]
    pub delete_retention_ms: i64,
}

impl Cleaner {
    pub(super) fn check(&self) -> Result<(), Violation> {
        let (keys, io) = (self.dedupe_buffer_size, self.io_buffer_size);
        within("dedupe_buffer_size", keys, 1 << 20..=usize::MAX)?;
        within("io_buffer_size", io, 1024..=1 << 30)?;
        let rate = self.io_max_bytes_per_second.unwrap_or(u64::MAX);
        within("io_max_bytes_per_second", rate, 1024..=u64::MAX)?;
        within("backoff_ms", self.backoff_ms, 1..=86_400_000)?;
        require(
            (0.0..=1.0).contains(&self.min_cleanable_ratio),
            "min_cleanable_ratio",
            format!("must be 0 to 1, is {}", self.min_cleanable_ratio),
        )?;
        within(
            "min_compaction_lag_ms",
            self.min_compaction_lag_ms,
            0..=i64::MAX,
        )?;
        within(
            "max_compaction_lag_ms",
            self.max_compaction_lag_ms,
            1..=i64::MAX,
        )?;
        within(
            "delete_retention_ms",
            self.delete_retention_ms,
            0..=i64::MAX,
        )
    }
}

impl Default for Cleaner {
    fn default() -> Self {
        Cleaner {
            enable: true,
            dedupe_buffer_size: 134_217_728,
            io_buffer_size: 524_288,
            io_max_bytes_per_second: None,
            backoff_ms: 15_000,
            min_cleanable_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
        }
    }
}
