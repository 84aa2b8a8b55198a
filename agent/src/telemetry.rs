//! The agent's figures about itself, in Prometheus's text form. Beside every step of the hallway.
//!
//! **Invariant:** everything refused, dropped or repeated is counted here with its reason; labels come from
//! fixed lists, never from file names.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why something happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reason {
    pub(crate) reason: &'static str,
}

/// A counter per reason.
pub(crate) type Reasons = Family<Reason, Counter>;

/// The agent's counters and gauges; cheap to clone, all clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Telemetry {
    registry: Arc<Registry>,
    pub(crate) lines_read: Counter,
    pub(crate) bytes_read: Counter,
    pub(crate) lines_truncated: Counter,
    pub(crate) records_sent: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) records_acked: Counter,
    pub(crate) records_dropped: Reasons,
    pub(crate) bytes_dropped: Reasons,
    pub(crate) rewinds: Reasons,
    pub(crate) files_open: Gauge,
    pub(crate) files_known: Gauge,
    pub(crate) files_held: Gauge,
    pub(crate) files_started: Counter,
    pub(crate) files_rejected: Reasons,
    pub(crate) generations: Counter,
    pub(crate) lag_bytes: Gauge,
    pub(crate) batches_in_flight: Gauge,
    pub(crate) scans: Counter,
    pub(crate) scans_incomplete: Counter,
    pub(crate) scan_seconds: Gauge<f64, AtomicU64>,
    pub(crate) state_errors: Counter,
    pub(crate) metric_lines: Counter,
    pub(crate) metric_lines_acked: Counter,
    pub(crate) metric_lines_dropped: Reasons,
    pub(crate) metric_errors: Reasons,
}

impl Telemetry {
    pub(crate) fn new() -> Telemetry {
        let mut made = Telemetry {
            registry: Arc::new(Registry::default()),
            lines_read: Counter::default(),
            bytes_read: Counter::default(),
            lines_truncated: Counter::default(),
            records_sent: Counter::default(),
            bytes_sent: Counter::default(),
            records_acked: Counter::default(),
            records_dropped: Family::default(),
            bytes_dropped: Family::default(),
            rewinds: Family::default(),
            files_open: Gauge::default(),
            files_known: Gauge::default(),
            files_held: Gauge::default(),
            files_started: Counter::default(),
            files_rejected: Family::default(),
            generations: Counter::default(),
            lag_bytes: Gauge::default(),
            batches_in_flight: Gauge::default(),
            scans: Counter::default(),
            scans_incomplete: Counter::default(),
            scan_seconds: Gauge::default(),
            state_errors: Counter::default(),
            metric_lines: Counter::default(),
            metric_lines_acked: Counter::default(),
            metric_lines_dropped: Family::default(),
            metric_errors: Family::default(),
        };
        made.registry = Arc::new(made.registered());
        made
    }

    #[rustfmt::skip]
    fn registered(&self) -> Registry {
        let mut registry = Registry::with_prefix("logway_agent");
        let r = &mut registry;
        r.register("lines_read", "Lines cut out of files", self.lines_read.clone());
        r.register("bytes_read", "Bytes of files cut into lines", self.bytes_read.clone());
        r.register("lines_truncated", "Lines over message_max_bytes, cut and marked", self.lines_truncated.clone());
        r.register("records_sent", "Records of file lines handed to the producer, repeats included", self.records_sent.clone());
        r.register("bytes_sent", "Encoded bytes of file lines handed to the producer", self.bytes_sent.clone());
        r.register("records_acked", "Records of file lines that the broker acknowledged", self.records_acked.clone());
        r.register("records_dropped", "Records given up, by reason", self.records_dropped.clone());
        r.register("bytes_dropped", "Encoded bytes of records given up, by reason", self.bytes_dropped.clone());
        r.register("rewinds", "Times a file is read again from its acknowledged position, by reason", self.rewinds.clone());
        r.register("files_open", "Files open now", self.files_open.clone());
        r.register("files_known", "Files with a remembered position", self.files_known.clone());
        r.register("files_held", "Files held back as possible copies of a known file", self.files_held.clone());
        r.register("files_started", "Files begun", self.files_started.clone());
        r.register("files_rejected", "Matching entries that could not be read, by reason; counted once per try", self.files_rejected.clone());
        r.register("generations", "Times the content of a known file was replaced (copytruncate, reused inode)", self.generations.clone());
        r.register("lag_bytes", "Bytes in known files that are not acknowledged yet", self.lag_bytes.clone());
        r.register("batches_in_flight", "Batches handed over and not acknowledged", self.batches_in_flight.clone());
        r.register("scans", "Looks for files", self.scans.clone());
        r.register("scans_incomplete", "Looks that could not see everything", self.scans_incomplete.clone());
        r.register("scan_seconds", "Seconds that the last look took", self.scan_seconds.clone());
        r.register("state_errors", "Failed writes of the agent's state", self.state_errors.clone());
        r.register("metric_lines", "Host metric lines collected", self.metric_lines.clone());
        r.register("metric_lines_acked", "Host metric lines that the broker acknowledged", self.metric_lines_acked.clone());
        r.register("metric_lines_dropped", "Host metric lines given up, by reason", self.metric_lines_dropped.clone());
        r.register("metric_errors", "Failed collections of host metrics, by family", self.metric_errors.clone());
        registry
    }

    /// Counts one more for a reason.
    pub(crate) fn count(counter: &Reasons, reason: &'static str, by: u64) {
        counter.get_or_create(&Reason { reason }).inc_by(by);
    }

    /// Prometheus text without the closing `# EOF` line.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string cannot fail");
        text.truncate(text.trim_end_matches("# EOF\n").len());
        text
    }
}
