//! Many partitions in one topic: made in one go, a record to each, memory, open files, and starting again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use rustix::process::Signal;
use serde_json::json;

use super::restart::again;
use super::stage::{Stage, TOPIC};
use super::{Case, Figures};
use crate::bench::load::topics;
use crate::bench::process::{memory_mb, open_files};
use crate::bench::server::{Setup, System};

/// How long memory may settle before it is looked at.
const SETTLE: Duration = Duration::from_secs(2);

/// Name of the case.
pub(super) fn name(partitions: i32) -> String {
    format!("{partitions} partitions")
}

/// One, five and ten thousand.
pub(super) fn cases() -> Vec<Case> {
    let case = |partitions: i32| {
        let parameters = json!({ "partitions": partitions });
        let mut case = Case::new(
            name(partitions),
            parameters,
            move |stage, system, figures| measure(stage, system, partitions, figures),
        );
        case.long = partitions != 5000;
        case
    };
    [1000, 5000, 10_000].into_iter().map(case).collect()
}

fn measure(
    stage: &mut Stage,
    system: System,
    partitions: i32,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    stage.rest()?;
    let mut server = stage.fresh(system, Setup::PLAIN)?.start()?;
    let address = server.bootstrap.clone();
    std::thread::sleep(SETTLE);
    let (memory, files) = (memory_mb(server.pid, "VmRSS"), open_files(server.pid)?);
    let kib_each = |now: f64| (now - memory) * 1e6 / 1024.0 / f64::from(partitions);

    let begun = Instant::now();
    topics::ask_to_create(&address, TOPIC, partitions, &[])?;
    figures.push(("create: answered, s", begun.elapsed().as_secs_f64()));
    server.wait_until(begun, || {
        topics::serves(&address, TOPIC, partitions).map(|()| true)
    })?;
    figures.push(("create: all served, s", begun.elapsed().as_secs_f64()));
    std::thread::sleep(SETTLE);
    let idle = memory_mb(server.pid, "VmRSS");
    figures.push(("RSS with empty partitions, MB", idle));
    figures.push(("RSS per empty partition, KiB", kib_each(idle)));

    let begun = Instant::now();
    topics::produce_to_all(&address, TOPIC, partitions)?;
    figures.push(("a record to each, s", begun.elapsed().as_secs_f64()));
    std::thread::sleep(SETTLE);
    figures.push(("RSS, MB", memory_mb(server.pid, "VmRSS")));
    let files_each =
        |pid: u32| open_files(pid).map(|now| (now - files).max(0.0) / f64::from(partitions));
    figures.push(("open files per partition", files_each(server.pid)?));

    let ended = server.end(Signal::TERM)?;
    figures.push(("clean end, s", ended.as_secs_f64()));
    figures.push((
        "clean restart to ready, s",
        again(&mut server, partitions)? / 1e3,
    ));
    std::thread::sleep(SETTLE);
    let idle = memory_mb(server.pid, "VmRSS");
    figures.push(("RSS after restart, MB", idle));
    figures.push(("RSS per partition after restart, KiB", kib_each(idle)));
    figures.push((
        "open files per partition after restart",
        files_each(server.pid)?,
    ));

    server.end(Signal::KILL)?;
    figures.push((
        "restart after SIGKILL to ready, s",
        again(&mut server, partitions)? / 1e3,
    ));
    let kept = topics::records(&address, TOPIC, partitions)?;
    let expected = i64::from(partitions) + 2;
    ensure!(kept == expected, "{kept} records are left of {expected}");
    Ok(())
}
