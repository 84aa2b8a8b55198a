//! What the broker counts, in Prometheus' form (design D13).
//! Invariant: every refused or dropped thing is counted with its reason; names are part of the
//! interface. Read by `http.rs` and by whoever runs the broker in its own process.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// All counters of one broker.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<ApiLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    pub(crate) request_bytes: Counter,
    pub(crate) reply_bytes: Counter,
    pub(crate) connections: Gauge,
    pub(crate) partitions: Gauge,
    pub(crate) topics: Gauge,
    pub(crate) produced_bytes: Counter,
    pub(crate) produced_records: Counter,
    pub(crate) fetched_bytes: Counter,
    pub(crate) partitions_failed: Counter,
    pub(crate) duplicate_batches: Counter,
    pub(crate) log_bytes: Gauge<f64, AtomicU64>,
    pub(crate) compaction: CompactionMetrics,
    sync_seconds: Histogram,
}

/// What compaction has done.
#[derive(Debug, Default)]
pub(crate) struct CompactionMetrics {
    pub(crate) read_bytes: Counter,
    pub(crate) removed_bytes: Counter,
    pub(crate) read_records: Counter,
    pub(crate) removed_records: Counter,
    pub(crate) uncleanable: Gauge,
}

impl CompactionMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "compaction_read_bytes",
            "Bytes of record batches read to be compacted",
            self.read_bytes.clone(),
        );
        registry.register(
            "compaction_removed_bytes",
            "Bytes that compaction has taken out of logs",
            self.removed_bytes.clone(),
        );
        registry.register(
            "compaction_read_records",
            "Records read to be compacted",
            self.read_records.clone(),
        );
        registry.register(
            "compaction_removed_records",
            "Records that compaction has taken out of logs",
            self.removed_records.clone(),
        );
        registry.register(
            "partitions_uncleanable",
            "Partitions that are not compacted any more because that failed",
            self.uncleanable.clone(),
        );
    }
}

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("logway_broker"),
            requests: Family::default(),
            refused: Family::default(),
            request_bytes: Counter::default(),
            reply_bytes: Counter::default(),
            connections: Gauge::default(),
            partitions: Gauge::default(),
            topics: Gauge::default(),
            produced_bytes: Counter::default(),
            produced_records: Counter::default(),
            fetched_bytes: Counter::default(),
            partitions_failed: Counter::default(),
            duplicate_batches: Counter::default(),
            log_bytes: Gauge::default(),
            compaction: CompactionMetrics::default(),
            sync_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 16)),
        };
        metrics.register_traffic();
        metrics.register_storage();
        metrics.compaction.register(&mut metrics.registry);
        Arc::new(metrics)
    }

    fn register_traffic(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests by API", self.requests.clone());
        registry.register(
            "refused",
            "Connections, requests and batches refused, by reason",
            self.refused.clone(),
        );
        registry.register(
            "request_bytes",
            "Bytes of requests read",
            self.request_bytes.clone(),
        );
        registry.register(
            "reply_bytes",
            "Bytes of replies written",
            self.reply_bytes.clone(),
        );
        registry.register(
            "connections",
            "Open client connections",
            self.connections.clone(),
        );
        registry.register(
            "produced_bytes",
            "Bytes of record batches appended for clients",
            self.produced_bytes.clone(),
        );
        registry.register(
            "produced_records",
            "Records appended for clients",
            self.produced_records.clone(),
        );
        registry.register(
            "fetched_bytes",
            "Bytes of record batches handed to clients",
            self.fetched_bytes.clone(),
        );
        registry.register(
            "duplicate_batches",
            "Batches sent again by idempotent producers and not stored twice",
            self.duplicate_batches.clone(),
        );
    }

    fn register_storage(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "partitions",
            "Partitions on this broker",
            self.partitions.clone(),
        );
        registry.register("topics", "Topics of the cluster", self.topics.clone());
        registry.register(
            "partitions_failed",
            "Partitions whose writer stopped for good after a failed write or sync",
            self.partitions_failed.clone(),
        );
        registry.register(
            "log_bytes",
            "Bytes of all partitions' logs",
            self.log_bytes.clone(),
        );
        registry.register(
            "sync_seconds",
            "Time of one fsync of one partition",
            self.sync_seconds.clone(),
        );
    }

    /// Counts one request of `api`.
    pub(crate) fn request(&self, api: &'static str) {
        self.requests.get_or_create(&ApiLabel { api }).inc();
    }

    /// Counts something refused; `reason` is a label value.
    pub(crate) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// Records one fsync.
    pub(crate) fn synced(&self, took: Duration) {
        self.sync_seconds.observe(took.as_secs_f64());
    }

    /// All values as Prometheus text, without the closing `# EOF` line.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_err() {
            // Formatting into a String fails only when a metric itself refuses.
            text.clear();
        }
        if let Some(end) = text.rfind("# EOF") {
            text.truncate(end);
        }
        text
    }
}
