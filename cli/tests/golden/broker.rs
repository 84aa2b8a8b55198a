//! A broker of its own for each series of transcripts.
//!
//! Invariant: the broker and its folder are gone when its handle is.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::port::free_address;

/// A broker that runs.
pub(crate) struct Broker {
    /// Where it listens.
    pub(crate) address: String,
    kind: Kind,
    folder: tempfile::TempDir,
}

enum Kind {
    Logway(Child),
    Kafka(PathBuf),
}

impl Broker {
    /// Logway's own.
    pub(crate) fn logway() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = free_address().to_string();
        // As on the broker that was recorded: the first member of a group waits for nobody.
        let config = folder.path().join("broker.toml");
        let settings = format!(
            "data_dir = {:?}\ngroup_initial_rebalance_delay_ms = 0\n",
            folder.path().join("data")
        );
        std::fs::write(&config, settings).expect("a settings file");
        let child = Command::new(env!("CARGO_BIN_EXE_logway"))
            .args(["broker", "--listen", &address, "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker starts");
        let broker = Self {
            address,
            kind: Kind::Logway(child),
            folder,
        };
        broker.wait();
        broker
    }

    /// Apache Kafka, run by `script`.
    pub(crate) fn kafka(script: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The script takes a second port, a hundred above, for the controller.
        let address = free_address().to_string();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        let started = Command::new(script)
            .args(["start", "1"])
            .arg(format!(
                "log.dir={}",
                folder.path().join("kafka/1/data").display()
            ))
            .env("KAFKA_PORT", port)
            .env("KAFKA_RUN", folder.path().join("kafka"))
            .env("KAFKA_HEAP", "512m")
            .stdout(Stdio::null())
            .status()
            .expect("the script runs");
        assert!(started.success(), "Apache Kafka did not start");
        Self {
            address,
            kind: Kind::Kafka(script.to_owned()),
            folder,
        }
    }

    fn wait(&self) {
        let end = std::time::Instant::now() + std::time::Duration::from_secs(300);
        while std::net::TcpStream::connect(&self.address).is_err() {
            assert!(
                std::time::Instant::now() < end,
                "no broker at {}",
                self.address
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        match &mut self.kind {
            Kind::Logway(child) => {
                child.kill().ok();
                child.wait().ok();
            }
            Kind::Kafka(script) => {
                Command::new(script)
                    .arg("stop")
                    .env("KAFKA_RUN", self.folder.path().join("kafka"))
                    .status()
                    .ok();
            }
        }
    }
}
