//! What can be said on the command line; `--help` is made of the texts here.

mod clients;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(crate) use clients::{
    Bench, BenchAction, Cluster, ClusterInfo, ConfigAction, Configs, Consume, GroupAction, Groups,
    Offsets, Output, Produce, TopicAction, Topics, TransactionAction, Transactions,
};

/// Logs and metrics from machines and applications, over a Kafka-speaking broker, to a page.
#[derive(Debug, Parser)]
#[command(
    name = "logway",
    version,
    after_help = "Start everything on this machine:   logway up\n\
                  Send a line, read it back:          echo hello | logway produce demo; logway consume demo -e\n\
                  Any Kafka client works unmodified against the broker's address."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Log more on standard error (-v debug, -vv trace); LOGWAY_LOG takes tracing directives.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run broker, agent and pipeline in one process: the whole road on this machine.
    Up(Up),
    /// Run the broker alone.
    Broker(Broker),
    /// Run the agent alone: tail files, collect host metrics, ship them.
    Agent(logway_agent::Args),
    /// Run the pipeline alone: consume, store, show.
    Pipeline(Pipeline),
    /// List, describe, create and delete topics of any cluster.
    Topics(Topics),
    /// Send lines from standard input to a topic.
    Produce(Produce),
    /// Print records of a topic.
    Consume(Consume),
    /// List and describe consumer groups, move their offsets.
    Groups(Groups),
    /// Show and change settings of topics and brokers.
    Configs(Configs),
    /// First and next offsets of topics, or those of a time.
    Offsets(Offsets),
    /// List and describe transactions.
    Transactions(Transactions),
    /// The brokers of a cluster.
    Cluster(ClusterInfo),
    /// Measure how fast records go in and come out.
    Bench(Bench),
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Link Kafka's command names (kafka-topics.sh and so on) to this program.
    InstallKafkaTools {
        /// Folder for the links; best one in PATH.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

impl Command {
    /// Whether it runs until it is stopped and serves others, instead of asking and ending.
    pub(crate) fn is_server(&self) -> bool {
        matches!(
            self,
            Self::Up(_) | Self::Broker(_) | Self::Agent(_) | Self::Pipeline(_)
        )
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    /// Folder for everything kept [default: the user's state folder, then `logway`].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Files to tail, as a glob pattern; may be given several times [default: this machine's /var/log].
    #[arg(long, value_name = "GLOB")]
    pub(crate) tail: Vec<String>,
    /// Address the broker serves Kafka clients on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    pub(crate) kafka_addr: SocketAddr,
    /// Address of the page, its API, /healthz and /metrics.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) http_addr: SocketAddr,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Broker {
    /// Settings file (see config/broker.toml); flags win over it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder for logs and metadata.
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Address to serve Kafka clients on.
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "config")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of /healthz and /metrics.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<SocketAddr>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Pipeline {
    /// Settings file (see config/pipeline.toml).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}
