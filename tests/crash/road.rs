//! Broker, agent and pipeline as three processes over one folder, each of which can be killed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use harness::process::Process;
use harness::{binary, free_address};

/// A part of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Tails the files.
    Agent,
    /// Keeps the log.
    Broker,
    /// Fills the store.
    Pipeline,
}

/// Three processes and the folder they keep everything in.
pub(crate) struct Road {
    folder: PathBuf,
    kafka: SocketAddr,
    parts: Vec<(Part, Option<Process>)>,
}

impl Road {
    /// Writes the settings and starts all three.
    pub(crate) fn start(folder: &Path) -> Self {
        let (kafka, http) = (free_address(), free_address());
        std::fs::create_dir_all(folder.join("files")).expect("the folder of the files");
        let write = |name: &str, text: String| {
            std::fs::write(folder.join(name), text).expect("a settings file");
        };
        let root = folder.display();
        write(
            "broker.toml",
            format!(
                "data_dir = \"{root}/broker\"\nlisten = \"{kafka}\"\n\
                 group_initial_rebalance_delay_ms = 0\n"
            ),
        );
        write(
            "agent.toml",
            format!(
                "state_dir = \"{root}/agent\"\nbootstrap = [\"{kafka}\"]\n\
                 [[inputs]]\npaths = [\"{root}/files/*.log*\"]\nscan_interval_ms = 200\n"
            ),
        );
        write(
            "pipeline.toml",
            format!(
                "bootstrap = [\"{kafka}\"]\nhttp = \"{http}\"\nsession_timeout_ms = 6000\n\
                 [store]\npath = \"{root}/store.db\"\n"
            ),
        );
        let mut road = Self {
            folder: folder.to_owned(),
            kafka,
            parts: vec![
                (Part::Broker, None),
                (Part::Agent, None),
                (Part::Pipeline, None),
            ],
        };
        for part in [Part::Broker, Part::Agent, Part::Pipeline] {
            road.restart(part);
        }
        road
    }

    /// The broker's address.
    pub(crate) fn kafka(&self) -> String {
        self.kafka.to_string()
    }

    /// The store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    fn slot(&mut self, part: Part) -> &mut Option<Process> {
        let found = self.parts.iter_mut().find(|(name, _)| *name == part);
        &mut found.expect("all parts are listed").1
    }

    /// The running agent.
    pub(crate) fn agent(&mut self) -> &Process {
        self.slot(Part::Agent).as_ref().expect("the agent runs")
    }

    /// Ends a part with SIGKILL.
    pub(crate) fn kill(&mut self, part: Part) {
        self.slot(part).take().expect("the part runs").kill();
    }

    /// Starts a part again over what it left.
    pub(crate) fn restart(&mut self, part: Part) {
        let command = match part {
            Part::Agent => "agent",
            Part::Broker => "broker",
            Part::Pipeline => "pipeline",
        };
        let config = self
            .folder
            .join(format!("{command}.toml"))
            .display()
            .to_string();
        let args = [command, "--config", &config];
        let process = Process::start(&binary("logway"), &args, &self.folder);
        *self.slot(part) = Some(process);
    }

    /// Stops all three in order; each has to end well.
    pub(crate) fn stop(&mut self) {
        for part in [Part::Agent, Part::Pipeline, Part::Broker] {
            let status = self.slot(part).take().expect("the part runs").stop();
            assert!(status.success(), "{part:?} ended with {status}");
        }
    }
}
