//! The broker under test: ours or Apache Kafka, started fresh and ended with what it made.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

/// User and system CPU time of a process, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// In the process's own code.
    pub(crate) user: f64,
    /// In the kernel on its behalf.
    pub(crate) system: f64,
}

impl std::ops::Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
        }
    }
}

/// CPU time that a process has used so far.
pub(crate) fn cpu(pid: u32) -> anyhow::Result<Cpu> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read stat")?;
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |i: usize| {
        fields
            .get(i)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    let hertz = rustix::param::clock_ticks_per_second() as f64;
    Ok(Cpu {
        user: ticks(11) / hertz,
        system: ticks(12) / hertz,
    })
}

/// A memory figure (`VmRSS`, `VmHWM`) of a process in MiB.
pub(crate) fn memory_mib(pid: u32, figure: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

/// A process of the product that said `ready`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// The `ready` line.
    pub(crate) ready: String,
}

impl Process {
    /// Starts it and waits for its `ready` line.
    pub(crate) fn start(binary: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(args)
            .env("LOGWAY_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let stdout = child.stdout.take().context("a pipe")?;
        let mut lines = BufReader::new(stdout).lines();
        let ready = lines.find_map(|line| line.ok().filter(|line| line.starts_with("ready")));
        let Some(ready) = ready else {
            bail!(
                "`{}` ended before it was ready: {:?}",
                args.join(" "),
                child.wait()
            );
        };
        Ok(Self { child, ready })
    }

    /// Process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Value of `name=value` in the `ready` line.
    pub(crate) fn address(&self, name: &str) -> anyhow::Result<String> {
        let prefix = format!("{name}=");
        let found = self
            .ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix(&prefix));
        found
            .map(str::to_owned)
            .with_context(|| format!("no {prefix} in `{}`", self.ready))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

/// What runs behind a [`Server`].
#[derive(Debug)]
enum Runs {
    Logway {
        _process: Process,
    },
    Kafka {
        script: PathBuf,
        port: u16,
        folder: PathBuf,
    },
}

/// A broker that serves, with a folder of its own.
#[derive(Debug)]
pub(crate) struct Server {
    /// `logway` or `kafka`.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) bootstrap: String,
    /// Process id of the broker itself.
    pub(crate) pid: u32,
    /// From exec until it served.
    pub(crate) started_in: Duration,
    runs: Runs,
    _folder: TempDir,
}

impl Server {
    /// Starts our broker on an empty folder.
    pub(crate) fn logway(binary: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder")?;
        let data = folder.path().join("data").display().to_string();
        let begun = Instant::now();
        let args = ["broker", "--data-dir", &data, "--listen", "127.0.0.1:0"];
        let process = Process::start(binary, &args)?;
        Ok(Self {
            name: "logway",
            bootstrap: process.address("kafka")?,
            pid: process.pid(),
            started_in: begun.elapsed(),
            runs: Runs::Logway { _process: process },
            _folder: folder,
        })
    }

    /// Starts Apache Kafka on an empty folder.
    pub(crate) fn kafka(script: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder")?;
        // The script wants the first of a range of ports.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let run = folder.path().join("run");
        let mut server = Self {
            name: "kafka",
            bootstrap: format!("127.0.0.1:{port}"),
            pid: 0,
            started_in: Duration::ZERO,
            runs: Runs::Kafka {
                script: script.to_owned(),
                port,
                folder: run.clone(),
            },
            _folder: folder,
        };
        let said = server.script(&["start", "1"])?;
        // `serving on HOST:PORT after N ms`: the JVM's own start, without formatting the folder.
        let ms = said
            .split_whitespace()
            .rev()
            .nth(1)
            .and_then(|ms| ms.parse().ok());
        server.started_in = Duration::from_millis(ms.context("the script's start time")?);
        let pid = std::fs::read_to_string(run.join("1/pid")).context("Kafka's pid")?;
        server.pid = pid.trim().parse().context("Kafka's pid")?;
        Ok(server)
    }

    fn script(&self, args: &[&str]) -> anyhow::Result<String> {
        let Runs::Kafka {
            script,
            port,
            folder,
        } = &self.runs
        else {
            return Ok(String::new());
        };
        let output = Command::new(script)
            .args(args)
            .env("KAFKA_PORT", port.to_string())
            .env("KAFKA_RUN", folder)
            .output()
            .context("run Kafka's script")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.runs, Runs::Kafka { .. }) {
            drop(self.script(&["stop"]));
        }
    }
}

/// Our broker and, if asked for, the peer; both running side by side, used in turn.
pub(crate) fn pair(binary: &Path, peer: Option<&Path>) -> anyhow::Result<Vec<Server>> {
    let mut servers = vec![Server::logway(binary)?];
    if let Some(script) = peer {
        servers.push(Server::kafka(script)?);
    }
    Ok(servers)
}
