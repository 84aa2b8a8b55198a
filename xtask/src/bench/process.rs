//! Processes under test and what the kernel says about them: CPU time, memory, open files.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

use super::leftovers::Watched;

/// User and system CPU time of a process, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// In the process's own code.
    pub(crate) user: f64,
    /// In the kernel on its behalf.
    pub(crate) system: f64,
}

impl Cpu {
    /// Both.
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
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

/// CPU time that a process has used so far, in steps of a clock tick (10 ms).
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

/// Seconds that the threads which now live have run, to the nanosecond: for times below a clock tick.
pub(crate) fn thread_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut nanoseconds = 0.0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).context("list threads")? {
        let file = task.context("list threads")?.path().join("schedstat");
        // A thread may end between the list and this.
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let run = text
            .split_whitespace()
            .next()
            .and_then(|ns| ns.parse().ok());
        nanoseconds += run.unwrap_or(0.0);
    }
    Ok(nanoseconds / 1e9)
}

/// A memory figure (`VmRSS`, `VmHWM`) of a process in MB (a million bytes).
pub(crate) fn memory_mb(pid: u32, figure: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(figure)?.strip_prefix(':'));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

/// Bytes that a process had read from disk, not from the page cache.
pub(crate) fn disk_read_bytes(pid: u32) -> anyhow::Result<f64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).context("read io")?;
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.and_then(|bytes| bytes.parse().ok())
        .context("no read_bytes")
}

/// Open file descriptors of a process: files, sockets and the rest.
pub(crate) fn open_files(pid: u32) -> anyhow::Result<f64> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).context("list open files")?;
    Ok(files.count() as f64)
}

/// Whether a process has ended; one that nobody has waited for yet counts as ended.
pub(crate) fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    state.is_empty() || state.starts_with(['Z', 'X'])
}

/// A process of the product that said `ready`; killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    _watched: Watched,
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
        let watched = Watched::new(child.id());
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
        Ok(Self {
            child,
            _watched: watched,
            ready,
        })
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
