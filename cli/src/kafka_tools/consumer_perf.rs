//! `kafka-consumer-perf-test`: how fast records come.
//!
//! Invariant: time until the first assignment counts as rebalance, the rest as fetching.

mod date_format;

use std::time::{Duration, Instant};

use logway_client::{AutoOffsetReset, ConsumeError, Consumer, ConsumerConfig, Polled};

use super::connect::{self, CLUSTER};
use super::exception::Exception;
use super::options::{Opt, Parsed, flag, maybe, value};
use super::output::{End, out};
use super::properties::{self, Properties};
use super::{Misread, Tool, consumer_config, ended};
use crate::progress::Progress;
use date_format::DateFormat;

pub(super) const TOOL: Tool = Tool {
    name: "kafka-consumer-perf-test",
    options: &[&CLUSTER, &OPTIONS],
    run: |parsed| Box::pin(super::until_stopped(run(parsed))),
    ended,
    misread: Misread::Table,
};

const OPTIONS: [Opt; 18] = [
    value("broker-list", "The old name of --bootstrap-server."),
    value("topic", "Topic to read."),
    value("include", "A regular expression of topics to read."),
    value("num-records", "Records to read."),
    value("messages", "The old name of --num-records."),
    value("group", "Group to read as."),
    value("fetch-size", "Bytes of one partition in an answer."),
    flag(
        "from-latest",
        "Begin after the last record instead of with the first.",
    ),
    value(
        "socket-buffer-size",
        "Bytes of the socket's buffer; the system chooses.",
    ),
    value("consumer.config", "The old name of --command-config."),
    value("command-property", "A client setting, name=value."),
    flag(
        "print-metrics",
        "Without effect: this consumer counts nothing else.",
    ),
    flag("show-detailed-stats", "A line each interval."),
    maybe(
        "timeout",
        "Milliseconds without a record after which it ends (10000).",
    ),
    value("reporting-interval", "Milliseconds between reports (5000)."),
    flag("hide-header", "No header line."),
    value(
        "date-format",
        "How times are written, in the letters of Java (yyyy-MM-dd HH:mm:ss:SSS).",
    ),
    value("threads", "Without effect."),
];

const MEBIBYTE: f64 = 1024.0 * 1024.0;
const TIMEOUT_MS: u64 = 10_000;
const REPORT_MS: u64 = 5_000;
/// How times are written, in the letters of Java.
const TIMES: &str = "yyyy-MM-dd HH:mm:ss:SSS";
const POLL: Duration = Duration::from_millis(100);

/// What was read so far.
#[derive(Debug, Clone, Copy, Default)]
struct Read {
    records: u64,
    bytes: u64,
    rebalance: Duration,
}

/// When to end, and what to say on the way.
struct Plan {
    records: u64,
    silence: Duration,
    report: Option<Duration>,
    times: DateFormat,
    progress: Progress,
}

async fn run(parsed: &Parsed) -> Result<u8, End> {
    let plan = plan(parsed)?;
    let bootstrap = connect::bootstrap(parsed)
        .or_else(|| parsed.get("broker-list").map(str::to_owned))
        .ok_or_else(|| End::Usage("Missing required argument \"[bootstrap-server]\"".to_owned()))?;
    let consumer = Consumer::new(config(&bootstrap, parsed)?).map_err(|error| {
        Exception::new(
            "org.apache.kafka.common.config.ConfigException",
            error.to_string(),
        )
    })?;
    if !parsed.has("hide-header") {
        let first = if plan.report.is_some() {
            "time, threadId"
        } else {
            "start.time, end.time"
        };
        out(format!(
            "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, \
             rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
        ));
    }
    let (wall, begun) = (plan.times.now(), Instant::now());
    let subscribed = match (parsed.get("topic"), parsed.get("include")) {
        (None, Some(pattern)) => consumer.subscribe_pattern(pattern).await,
        (topic, _) => consumer.subscribe(topic).await,
    };
    subscribed.map_err(|error| {
        let class = match error {
            ConsumeError::InvalidPattern { .. } => "java.util.regex.PatternSyntaxException",
            _ => "org.apache.kafka.common.KafkaException",
        };
        Exception::new(class, error.to_string())
    })?;
    let read = read(&consumer, &plan, begun).await?;
    let elapsed = begun.elapsed();
    plan.progress.finish();
    if read.records < plan.records {
        out(format!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) \
             exceeded. You can use the --timeout option to increase the timeout.",
            plan.silence.as_millis()
        ));
    }
    if plan.report.is_none() {
        out(format!(
            "{wall}, {}, {}",
            plan.times.now(),
            figures(read, read, elapsed, read.rebalance)
        ));
    }
    consumer.close().await;
    Ok(0)
}

