//! Kafka's own tools by their own names: what they are called with, what they print.
//!
//! Invariant: options, output and exit codes are those of Kafka 4.3; each tool has a file, shared
//! is how options are read (`options`), how errors are called (`exception`) and how a tool speaks
//! (`output`). A tool runs on one thread: most ask one question and end.

mod broker_api_versions;
mod configs;
mod connect;
mod console_consumer;
mod console_producer;
mod consumer_config;
mod consumer_groups;
mod consumer_perf;
mod delete_records;
mod exception;
mod get_offsets;
mod hash_order;
mod install;
mod log_dirs;
mod options;
mod output;
mod producer_perf;
mod properties;
mod regex_pattern;
mod topics;
mod transactions;

use std::ffi::OsStr;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

pub(crate) use install::install;

use crate::stop::StopSignal;
use exception::Exception;
use options::{EVERYWHERE, Opt, Parsed};
use output::{End, err, out};

/// The release whose tools these stand for.
const RELEASE: &str = "4.3.1";

/// A tool under way: its exit code, or why it ended early.
type Running<'a> = Pin<Box<dyn Future<Output = Result<u8, End>> + 'a>>;

/// A tool of Kafka's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// Its name, without `.sh`.
    name: &'static str,
    /// Its own options.
    options: &'static [&'static [Opt]],
    /// What it does with a command line that could be read.
    run: for<'a> fn(&'a Parsed) -> Running<'a>,
    /// How it ends early.
    ended: fn(End, &str) -> u8,
    /// How an option that does not exist is met.
    misread: Misread,
}

/// What follows when a command line cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Misread {
    /// The option table.
    Table,
    /// The error again, with its class.
    Class,
    /// The error with its class alone, as one that nobody caught.
    Uncaught,
}

/// All of them.
const TOOLS: &[Tool] = &[
    topics::TOOL,
    console_producer::TOOL,
    console_consumer::TOOL,
    consumer_groups::TOOL,
    configs::TOOL,
    transactions::TOOL,
    producer_perf::TOOL,
    consumer_perf::TOOL,
    get_offsets::TOOL,
    delete_records::TOOL,
    log_dirs::TOOL,
    broker_api_versions::TOOL,
];

/// The tool that this program was called as, if it was.
pub(crate) fn called_as(program: &OsStr) -> Option<&'static Tool> {
    let name = Path::new(program).file_name()?.to_str()?;
    let name = name.strip_suffix(".sh").unwrap_or(name);
    TOOLS.iter().find(|tool| tool.name == name)
}

/// Runs a tool to its end.
pub(crate) fn run(tool: &Tool, args: &[String]) -> ExitCode {
    run_to_end(tool, args, false)
}

/// The same with a bar on the terminal, which the originals do not have.
pub(crate) fn run_with_progress(tool: &Tool, args: &[String]) -> ExitCode {
    run_to_end(tool, args, true)
}

fn run_to_end(tool: &Tool, args: &[String], progress: bool) -> ExitCode {
    let options: Vec<Opt> = tool
        .options
        .iter()
        .flat_map(|options| options.iter().copied())
        .chain(EVERYWHERE)
        .collect();
    let table = options::table(&options);
    let parsed = match options::parse(&options, args) {
        Ok(mut parsed) => {
            parsed.progress = progress;
            parsed
        }
        Err(message) => {
            let class = if message.ends_with("requires an argument") {
                "OptionMissingRequiredArgumentException"
            } else {
                "UnrecognizedOptionException"
            };
            match tool.misread {
                Misread::Table => err(format!("{message}\n{}", table.trim_end())),
                Misread::Class => err(format!("{message}\njoptsimple.{class}: {message}")),
                Misread::Uncaught => err(format!(
                    "Exception in thread \"main\" joptsimple.{class}: {message}"
                )),
            }
            return ExitCode::FAILURE;
        }
    };
    if parsed.has("help") {
        out(table.trim_end());
        return ExitCode::SUCCESS;
    }
    if parsed.has("version") {
        out(RELEASE);
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            err(format!("start the runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on((tool.run)(&parsed));
    // A read of standard input that never ends must not hold the process.
    runtime.shutdown_background();
    match done {
        Ok(code) | Err(End::Code(code)) => ExitCode::from(code),
        Err(end) => ExitCode::from((tool.ended)(end, &table)),
    }
}

/// How most tools end: a wrong command line with the option table, a failure with its words.
fn ended(end: End, table: &str) -> u8 {
    match end {
        End::Usage(message) => {
            err(message);
            err(table.trim_end());
        }
        End::Refused(message) => err(message),
        End::Failed(exception) => {
            err(&exception.message);
            err(exception.to_string());
        }
        End::Code(code) => return code,
    }
    1
}

/// The signals that end a tool.
fn signals() -> Result<StopSignal, Exception> {
    StopSignal::listen().map_err(|e| Exception::new("java.lang.RuntimeException", e.to_string()))
}

/// Runs a tool that a signal ends at once.
async fn until_stopped(run: impl Future<Output = Result<u8, End>>) -> Result<u8, End> {
    let mut stop = signals()?;
    tokio::select! {
        done = run => done,
        by = stop.wait() => Ok(by.exit_code()),
    }
}

/// `Option "[a]" can't be used with option "[b]"`, if both were given.
fn exclude(parsed: &Parsed, with: &str, others: &[&str]) -> Result<(), End> {
    let other = others.iter().find(|other| parsed.has(other));
    match other {
        Some(other) if parsed.has(with) => Err(End::Usage(format!(
            "Option \"[{other}]\" can't be used with option \"[{with}]\""
        ))),
        _ => Ok(()),
    }
}

/// The option's value, or what is missing.
fn required<'a>(parsed: &'a Parsed, name: &str) -> Result<&'a str, End> {
    parsed
        .get(name)
        .ok_or_else(|| End::Usage(format!("Missing required argument \"[{name}]\"")))
}

#[cfg(test)]
mod tests;
