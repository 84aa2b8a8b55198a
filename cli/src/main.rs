//! The `logway` binary: wires the rooms together, owns no logic.
//!
//! Exit codes: 0 done, 1 the work failed, 2 wrong usage, 64 a wrong settings file.

mod args;
mod connect;
mod consume;
mod daemon;
mod failure;
mod groups;
mod logging;
mod offsets;
mod produce;
mod stop;
mod table;
mod topics;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};
use crate::failure::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    logging::start(args.verbose);
    match run(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("logway: {failure}");
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
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
        }
    });
    // A blocked read of standard input must not hold the process.
    runtime.shutdown_background();
    done
}