fn plan(parsed: &Parsed) -> Result<Plan, End> {
    for pair in [["topic", "include"], ["messages", "num-records"]] {
        if parsed.has(pair[0]) == parsed.has(pair[1]) {
            return Err(End::Usage(format!(
                "Exactly one of the following arguments is required: [{}], [{}]",
                pair[0], pair[1]
            )));
        }
    }
    if parsed.has("messages") {
        out("Warning: --messages is deprecated. Use --num-records instead.");
    }
    let mut records = 0;
    for name in ["num-records", "messages"] {
        if let Some(wanted) = parsed.number::<i64>(name).map_err(End::Usage)? {
            // Less than nothing is nothing.
            records = u64::try_from(wanted).unwrap_or(0);
        }
    }
    let number = |name: &str| parsed.number::<u64>(name).map_err(End::Usage);
    let every = Duration::from_millis(number("reporting-interval")?.unwrap_or(REPORT_MS));
    Ok(Plan {
        records,
        progress: parsed.bar(records),
        silence: Duration::from_millis(number("timeout")?.unwrap_or(TIMEOUT_MS)),
        report: parsed.has("show-detailed-stats").then_some(every),
        times: DateFormat::of(parsed.get("date-format").unwrap_or(TIMES))?,
    })
}

fn config(bootstrap: &str, parsed: &Parsed) -> Result<ConsumerConfig, Exception> {
    let mut settings: Properties = connect::settings(parsed)?;
    if let Some(path) = parsed.get("consumer.config") {
        settings.extend(properties::read(path)?);
    }
    settings.extend(parsed.all("command-property").map(properties::pair));
    let mut config = consumer_config::of(bootstrap, &settings, "perf-consumer-client")?;
    let group = parsed.get("group").map(str::to_owned).or(config.group_id);
    config.group_id =
        Some(group.unwrap_or_else(|| format!("perf-consumer-{}", std::process::id())));
    config.auto_offset_reset = if parsed.has("from-latest") {
        AutoOffsetReset::Latest
    } else {
        AutoOffsetReset::Earliest
    };
    let size: Option<i32> = parsed.number("fetch-size").map_err(Exception::conversion)?;
    if let Some(size) = size {
        config.max_partition_fetch_bytes = size;
    }
    Ok(config)
}

async fn read(consumer: &Consumer, plan: &Plan, begun: Instant) -> Result<Read, End> {
    let mut read = Read::default();
    let mut heard = Instant::now();
    let (mut reported, mut before) = (Instant::now(), read);
    let mut joining = Some(begun);
    let mut is_first = true;
    while read.records < plan.records && heard.elapsed() < plan.silence {
        let polled = consumer.poll(POLL).await.map_err(|error| {
            Exception::new("org.apache.kafka.common.KafkaException", error.to_string())
        })?;
        match polled {
            Polled::Records(records) => {
                read.records += records.len() as u64;
                plan.progress.add(records.len() as u64);
                let length =
                    |part: &Option<bytes::Bytes>| part.as_ref().map_or(0, bytes::Bytes::len);
                let bytes = records.iter().map(|r| length(&r.key) + length(&r.value));
                read.bytes += bytes.sum::<usize>() as u64;
                heard = Instant::now();
            }
            Polled::Assigned(_) => {
                if let Some(since) = joining.take() {
                    read.rebalance += since.elapsed();
                }
            }
            Polled::Revoked(_) | Polled::Lost(_) => joining = Some(Instant::now()),
            _ => {}
        }
        if let Some(every) = plan.report
            && (reported.elapsed() >= every || is_first && read.records >= plan.records)
        {
            // A run shorter than an interval has one line, too.
            is_first = false;
            let part = Read {
                records: read.records - before.records,
                bytes: read.bytes - before.bytes,
                rebalance: read.rebalance - before.rebalance,
            };
            let figures = figures(read, part, reported.elapsed(), part.rebalance);
            let line = format!("{}, 0, {figures}", plan.times.now());
            plan.progress.aside(|| out(line));
            (reported, before) = (Instant::now(), read);
        }
    }
    Ok(read)
}

/// What was read in all, and how fast it went in the last `elapsed`.
fn figures(all: Read, part: Read, elapsed: Duration, rebalance: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let fetching = elapsed.saturating_sub(rebalance);
    let fetch_seconds = fetching.as_secs_f64().max(1e-3);
    let (bytes, records) = (part.bytes as f64 / MEBIBYTE, part.records as f64);
    format!(
        "{:.4}, {:.4}, {}, {:.4}, {}, {}, {:.4}, {:.4}",
        all.bytes as f64 / MEBIBYTE,
        bytes / seconds,
        all.records,
        records / seconds,
        rebalance.as_millis(),
        fetching.as_millis(),
        bytes / fetch_seconds,
        records / fetch_seconds
    )
}
