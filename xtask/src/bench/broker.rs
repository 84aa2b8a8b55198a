//! The broker beside Apache Kafka: produce, fetch, latency, memory, start.

use std::path::Path;

use anyhow::Context;
use logway_protocol::compression::Compression;

use super::load::{Moved, Produce};
use super::report::Report;
use super::server::{Server, cpu, memory_mib};
use super::{load, peer, server};
use crate::BenchArgs;

/// Seconds of load before anything is measured: a cold JVM costs two to three times as much.
const WARM_UP_SECONDS: u64 = 10;

/// A produce case, in words and as a run.
fn cases() -> Vec<(&'static str, Produce)> {
    let large = Produce {
        record_bytes: 1024,
        batch_bytes: 256 << 10,
        partitions: 3,
        connections: 1,
        acks: 1,
        compression: Compression::None,
    };
    let small = Produce {
        record_bytes: 100,
        batch_bytes: 16 << 10,
        ..large
    };
    vec![
        ("produce 1 KiB, 256 KiB batches, 1 connection", large),
        (
            "produce 1 KiB, 256 KiB batches, 3 connections",
            Produce {
                connections: 3,
                ..large
            },
        ),
        ("produce 100 B, 16 KiB batches, 1 connection", small),
        (
            "produce 100 B, 16 KiB batches, 3 connections",
            Produce {
                connections: 3,
                ..small
            },
        ),
        (
            "produce 1 KiB, lz4, 1 connection",
            Produce {
                compression: Compression::Lz4,
                ..large
            },
        ),
        (
            "produce 1 KiB, acks=all, 3 connections",
            Produce {
                connections: 3,
                acks: -1,
                ..large
            },
        ),
    ]
}

/// Runs every case on every server in turn.
pub(crate) fn run(args: &BenchArgs, binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let script = peer(args)?;
    let servers = server::pair(binary, script.as_deref())?;
    for server in &servers {
        report.add(
            "start",
            "exec to serving, ms",
            server.name,
            server.started_in.as_secs_f64() * 1e3,
        );
        report.add(
            "idle after start",
            "RSS, MiB",
            server.name,
            memory_mib(server.pid, "VmRSS"),
        );
        warm_up(server)?;
    }
    for _ in 0..args.rounds {
        for (name, case) in cases() {
            for server in &servers {
                produce(server, name, &case, args.seconds, report)?;
            }
        }
        for server in &servers {
            fetch(server, args.seconds, report)?;
            latency(server, args.seconds, report)?;
        }
    }
    for server in &servers {
        report.add(
            "after all",
            "peak RSS, MiB",
            server.name,
            memory_mib(server.pid, "VmHWM"),
        );
    }
    Ok(())
}

fn warm_up(server: &Server) -> anyhow::Result<()> {
    let (_, case) = cases().swap_remove(1);
    load::fresh_topic(&server.bootstrap, "bench", case.partitions)?;
    load::produce(&server.bootstrap, "bench", &case, WARM_UP_SECONDS)?;
    load::fetch(&server.bootstrap, "bench", 1, 2).context("warm up")?;
    Ok(())
}

/// Adds speed and CPU cost of what was moved.
fn add(report: &mut Report, name: &str, server: &Server, moved: Moved, used: server::Cpu) {
    let gigabytes = moved.bytes as f64 / 1e9;
    report.add(
        name,
        "MB/s",
        server.name,
        moved.bytes as f64 / 1e6 / moved.seconds,
    );
    if moved.records > 0 {
        report.add(
            name,
            "records/s",
            server.name,
            moved.records as f64 / moved.seconds,
        );
    }
    report.add(
        name,
        "server CPU, s/GB",
        server.name,
        (used.user + used.system) / gigabytes,
    );
    report.add(name, "of it user, s/GB", server.name, used.user / gigabytes);
}

fn produce(
    server: &Server,
    name: &str,
    case: &Produce,
    seconds: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    load::fresh_topic(&server.bootstrap, "bench", case.partitions)?;
    let before = cpu(server.pid)?;
    let moved = load::produce(&server.bootstrap, "bench", case, seconds)
        .with_context(|| format!("{name} on {}", server.name))?;
    add(report, name, server, moved, cpu(server.pid)? - before);
    Ok(())
}

fn fetch(server: &Server, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    let (_, case) = cases().swap_remove(0);
    load::fresh_topic(&server.bootstrap, "bench", case.partitions)?;
    load::produce(&server.bootstrap, "bench", &case, 1)?;
    for (name, connections) in [
        ("fetch 1 MiB a request, page cache, 1 connection", 1),
        ("fetch 1 MiB a request, page cache, 3 connections", 3),
    ] {
        let before = cpu(server.pid)?;
        let moved = load::fetch(&server.bootstrap, "bench", connections, seconds)?;
        add(report, name, server, moved, cpu(server.pid)? - before);
    }
    Ok(())
}

fn latency(server: &Server, seconds: u64, report: &mut Report) -> anyhow::Result<()> {
    for (name, acks) in [
        ("one 100 B record at a time, acks=1", 1),
        ("one 100 B record at a time, acks=all", -1),
    ] {
        load::fresh_topic(&server.bootstrap, "bench", 1)?;
        let before = cpu(server.pid)?;
        let times = load::one_at_a_time(&server.bootstrap, "bench", acks, seconds)?;
        let used = cpu(server.pid)? - before;
        let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied();
        report.add(name, "p50, µs", server.name, at(0.50).unwrap_or(f64::NAN));
        report.add(name, "p99, µs", server.name, at(0.99).unwrap_or(f64::NAN));
        let each = (used.user + used.system) * 1e6 / times.len().max(1) as f64;
        report.add(name, "server CPU per request, µs", server.name, each);
    }
    Ok(())
}
