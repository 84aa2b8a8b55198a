//! The pipeline's own metrics.
//!
//! Invariant: names begin with `logway_pipeline_`; labels are bounded (reasons, topic partitions
//! this member owns). Serves every step of the room.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::store::Applied;
use crate::transform::Reason;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    topic: String,
    partition: i32,
}

/// All metrics of one pipeline.
pub struct Telemetry {
    registry: Registry,
    records: Counter,
    record_bytes: Counter,
    lines: Counter,
    repeats: Counter,
    metrics: Counter,
    points: Counter,
    metric_repeats: Counter,
    unparsed: Family<ReasonLabel, Counter>,
    transaction: Histogram,
    retries: Counter,
    fenced: Counter,
    rebalances: Counter,
    consume_errors: Counter,
    commit_errors: Counter,
    lag: Family<PartitionLabel, Gauge>,
    lag_seconds: Family<PartitionLabel, Gauge<f64, AtomicU64>>,
    tails: Gauge,
    refused: Counter,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        let mut telemetry = Telemetry {
            registry: Registry::with_prefix("logway_pipeline"),
            records: Counter::default(),
            record_bytes: Counter::default(),
            lines: Counter::default(),
            repeats: Counter::default(),
            metrics: Counter::default(),
            points: Counter::default(),
            metric_repeats: Counter::default(),
            unparsed: Family::default(),
            transaction: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            retries: Counter::default(),
            fenced: Counter::default(),
            rebalances: Counter::default(),
            consume_errors: Counter::default(),
            commit_errors: Counter::default(),
            lag: Family::default(),
            lag_seconds: Family::default(),
            tails: Gauge::default(),
            refused: Counter::default(),
        };
        telemetry.register_counters();
        telemetry.register_others();
        telemetry
    }
}

impl Telemetry {
    fn register_counters(&mut self) {
        let registry = &mut self.registry;
        for (name, help, counter) in [
            (
                "records_consumed",
                "Records read from the broker",
                &self.records,
            ),
            ("lines_stored", "Log lines stored", &self.lines),
            (
                "repeats",
                "Log lines received again and not stored again",
                &self.repeats,
            ),
            ("metrics_stored", "Metrics stored", &self.metrics),
            ("points_stored", "Field values stored", &self.points),
            (
                "metric_repeats",
                "Metrics received again",
                &self.metric_repeats,
            ),
            (
                "store_retries",
                "Transactions tried again, such as on a full disk",
                &self.retries,
            ),
            (
                "fenced",
                "Batches refused because the partition has another owner",
                &self.fenced,
            ),
            (
                "rebalances",
                "Changes of the partitions assigned",
                &self.rebalances,
            ),
            (
                "consume_errors",
                "Errors reading from the broker",
                &self.consume_errors,
            ),
            (
                "commit_errors",
                "Offsets that could not be committed to the broker",
                &self.commit_errors,
            ),
            (
                "http_refused",
                "Requests answered with an error",
                &self.refused,
            ),
        ] {
            registry.register(name, help, counter.clone());
        }
    }

    fn register_others(&mut self) {
        let registry = &mut self.registry;
        registry.register_with_unit(
            "consumed",
            "Bytes of record values read from the broker",
            Unit::Bytes,
            self.record_bytes.clone(),
        );
        registry.register(
            "unparsed",
            "Lines of metrics topics that are no metrics, kept, by reason",
            self.unparsed.clone(),
        );
        registry.register_with_unit(
            "transaction",
            "Time to transform and commit a batch",
            Unit::Seconds,
            self.transaction.clone(),
        );
        registry.register(
            "lag",
            "Records not stored yet, by partition",
            self.lag.clone(),
        );
        registry.register_with_unit(
            "lag_age",
            "Age of the newest stored record of a partition with lag; 0 without lag",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        registry.register("live_tails", "Open live tails", self.tails.clone());
        for reason in Reason::ALL {
            drop(self.unparsed.get_or_create(&ReasonLabel {
                reason: reason.name(),
            }));
        }
    }

    /// The metrics in Prometheus' text format, without the closing `# EOF` line.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes any text");
        text.truncate(
            text.trim_end()
                .strip_suffix("# EOF")
                .map_or(text.len(), str::len),
        );
        text
    }

    pub(crate) fn consumed(&self, records: u64, bytes: u64) {
        self.records.inc_by(records);
        self.record_bytes.inc_by(bytes);
    }

    pub(crate) fn stored(
        &self,
        applied: &Applied,
        unparsed: impl Iterator<Item = Reason>,
        took: Duration,
    ) {
        self.lines.inc_by(applied.lines);
        self.repeats.inc_by(applied.repeats);
        self.metrics.inc_by(applied.metrics);
        self.points.inc_by(applied.points);
        self.metric_repeats.inc_by(applied.metric_repeats);
        for reason in unparsed {
            self.unparsed
                .get_or_create(&ReasonLabel {
                    reason: reason.name(),
                })
                .inc();
        }
        self.transaction.observe(took.as_secs_f64());
    }

    pub(crate) fn store_retried(&self) {
        self.retries.inc();
    }

    pub(crate) fn fenced(&self) {
        self.fenced.inc();
    }

    pub(crate) fn rebalanced(&self) {
        self.rebalances.inc();
    }

    pub(crate) fn consume_failed(&self) {
        self.consume_errors.inc();
    }

    pub(crate) fn commit_failed(&self) {
        self.commit_errors.inc();
    }

    pub(crate) fn request_refused(&self) {
        self.refused.inc();
    }

    pub(crate) fn tail_opened(&self) {
        self.tails.inc();
    }

    pub(crate) fn tail_closed(&self) {
        self.tails.dec();
    }

    /// Sets the lag of one partition.
    pub(crate) fn set_lag(&self, topic: &str, partition: i32, lag: i64, seconds: f64) {
        let label = PartitionLabel {
            topic: topic.to_owned(),
            partition,
        };
        self.lag.get_or_create(&label).set(lag);
        self.lag_seconds.get_or_create(&label).set(seconds);
    }

    /// Forgets the lag of a partition this member no longer owns.
    pub(crate) fn drop_lag(&self, topic: &str, partition: i32) {
        let label = PartitionLabel {
            topic: topic.to_owned(),
            partition,
        };
        self.lag.remove(&label);
        self.lag_seconds.remove(&label);
    }
}
