//! Benchmarks: what is measured, on whom, and how it is reported.

mod agent;
mod appender;
mod broker;
mod disk;
mod leftovers;
mod load;
mod machine;
mod process;
mod report;
mod road;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{BenchArgs, Part, Peer};
use report::Report;

/// Builds the product in its release form and runs one benchmark.
#[expect(clippy::print_stdout, reason = "the tables are the result")]
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if args.list {
        broker::list(args);
        return Ok(());
    }
    leftovers::remove_on_interrupt()?;
    let binary = args.binary.clone().map_or_else(build, Ok)?;
    let mut report = Report::default();
    match args.name {
        Part::Broker => broker::run(args, &binary, &mut report)?,
        Part::Agent => agent::run(args, &binary, &mut report)?,
        Part::Appender => appender::run(args, &binary, &mut report)?,
        Part::Road => road::run(args, &binary, &mut report)?,
    }
    let mut tables = report.table();
    if args.name == Part::Broker {
        tables = tables + "\n" + &broker::verdicts(args, &report);
    }
    println!("{tables}");
    if let Some(file) = &args.json {
        report.save(file)?;
    }
    if let Some(file) = &args.table {
        std::fs::write(file, tables).with_context(|| format!("write {}", file.display()))?;
    }
    Ok(())
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new("."))
}

fn build() -> anyhow::Result<PathBuf> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--package", "logway-cli"])
        .current_dir(root())
        .status()
        .context("run cargo")?;
    ensure!(built.success(), "the release build failed");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    Ok(target.join("release/logway"))
}

/// The script that runs Apache Kafka, if it is asked for.
fn peer(args: &BenchArgs) -> anyhow::Result<Option<PathBuf>> {
    let Some(Peer::Kafka) = args.against else {
        return Ok(None);
    };
    let named = std::env::var_os("LOGWAY_KAFKA_PEER").map(PathBuf::from);
    let script = named.unwrap_or_else(|| root().join("../shared/peers/kafka"));
    let script = script.canonicalize().with_context(|| {
        format!(
            "{} does not run Apache Kafka: set LOGWAY_KAFKA_PEER",
            script.display()
        )
    })?;
    Ok(Some(script))
}
