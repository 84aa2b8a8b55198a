//! `GET /api/v1/logs` and `/api/v1/unparsed`: search, paging, export. Step 12.
//!
//! Invariant: walking `next` yields each matching line once. By default pages go by time, newest
//! first; with `after_id` or `before_id` they go by id, the order of storing, which is what an
//! export wants: ids are never used twice and new lines only come behind.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use serde_json::json;

use super::App;
use super::error::ApiError;
use super::param::{LOG_FILTERS, Params};
use super::row::{LineJson, base64, rfc3339};
use crate::store::{Order, Page, Position, find, now_ms, unparsed};

/// Rows of a page, by default and at most.
const LIMIT_DEFAULT: i64 = 100;
const LIMIT_MAX: i64 = 10_000;
/// Longest time one page is searched for; then the answer says where to go on.
const PAGE_TIME_MAX: Duration = Duration::from_secs(5);

/// A page of lines.
#[derive(Debug, Serialize)]
pub(crate) struct LogsJson {
    rows: Vec<LineJson>,
    next: Option<String>,
    complete: bool,
    scanned: u64,
    took_ms: u64,
}

pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<LogsJson>, ApiError> {
    let paging = ["limit", "order", "cursor", "before_id", "after_id"];
    let params = Params::read(&uri, &[&LOG_FILTERS, &paging])?;
    let now_ms = now_ms();
    let filter = params.log_filter(now_ms)?;
    let page = page(&params)?;
    let (found, took) = app
        .reader
        .run(move |conn| {
            let started = std::time::Instant::now();
            find(conn, &filter, page).map(|found| (found, started.elapsed()))
        })
        .await?;
    Ok(Json(LogsJson {
        rows: found.rows.into_iter().map(LineJson::from).collect(),
        next: found.next.map(write_cursor),
        complete: found.complete,
        scanned: found.scanned,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }))
}

fn page(params: &Params) -> Result<Page, ApiError> {
    let limit = params
        .number("limit", 1..=LIMIT_MAX)?
        .unwrap_or(LIMIT_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(1);
    let after_id = params.number("after_id", 0..=i64::MAX)?;
    let before_id = params.number("before_id", 0..=i64::MAX)?;
    let order = match params.text("order") {
        None if after_id.is_some() => Order::Ascending,
        None | Some("desc") => Order::Descending,
        Some("asc") => Order::Ascending,
        Some(other) => {
            return Err(ApiError::bad(format!(
                "parameter `order` must be `asc` or `desc`, not `{other}`"
            )));
        }
    };
    let mut page = match (order, after_id, before_id) {
        (_, None, None) => Page::by_time(order, limit),
        (Order::Ascending, Some(id), None) | (Order::Descending, None, Some(id)) => {
            Page::by_id(order, id, limit)
        }
        _ => {
            return Err(ApiError::bad(
                "`after_id` goes with `order=asc`, `before_id` with `order=desc`, \
                 and only one of them",
            ));
        }
    };
    if let Some(cursor) = params.text("cursor") {
        page.after = read_cursor(cursor)
            .ok_or_else(|| ApiError::bad("parameter `cursor` is not one that an answer gave"))?;
    }
    page.time_max = PAGE_TIME_MAX;
    Ok(page)
}

fn write_cursor(position: Position) -> String {
    match position {
        Position::Time { timestamp, id } => format!("t{timestamp}.{id}"),
        Position::Id(id) => format!("i{id}"),
    }
}

fn read_cursor(text: &str) -> Option<Position> {
    if let Some(id) = text.strip_prefix('i') {
        return id.parse().ok().map(Position::Id);
    }
    let (timestamp, id) = text.strip_prefix('t')?.split_once('.')?;
    Some(Position::Time {
        timestamp: timestamp.parse().ok()?,
        id: id.parse().ok()?,
    })
}

pub(crate) async fn unparsed_lines(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<serde_json::Value>, ApiError> {
    let params = Params::read(&uri, &[&["limit", "before_id"]])?;
    let limit = params.number("limit", 1..=1000)?.unwrap_or(LIMIT_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(1);
    let before_id = params
        .number("before_id", 0..=i64::MAX)?
        .unwrap_or(i64::MAX);
    let rows = app
        .reader
        .run(move |conn| unparsed(conn, before_id, limit))
        .await?;
    let full = rows.len() == limit;
    let next = rows.last().filter(|_| full).map(|row| row.id);
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| {
            let base64 = std::str::from_utf8(&row.body)
                .is_err()
                .then(|| base64(&row.body));
            json!({
                "id": row.id, "timestamp": row.timestamp, "time": rfc3339(row.timestamp),
                "topic": row.topic, "partition": row.partition, "offset": row.offset,
                "reason": row.reason, "line": String::from_utf8_lossy(&row.body),
                "body_base64": base64,
            })
        })
        .collect();
    Ok(Json(json!({ "rows": rows, "next_before_id": next })))
}
