//! A node of Apache Kafka that is stopped, killed and started again over its data.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{peers, steady};

/// What `kafka-dump-log` says of a damaged file.
const COMPLAINTS: &[&str] = &[
    "isvalid: false",
    "Found",
    "not found",
    "out of order",
    "orrupt",
    "ismatch",
    "xception",
];

/// One node of Apache Kafka in a folder of its own.
pub(crate) struct Kafka {
    script: PathBuf,
    run: PathBuf,
    port: u16,
}

impl Kafka {
    pub(crate) fn start(script: PathBuf, folder: &Path) -> Kafka {
        Kafka::start_with(script, folder, &[])
    }

    /// Starts one with more settings, `name=value` each.
    pub(crate) fn start_with(script: PathBuf, folder: &Path, settings: &[&str]) -> Kafka {
        let run = folder.join("kafka");
        let port = harness::free_address().port();
        let kafka = Kafka { script, run, port };
        kafka.ok(&[&["start", "1"], settings].concat());
        steady::started(&kafka.address());
        kafka
    }

    /// Starts it again over what it left, and waits until it has read that.
    pub(crate) fn go_on(&self) {
        self.ok(&["cont", "1"]);
        steady::started(&self.address());
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(args);
        command.env("KAFKA_RUN", &self.run);
        command.env("KAFKA_PORT", self.port.to_string());
        command
    }

    /// What the script says to these arguments.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        peers::ok(&mut self.command(args), "")
    }

    /// Ends it with SIGKILL and waits until nothing of it listens any more.
    pub(crate) fn kill(&self) {
        self.ok(&["kill", "1"]);
        harness::eventually("an end", || match TcpStream::connect(self.address()) {
            Ok(_) => Err("it still listens"),
            Err(_) => Ok(()),
        });
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder of partition 0.
    pub(crate) fn partition(&self, topic: &str) -> PathBuf {
        self.data().join(format!("{topic}-0"))
    }

    /// The folder of all partitions.
    pub(crate) fn data(&self) -> PathBuf {
        self.run.join("1/data")
    }

    /// What it logged about a topic that was not as it should be.
    pub(crate) fn complaints(&self, topic: &str) -> Vec<String> {
        let log = self.run.join("1/node.log");
        let log = std::fs::read_to_string(log).expect("the node's log");
        let lines = log.lines().filter(|line| line.contains(topic));
        let bad = lines.filter(|line| line.contains("] ERROR ") || line.contains("] WARN "));
        bad.map(str::to_owned).collect()
    }

    /// Has Kafka's tool look through a partition's files and find nothing to complain about; what it
    /// said, by their ending.
    pub(crate) fn check_files(&self, partition: &Path) -> BTreeMap<&'static str, String> {
        let dump = |ending: &str, more: &[&str]| {
            let files = files_ending(partition, ending);
            assert!(!files.is_empty(), "no .{ending}");
            let files = files.join(",");
            let said = self.ok(&[&["tool", "kafka-dump-log", "--files", &files], more].concat());
            for complaint in COMPLAINTS {
                let lines = said.lines().filter(|line| line.contains(complaint));
                assert_eq!(lines.collect::<Vec<_>>(), [""; 0], ".{ending}");
            }
            said
        };
        let mut said = BTreeMap::from([("log", dump("log", &["--deep-iteration"]))]);
        for ending in ["index", "timeindex"] {
            dump(ending, &["--index-sanity-check"]);
            said.insert(ending, dump(ending, &["--verify-index-only"]));
        }
        for ending in ["txnindex", "snapshot"] {
            if !files_ending(partition, ending).is_empty() {
                said.insert(ending, dump(ending, &[]));
            }
        }
        said
    }
}

fn files_ending(partition: &Path, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(partition).expect("the partition's folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == ending));
    files.map(|path| path.display().to_string()).collect()
}

impl Drop for Kafka {
    fn drop(&mut self) {
        peers::run(&mut self.command(&["stop"]), "");
    }
}
