//! One process of the product: started, waited for by its `ready` line, killed or stopped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::DEADLINE;

/// The ten seconds that are promised for a stop, and what a busy machine may add until both the
/// process and whoever waits for it had their turn.
const STOP: Duration = Duration::from_secs(30);

/// A running process. Dropping it kills it, so that a failed test leaves nothing behind.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ready: String,
}

impl Process {
    /// Starts `program` and waits for the line that begins with `ready`. Standard error is
    /// appended to a file in `logs`.
    ///
    /// # Panics
    /// When the process ends or says nothing within [`DEADLINE`]; with its log.
    pub fn start<A: AsRef<OsStr>>(program: &Path, args: &[A], logs: &Path) -> Self {
        Self::try_start(program, args, logs).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`Process::start`], for a process that may refuse to start.
    ///
    /// # Errors
    /// What the process said before it ended, with its exit status.
    pub fn try_start<A: AsRef<OsStr>>(
        program: &Path,
        args: &[A],
        logs: &Path,
    ) -> Result<Self, String> {
        let name = args
            .first()
            .map_or_else(String::new, |a| a.as_ref().to_string_lossy().into());
        let log = logs.join(format!("{name}.log"));
        let stderr = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("open {}: {error}", log.display()))?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| format!("start {}: {error}", program.display()))?;
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let (sender, lines) = mpsc::sync_channel(64);
        std::thread::Builder::new()
            .name(format!("stdout of {name}"))
            .spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            })
            .expect("a thread");
        let mut this = Self {
            name,
            child,
            log,
            ready: String::new(),
        };
        let end = Instant::now() + DEADLINE;
        while let Ok(line) = lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.starts_with("ready") {
                this.ready = line;
                return Ok(this);
            }
        }
        let status = this.child.try_wait().ok().flatten();
        Err(format!(
            "`{}` did not become ready ({status:?}):\n{}",
            this.name,
            this.log()
        ))
    }

    /// The `ready` line.
    pub fn ready(&self) -> &str {
        &self.ready
    }

    /// Value of `name=value` in the `ready` line.
    ///
    /// # Panics
    /// When it is not there.
    pub fn address(&self, name: &str) -> String {
        let prefix = format!("{name}=");
        let found = self
            .ready
            .split_whitespace()
            .find_map(|word| word.strip_prefix(&prefix));
        found
            .unwrap_or_else(|| panic!("no `{prefix}` in `{}`", self.ready))
            .to_owned()
    }

    /// What it wrote to standard error, in this life and earlier ones of the same name.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or(0) * 1024
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub fn kill(mut self) {
        self.end_now();
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Panics
    /// When it takes far longer than the ten seconds that are promised.
    pub fn stop(mut self) -> ExitStatus {
        let pid = self.pid().to_string();
        let sent = Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .expect("kill runs");
        assert!(sent.success(), "SIGTERM to `{}`", self.name);
        self.wait(STOP)
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// When it runs longer than `limit`; with its log.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                return status;
            }
            assert!(
                Instant::now() < end,
                "`{}` still runs after {limit:?}:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn end_now(&mut self) {
        // An error here means that it has ended already.
        if self.child.kill().is_ok() {
            drop(self.child.wait());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_now();
    }
}
