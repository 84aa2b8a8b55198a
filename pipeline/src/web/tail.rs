//! `GET /api/v1/tail`: new lines as they are stored, as server-sent events. Step 12.
//!
//! Invariant: lines are read from the store by id, so a reader that reconnects with
//! `Last-Event-ID` misses none. A reader that falls too far behind is told how many lines it
//! missed (`lagged`) and goes on with the newest; nothing is queued for it beyond a few events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use super::App;
use super::error::ApiError;
use super::param::{LOG_FILTERS, Params};
use super::row::LineJson;
use crate::store::{Found, LogFilter, Order, Page, Position, find, now_ms};

/// Live tails at once.
pub(crate) const TAILS_MAX: usize = 64;
/// Lines of one event.
const EVENT_LINES: usize = 200;
/// Events waiting for one reader.
const QUEUE_EVENTS: usize = 4;
/// Shortest time between two events: lines that come together go together.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);
/// How far a reader may be behind, in lines, before lines are left out.
const BEHIND_MAX: i64 = 10_000;
/// How many of the newest lines a reader gets that was too far behind.
const BEHIND_KEPT: i64 = 500;
/// After how many lines that do not match the position is sent alone.
const SILENT_LINES: i64 = 1_000;

type Outcome = Result<Event, Infallible>;

pub(crate) async fn tail(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Sse<KeepAliveStream<ReceiverStream<Outcome>>>, ApiError> {
    let params = Params::read(&uri, &[&LOG_FILTERS, &["after_id"]])?;
    let filter = params.log_filter(now_ms())?;
    let newest = *app.writer.last_id().borrow();
    let resumed = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let after_id = params.number("after_id", 0..=i64::MAX)?;
    // A position beyond the newest line is from another store.
    let after = resumed
        .or(after_id)
        .filter(|id| *id <= newest)
        .unwrap_or(newest);
    let permit = Arc::clone(&app.tails).try_acquire_owned().map_err(|_| {
        let message = format!("{TAILS_MAX} live tails are open already; close one");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })?;
    let (events, stream) = mpsc::channel(QUEUE_EVENTS);
    let cancel = app.cancel.clone();
    let tail = Tail {
        last_id: app.writer.last_id(),
        events,
        filter,
        after,
        announced: after,
        cancel,
        _permit: permit,
        app: Arc::clone(&app),
    };
    app.tasks.spawn(tail.run());
    Ok(Sse::new(ReceiverStream::new(stream)).keep_alive(KeepAlive::default()))
}

/// One reader.
struct Tail {
    app: Arc<App>,
    last_id: watch::Receiver<i64>,
    events: mpsc::Sender<Outcome>,
    filter: LogFilter,
    /// The last line looked at.
    after: i64,
    /// The last id the reader knows.
    announced: i64,
    cancel: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Tail {
    async fn run(mut self) {
        self.app.telemetry.tail_opened();
        let cancel = self.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => {}
            _gone = self.serve() => {}
        }
        self.app.telemetry.tail_closed();
    }

    /// Ends, with `None`, when the reader has gone or the store is closed.
    async fn serve(&mut self) -> Option<()> {
        let hello = Event::default().event("ready").id(self.after.to_string());
        self.send(hello.data(json!({ "after_id": self.after }).to_string()))
            .await?;
        loop {
            let after = self.after;
            let newest = tokio::select! {
                newest = self.last_id.wait_for(|id| *id > after) => *newest.ok()?,
                () = self.events.closed() => return None,
            };
            if newest - self.after > BEHIND_MAX {
                let next = newest - BEHIND_KEPT;
                let missed = json!({ "missed": next - self.after, "after_id": next });
                self.after = next;
                let event = Event::default().event("lagged").id(next.to_string());
                self.announced = next;
                self.send(event.data(missed.to_string())).await?;
            }
            let found = self.read().await?;
            self.advance(found, newest).await?;
            tokio::time::sleep(EVENT_INTERVAL).await;
        }
    }

    async fn read(&self) -> Option<Found> {
        let filter = self.filter.clone();
        let page = Page::by_id(Order::Ascending, self.after, EVENT_LINES);
        match self
            .app
            .reader
            .run(move |conn| find(conn, &filter, page))
            .await
        {
            Ok(found) => Some(found),
            Err(error) => {
                let event = Event::default().event("trouble");
                self.send(event.data(json!({ "error": error.to_string() }).to_string()))
                    .await?;
                None
            }
        }
    }

    async fn advance(&mut self, found: Found, newest: i64) -> Option<()> {
        let last = found.rows.last().map(|row| row.id);
        self.after = match found.next {
            Some(Position::Id(id)) => id,
            // The end was reached; lines stored after `newest` was read may be among the rows.
            _ => newest.max(last.unwrap_or(newest)),
        };
        if found.rows.is_empty() {
            if self.after - self.announced >= SILENT_LINES {
                self.announced = self.after;
                let event = Event::default()
                    .event("position")
                    .id(self.after.to_string());
                self.send(event.data("{}")).await?;
            }
            return Some(());
        }
        self.announced = self.after;
        let lines: Vec<LineJson> = found.rows.into_iter().map(LineJson::from).collect();
        let data = serde_json::to_string(&lines).ok()?;
        let event = Event::default().event("lines").id(self.after.to_string());
        self.send(event.data(data)).await
    }

    async fn send(&self, event: Event) -> Option<()> {
        self.events.send(Ok(event)).await.ok()
    }
}
