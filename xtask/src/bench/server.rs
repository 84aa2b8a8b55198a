//! The broker under test: ours or Apache Kafka, with the same settings, on a folder of its own; it can
//! be ended and started again on what it wrote. Ended and removed when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rustix::process::Signal;

use super::leftovers::{self, Folder, Watched};
use super::load;
use super::process::has_ended;

/// How long a server may take to start or to end.
const LIMIT: Duration = Duration::from_secs(600);
/// How soon deleted topics leave the disk where they shall be prompt.
const PROMPT_MS: u32 = 1000;

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// Ours.
    Logway,
    /// Apache Kafka.
    Kafka,
}

impl System {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            System::Logway => "logway",
            System::Kafka => "kafka",
        }
    }
}

/// What differs from one server of a system to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Ours: whether `acks=all` waits for the disk, as it does by default. Kafka's topics say it themselves.
    pub(crate) fsync: bool,
    /// Whether deleted topics are removed from disk within about a second instead of a minute: those that
    /// one run leaves would fill the disk and be written to it during the next.
    pub(crate) prompt: bool,
}

impl Setup {
    /// As it is by default.
    pub(crate) const PLAIN: Self = Self {
        fsync: true,
        prompt: false,
    };
}

/// What is run, and how it is started.
#[derive(Debug)]
enum Program {
    Logway {
        binary: PathBuf,
    },
    Kafka {
        script: PathBuf,
        port: u16,
        prompt: bool,
    },
}

/// A broker with a folder of its own.
#[derive(Debug)]
pub(crate) struct Server {
    /// Who serves.
    pub(crate) system: System,
    /// Name of the system.
    pub(crate) name: &'static str,
    /// Its address.
    pub(crate) bootstrap: String,
    /// Process id of the broker itself; 0 before the first launch.
    pub(crate) pid: u32,
    /// Folder that holds the partitions' folders.
    pub(crate) data: PathBuf,
    program: Program,
    /// Our broker itself, or the script that starts the peer.
    child: Option<Child>,
    watched: Vec<Watched>,
    folder: Folder,
}

/// File in which the peer's script notes the broker's process id.
pub(crate) fn pid_file(folder: &Path) -> PathBuf {
    folder.join("run/1/pid")
}

