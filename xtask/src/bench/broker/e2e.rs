//! From a record's due time to a consumer, at a fixed rate: a tenth and a half of what the slower of the
//! systems takes at most, the same on both.

use std::time::Duration;

use logway_protocol::compression::Compression;
use serde_json::json;

use super::stage::{Stage, TOPIC};
use super::{Case, Figures, percentile};
use crate::bench::load::{self, Batch, Limit, Paced, Shape};
use crate::bench::server::System;

/// What flows.
pub(super) const SHAPE: Shape = Shape {
    record_bytes: 1024,
    batch_bytes: 16 << 10,
    compression: Compression::None,
};

/// At 10 % and 50 %.
pub(super) fn cases() -> Vec<Case> {
    let case = |percent: u32| {
        let name = format!("end to end, 1 KiB records in 16 KiB batches, {percent} % load");
        let parameters = json!({ "record_bytes": SHAPE.record_bytes,
            "batch_bytes": SHAPE.batch_bytes, "load_percent": percent });
        Case::new(name, parameters, move |stage, system, figures| {
            measure(stage, system, f64::from(percent) / 100.0, figures)
        })
    };
    [10, 50].into_iter().map(case).collect()
}

/// Batches a second that the slower system takes on one connection into one partition.
pub(super) fn saturation(stage: &mut Stage) -> anyhow::Result<f64> {
    if let Some(known) = stage.saturation {
        return Ok(known);
    }
    let batch = Batch::encode(&SHAPE, &[])?;
    let limit = Limit {
        time: Duration::from_secs(2),
        ..stage.limit()
    };
    let mut slowest = f64::INFINITY;
    for system in stage.systems() {
        let target = stage.warm(system, true)?;
        let moved = target.on_topic(1, &[], || {
            load::produce(&target.address, (TOPIC, 1), &batch, (1, 1), limit)
        })?;
        let batches = moved.bytes as f64 / batch.bytes.len() as f64;
        slowest = slowest.min(batches / moved.seconds);
    }
    stage.saturation = Some(slowest);
    Ok(slowest)
}

fn measure(
    stage: &mut Stage,
    system: System,
    part: f64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let rate = saturation(stage)? * part;
    let target = stage.warm(system, true)?;
    let run = Paced {
        topic: TOPIC,
        shape: &SHAPE,
        batches_per_second: rate,
        time: stage.time,
    };
    let (times, used, _) = target.on_topic(1, &[], || {
        target.with_cpu(|| load::paced(&target.address, &run))
    })?;
    figures.push(("batches/s", rate));
    figures.push(("p50, ms", percentile(&times, 0.5)));
    figures.push(("p99, ms", percentile(&times, 0.99)));
    figures.push(("p99.9, ms", percentile(&times, 0.999)));
    let seconds = stage.time.as_secs_f64();
    figures.push(("server CPU, % of a core", used.total() / seconds * 100.0));
    Ok(())
}
