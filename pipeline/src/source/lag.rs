//! How far each partition of this member is behind; shared with the page.
//!
//! Invariant: written by the source only. Ages are computed when read, so that they grow while a
//! partition stands still. Steps 11 and 12.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::feed::Partition;

/// A partition this member owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionLag {
    pub(crate) partition: Partition,
    /// First offset that is not stored.
    pub(crate) stored: i64,
    /// End of the log, if known.
    pub(crate) end: Option<i64>,
    /// Timestamp of the newest stored record of this run, milliseconds.
    pub(crate) last_timestamp: Option<i64>,
}

impl PartitionLag {
    /// End of the log as far as known: what is stored was there.
    pub(crate) fn end(&self) -> Option<i64> {
        self.end.map(|end| end.max(self.stored))
    }

    /// Records not stored yet.
    pub(crate) fn lag(&self) -> Option<i64> {
        self.end().map(|end| end - self.stored)
    }

    /// Age of the newest stored record in seconds; 0 when nothing is missing.
    pub(crate) fn lag_seconds(&self, now_ms: i64) -> Option<f64> {
        match (self.lag()?, self.last_timestamp) {
            (0, _) => Some(0.0),
            (_, Some(timestamp)) => Some((now_ms - timestamp).max(0) as f64 / 1000.0),
            (_, None) => None,
        }
    }
}

/// What the source is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceState {
    /// By topic and partition.
    pub(crate) partitions: BTreeMap<Partition, PartitionLag>,
    /// The last trouble with the cluster; cleared by the next records.
    pub(crate) trouble: Option<String>,
    /// Why the source has stopped.
    pub(crate) stopped: Option<String>,
}

/// The shared state.
pub(crate) type SharedState = Arc<Mutex<SourceState>>;
