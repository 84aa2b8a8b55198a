//! What a run holds on this machine, processes and folders, and how it goes away when the run is cut
//! short. Invariant: only processes that this run started are ended, each by its id.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Exit code of a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

#[derive(Debug)]
struct Held {
    pids: Vec<u32>,
    folders: Vec<PathBuf>,
}

static HELD: Mutex<Held> = Mutex::new(Held {
    pids: Vec::new(),
    folders: Vec::new(),
});

fn with_held(change: impl FnOnce(&mut Held)) {
    let mut held = HELD
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    change(&mut held);
}

/// A folder of this run, removed when dropped and on an interrupt.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Makes an empty one (in TMPDIR, so that all servers lie on one disk).
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("logway-bench-").context("a folder")?;
        with_held(|held| held.folders.push(folder.path().to_owned()));
        Ok(Self(folder))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        with_held(|held| held.folders.retain(|path| path != self.0.path()));
    }
}

/// A process of this run, ended on an interrupt while this lives.
#[derive(Debug)]
pub(crate) struct Watched(u32);

impl Watched {
    /// Takes note of a process that was just started.
    pub(crate) fn new(pid: u32) -> Self {
        with_held(|held| held.pids.push(pid));
        Self(pid)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        with_held(|held| held.pids.retain(|pid| *pid != self.0));
    }
}

/// Sends a signal to one process; `false` if there is none.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// Ends everything that this run holds when it is interrupted (Ctrl-C, SIGTERM), then the run itself.
pub(crate) fn remove_on_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime for signals")?;
    // Never joined: it lives exactly as long as the process.
    std::thread::Builder::new()
        .name("interrupt".into())
        .spawn(move || {
            let asked = runtime.block_on(async {
                use tokio::signal::unix::{SignalKind, signal};
                let mut ended = signal(SignalKind::terminate())?;
                tokio::select! {
                    said = tokio::signal::ctrl_c() => said,
                    _ = ended.recv() => Ok(()),
                }
            });
            if asked.is_ok() {
                remove_all();
                std::process::exit(INTERRUPTED);
            }
        })
        .context("a thread for signals")?;
    Ok(())
}

fn remove_all() {
    with_held(|held| {
        for pid in held.pids.drain(..) {
            signal(pid, Signal::KILL);
        }
        for folder in held.folders.drain(..) {
            end_peer_in(&folder);
            // A process that is just ending may still write: a second try finds it gone.
            for _ in 0..20 {
                if std::fs::remove_dir_all(&folder).is_ok() || !folder.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    });
}

/// A peer that its script has just started, before its id was noted.
fn end_peer_in(folder: &Path) {
    let pid = std::fs::read_to_string(super::server::pid_file(folder)).unwrap_or_default();
    let Ok(pid) = pid.trim().parse::<u32>() else {
        return;
    };
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    // The id may have passed to another process: its settings file tells whose it is.
    if String::from_utf8_lossy(&command).contains(&*folder.to_string_lossy()) {
        signal(pid, Signal::KILL);
    }
}
