//! The servers of a run: warm ones that stay, started when first needed, and fresh ones for a case.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use logway_protocol::compression::Compression;

use super::produce::{LARGE, SMALL};
use crate::BenchArgs;
use crate::bench::disk;
use crate::bench::load::{self, Batch, Fetch, Limit, Moved, Until};
use crate::bench::process::{self, Cpu};
use crate::bench::server::{Server, Setup, System};

/// Name of the topic that comes and goes with every sample.
pub(super) const TOPIC: &str = "bench";
/// Bytes after which a produce run ends at the latest: beyond them the kernel holds every writer back to
/// the speed of the disk (`vm.dirty_ratio` of this machine's memory).
const RUN_BYTES_MAX: u64 = 3_000_000_000;
/// Bytes of each of the steps that a warm-up is made of.
const STEP_BYTES: u64 = 1_500_000_000;

/// What a case needs of a server that stays.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Address.
    pub(super) address: String,
    /// Process id.
    pub(super) pid: u32,
    /// Folder of the partitions' folders.
    pub(super) data: PathBuf,
}

/// The servers and what was asked for.
#[derive(Debug)]
pub(super) struct Stage {
    /// Seconds of a run.
    pub(super) time: Duration,
    /// Batches a second that the slower system takes; found when first needed.
    pub(super) saturation: Option<f64>,
    /// Whether fetched records are read into memory.
    pub(super) read_all: bool,
    warm_gb: f64,
    binary: PathBuf,
    script: Option<PathBuf>,
    /// With whether `acks=all` waits for the disk.
    warm: Vec<(bool, Server)>,
}

impl Stage {
    pub(super) fn new(args: &BenchArgs, binary: &Path, script: Option<PathBuf>) -> Self {
        Self {
            time: Duration::from_secs(args.seconds),
            saturation: None,
            read_all: args.read_all,
            warm_gb: args.warm_gb,
            binary: binary.to_owned(),
            script,
            warm: Vec::new(),
        }
    }

    /// The script that runs the peer and its tools.
    pub(super) fn script(&self) -> anyhow::Result<&Path> {
        self.script.as_deref().context("no peer was asked for")
    }

    /// All systems of this run.
    pub(super) fn systems(&self) -> Vec<System> {
        let peer = self.script.as_ref().map(|_| System::Kafka);
        [Some(System::Logway), peer].into_iter().flatten().collect()
    }

    /// A server on an empty folder, not started yet.
    pub(super) fn fresh(&self, system: System, setup: Setup) -> anyhow::Result<Server> {
        match system {
            System::Logway => Server::logway(&self.binary, setup),
            System::Kafka => Server::kafka(self.script()?, setup),
        }
    }

    /// A server that has served for a while; started and warmed when first asked for, or when it has died.
    pub(super) fn warm(&mut self, system: System, fsync: bool) -> anyhow::Result<Target> {
        // The peer's topics say when it syncs, not its own settings.
        let fsync = fsync && system == System::Logway;
        self.warm.retain(|(_, server)| server.lives());
        let mut found = self.warm.iter();
        let found = found.position(|(of, server)| *of == fsync && server.system == system);
        let at = if let Some(at) = found {
            at
        } else {
            let setup = Setup {
                fsync,
                prompt: true,
            };
            let server = self.fresh(system, setup)?.start()?;
            warm_up(&Target::of(&server), self.warm_gb).context("warm up")?;
            self.warm.push((fsync, server));
            self.warm.len() - 1
        };
        Ok(Target::of(&self.warm[at].1))
    }

    /// Ends the servers that stay, so that a fresh one has the machine for itself.
    pub(super) fn rest(&mut self) -> anyhow::Result<()> {
        self.warm.clear();
        disk::write_out(&std::env::temp_dir())
    }

    /// When a produce run ends.
    pub(super) fn limit(&self) -> Limit {
        Limit {
            time: self.time,
            bytes: RUN_BYTES_MAX,
        }
    }

    /// Warms a fresh server up as those that stay were.
    pub(super) fn warm_up(&self, target: &Target) -> anyhow::Result<()> {
        warm_up(target, self.warm_gb).context("warm up")
    }
}

impl Target {
    pub(super) fn of(server: &Server) -> Self {
        Self {
            address: server.bootstrap.clone(),
            pid: server.pid,
            data: server.data.clone(),
        }
    }

    /// Runs `work` on a fresh topic; afterwards the topic is deleted, its space free and the disk quiet.
    pub(super) fn on_topic<T>(
        &self,
        partitions: i32,
        settings: &[(&str, &str)],
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        load::topics::create(&self.address, TOPIC, partitions, settings)?;
        let done = work();
        let gone = load::topics::delete(&self.address, TOPIC)
            .and_then(|()| disk::settle(&self.data, TOPIC));
        let done = done?;
        gone.context("delete the topic")?;
        Ok(done)
    }

    /// Runs `work` and tells how much CPU the server and this process, the generator, used for it.
    pub(super) fn with_cpu<T>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Cpu, Cpu)> {
        let own = std::process::id();
        let before = (process::cpu(self.pid)?, process::cpu(own)?);
        let done = work()?;
        let used = process::cpu(self.pid)? - before.0;
        Ok((done, used, process::cpu(own)? - before.1))
    }
}

/// Adds speed and cost of what was moved.
pub(super) fn add_moved(
    figures: &mut super::Figures,
    (moved, server, generator): (Moved, Cpu, Cpu),
) {
    let gigabytes = moved.bytes as f64 / 1e9;
    figures.push(("MB/s", moved.bytes as f64 / 1e6 / moved.seconds));
    figures.push(("records/s", moved.records as f64 / moved.seconds));
    figures.push(("server CPU, s/GB", server.total() / gigabytes));
    figures.push(("of it user, s/GB", server.user / gigabytes));
    figures.push(("generator CPU, s/GB", generator.total() / gigabytes));
}

/// A cold JVM costs two to three times as much: large and small batches, fetches and single records until
/// `gigabytes` have been taken, topics deleted in between. Ours gets the same.
fn warm_up(target: &Target, gigabytes: f64) -> anyhow::Result<()> {
    let address = target.address.as_str();
    let all = (gigabytes * 1e9) as u64;
    let mut taken = 0;
    let mut shapes = [LARGE, SMALL, LARGE].into_iter().cycle();
    while taken < all {
        let batch = Batch::encode(&shapes.next().unwrap_or(LARGE), &[])?;
        let limit = Limit {
            time: Duration::from_secs(60),
            bytes: STEP_BYTES.min(all - taken),
        };
        taken += target.on_topic(3, &[], || {
            let moved = load::produce(address, (TOPIC, 3), &batch, (3, 1), limit)?;
            let run = Fetch {
                topic: TOPIC,
                batch: &batch,
                connections: 3,
                read_all: false,
            };
            load::fetch(address, run, Until::Time(Duration::from_millis(500)))?;
            load::one_at_a_time(address, TOPIC, 1, Duration::from_millis(500))?;
            // What does not fill a batch for every connection would never come to an end.
            Ok(moved.bytes.max(1_000_000))
        })?;
    }
    debug_assert_eq!(
        LARGE.compression,
        Compression::None,
        "fetches count batches"
    );
    Ok(())
}
