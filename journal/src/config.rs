//! Settings of one log, under Kafka's topic setting names.
//!
//! Invariant: none of them changes the meaning of bytes already written; all may change while the
//! log is open.
//! Hallway: step 8.

/// How a log is cut into segments and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a batch that would make the segment larger goes into a new one.
    pub segment_bytes: u32,
    /// `segment.ms`: a batch this much younger than the segment's first one goes into a new segment.
    pub segment_ms: i64,
    /// `index.interval.bytes`: bytes of log between two index entries.
    pub index_interval_bytes: u32,
    /// `segment.index.bytes`: size at which an index is full and the segment ends.
    pub segment_index_bytes: u32,
    /// `retention.ms`: age of a segment's youngest record at which it is deleted; negative = never.
    pub retention_ms: i64,
    /// `retention.bytes`: size of the log above which the oldest segments go; negative = no limit.
    pub retention_bytes: i64,
    /// `cleanup.policy` contains `compact`: offsets may be missing between two segments, so
    /// recovery does not take such a gap for lost data.
    pub compact: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            index_interval_bytes: 4096,
            segment_index_bytes: 10 << 20,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            compact: false,
        }
    }
}
