//! The slim binary `logway-agent`: settings, logs, signals around [`logway_agent::Agent`].
//!
//! **Invariant:** bad settings end with 64 before anything is opened; a signal ends with 0 within 10 s.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use logway_agent::{Agent, Args};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// What an ordered end may take.
const DEADLINE: Duration = Duration::from_secs(7);
/// sysexits: EX_USAGE.
const BAD_SETTINGS: u8 = 64;

/// Tails files, collects host metrics, ships both to a Kafka-speaking broker.
#[derive(Debug, Parser)]
#[command(name = "logway-agent", version)]
struct Cli {
    #[command(flatten)]
    args: Args,
}

fn main() -> ExitCode {
    let args = Cli::parse().args;
    let filter = EnvFilter::try_from_env("LOGWAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("logway-agent: {error}");
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("logway-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: logway_config::agent::Agent) -> anyhow::Result<()> {
    // The runtime only talks to brokers; files have a thread of their own.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(1)
        .enable_all()
        .build()
        .context("start the runtime")?;
    runtime.block_on(serve(settings))?;
    // A collection that hangs on a dead mount must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(())
}

async fn serve(settings: logway_config::agent::Agent) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let mut agent = Agent::start(settings).await.context("start the agent")?;
    let http = agent
        .http_addr()
        .map(|address| format!(" http={address}"))
        .unwrap_or_default();
    writeln!(std::io::stdout(), "ready agent{http}").context("say that the agent is ready")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = agent.finished() => {}
    }
    agent.shutdown(DEADLINE).await;
    Ok(())
}
