//! Step 12 of the hallway: the page, the data behind it, and how the pipeline is doing.
//!
//! Invariant: only reads; connections, live tails, parameters, rows and query times are bounded.

mod error;
mod listener;
mod logs;
mod metrics;
mod page;
mod param;
mod row;
mod status;
mod tail;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::error::ApiError;
use self::listener::LimitedListener;
use crate::source::SharedState;
use crate::store::{Reader, Writer};
use crate::telemetry::Telemetry;

/// Connections at once.
const CONNECTIONS_MAX: usize = 512;

/// A text to append to `/metrics`.
pub type ExtraMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the handlers share.
pub(crate) struct App {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) source: SharedState,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) extra_metrics: Vec<ExtraMetrics>,
    pub(crate) group: String,
    pub(crate) store_path: PathBuf,
    pub(crate) started: Instant,
    pub(crate) tails: Arc<Semaphore>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl App {
    /// Places for live tails.
    pub(crate) fn tail_places() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(tail::TAILS_MAX))
    }
}

/// Serves until the app's token is cancelled and open requests are answered.
pub(crate) fn serve(app: Arc<App>, listener: TcpListener) {
    let cancel = app.cancel.clone();
    let tasks = app.tasks.clone();
    let router = router(app);
    let listener = LimitedListener::new(listener, CONNECTIONS_MAX);
    tasks.spawn(async move {
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(cancel.cancelled_owned())
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "the page is no longer served");
        }
    });
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{name}", get(page::file))
        .route("/healthz", get(status::healthz))
        .route("/metrics", get(status::prometheus))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/lag", get(status::lag))
        .route("/api/v1/logs", get(logs::logs))
        .route("/api/v1/unparsed", get(logs::unparsed_lines))
        .route("/api/v1/tail", get(tail::tail))
        .route("/api/v1/metrics", get(metrics::list))
        .route("/api/v1/metrics/query", get(metrics::values))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(&app), count_refused))
        .with_state(app)
}

async fn not_found(request: Request) -> ApiError {
    let message = format!("there is nothing at {}", request.uri().path());
    ApiError::new(StatusCode::NOT_FOUND, message)
}

async fn count_refused(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        app.telemetry.request_refused();
    }
    response
}
