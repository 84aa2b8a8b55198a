//! `logway up`: broker, agent and pipeline in one process, over the broker's own socket.
//!
//! Started in the order a line travels back to front (broker, agent, pipeline) and stopped front to
//! back, so that what was read still reaches the store.

use std::path::PathBuf;

use logway_config::{agent, broker, pipeline};

use crate::args::Up;
use crate::daemon::ready;
use crate::failure::Failure;
use crate::stop::{DEADLINE, StopSignal};

/// Patterns tailed when none is given: text logs below /var/log, not what rotation packed away.
const SYSTEM_LOGS: [&str; 3] = ["/var/log/**/*.log", "/var/log/syslog", "/var/log/messages"];

/// A file that rests this long is finished: its last line counts although no line end follows it.
const CLOSE_INACTIVE_MS: u64 = 5_000;

/// Runs until a signal asks it to stop.
pub(crate) async fn run(args: Up) -> Result<(), Failure> {
    let data = match &args.data_dir {
        Some(folder) => folder.clone(),
        None => default_data_dir()?,
    };
    let mut stop = StopSignal::listen()?;
    let broker = logway_broker::Broker::start(broker_settings(&args, &data))
        .await
        .map_err(|error| Failure::failed(error, "start the broker"))?;
    let kafka = broker.kafka_addr();
    let agent = logway_agent::Agent::start(agent_settings(&args, &data, kafka))
        .await
        .map_err(|error| Failure::failed(error, "start the agent"))?;
    let metrics = vec![broker.metrics(), agent.metrics()];
    let pipeline =
        logway_pipeline::Pipeline::start(pipeline_settings(&args, &data, kafka), metrics)
            .await
            .map_err(|error| Failure::failed(error, "start the pipeline"))?;
    let http = pipeline.http_addr();
    eprintln!(
        "page   http://{http}/\nkafka  {kafka}\ndata   {}",
        data.display()
    );
    ready(format!("kafka={kafka} http={http}"))?;
    stop.wait().await;
    let share = DEADLINE / 3;
    agent.shutdown(share).await;
    pipeline.shutdown(share).await;
    broker.shutdown(share).await;
    Ok(())
}

/// `$XDG_STATE_HOME/logway`, else `~/.local/state/logway`.
fn default_data_dir() -> Result<PathBuf, Failure> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state"));
    state
        .or_else(home)
        .map(|folder| folder.join("logway"))
        .ok_or_else(|| Failure::usage("no home folder for the data: say --data-dir DIR"))
}

fn broker_settings(args: &Up, data: &std::path::Path) -> broker::Broker {
    broker::Broker {
        data_dir: data.join("broker"),
        listen: args.kafka_addr,
        http: None,
        // One machine's own parts join: nobody is worth waiting three seconds for.
        group_initial_rebalance_delay_ms: 0,
        ..broker::Broker::default()
    }
}

fn agent_settings(args: &Up, data: &std::path::Path, kafka: std::net::SocketAddr) -> agent::Agent {
    let paths = if args.tail.is_empty() {
        SYSTEM_LOGS.iter().map(|glob| (*glob).to_owned()).collect()
    } else {
        args.tail.clone()
    };
    agent::Agent {
        state_dir: data.join("agent"),
        bootstrap: vec![kafka.to_string()],
        http: None,
        inputs: vec![agent::FileInput {
            paths,
            close_inactive_ms: CLOSE_INACTIVE_MS,
            ..agent::FileInput::default()
        }],
        metrics: Some(agent::HostMetrics::default()),
        ..agent::Agent::default()
    }
}

fn pipeline_settings(
    args: &Up,
    data: &std::path::Path,
    kafka: std::net::SocketAddr,
) -> pipeline::Pipeline {
    let defaults = pipeline::Pipeline::default();
    pipeline::Pipeline {
        bootstrap: vec![kafka.to_string()],
        http: args.http_addr,
        store: pipeline::Store {
            path: data.join("pipeline/store.db"),
            ..defaults.store.clone()
        },
        ..defaults
    }
}
