//! The broker's own HTTP page: `GET /healthz` and `GET /metrics`.
//! Invariant: read-only, and independent of the Kafka port's limits. Beside the hallway.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::context::Context;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A bound HTTP socket that is not served yet.
#[derive(Debug)]
pub(crate) struct HttpPage {
    socket: TcpListener,
    addr: SocketAddr,
}

impl HttpPage {
    /// Binds `addr`; port 0 takes a free one.
    pub(crate) async fn bind(addr: SocketAddr) -> io::Result<HttpPage> {
        let socket = TcpListener::bind(addr).await?;
        let addr = socket.local_addr()?;
        Ok(HttpPage { socket, addr })
    }

    /// The address that was really bound.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop`; requests under way are answered.
    pub(crate) fn serve(
        self,
        context: Arc<Context>,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        let router = Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/metrics", get(metrics_page))
            .with_state(context);
        async move {
            let served = axum::serve(self.socket, router)
                .with_graceful_shutdown(async move { stop.cancelled().await });
            if let Err(error) = served.await {
                warn!("http page ended: {error}");
            }
        }
    }
}

async fn metrics_page(State(context): State<Arc<Context>>) -> impl IntoResponse {
    let mut text = context.metrics_text();
    text.push_str("# EOF\n");
    ([(CONTENT_TYPE, OPENMETRICS)], text)
}
