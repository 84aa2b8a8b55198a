//! Kafka's own perf tools against both: clients that nobody here wrote, with all that a Java client costs.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;

use super::stage::{Stage, TOPIC};
use super::{Case, Figures, e2e};
use crate::bench::disk;
use crate::bench::leftovers::Watched;
use crate::bench::load::{self, Paced};
use crate::bench::server::System;

/// Records that a producer run sends for every second that was asked for.
const RECORDS_PER_SECOND: u64 = 400_000;
/// The stream beside the latency tool lasts as long as the tool takes, but not for ever.
const STREAM_TIME: Duration = Duration::from_secs(300);
/// Topic of that stream.
const STREAM: &str = "stream";

/// The case that something must be reached in.
pub(super) const E2E_LOADED: &str = "kafka-e2e-latency, 100 B, acks=1, 10 % load beside it";

/// What the producer is told.
#[derive(Debug, Clone, Copy)]
struct Producer {
    name: &'static str,
    record_bytes: u64,
    properties: &'static [&'static str],
}

/// Producer and consumer, tuned and by default; latency, idle and at 10 % load.
pub(super) fn cases() -> Vec<Case> {
    let producers = [
        Producer {
            name: "perf-test tools, 1 KiB, acks=1, 256 KiB batches",
            record_bytes: 1024,
            properties: &["acks=1", "batch.size=262144", "linger.ms=5"],
        },
        Producer {
            name: "perf-test tools, 100 B, defaults (acks=all, idempotent)",
            record_bytes: 100,
            properties: &["linger.ms=5"],
        },
    ];
    let mut cases: Vec<Case> = producers
        .into_iter()
        .map(|run| {
            let parameters =
                json!({ "record_bytes": run.record_bytes, "producer": run.properties });
            Case::new(run.name, parameters, move |stage, system, figures| {
                throughput(stage, system, &run, figures)
            })
        })
        .collect();
    let loads = [("kafka-e2e-latency, 100 B, acks=1", 0.0), (E2E_LOADED, 0.1)];
    cases.extend(loads.map(|(name, load)| {
        let parameters = json!({ "record_bytes": 100, "load_percent": load * 100.0 });
        Case::new(name, parameters, move |stage, system, figures| {
            latency(stage, system, load, figures)
        })
    }));
    cases
}

/// Runs a tool to its end; returns what it said.
fn tool(stage: &Stage, args: &[&str]) -> anyhow::Result<String> {
    let child = Command::new(stage.script()?)
        .arg("tool")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run Kafka's tool")?;
    let _watched = Watched::new(child.id());
    let output = child.wait_with_output().context("wait for Kafka's tool")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        args.first().unwrap_or(&""),
        output.status,
        errors
            .lines()
            .chain(said.lines())
            .next()
            .unwrap_or_default()
    );
    Ok(said)
}

/// The number before a word of a line.
pub(super) fn before(line: &str, word: &str) -> Option<f64> {
    let at = line.find(word)?;
    let text = line.get(..at)?.trim_end();
    let number = text.rsplit([' ', '(']).next()?;
    number.parse().ok()
}

/// The number after a word of a line.
pub(super) fn after(line: &str, word: &str) -> Option<f64> {
    let text = line.split(word).nth(1)?.trim_start();
    let end = text.find([',', ' ', '\n']).unwrap_or(text.len());
    text.get(..end)?.trim().parse().ok()
}

fn throughput(
    stage: &mut Stage,
    system: System,
    run: &Producer,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    // As a user has it by default: Kafka's acks=all does not wait for the disk.
    let target = stage.warm(system, false)?;
    let count = RECORDS_PER_SECOND * stage.time.as_secs() * 1024 / run.record_bytes.max(512);
    let (records, bytes) = (count.to_string(), run.record_bytes.to_string());
    let gigabytes = (count * run.record_bytes) as f64 / 1e9;
    let mb = |records_per_second: f64| records_per_second * run.record_bytes as f64 / 1e6;
    let address = target.address.as_str();
    target.on_topic(3, &[], || {
        let mut args = vec!["kafka-producer-perf-test", "--bootstrap-server", address];
        args.extend(["--topic", TOPIC, "--num-records", &records]);
        args.extend(["--record-size", &bytes, "--throughput", "-1"]);
        args.push("--command-property");
        args.extend(run.properties);
        let (said, used, _) = target.with_cpu(|| tool(stage, &args))?;
        let line = said.lines().rfind(|line| line.contains(" 99th"));
        let line = line.with_context(|| format!("no result in: {said}"))?;
        let speed = before(line, " records/sec").context("records/sec")?;
        figures.push(("producer, MB/s", mb(speed)));
        figures.push((
            "producer's p50, ms",
            before(line, " ms 50th").unwrap_or(f64::NAN),
        ));
        figures.push((
            "producer's p99, ms",
            before(line, " ms 99th").unwrap_or(f64::NAN),
        ));
        figures.push(("producer: server CPU, s/GB", used.total() / gigabytes));

        let mut args = vec!["kafka-consumer-perf-test", "--bootstrap-server", address];
        args.extend([
            "--topic",
            TOPIC,
            "--num-records",
            &records,
            "--timeout",
            "30000",
        ]);
        let (said, used, _) = target.with_cpu(|| tool(stage, &args))?;
        let speed = column(&said, "fetch.nMsg.sec").with_context(|| format!("in: {said}"))?;
        figures.push(("consumer, MB/s", mb(speed)));
        figures.push(("consumer: server CPU, s/GB", used.total() / gigabytes));
        Ok(())
    })
}

/// A column of the consumer tool's only row.
pub(super) fn column(said: &str, name: &str) -> Option<f64> {
    let mut lines = said.lines().skip_while(|line| !line.contains(name));
    let at = lines
        .next()?
        .split(", ")
        .position(|column| column.trim() == name)?;
    lines.next()?.split(", ").nth(at)?.trim().parse().ok()
}

fn latency(
    stage: &mut Stage,
    system: System,
    load: f64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let rate = if load > 0.0 {
        e2e::saturation(stage)? * load
    } else {
        0.0
    };
    let target = stage.warm(system, true)?;
    let address = target.address.as_str();
    let records = (1000 * stage.time.as_secs()).min(10_000).to_string();
    let args = ["kafka-e2e-latency", address, TOPIC, &records, "1", "100"];
    let run = Paced {
        topic: STREAM,
        shape: &e2e::SHAPE,
        batches_per_second: rate,
        time: STREAM_TIME,
    };
    let said = target.on_topic(1, &[], || {
        if load == 0.0 {
            return tool(stage, &args);
        }
        load::topics::create(address, STREAM, 1, &[])?;
        let said = load::while_flowing(address, &run, || tool(stage, &args));
        load::topics::delete(address, STREAM)?;
        disk::settle(&target.data, STREAM)?;
        said
    })?;
    let percentiles = said.lines().find(|line| line.starts_with("Percentiles"));
    let line = percentiles.with_context(|| format!("no result in: {said}"))?;
    let figure = |word: &str| after(line, word).with_context(|| format!("{word} in: {line}"));
    let average = said.lines().find_map(|line| after(line, "Avg latency:"));
    figures.push(("average, ms", average.unwrap_or(f64::NAN)));
    figures.push(("p50, ms", figure("50th =")?));
    figures.push(("p99, ms", figure(" 99th =")?));
    figures.push(("p99.9, ms", figure("99.9th =")?));
    Ok(())
}
