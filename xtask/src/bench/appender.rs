//! The appender: what a log call costs the caller while records flow, and with the broker gone;
//! beside `tracing-subscriber`'s own JSON formatter into a sink that throws away.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use tracing_subscriber::layer::SubscriberExt;

use super::report::Report;
use super::{load, peer, server};
use crate::BenchArgs;

/// Events between two looks at the clock.
const EVENTS_PER_LOOK: u32 = 100;

/// Logs for `seconds`; returns nanoseconds per event and the slowest hundred in microseconds.
fn log_for(seconds: u64) -> (f64, f64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut events, mut busy, mut slowest) = (0u64, Duration::ZERO, Duration::ZERO);
    while Instant::now() < end {
        let begun = Instant::now();
        for i in 0..EVENTS_PER_LOOK {
            tracing::info!(user = "alice", id = events + u64::from(i), "order placed");
        }
        let took = begun.elapsed();
        (busy, slowest) = (busy + took, slowest.max(took));
        events += u64::from(EVENTS_PER_LOOK);
        // A busy application, not a flood: about a hundred thousand events a second.
        std::thread::sleep(Duration::from_millis(1));
    }
    (
        busy.as_nanos() as f64 / events.max(1) as f64,
        slowest.as_secs_f64() * 1e6,
    )
}

fn add(report: &mut Report, case: &str, system: &str, figures: (f64, f64)) {
    report.add(case, "ns per event", system, figures.0);
    report.add(case, "slowest 100 events, µs", system, figures.1);
}

fn through(address: &str, seconds: u64) -> anyhow::Result<(f64, f64, f64)> {
    let (layer, guard) = logway_appenders::layer(address)
        .topic("app")
        .service("bench")
        .build()
        .context("a layer")?;
    let figures =
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            log_for(seconds)
        });
    let report = guard.flush(Duration::from_secs(2));
    Ok((figures.0, figures.1, report.dropped as f64))
}

/// Logs into each broker, into none, and into the formatter.
pub(crate) fn run(args: &BenchArgs, binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let script = peer(args)?;
    let servers = server::pair(binary, script.as_deref())?;
    for _ in 0..args.rounds {
        for server in &servers {
            load::fresh_topic(&server.bootstrap, "app", 1)?;
            let (ns, slowest, dropped) = through(&server.bootstrap, args.seconds)?;
            let case = format!("logstash JSON to the {} broker", server.name);
            add(report, &case, "logway", (ns, slowest));
            report.add(&case, "events dropped", "logway", dropped);
        }
        // A port that nobody listens on.
        let (ns, slowest, _) = through("127.0.0.1:9", args.seconds)?;
        add(
            report,
            "logstash JSON, broker absent",
            "logway",
            (ns, slowest),
        );
        let json = tracing_subscriber::fmt::layer()
            .json()
            .with_writer(std::io::sink);
        let figures =
            tracing::subscriber::with_default(tracing_subscriber::registry().with(json), || {
                log_for(args.seconds)
            });
        for case in [
            "logstash JSON to the logway broker",
            "logstash JSON, broker absent",
        ] {
            add(report, case, "fmt().json() to a sink", figures);
        }
    }
    Ok(())
}
