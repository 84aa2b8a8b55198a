//! The agent's own page: `GET /healthz` and `GET /metrics`. Beside the hallway.
//!
//! **Invariant:** read-only; answers come from memory and never wait for files or brokers.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::telemetry::Telemetry;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds `address` and serves until `stop`; gives the address really bound.
pub(crate) async fn serve(
    address: SocketAddr,
    telemetry: Telemetry,
    stop: CancellationToken,
    tracker: &TaskTracker,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let metrics = move || {
        let text = telemetry.text() + "# EOF\n";
        async move { ([(CONTENT_TYPE, OPENMETRICS)], text) }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/metrics", get(metrics));
    tracker.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            warn!(%error, "the agent's page ended");
        }
    });
    Ok(bound)
}
