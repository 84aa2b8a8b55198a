//! What can be said on the command line; `--help` is made of the texts here.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

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
    /// Link Kafka's command names (kafka-topics.sh and so on) to this program.
    InstallKafkaTools {
        /// Folder for the links; best one in PATH.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
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

/// How a cluster is found.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cluster {
    /// Brokers to ask first, comma-separated.
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:9092",
        env = "LOGWAY_BOOTSTRAP"
    )]
    pub(crate) bootstrap: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// One JSON array for programs.
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Topics {
    #[command(subcommand)]
    pub(crate) action: TopicAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TopicAction {
    /// Names of all topics.
    List {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Partitions of topics: leader, replicas, in-sync set, first and next offset.
    Describe {
        /// Topics [default: all].
        names: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// A new topic.
    Create {
        name: String,
        /// Number of partitions [default: the broker's num.partitions].
        #[arg(short, long)]
        partitions: Option<i32>,
        /// Copies of each partition [default: the broker's].
        #[arg(short, long)]
        replication_factor: Option<i16>,
        /// A setting, `name=value`; may be given several times.
        #[arg(short, long, value_name = "NAME=VALUE")]
        config: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Delete topics with everything in them.
    Delete {
        #[arg(required = true)]
        names: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Produce {
    /// Topic to send to.
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Partition to send to [default: by key, else chosen].
    #[arg(short, long)]
    pub(crate) partition: Option<i32>,
    /// What separates key and value in a line [default: lines have no key].
    #[arg(short = 'K', long, value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// Compression of batches.
    #[arg(short = 'z', long, default_value = "lz4", value_parser = ["none", "gzip", "snappy", "lz4", "zstd"])]
    pub(crate) compression: String,
    /// Acknowledgements to wait for.
    #[arg(long, default_value = "all", value_parser = ["all", "1", "0"])]
    pub(crate) acks: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Consume {
    /// Topic to read.
    pub(crate) topic: String,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    /// Where to begin: `beginning`, `end` or an offset; a group goes on where it left off, and begins here only
    /// the first time.
    #[arg(short, long, default_value = "beginning")]
    pub(crate) from: String,
    /// Read as a member of this group and commit what was printed.
    #[arg(short, long)]
    pub(crate) group: Option<String>,
    /// One partition only.
    #[arg(short, long, conflicts_with = "group")]
    pub(crate) partition: Option<i32>,
    /// Stop after this many records.
    #[arg(short = 'n', long)]
    pub(crate) count: Option<u64>,
    /// Stop at the end of the topic instead of waiting for more.
    #[arg(short, long)]
    pub(crate) exit: bool,
    /// How to print a record: %t topic, %p partition, %o offset, %T timestamp, %k key, %s value, %h headers, \n, \t.
    #[arg(long, default_value = "%s\\n")]
    pub(crate) format: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Groups {
    #[command(subcommand)]
    pub(crate) action: GroupAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GroupAction {
    /// Names and states of all groups.
    List {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Offsets, lag and owner of each partition of a group.
    Describe {
        group: String,
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Move the offsets of a group that has no active member.
    Reset {
        group: String,
        /// Topic to move.
        #[arg(short, long)]
        topic: String,
        /// Where to: `earliest`, `latest` or an offset.
        #[arg(long)]
        to: String,
        #[command(flatten)]
        cluster: Cluster,
    },
}
