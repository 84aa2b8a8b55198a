//! The `logway` binary: wires the rooms together, owns no logic.
//!
//! Exit codes: 0 done, 1 the work failed, 2 wrong usage, 64 a wrong settings file; 130 and 143
//! where SIGINT or SIGTERM cut the work off. Servers end at both with 0.

mod args;
mod bench;
mod cluster;
mod configs;
mod connect;
mod consume;
mod daemon;
mod failure;
mod groups;
mod kafka_tools;
mod logging;
mod moment;
mod offsets;
mod produce;
mod profiles;
mod progress;
mod record_format;
mod stop;
mod table;
mod topics;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if let Some(tool) = words.next().and_then(|name| kafka_tools::called_as(&name)) {
        let words: Vec<String> = words
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        return kafka_tools::run(tool, &words);
    }
    let args = Args::parse();
    logging::start(args.verbose, args.command.is_server());
    let done = match args.command {
        Command::Bench(args) => bench::run(args.action),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "logway", &mut text);
            table::print(&text).map(|()| ExitCode::SUCCESS)
        }
        command => run(command).map(|()| ExitCode::SUCCESS),
    };
    match done {
        Ok(code) => code,
        Err(failure) => {
            if failure.is_told() {
                eprintln!("logway: {failure}");
            }
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // A client's command asks a question and ends: threads would cost more than they bring.
    let mut builder = if command.is_server() {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(error, "start the runtime"))?;
    let done = runtime.block_on(async {
        match command {
            Command::Up(args) => up::run(args).await,
            Command::Broker(args) => daemon::broker(args).await,
            Command::Agent(args) => daemon::agent(args).await,
            Command::Pipeline(args) => daemon::pipeline(args).await,
            Command::Topics(args) => topics::run(args).await,
            Command::Produce(args) => produce::run(args).await,
            Command::Consume(args) => consume::run(args).await,
            Command::Groups(args) => groups::run(args).await,
            Command::Configs(args) => configs::run(args).await,
            Command::Offsets(args) => offsets::run(args).await,
            Command::Transactions(args) => cluster::transactions(args).await,
            Command::Cluster(args) => cluster::describe(args).await,
            Command::Bench(_) | Command::Completions { .. } => Ok(()),
            Command::InstallKafkaTools { folder } => kafka_tools::install(&folder),
        }
    });
    // A blocked read of standard input must not hold the process.
    runtime.shutdown_background();
    done
}
