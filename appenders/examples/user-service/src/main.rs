//! The seed's restful service: `GET /users` answers with the users as JSON and logs each of them at
//! DEBUG. The log goes to a topic through the Logway layer; the service starts, answers and ends the
//! same with or without a broker.
//!
//! Shows the whole life of an appender: build, filter, shutdown with a report. Step 4′ of the hallway.

use std::{future::IntoFuture, io::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use axum::{Json, Router, extract::State, routing::get};
use clap::Parser;
use serde::Serialize;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use tracing::{debug, info, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, prelude::*};

/// How long open connections may take after the signal to end.
const DRAIN: Duration = Duration::from_secs(3);
/// How long the last events may take.
const FLUSH: Duration = Duration::from_secs(5);

/// A restful service that ships its log to a topic.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address to serve on; port 0 lets the system choose.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Brokers to ask first, with commas between them.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    bootstrap: String,
    /// Topic of the log events.
    #[arg(long, default_value = "app")]
    topic: String,
}

/// A user as the service tells of them.
#[derive(Debug, Clone, Serialize)]
struct User {
    id: u64,
    name: &'static str,
    email: &'static str,
}

const USERS: &[User] = &[
    User {
        id: 1,
        name: "Ada",
        email: "ada@example.com",
    },
    User {
        id: 2,
        name: "Grace",
        email: "grace@example.com",
    },
    User {
        id: 3,
        name: "Edsger",
        email: "edsger@example.com",
    },
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (shipping, guard) = logway_appenders::layer(&arguments.bootstrap)
        .topic(&arguments.topic)
        .service("user-service")
        .build()
        .context("build the log appender")?;
    logway_appenders::flush_on_panic(Duration::from_secs(1));
    let wanted = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_target("user_service", LevelFilter::DEBUG);
    let console = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_filter(LevelFilter::INFO);
    tracing_subscriber::registry()
        .with(shipping.with_filter(wanted))
        .with(console)
        .init();

    let served = serve(arguments.listen).await;

    // Blocks this thread, and nothing else is left to do.
    let report = guard.shutdown(FLUSH);
    let lost = report.failed + report.dropped;
    writeln!(
        std::io::stderr(),
        "log events: {} sent, {lost} lost",
        report.sent
    )
    .ok();
    served
}

/// Serves until the signal to end.
async fn serve(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    let address = listener
        .local_addr()
        .context("read the address listened on")?;
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let app = Router::new().route("/users", get(users)).with_state(USERS);
    let graceful = async move {
        stopped.changed().await.ok();
    };
    let server = axum::serve(listener, app).with_graceful_shutdown(graceful);
    let mut server = std::pin::pin!(server.into_future());

    info!(%address, "serving");
    writeln!(std::io::stdout(), "ready http={address}").context("say that it is ready")?;
    tokio::select! {
        result = &mut server => return result.context("serve"),
        _ = terminate.recv() => info!("asked to end"),
        result = tokio::signal::ctrl_c() => result.context("listen for Ctrl-C")?,
    }
    stop.send_replace(true);
    match timeout(DRAIN, server).await {
        Ok(result) => result.context("serve"),
        Err(_) => {
            info!("connections were still open and are cut off");
            Ok(())
        }
    }
}

#[tracing::instrument(skip_all)]
async fn users(State(users): State<&'static [User]>) -> Json<&'static [User]> {
    for user in users {
        debug!(
            user.id = user.id,
            user.name = user.name,
            "user {}",
            user.name
        );
    }
    info!(count = users.len(), "users listed");
    Json(users)
}
