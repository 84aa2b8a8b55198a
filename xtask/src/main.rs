//! Automation: `cargo xtask bench NAME` measures the product beside its peers.

mod bench;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

/// Automation of the project.
#[derive(Debug, Parser)]
#[command(name = "xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure one part; with `--against kafka` beside Apache Kafka in the same run.
    Bench(BenchArgs),
}

/// What to measure, how long, against whom.
#[derive(Debug, clap::Args)]
struct BenchArgs {
    /// Part to measure.
    name: Part,
    /// Peer to measure in the same run. Apache Kafka is run by the script that LOGWAY_KAFKA_PEER
    /// names [default: ../shared/peers/kafka].
    #[arg(long)]
    against: Option<Peer>,
    /// Seconds that each case runs.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds; the product and the peer take turns in each case, medians are printed.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Program to measure, instead of the one that is built from this checkout.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// File that a JSON line for each sample is appended to, in `bench/results/` to be kept.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File that the tables are written to, in Markdown; they are printed in any case.
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Broker: only cases whose name contains this text; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Broker: all combinations of the produce cases, not only those that say most. Takes hours.
    #[arg(long)]
    matrix: bool,
    /// Broker: gigabytes that each server takes before it is measured.
    #[arg(long, value_name = "N", default_value_t = 6.0)]
    warm_gb: f64,
    /// Broker: gigabytes of log that it is started again with.
    #[arg(long, value_name = "N", default_value_t = 2)]
    log_gb: u64,
    /// Broker: fetched records are read into the generator's memory, as a consumer does, and not
    /// dropped in the kernel. Slower for all; the generator takes CPU that the server lacks.
    #[arg(long)]
    read_all: bool,
    /// Broker: print the names of the cases and end.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From files on disk to rows in the store.
    Road,
    /// Produce, fetch and latency with pre-encoded batches.
    Broker,
    /// From a file to acknowledged records.
    Agent,
    /// Cost of a log call.
    Appender,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Peer {
    /// Apache Kafka.
    Kafka,
}

fn main() -> anyhow::Result<()> {
    let Command::Bench(args) = Args::parse().command;
    bench::run(&args)
}
