//! What Kafka's tools print, and how a run is judged.

use super::tools::{after, before, column};
use super::{latency, must, percentile};
use crate::bench::report::Report;

#[test]
fn the_producer_tools_line_is_read() {
    let line = "200000 records sent, 43859.6 records/sec (42.83 MB/sec), 59.24 ms avg latency, \
                410.00 ms max latency, 56 ms 50th, 198 ms 95th, 344 ms 99th, 398 ms 99.9th.";
    assert_eq!(before(line, " records/sec"), Some(43859.6));
    assert_eq!(before(line, " ms 50th"), Some(56.0));
    assert_eq!(before(line, " ms 99th"), Some(344.0));
    assert_eq!(before(line, " ms 42nd"), None);
}

#[test]
fn the_consumer_tools_columns_are_read() {
    let said = "start.time, end.time, data.consumed.in.MB, MB.sec, fetch.nMsg.sec\n\
                2026-11-25 01:00:00:000, 2026-11-25 01:00:01:000, 195.3, 100.2, 102400.5\n";
    assert_eq!(column(said, "fetch.nMsg.sec"), Some(102_400.5));
    assert_eq!(column(said, "MB.sec"), Some(100.2));
    assert_eq!(column(said, "absent"), None);
}

#[test]
fn the_latency_tools_percentiles_are_read() {
    let line = "Percentiles: 50th = 0, 99th = 3, 99.9th = 12";
    assert_eq!(after(line, "50th ="), Some(0.0));
    assert_eq!(after(line, " 99th ="), Some(3.0));
    assert_eq!(after(line, "99.9th ="), Some(12.0));
}

#[test]
fn percentiles_are_of_sorted_values() {
    let values: Vec<f64> = (0..100).map(f64::from).collect();
    assert_eq!(percentile(&values, 0.5), 50.0);
    assert_eq!(percentile(&values, 0.999), 99.0);
    assert!(percentile(&[], 0.5).is_nan());
}

#[test]
fn a_run_is_judged_by_its_medians() {
    let mut report = Report::default();
    for (ours, theirs) in [(10.0, 100.0), (20.0, 100.0), (90.0, 100.0)] {
        report.add(latency::ACKS_1, "p50, µs", "logway", ours);
        report.add(latency::ACKS_1, "p50, µs", "kafka", theirs);
        report.add(latency::ACKS_1, "p99, µs", "logway", ours);
        report.add(latency::ACKS_1, "p99, µs", "kafka", ours);
    }
    let table = must::table(&report);
    let row = |figure: &str| {
        let name = format!("{}: {figure}", latency::ACKS_1);
        let found = table.lines().find(|line| line.contains(&name));
        found.unwrap_or_default().to_owned()
    };
    assert!(row("p50, µs").ends_with("| ≤ 0.5000 | 0.2000 | yes |"));
    assert!(row("p99, µs").ends_with("| ≤ 0.5000 | 1.00 | **no** |"));
    assert!(row("server CPU per request, µs").ends_with("|  | not run |"));
}
