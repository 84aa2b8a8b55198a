//! The broker beside Apache Kafka: every case on both in turn, medians, ratios, and what must be reached.
//!
//! **Invariant:** both have the same settings, take the same warm-up and find the same quiet disk; a case
//! that fails on one of them is reported and does not end the run.

mod coordinators;
mod e2e;
mod fetch;
mod first;
mod groups;
mod latency;
mod memory;
mod must;
mod partitions;
mod produce;
mod restart;
mod stage;
#[cfg(test)]
mod tests;
mod tools;

use std::path::Path;

use serde_json::Value;

use super::report::Report;
use super::server::System;
use super::{disk, peer};
use crate::BenchArgs;
use stage::Stage;

/// Rounds of a case that takes minutes and that nothing must be reached in.
const FEW_ROUNDS: usize = 3;
/// A case that failed so often on a system is not tried there again.
const FAILURES_MAX: usize = 2;

/// Figures of one sample: name with its unit, value.
type Figures = Vec<(&'static str, f64)>;

/// Takes one sample on one system; what was added before an error counts.
type Measure = Box<dyn Fn(&mut Stage, System, &mut Figures) -> anyhow::Result<()>>;

/// Something that is measured.
struct Case {
    name: String,
    /// What its name stands for, for the JSON lines.
    parameters: Value,
    /// Whether it is measured in few rounds only.
    long: bool,
    measure: Measure,
}

impl Case {
    fn new(
        name: impl Into<String>,
        parameters: Value,
        measure: impl Fn(&mut Stage, System, &mut Figures) -> anyhow::Result<()> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            parameters,
            long: false,
            measure: Box::new(measure),
        }
    }
}

/// All cases that are asked for: first those on servers that stay and are warm, then those that start
/// servers of their own.
fn cases(args: &BenchArgs) -> Vec<Case> {
    let mut cases = produce::cases(args.matrix);
    cases.extend(produce::fsync_cases());
    cases.extend(fetch::cases());
    cases.extend(latency::cases());
    cases.extend(e2e::cases());
    if args.against.is_some() {
        cases.extend(tools::cases());
    }
    cases.extend(coordinators::cases());
    cases.extend(groups::cases());
    cases.extend(memory::cases());
    cases.extend(first::cases());
    cases.extend(restart::cases(args.log_gb));
    cases.extend(partitions::cases());
    let asked = |name: &str| args.only.iter().any(|part| name.contains(part.as_str()));
    cases.retain(|case| args.only.is_empty() || asked(&case.name));
    cases
}

/// The part at `part` (0 to 1) of sorted values.
fn percentile(sorted: &[f64], part: f64) -> f64 {
    let at = (sorted.len() as f64 * part) as usize;
    sorted
        .get(at)
        .or(sorted.last())
        .copied()
        .unwrap_or(f64::NAN)
}

/// Prints the names of the cases that would be run.
#[expect(clippy::print_stdout, reason = "the list is the result")]
pub(crate) fn list(args: &BenchArgs) {
    for case in cases(args) {
        println!("{}", case.name);
    }
}

/// Runs every case on every server in turn.
#[expect(clippy::print_stderr, reason = "progress of a run of hours")]
pub(crate) fn run(args: &BenchArgs, binary: &Path, report: &mut Report) -> anyhow::Result<()> {
    let script = peer(args)?;
    let systems = match &script {
        None => vec![System::Logway],
        Some(_) => vec![System::Logway, System::Kafka],
    };
    let mut stage = Stage::new(args, binary, script);
    for case in cases(args) {
        let mut parameters = case.parameters.clone();
        parameters["seconds"] = args.seconds.into();
        parameters["warm_gb"] = args.warm_gb.into();
        parameters["read_all"] = args.read_all.into();
        report.parameters(&case.name, parameters);
        let rounds = if case.long {
            args.rounds.min(FEW_ROUNDS)
        } else {
            args.rounds
        };
        for round in 1..=rounds {
            for &system in &systems {
                if report.failures(&case.name, system.name()) >= FAILURES_MAX {
                    continue;
                }
                eprintln!("{round}/{rounds} {}: {}", system.name(), case.name);
                sample(&mut stage, &case, system, report);
            }
        }
        if let Some(file) = &args.json {
            report.save(file)?;
        }
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress of a run of hours")]
fn sample(stage: &mut Stage, case: &Case, system: System, report: &mut Report) {
    let mut figures = Figures::new();
    let done = disk::has_space(&std::env::temp_dir(), 0)
        .and_then(|()| (case.measure)(stage, system, &mut figures));
    for (figure, value) in figures {
        report.add(&case.name, figure, system.name(), value);
    }
    if let Err(error) = done {
        eprintln!("  failed: {error:#}");
        report.fail(&case.name, system.name(), &format!("{error:#}"));
    }
}

/// What a run must reach, and whether it did; empty without a peer.
pub(crate) fn verdicts(args: &BenchArgs, report: &Report) -> String {
    if args.against.is_some() {
        must::table(report)
    } else {
        String::new()
    }
}
