//! One small record at a time: what a request costs, and how long its sender waits.

use serde_json::json;

use super::produce::Durable;
use super::stage::{Stage, TOPIC};
use super::{Case, Figures, percentile};
use crate::bench::load;
use crate::bench::server::System;

/// The case that something must be reached in.
pub(super) const ACKS_1: &str = "one 100 B record at a time, acks=1";

/// With each acknowledgement.
pub(super) fn cases() -> Vec<Case> {
    let cases = [
        (ACKS_1, 1, Durable::Later),
        ("one 100 B record at a time, acks=all", -1, Durable::Later),
        (
            "one 100 B record at a time, acks=all with fsync",
            -1,
            Durable::Before,
        ),
    ];
    let case = |(name, acks, durable): (&str, i16, Durable)| {
        let parameters = json!({ "acks": acks, "fsync": durable == Durable::Before });
        Case::new(name, parameters, move |stage, system, figures| {
            measure(stage, system, (acks, durable), figures)
        })
    };
    cases.into_iter().map(case).collect()
}

fn measure(
    stage: &mut Stage,
    system: System,
    (acks, durable): (i16, Durable),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let fsync = durable == Durable::Before;
    let target = stage.warm(system, fsync || acks == 1)?;
    let settings: &[(&str, &str)] = match system {
        System::Kafka if fsync => &[("flush.messages", "1")],
        _ => &[],
    };
    let (times, used, _) = target.on_topic(1, settings, || {
        target.with_cpu(|| load::one_at_a_time(&target.address, TOPIC, acks, stage.time))
    })?;
    figures.push(("p50, µs", percentile(&times, 0.5)));
    figures.push(("p99, µs", percentile(&times, 0.99)));
    figures.push(("p99.9, µs", percentile(&times, 0.999)));
    let requests = times.len().max(1) as f64;
    figures.push(("server CPU per request, µs", used.total() * 1e6 / requests));
    figures.push(("of it user, µs", used.user * 1e6 / requests));
    Ok(())
}
