//! Starting again on a log of some gigabytes, after SIGKILL and after a clean end: ready is when the
//! partitions can be read and take a record. What was acknowledged must still be there.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use rustix::process::Signal;
use serde_json::json;

use super::produce::LARGE;
use super::stage::{Stage, TOPIC};
use super::{Case, Figures};
use crate::bench::disk;
use crate::bench::load::{self, Batch, Limit, topics};
use crate::bench::server::{Server, Setup, System};

/// Partitions that the log is spread over.
const PARTITIONS: i32 = 3;

/// With this many gigabytes.
pub(super) fn cases(gigabytes: u64) -> Vec<Case> {
    let name = format!("start again with {gigabytes} GB of log in 3 partitions");
    let parameters = json!({ "gigabytes": gigabytes, "partitions": PARTITIONS });
    let mut case = Case::new(name, parameters, move |stage, system, figures| {
        measure(stage, system, gigabytes, figures)
    });
    case.long = true;
    vec![case]
}

/// Starts a server again; returns the milliseconds until `partitions` partitions can be read and one
/// takes a record.
pub(super) fn again(server: &mut Server, partitions: i32) -> anyhow::Result<f64> {
    let begun = server.launch()?;
    let address = server.bootstrap.clone();
    let took = server.wait_until(begun, || {
        topics::serves(&address, TOPIC, partitions)?;
        topics::takes_record(&address, TOPIC)
    })?;
    Ok(took.as_secs_f64() * 1e3)
}

fn measure(
    stage: &mut Stage,
    system: System,
    gigabytes: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    stage.rest()?;
    let bytes = gigabytes * 1_000_000_000;
    disk::has_space(Path::new(&std::env::temp_dir()), bytes)?;
    let mut server = stage.fresh(system, Setup::PLAIN)?.start()?;
    let address = server.bootstrap.clone();
    topics::create(&address, TOPIC, PARTITIONS, &[])?;
    let batch = Batch::encode(&LARGE, &[])?;
    let limit = Limit {
        time: Duration::from_secs(600),
        bytes,
    };
    let moved = load::produce(&address, (TOPIC, PARTITIONS), &batch, (3, 1), limit)?;
    let mut expected = i64::try_from(moved.records)?;

    server.end(Signal::KILL)?;
    figures.push((
        "restart after SIGKILL to ready, ms",
        again(&mut server, PARTITIONS)?,
    ));
    expected += 1;
    let kept = topics::records(&address, TOPIC, PARTITIONS)?;
    ensure!(
        kept == expected,
        "{kept} records after SIGKILL, {expected} were acknowledged"
    );

    let ended = server.end(Signal::TERM)?;
    figures.push(("clean end, ms", ended.as_secs_f64() * 1e3));
    figures.push((
        "clean restart to ready, ms",
        again(&mut server, PARTITIONS)?,
    ));
    expected += 1;
    let kept = topics::records(&address, TOPIC, PARTITIONS)?;
    ensure!(
        kept == expected,
        "{kept} records after a clean end, {expected} were acknowledged"
    );
    Ok(())
}
