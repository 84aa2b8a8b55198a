//! The words of the commands that talk to a cluster as its clients do.

use clap::{Subcommand, ValueEnum};

/// How a cluster is found.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Cluster {
    /// Brokers to ask first, comma-separated.
    /// [default: the profile's, else 127.0.0.1:9092].
    #[arg(
        short,
        long,
        // As Kafka's own tools call it.
        alias = "bootstrap-server",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        env = "LOGWAY_BOOTSTRAP"
    )]
    pub(crate) bootstrap: Vec<String>,
    /// A profile of the file cli.toml in the user's configuration folder, under `logway`.
    #[arg(long, value_name = "NAME", env = "LOGWAY_PROFILE")]
    pub(crate) profile: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns for people.
    Table,
    /// One JSON array for programs.
    Json,
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Topics {
    /// Names of all topics, one a line.
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    #[command(subcommand)]
    pub(crate) action: Option<TopicAction>,
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
    /// Where to begin: `beginning`, `end`, an offset, so long ago (`-1h`) or a time (`2026-01-31T12:00:00Z`); a
    /// group goes on where it left off, and begins here only the first time.
    #[arg(long, default_value = "beginning", allow_hyphen_values = true)]
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
    /// How to print a record: %t topic, %p partition, %o offset, %T timestamp, %k key, %K its length, %s value,
    /// %S its length, %h headers, %% a percent sign, \n, \t, \r, \x41.
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) format: Option<String>,
    /// Print keys before values.
    #[arg(short = 'k', long, conflicts_with = "format")]
    pub(crate) print_key: bool,
    /// Print headers before keys and values.
    #[arg(short = 'H', long, conflicts_with = "format")]
    pub(crate) print_headers: bool,
    /// `json` prints each record as an object on a line of its own.
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
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
        /// Where to: `earliest`, `latest`, an offset, so long ago (`-1h`) or a time
        /// (`2026-01-31T12:00:00Z`).
        #[arg(long, allow_hyphen_values = true)]
        to: String,
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Configs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Settings of a topic (`GameLog`) or a broker (`broker:1`).
    Describe {
        /// A topic's name, or `broker:` and an id.
        resource: String,
        /// Also what nobody set.
        #[arg(short, long)]
        all: bool,
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// Set or unset settings: `retention.ms=3600000` sets, `retention.ms` alone unsets.
    Set {
        /// A topic's name, or `broker:` and an id.
        resource: String,
        #[arg(required = true, value_name = "NAME[=VALUE]")]
        settings: Vec<String>,
        #[command(flatten)]
        cluster: Cluster,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Offsets {
    /// Topics [default: all].
    pub(crate) topics: Vec<String>,
    /// A time: so long ago (`-1h`), or `2026-01-31T12:00:00Z`; adds a column with the first offset since then.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Transactions {
    #[command(subcommand)]
    pub(crate) action: TransactionAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TransactionAction {
    /// All transactional ids with their states.
    List {
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
    /// One transactional id.
    Describe {
        id: String,
        #[command(flatten)]
        cluster: Cluster,
        #[arg(short, long, value_enum, default_value = "table")]
        output: Output,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClusterInfo {
    #[command(flatten)]
    pub(crate) cluster: Cluster,
    #[arg(short, long, value_enum, default_value = "table")]
    pub(crate) output: Output,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Bench {
    #[command(subcommand)]
    pub(crate) action: BenchAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchAction {
    /// Send records of random letters and say how fast it went.
    Produce {
        topic: String,
        /// Records to send.
        #[arg(short = 'n', long, default_value_t = 100_000)]
        count: u64,
        /// Bytes of a record's value.
        #[arg(short, long, default_value_t = 100)]
        size: usize,
        /// Records per second at most.
        #[arg(short, long)]
        rate: Option<u64>,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Read records and say how fast it went.
    Consume {
        topic: String,
        /// Records to read.
        #[arg(short = 'n', long, default_value_t = 100_000)]
        count: u64,
        #[command(flatten)]
        cluster: Cluster,
    },
}
