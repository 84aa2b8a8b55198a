//! One part of the road as a process of its own: from settings to `ready`, until asked to stop.

use std::fmt::Display;

use crate::args;
use crate::failure::Failure;
use crate::stop::{DEADLINE, StopSignal};
use crate::table::print;

/// Prints the one line that scripts wait for.
pub(crate) fn ready(line: impl Display) -> Result<(), Failure> {
    print(format!("ready {line}\n").as_bytes())
}

/// ` http=HOST:PORT` if the part has an HTTP address.
fn http(address: Option<std::net::SocketAddr>) -> String {
    address
        .map(|address| format!(" http={address}"))
        .unwrap_or_default()
}

/// The broker alone.
pub(crate) async fn broker(args: args::Broker) -> Result<(), Failure> {
    let mut settings = match &args.config {
        Some(path) => logway_config::broker::Broker::load(path).map_err(Failure::settings)?,
        None => logway_config::broker::Broker::default(),
    };
    settings.data_dir = args.data_dir.unwrap_or(settings.data_dir);
    settings.listen = args.listen.unwrap_or(settings.listen);
    settings.http = args.http.or(settings.http);
    let mut stop = StopSignal::listen()?;
    let broker = logway_broker::Broker::start(settings)
        .await
        .map_err(|error| Failure::failed(error, "start the broker"))?;
    ready(format!(
        "kafka={}{}",
        broker.kafka_addr(),
        http(broker.http_addr())
    ))?;
    stop.wait().await;
    broker.shutdown(DEADLINE).await;
    Ok(())
}

/// The agent alone.
pub(crate) async fn agent(args: logway_agent::Args) -> Result<(), Failure> {
    let settings = args.settings().map_err(Failure::settings)?;
    let mut stop = StopSignal::listen()?;
    let mut agent = logway_agent::Agent::start(settings)
        .await
        .map_err(|error| Failure::failed(error, "start the agent"))?;
    ready(format!("agent{}", http(agent.http_addr())))?;
    tokio::select! {
        _ = stop.wait() => {}
        () = agent.finished() => {}
    }
    agent.shutdown(DEADLINE).await;
    Ok(())
}

/// The pipeline alone.
pub(crate) async fn pipeline(args: args::Pipeline) -> Result<(), Failure> {
    let settings =
        logway_config::pipeline::Pipeline::load(&args.config).map_err(Failure::settings)?;
    let mut stop = StopSignal::listen()?;
    let pipeline = logway_pipeline::Pipeline::start(settings, Vec::new())
        .await
        .map_err(|error| Failure::failed(error, "start the pipeline"))?;
    ready(format!("pipeline{}", http(Some(pipeline.http_addr()))))?;
    stop.wait().await;
    pipeline.shutdown(DEADLINE).await;
    Ok(())
}
