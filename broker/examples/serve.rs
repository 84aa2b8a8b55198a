//! Runs a broker alone: `serve LISTEN DATA_DIR [HTTP]`. For trying clients by hand.

use std::path::PathBuf;
use std::time::Duration;

use logway_broker::Broker;
use logway_config::broker::Broker as Settings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: serve LISTEN DATA_DIR [HTTP]";
    let settings = Settings {
        listen: args.next().ok_or(usage)?.parse()?,
        data_dir: PathBuf::from(args.next().ok_or(usage)?),
        http: args.next().map(|addr| addr.parse()).transpose()?,
        group_initial_rebalance_delay_ms: 500,
        ..Settings::default()
    };
    let broker = Broker::start(settings).await?;
    eprintln!(
        "ready kafka={} http={:?}",
        broker.kafka_addr(),
        broker.http_addr()
    );
    tokio::signal::ctrl_c().await?;
    broker.shutdown(Duration::from_secs(10)).await;
    Ok(())
}
