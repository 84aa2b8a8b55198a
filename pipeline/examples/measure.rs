//! Measures storing and finding on this machine: `cargo run --release -p logway-pipeline
//! --example measure -- [LINES]`. The figures of the room's README come from here.
//!
//! Invariant: works in a temporary folder and leaves nothing behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use logway_pipeline::needle::Needle;
use logway_pipeline::store::{LogFilter, Order, Page, Reader, Store};
use logway_pipeline::transform::{Received, TopicKind, transform};

const BATCH: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let lines: usize = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |text| text.parse())?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("store.db");
    let mut store = Store::open(&path)?;

    let (started, cpu) = (Instant::now(), cpu_seconds());
    let mut bytes = 0;
    for first in (0..lines).step_by(BATCH) {
        let records: Vec<_> = (first..lines.min(first + BATCH)).map(line).collect();
        bytes += records
            .iter()
            .map(|r| r.value.as_ref().map_or(0, Bytes::len))
            .sum::<usize>();
        apply(&mut store, &records, TopicKind::Logs)?;
    }
    report("store lines", lines, started.elapsed(), cpu_seconds() - cpu);

    let samples = lines / 10;
    let (started, cpu) = (Instant::now(), cpu_seconds());
    for first in (0..samples).step_by(BATCH) {
        let records: Vec<_> = (first..samples.min(first + BATCH)).map(sample).collect();
        apply(&mut store, &records, TopicKind::Metrics)?;
    }
    report(
        "store metrics (10 fields each)",
        samples,
        started.elapsed(),
        cpu_seconds() - cpu,
    );
    let size = std::fs::metadata(&path)?.len();
    eprintln!("{bytes} bytes of lines, {size} bytes of store");

    let reader = Reader::open(&path)?;
    let middle = format!("blk_{}", id(lines / 2));
    for (what, query) in [
        ("newest 100", None),
        ("frequent text", Some("terminating".to_owned())),
        ("one line, in the middle", Some(middle)),
        ("absent text", Some("no such text".to_owned())),
        ("absent, three bytes: walks all", Some("zq~".to_owned())),
    ] {
        let needles = query.as_deref().and_then(Needle::new).into_iter().collect();
        let filter = LogFilter {
            needles,
            ..LogFilter::default()
        };
        for pass in ["first", "second"] {
            for (by, page) in [
                ("time", Page::by_time(Order::Descending, 100)),
                ("id", Page::by_id(Order::Descending, i64::MAX, 100)),
            ] {
                let page = Page {
                    time_max: Duration::from_secs(60),
                    ..page
                };
                let (started, cpu) = (Instant::now(), cpu_seconds());
                let found = reader.find(filter.clone(), page).await?;
                let (rows, scanned) = (found.rows.len(), found.scanned);
                let took = started.elapsed();
                let cpu = cpu_seconds() - cpu;
                eprintln!(
                    "{what}, by {by}, {pass}: {rows} of {scanned} rows in {took:.1?}, processor {cpu:.2} s"
                );
            }
        }
    }
    Ok(())
}

fn apply(
    store: &mut Store,
    records: &[Received],
    kind: TopicKind,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        transform(kind, record, &mut rows);
    }
    store.apply(&rows, &[])?;
    Ok(())
}

/// Processor time this process has used, in seconds; 0 where the system does not say.
fn cpu_seconds() -> f64 {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return 0.0;
    };
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0_f64)
    };
    (ticks(12) + ticks(13)) / 100.0
}

fn report(what: &str, count: usize, took: Duration, cpu: f64) {
    let speed = count as f64 / took.as_secs_f64();
    let per_cpu = count as f64 / cpu.max(0.01);
    eprintln!(
        "{what}: {count} in {took:.1?}, {speed:.0} per second, {per_cpu:.0} per processor second"
    );
}

fn record(n: usize, value: String) -> Received {
    Received {
        topic: Arc::from("logs"),
        partition: (n % 4) as i32,
        offset: (n / 4) as i64,
        timestamp: 1_700_000_000_000 + n as i64,
        value: Some(Bytes::from(value)),
        origin: None,
        position: None,
        host: Some(Bytes::from_static(b"node-1")),
        path: Some(Bytes::from_static(b"/var/log/hdfs.log")),
    }
}

fn line(n: usize) -> Received {
    let block = id(n);
    let mut record = record(
        n,
        format!(
            "081109 203615 {n} INFO dfs.DataNode$PacketResponder: PacketResponder {} for block \
         blk_{block} terminating on /10.251.{}.{}:50010",
            n % 3,
            n % 200,
            n % 250,
        ),
    );
    record.origin = Some(Bytes::from(format!("{:016x}", n % 8)));
    record.position = Some(Bytes::from((n / 8 * 140).to_string()));
    record
}

fn sample(n: usize) -> Received {
    let fields: Vec<String> = (0..10)
        .map(|field| format!("field_{field}={}.5", n % 97))
        .collect();
    let time = 1_700_000_000_000_000_000 + (n / 100) as i64 * 10_000_000_000;
    record(
        n,
        format!(
            "cpu,cpu=cpu{},host=node-1 {} {time}",
            n % 100,
            fields.join(",")
        ),
    )
}

/// A number that looks random, the same for the same `n`.
fn id(n: usize) -> u64 {
    (n as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
