//! Memory and idle cost: a fresh server that nobody talks to, and one under full load.

use std::time::Duration;

use serde_json::json;

use super::produce::{LARGE, SMALL};
use super::stage::{Stage, TOPIC, Target};
use super::{Case, Figures};
use crate::bench::load::{self, Batch, Fetch, Limit, Until};
use crate::bench::process::{memory_mb, open_files, thread_seconds};
use crate::bench::server::{Setup, System};

/// How long a server may settle after its start, and how long it is watched.
const SETTLE: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(10);

/// The cases that something must be reached in.
pub(super) const IDLE: &str = "idle after start";
pub(super) const PEAK: &str = "full load, 3 partitions, 3 producers, 3 consumers";

/// Idle and under load.
pub(super) fn cases() -> Vec<Case> {
    let idle = json!({ "settle_seconds": SETTLE.as_secs(), "watch_seconds": WATCH.as_secs() });
    let peak = json!({ "partitions": 3, "producers": 3, "consumers": 3 });
    vec![
        Case::new(IDLE, idle, self::idle),
        Case::new(PEAK, peak, self::peak),
    ]
}

fn idle(stage: &mut Stage, system: System, figures: &mut Figures) -> anyhow::Result<()> {
    stage.rest()?;
    let server = stage.fresh(system, Setup::PLAIN)?.start()?;
    std::thread::sleep(SETTLE);
    figures.push(("RSS, MB", memory_mb(server.pid, "VmRSS")));
    figures.push(("open files", open_files(server.pid)?));
    let before = thread_seconds(server.pid)?;
    std::thread::sleep(WATCH);
    let used = thread_seconds(server.pid)? - before;
    figures.push(("CPU, % of a core", used / WATCH.as_secs_f64() * 100.0));
    Ok(())
}

fn peak(stage: &mut Stage, system: System, figures: &mut Figures) -> anyhow::Result<()> {
    stage.rest()?;
    let setup = Setup {
        prompt: true,
        ..Setup::PLAIN
    };
    let server = stage.fresh(system, setup)?.start()?;
    let target = Target::of(&server);
    stage.warm_up(&target)?;
    let address = target.address.as_str();
    for shape in [LARGE, SMALL] {
        let batch = Batch::encode(&shape, &[])?;
        let send = |bytes: u64| {
            let limit = Limit {
                bytes,
                ..stage.limit()
            };
            load::produce(address, (TOPIC, 3), &batch, (3, 1), limit)
        };
        target.on_topic(3, &[], || {
            // Something to read for the consumers that start with the producers.
            send(10_000_000)?;
            let run = Fetch {
                topic: TOPIC,
                batch: &batch,
                connections: 3,
                read_all: stage.read_all,
            };
            std::thread::scope(|scope| {
                let read = scope.spawn(|| load::fetch(address, run, Until::Time(stage.time)));
                let sent = send(stage.limit().bytes);
                let read = read.join();
                read.map_err(|_| anyhow::anyhow!("a worker panicked"))??;
                sent
            })
        })?;
    }
    figures.push(("peak RSS, MB", memory_mb(server.pid, "VmHWM")));
    figures.push(("RSS afterwards, MB", memory_mb(server.pid, "VmRSS")));
    Ok(())
}
