//! The agent's command line, the same for `logway agent` and `logway-agent`.
//!
//! **Invariant:** ends in checked settings or in one line that says which argument is wrong.

use std::net::SocketAddr;
use std::path::PathBuf;

use logway_config::agent::{Acks, Agent, Compression, FileInput};
use thiserror::Error;

use crate::server::{StartError, inputs};

/// Reads files line by line and sends the lines to a topic.
///
/// With `--config`, everything is read from a file; the other options then replace single values. Without it,
/// `--tail`, `--bootstrap`, `--topic` and `--state-dir` say all there is to say.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE", required_unless_present = "tail")]
    pub config: Option<PathBuf>,
    /// Files to read, as a glob pattern; may be given several times. `**` crosses folders.
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub tail: Vec<String>,
    /// Brokers to ask first; separate several by commas.
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        required_unless_present = "config"
    )]
    pub bootstrap: Vec<String>,
    /// Topic the lines go to [default: logs].
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
    /// Folder that keeps how far each file is read; one per agent.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    pub state_dir: Option<PathBuf>,
    /// Which acknowledgement moves a file's position: `all` or `1` [default: all].
    #[arg(long, value_name = "ACKS")]
    pub acks: Option<Acks>,
    /// Compression of record batches: none, gzip, snappy, lz4, zstd [default: lz4].
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<Compression>,
    /// Send what the files hold now, last lines without line feed included, and end.
    #[arg(long)]
    pub once: bool,
    /// Address of /healthz and /metrics [default: none].
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<SocketAddr>,
}

/// Arguments or a settings file that make no sense.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// The settings file is wrong.
    #[error("{0}")]
    Config(#[from] logway_config::ConfigError),
    /// The settings put together are wrong.
    #[error("{0}")]
    Start(#[from] StartError),
}

impl Args {
    /// The settings that the arguments ask for, checked, file patterns included.
    ///
    /// # Errors
    /// The settings file cannot be read, or a value cannot be used.
    pub fn settings(self) -> Result<Agent, ArgsError> {
        let mut settings = match &self.config {
            Some(path) => Agent::load(path)?,
            None => Agent::default(),
        };
        if !self.tail.is_empty() {
            settings.inputs = vec![FileInput {
                paths: self.tail,
                ..FileInput::default()
            }];
        }
        if let Some(topic) = self.topic {
            for input in &mut settings.inputs {
                input.topic.clone_from(&topic);
            }
        }
        if !self.bootstrap.is_empty() {
            settings.bootstrap = self.bootstrap;
        }
        settings.state_dir = self.state_dir.unwrap_or(settings.state_dir);
        settings.output.acks = self.acks.unwrap_or(settings.output.acks);
        settings.output.compression = self.compression.unwrap_or(settings.output.compression);
        settings.once |= self.once;
        settings.http = self.http.or(settings.http);
        settings.check().map_err(StartError::Settings)?;
        // Compiled once more at the start; here a bad one is still a mistake of the command line.
        inputs(&settings)?;
        Ok(settings)
    }
}