impl Server {
    /// Our broker on an empty folder, not started yet.
    pub(crate) fn logway(binary: &Path, setup: Setup) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let data = folder.path().join("data");
        let listen = format!("127.0.0.1:{}", free_port()?);
        // The delay before a group's first rebalance is what the peer's script sets too.
        let settings = format!(
            "data_dir = \"{}\"\nlisten = \"{listen}\"\ngroup_initial_rebalance_delay_ms = 0\n\
             [flush]\non_acks_all = {}\n",
            data.display(),
            setup.fsync
        );
        // Its keeper looks for folders of deleted partitions at the latest when it looks for old segments.
        let keeper = format!("[log]\nretention_check_interval_ms = {PROMPT_MS}\n");
        let settings = settings + if setup.prompt { &keeper } else { "" };
        std::fs::write(folder.path().join("broker.toml"), settings).context("settings")?;
        Ok(Self {
            system: System::Logway,
            name: System::Logway.name(),
            bootstrap: listen,
            pid: 0,
            data,
            program: Program::Logway {
                binary: binary.to_owned(),
            },
            child: None,
            watched: Vec::new(),
            folder,
        })
    }

    /// Apache Kafka on an empty folder, not started yet.
    pub(crate) fn kafka(script: &Path, setup: Setup) -> anyhow::Result<Self> {
        let folder = Folder::new()?;
        let port = free_port()?;
        Ok(Self {
            system: System::Kafka,
            name: System::Kafka.name(),
            bootstrap: format!("127.0.0.1:{port}"),
            pid: 0,
            data: folder.path().join("run/1/data"),
            program: Program::Kafka {
                script: script.to_owned(),
                port,
                prompt: setup.prompt,
            },
            child: None,
            watched: Vec::new(),
            folder,
        })
    }

    /// Starts the process on its folder; returns the moment at which it was started. It need not serve yet.
    pub(crate) fn launch(&mut self) -> anyhow::Result<Instant> {
        self.watched.clear();
        match &self.program {
            Program::Logway { binary } => {
                let begun = Instant::now();
                let child = Command::new(binary)
                    .args(["broker", "--config"])
                    .arg(self.folder.path().join("broker.toml"))
                    .env("LOGWAY_LOG", "error")
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(self.said()?)
                    .spawn()
                    .with_context(|| format!("start {}", binary.display()))?;
                self.pid = child.id();
                self.child = Some(child);
                self.watched.push(Watched::new(self.pid));
                Ok(begun)
            }
            Program::Kafka { .. } => self.launch_peer(),
        }
    }

    fn launch_peer(&mut self) -> anyhow::Result<Instant> {
        let Program::Kafka {
            script,
            port,
            prompt,
        } = &self.program
        else {
            bail!("{} is not started by a script", self.name);
        };
        let prompt_settings = [
            format!("log.segment.delete.delay.ms={PROMPT_MS}"),
            format!("log.retention.check.interval.ms={PROMPT_MS}"),
        ];
        let mut command = Command::new(script);
        if self.folder.path().join("run").exists() {
            command.args(["cont", "1"]);
        } else {
            command.args(["start", "1"]);
            command.args(prompt_settings.iter().filter(|_| *prompt));
        }
        drop(std::fs::remove_file(pid_file(self.folder.path())));
        let child = command
            .env("KAFKA_PORT", port.to_string())
            .env("KAFKA_RUN", self.folder.path().join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.said()?)
            .spawn()
            .context("run Kafka's script")?;
        self.watched.push(Watched::new(child.id()));
        self.child = Some(child);
        self.wait_for_pid()
    }

    /// The script formats the folder first: the broker is started when its process id is written.
    fn wait_for_pid(&mut self) -> anyhow::Result<Instant> {
        let file = pid_file(self.folder.path());
        let end = Instant::now() + LIMIT;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if text.ends_with('\n') {
                self.pid = text.trim().parse().context("Kafka's process id")?;
                self.watched.push(Watched::new(self.pid));
                return Ok(Instant::now());
            }
            ensure!(Instant::now() < end, "Kafka was not started");
            if let Some(Some(status)) = self.child.as_mut().map(Child::try_wait).transpose()? {
                ensure!(
                    file.exists(),
                    "Kafka's script ended with {status}: {}",
                    self.last_words()
                );
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(mut self) -> anyhow::Result<Self> {
        let begun = self.launch()?;
        self.wait_until(begun, || load::topics::answers(&self.bootstrap))?;
        Ok(self)
    }

    /// Asks again and again until `ready` says so; returns the time since `begun`. The pauses are a
    /// fiftieth of the time that has passed: exact enough, and a busy start is not kept busy by questions.
    pub(crate) fn wait_until(
        &self,
        begun: Instant,
        mut ready: impl FnMut() -> anyhow::Result<bool>,
    ) -> anyhow::Result<Duration> {
        loop {
            let said = ready();
            let now = begun.elapsed();
            if matches!(said, Ok(true)) {
                return Ok(now);
            }
            if has_ended(self.pid) {
                bail!("{} has ended: {}", self.name, self.last_words());
            }
            if now > LIMIT {
                bail!("{} is not ready after {LIMIT:?}: {said:?}", self.name);
            }
            let pause = (now / 50).clamp(Duration::from_millis(1), Duration::from_millis(200));
            std::thread::sleep(pause);
        }
    }

    /// Ends the process with this signal and waits until it is gone; returns how long that took.
    pub(crate) fn end(&mut self, signal: Signal) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        leftovers::signal(self.pid, signal);
        while !has_ended(self.pid) {
            ensure!(
                begun.elapsed() < LIMIT,
                "{} does not end by {signal:?}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = begun.elapsed();
        if let Some(mut child) = self.child.take() {
            // The peer's script has nothing to wait for any more.
            drop(child.kill());
            child.wait().context("wait for the server")?;
        }
        self.watched.clear();
        Ok(took)
    }

    /// Whether the process lives.
    pub(crate) fn lives(&self) -> bool {
        self.pid != 0 && !has_ended(self.pid)
    }

    fn said(&self) -> anyhow::Result<std::fs::File> {
        let file = self.folder.path().join("said.log");
        let options = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file);
        options.context("a file for what the server says")
    }

    /// The last line that the server or its script said.
    fn last_words(&self) -> String {
        let said = std::fs::read_to_string(self.folder.path().join("said.log")).unwrap_or_default();
        let node = self.folder.path().join("run/1/node.log");
        let node = std::fs::read_to_string(node).unwrap_or_default();
        let lines = said.lines().chain(node.lines());
        lines.last().unwrap_or("it said nothing").to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.lives() {
            drop(self.end(Signal::KILL));
        }
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A port that is free, and the one a hundred above it, which the peer's controller takes. Below those
/// that the kernel gives to clients, so that it is still free when a server starts again.
fn free_port() -> anyhow::Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let found = (first..32_000)
        .chain(20_000..first)
        .find(|port| is_free(*port) && is_free(port + 100));
    found.context("no port is free")
}

/// Our broker and, if asked for, the peer; both running side by side, used in turn.
pub(crate) fn pair(binary: &Path, peer: Option<&Path>) -> anyhow::Result<Vec<Server>> {
    let mut servers = vec![Server::logway(binary, Setup::PLAIN)?.start()?];
    if let Some(script) = peer {
        servers.push(Server::kafka(script, Setup::PLAIN)?.start()?);
    }
    Ok(servers)
}
