//! A broker, and tools that run against it.
//!
//! Invariant: the broker and its folder are gone when its handle is.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// A broker of the test's own.
pub(crate) struct Broker {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("broker.toml");
        let data = folder.path().join("data");
        let settings = format!("data_dir = {data:?}\ngroup_initial_rebalance_delay_ms = 0\n");
        std::fs::write(&config, settings).expect("a settings file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_logway"))
            .args(["broker", "--listen", "127.0.0.1:0", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker starts");
        // It has one line to say, and its address is in it.
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("standard output");
        BufReader::new(stdout).read_line(&mut ready).expect("text");
        let address = ready.trim().strip_prefix("ready kafka=");
        Self {
            address: address.expect("a broker that is ready").to_owned(),
            child,
            _folder: folder,
        }
    }

    /// Starts a tool by its name, or `logway` itself.
    pub(crate) fn run(&self, name: &str, args: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_logway"));
        let mut child = command
            .arg0(name)
            .args(args)
            .args(["--bootstrap-server", &self.address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool starts");
        Running {
            stdout: BufReader::new(child.stdout.take().expect("standard output")),
            stderr: child.stderr.take().expect("standard error"),
            child,
        }
    }

    /// Runs a tool to its end; what it wrote to standard output.
    pub(crate) fn done(&self, name: &str, args: &[&str], stdin: &str) -> String {
        let mut running = self.run(name, args);
        running.write(stdin);
        drop(running.child.stdin.take());
        let mut text = String::new();
        running.stdout.read_to_string(&mut text).expect("text");
        assert!(running.child.wait().expect("an end").success(), "{text}");
        text
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A tool under way.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: ChildStderr,
}

impl Running {
    /// Types this.
    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.child.stdin.as_mut().expect("standard input");
        stdin.write_all(text.as_bytes()).expect("a reader");
    }

    /// The next line of standard output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("text");
        line
    }

    /// Sends the signal; the exit code and standard error.
    pub(crate) fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(sent.expect("kill runs").success());
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).expect("text");
        (self.child.wait().expect("an end").code(), text)
    }
}
