//! Finds the peers, and says which are missing.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A peer that is not there: fails where peers are required, else says so.
fn missing<T>(what: &str, remedy: &str) -> Option<T> {
    assert!(
        std::env::var_os("LOGWAY_REQUIRE_PEERS").is_none(),
        "{what} is missing and LOGWAY_REQUIRE_PEERS is set: {remedy}"
    );
    println!("NOT RUN: {what} is missing: {remedy}");
    None
}

/// kcat.
pub(crate) fn kcat() -> Option<PathBuf> {
    let found = Command::new("kcat")
        .arg("-V")
        .output()
        .is_ok_and(|o| o.status.success());
    if found {
        Some("kcat".into())
    } else {
        missing("kcat", "install the package `kcat`")
    }
}

/// A Python that has `module`.
pub(crate) fn python(module: &str) -> Option<PathBuf> {
    let python = std::env::var_os("LOGWAY_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let import = format!("import {module}");
    let found = Command::new(&python).args(["-c", &import]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    missing(
        &format!("Python module {module}"),
        "pip install confluent-kafka kafka-python; LOGWAY_PYTHON names the interpreter",
    )
}

/// The script that runs Apache Kafka's own tools. Only where `LOGWAY_KAFKA_PEER` names it.
pub(crate) fn kafka() -> Option<PathBuf> {
    let script = std::env::var_os("LOGWAY_KAFKA_PEER").map(PathBuf::from);
    if script.is_none() {
        println!(
            "NOT RUN: Apache Kafka's tools: LOGWAY_KAFKA_PEER does not name a script that runs them"
        );
    }
    script
}

/// Longest that a program of a peer may run; one that hangs is to fail its test, not to stop all.
const PATIENCE: Duration = Duration::from_secs(900);

/// Kills a program when it has run for too long, unless this is dropped before.
pub(crate) struct Limit {
    running: Option<mpsc::SyncSender<()>>,
    watch: Option<JoinHandle<()>>,
}

impl Limit {
    pub(crate) fn of(child: &Child) -> Limit {
        let pid = child.id().to_string();
        let (running, ended) = mpsc::sync_channel::<()>(0);
        let watch = move || {
            if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                println!("{pid} is killed after {PATIENCE:?}");
                drop(Command::new("kill").args(["-KILL", &pid]).status());
            }
        };
        let watch = std::thread::Builder::new().spawn(watch);
        Limit {
            running: Some(running),
            watch: Some(watch.expect("a thread")),
        }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        drop(self.running.take());
        if let Some(watch) = self.watch.take() {
            drop(watch.join());
        }
    }
}

/// Runs a program to its end with `input` on standard input.
pub(crate) fn run(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let limit = Limit::of(&child);
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // On a thread of its own: the program may answer before it has read everything.
    let writer = std::thread::Builder::new()
        .spawn(move || drop(stdin.write_all(input.as_bytes())))
        .expect("a thread");
    let output = child.wait_with_output().expect("the program ends");
    drop(limit);
    writer.join().expect("the input is written");
    output
}

/// As [`run`]; standard output of a program that has to succeed.
pub(crate) fn ok(command: &mut Command, input: &str) -> String {
    let output = run(command, input);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

/// The folder of node modules that has kafkajs and its package for Snappy.
pub(crate) fn kafkajs() -> Option<PathBuf> {
    let modules = std::env::var_os("LOGWAY_NODE_MODULES").map(PathBuf::from);
    let found = modules.filter(|modules| {
        modules.join("kafkajs").is_dir() && modules.join("kafkajs-snappy").is_dir()
    });
    found.or_else(|| {
        missing(
            "kafkajs",
            "npm install kafkajs kafkajs-snappy; LOGWAY_NODE_MODULES names the folder node_modules",
        )
    })
}

/// The program in `clients/franz`, built.
pub(crate) fn franz_go() -> Option<PathBuf> {
    built("franz", "LOGWAY_FRANZ_GO")
}

/// The program in `clients/kafka_go`, built.
pub(crate) fn kafka_go() -> Option<PathBuf> {
    built("kafka_go", "LOGWAY_KAFKA_GO")
}

/// A Go client, built from its folder to where `variable` says.
fn built(folder: &str, variable: &str) -> Option<PathBuf> {
    let built = std::env::var_os(variable).map(PathBuf::from);
    built.filter(|built| built.is_file()).or_else(|| {
        missing(
            &format!("the Go client {folder}"),
            &format!("go build in tests/compat/clients/{folder}; {variable} names the result"),
        )
    })
}
