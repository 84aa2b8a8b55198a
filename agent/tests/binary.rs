//! The binary from outside, without a broker: what it refuses, says and how it ends. Steps 2 to 4 of the
//! hallway.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A port of this machine where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

fn agent(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_logway-agent"));
    command.args(args);
    command
}

fn refused(args: &[&str], code: i32) -> String {
    let Output {
        status,
        stderr,
        stdout,
    } = agent(args).output().expect("the agent runs");
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert!(stdout.is_empty(), "nothing is ready");
    stderr
}

/// An agent that said it is ready; killed when dropped.
struct Running {
    child: Child,
    ready: String,
}

impl Running {
    fn start(args: &[&str]) -> Running {
        let mut child = agent(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the agent runs");
        let mut ready = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut ready)
            .expect("a line on standard output");
        Running { child, ready }
    }

    fn address(&self) -> String {
        let http = self.ready.split("http=").nth(1).expect("an http address");
        http.trim().to_owned()
    }

    fn terminate(mut self) -> (Option<i32>, Duration) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let asked = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let status = self.child.wait().expect("it ends");
        (status.code(), asked.elapsed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already gone after `terminate`.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the page is served");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn a_bad_pattern_is_named_and_ends_with_64() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = ["--tail", "/var/log/*.log", "/var/[log"];
    let rest = [
        "--bootstrap",
        NOBODY,
        "--topic",
        "t",
        "--state-dir",
        text(dir.path()),
    ];
    let stderr = refused(&[&args[..], &rest].concat(), 64);
    assert!(
        stderr.contains("`/var/[log`") && !stderr.contains("*.log"),
        "{stderr}"
    );
    assert_eq!(
        fs::read_dir(dir.path()).expect("the folder").count(),
        0,
        "nothing was opened"
    );
}

#[test]
fn a_bad_settings_file_is_named_with_its_line_and_ends_with_64() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("agent.toml");
    fs::write(&file, "state_dir = \"/tmp/x\"\nbootstap = []\n").expect("written");
    let stderr = refused(&["--config", text(&file)], 64);
    assert!(
        stderr.contains("agent.toml") && stderr.contains("bootstrap"),
        "{stderr}"
    );
    assert!(
        !refused(&["--config", "/nowhere/agent.toml"], 64).is_empty(),
        "says that it is missing"
    );
}

#[test]
fn arguments_that_are_missing_are_named() {
    let stderr = refused(&["--tail", "/x"], 2);
    assert!(
        stderr.contains("--bootstrap") && stderr.contains("--state-dir"),
        "{stderr}"
    );
}

#[test]
fn it_serves_without_a_broker_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().expect("a folder");
    let log = dir.path().join("a.log");
    fs::write(&log, "one\ntwo\n").expect("written");
    let state = dir.path().join("state");
    let args = [
        "--tail",
        text(&log),
        "--bootstrap",
        NOBODY,
        "--topic",
        "t",
        "--state-dir",
        text(&state),
        "--http",
        "127.0.0.1:0",
    ];
    let running = Running::start(&args);
    assert!(
        running.ready.starts_with("ready agent"),
        "{}",
        running.ready
    );
    let address = running.address();
    assert!(get(&address, "/healthz").ends_with("\r\n\r\nok"));
    let metrics = get(&address, "/metrics");
    assert!(
        metrics.contains("logway_agent_lines_read_total 0"),
        "{metrics}"
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let second = refused(&args[..8], 1);
    assert!(second.contains(text(&state)), "a second agent: {second}");
    let (code, took) = running.terminate();
    assert_eq!(code, Some(0));
    // Ten seconds are promised; a busy machine adds to them.
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn an_address_in_use_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let stderr = refused(
        &[
            "--tail",
            "/x/*",
            "--bootstrap",
            NOBODY,
            "--topic",
            "t",
            "--state-dir",
            text(dir.path()),
            "--http",
            &address,
        ],
        1,
    );
    assert!(stderr.contains(&address), "{stderr}");
}
