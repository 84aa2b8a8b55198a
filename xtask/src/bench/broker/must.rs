//! What the broker must reach beside Kafka, and whether this run's medians do.

use std::fmt::Write as _;

use super::produce::{Durable, LARGE, Produce, SMALL};
use super::{coordinators, fetch, first, groups, latency, memory, partitions, tools};
use crate::bench::load::Shape;
use crate::bench::report::{Report, shown};

/// A figure and its bound.
struct Row {
    what: String,
    /// At least this, or at most.
    at_least: bool,
    bound: f64,
    /// What was measured; none if the case was not run.
    measured: Option<f64>,
}

struct Rows<'a> {
    report: &'a Report,
    rows: Vec<Row>,
}

impl Rows<'_> {
    fn ours(&self, case: &str, figure: &'static str) -> Option<f64> {
        self.report.median(case, figure, "logway")
    }

    fn ratio(&self, case: &str, figure: &'static str) -> Option<f64> {
        let theirs = self.report.median(case, figure, "kafka")?;
        Some(self.ours(case, figure)? / theirs)
    }

    fn push(&mut self, what: String, (at_least, bound): (bool, f64), measured: Option<f64>) {
        self.rows.push(Row {
            what,
            at_least,
            bound,
            measured,
        });
    }

    /// Ours beside Kafka's, at least.
    fn ratio_at_least(&mut self, case: &str, figure: &'static str, bound: f64) {
        let what = format!("{case}: {figure}, × Kafka");
        self.push(what, (true, bound), self.ratio(case, figure));
    }

    /// Ours beside Kafka's, at most.
    fn ratio_at_most(&mut self, case: &str, figure: &'static str, bound: f64) {
        let what = format!("{case}: {figure}, × Kafka");
        self.push(what, (false, bound), self.ratio(case, figure));
    }

    /// Ours, at most.
    fn at_most(&mut self, case: &str, figure: &'static str, bound: f64) {
        let what = format!("{case}: {figure}");
        self.push(what, (false, bound), self.ours(case, figure));
    }
}

/// All rows in Markdown.
pub(super) fn table(report: &Report) -> String {
    let mut rows = Rows {
        report,
        rows: Vec::new(),
    };
    throughput(&mut rows);
    latency_and_memory(&mut rows);
    many_partitions(&mut rows);
    coordinators(&mut rows);
    let mut table =
        String::from("| must reach | bound | measured | reached |\n|---|--:|--:|---|\n");
    for row in rows.rows {
        let sign = if row.at_least { "≥" } else { "≤" };
        let reached = match row.measured {
            None => "not run",
            Some(measured) if row.at_least && measured >= row.bound => "yes",
            Some(measured) if !row.at_least && measured <= row.bound => "yes",
            Some(_) => "**no**",
        };
        let (bound, measured) = (shown(Some(row.bound)), shown(row.measured));
        writeln!(
            table,
            "| {} | {sign} {bound} | {measured} | {reached} |",
            row.what
        )
        .unwrap_or_default();
    }
    table
}

fn throughput(rows: &mut Rows) {
    let runs: [(Shape, usize, f64, f64); 4] = [
        (LARGE, 1, 2.0, 0.6),
        (LARGE, 3, 1.2, 0.65),
        (SMALL, 1, 5.0, 0.2),
        (SMALL, 3, 3.0, 0.25),
    ];
    for (shape, connections, speed, cost) in runs {
        let case = Produce::of(shape, connections).name();
        rows.ratio_at_least(&case, "MB/s", speed);
        rows.ratio_at_most(&case, "server CPU, s/GB", cost);
        rows.ratio_at_most(&case, "of it user, s/GB", 1.0 / 3.0);
    }
    for connections in [1, 3] {
        let case = fetch::name(connections);
        rows.ratio_at_least(&case, "MB/s", 1.1);
        rows.ratio_at_most(&case, "server CPU, s/GB", 0.9);
    }
    for shape in [SMALL, LARGE] {
        let case = Produce::with_fsync(shape, Durable::Before).name();
        rows.ratio_at_least(&case, "MB/s", 5.0);
        let without = Produce::with_fsync(shape, Durable::Later).name();
        let own = rows
            .ours(&case, "MB/s")
            .zip(rows.ours(&without, "MB/s"))
            .map(|(with, without)| with / without);
        let what = format!("{case}: MB/s, × our own without fsync (where the disk allows)");
        rows.push(what, (true, 0.8), own);
    }
}

fn latency_and_memory(rows: &mut Rows) {
    rows.ratio_at_most(latency::ACKS_1, "p50, µs", 0.5);
    rows.ratio_at_most(latency::ACKS_1, "p99, µs", 0.5);
    rows.ratio_at_most(latency::ACKS_1, "server CPU per request, µs", 0.25);
    rows.ratio_at_most(tools::E2E_LOADED, "p99, ms", 0.5);
    rows.at_most(memory::PEAK, "peak RSS, MB", 64.0);
    rows.at_most(memory::IDLE, "RSS, MB", 16.0);
    rows.at_most(first::FIRST, "exec to first acknowledged record, ms", 100.0);
    rows.at_most(memory::IDLE, "CPU, % of a core", 0.1);
}

fn coordinators(rows: &mut Rows<'_>) {
    let case = coordinators::TRANSACTIONS;
    let what = format!("{case}: transactions/s");
    rows.push(what, (true, 1000.0), rows.ours(case, "transactions/s"));
    rows.ratio_at_least(case, "transactions/s", 1.5);
    rows.at_most(coordinators::OFFSETS, "offsets ready after SIGKILL, s", 1.0);
    rows.at_most(groups::HEARTBEATS, "server CPU, % of a core", 10.0);
    rows.at_most(groups::REBALANCE, "last join to all assigned, s", 1.0);
}

fn many_partitions(rows: &mut Rows) {
    let case = partitions::name(5000);
    rows.at_most(&case, "RSS per empty partition, KiB", 4.0);
    rows.at_most(&case, "RSS per partition after restart, KiB", 4.0);
    // Room for a connection that has not been closed yet.
    rows.at_most(&case, "open files per partition", 0.001);
    rows.at_most(&case, "open files per partition after restart", 0.001);
    rows.ratio_at_most(&case, "create: answered, s", 0.5);
    rows.ratio_at_most(&case, "create: all served, s", 0.5);
    rows.ratio_at_most(&case, "clean restart to ready, s", 0.05);
    rows.ratio_at_most(&case, "restart after SIGKILL to ready, s", 0.05);
    rows.at_most(&case, "RSS, MB", 64.0);
}
