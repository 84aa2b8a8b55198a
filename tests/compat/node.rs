//! A node of Apache Kafka that is stopped, killed and started again over its data.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::peers;

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
        kafka
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

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The folder of partition 0.
    pub(crate) fn partition(&self, topic: &str) -> PathBuf {
        self.run.join(format!("1/data/{topic}-0"))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        peers::run(&mut self.command(&["stop"]), "");
    }
}
