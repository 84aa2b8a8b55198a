//! `/healthz`, `/metrics`, `/api/v1/status`, `/api/v1/lag`. Step 12.
//!
//! Invariant: health fails only when a restart would help: when the writer or the source has
//! stopped for good. A full disk or an absent broker shows in the status instead.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::row::rfc3339;
use crate::store::{now_ms, stored_offsets};

pub(crate) async fn healthz(State(app): State<Arc<App>>) -> impl IntoResponse {
    match app.failure() {
        None => (StatusCode::OK, "ok".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

pub(crate) async fn prometheus(State(app): State<Arc<App>>) -> impl IntoResponse {
    let mut text = app.metrics_text();
    for extra in &app.extra_metrics {
        text.push_str(&extra());
    }
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
}

pub(crate) async fn status(State(app): State<Arc<App>>) -> Json<Value> {
    let writer = app.writer.state();
    let source = app.source.lock().clone();
    let counts = serde_json::to_value(&writer.counts).unwrap_or_default();
    let mut status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "group": app.group,
        "healthy": app.failure().is_none(),
        "now": now_ms(),
        "uptime_seconds": app.started.elapsed().as_secs(),
        "last_id": *app.writer.last_id().borrow(),
        "store": {
            "path": app.store_path.display().to_string(),
            "bytes": app.store_bytes(),
            "waiting": writer.waiting,
            "failed": writer.failed,
        },
        "source": {
            "partitions": source.partitions.len(),
            "lag": source.partitions.values().filter_map(crate::source::PartitionLag::lag).sum::<i64>(),
            "trouble": source.trouble,
            "stopped": source.stopped,
        },
    });
    if let (Value::Object(status), Value::Object(counts)) = (&mut status, counts) {
        status.extend(counts);
    }
    Json(status)
}

pub(crate) async fn lag(State(app): State<Arc<App>>) -> Result<Json<Value>, ApiError> {
    let stored = app.reader.run(stored_offsets).await?;
    let owned = app.source.lock().partitions.clone();
    let now_ms = now_ms();
    let mut rows = Vec::new();
    for offset in stored.iter().filter(|offset| offset.group == app.group) {
        let own = owned.values().find(|lag| {
            *lag.partition.topic == *offset.topic && lag.partition.index == offset.partition
        });
        let known = (offset.next_offset >= 0).then_some(offset.next_offset);
        rows.push(json!({
            "group": offset.group,
            "topic": offset.topic,
            "partition": offset.partition,
            "assigned": own.is_some(),
            "stored_offset": own.map(|own| own.stored).or(known),
            "end_offset": own.and_then(crate::source::PartitionLag::end),
            "lag": own.and_then(crate::source::PartitionLag::lag),
            "lag_seconds": own.and_then(|own| own.lag_seconds(now_ms)),
            "last_timestamp": own.and_then(|own| own.last_timestamp),
            "stored_at": (offset.updated_ms > 0).then(|| rfc3339(offset.updated_ms)),
        }));
    }
    let total: i64 = owned
        .values()
        .filter_map(crate::source::PartitionLag::lag)
        .sum();
    Ok(Json(
        json!({ "group": app.group, "total_lag": total, "partitions": rows }),
    ))
}

impl App {
    /// Why the pipeline can do nothing any more, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.writer
            .state()
            .failed
            .or_else(|| self.source.lock().stopped.clone())
    }

    /// This pipeline's metrics.
    pub(crate) fn metrics_text(&self) -> String {
        let mut text = self.telemetry.text();
        let state = self.writer.state();
        for (name, help, value) in [
            (
                "store_bytes",
                "Size of the store's file and its log",
                self.store_bytes(),
            ),
            ("store_lines", "Log lines in the store", state.counts.lines),
            (
                "store_points",
                "Field values in the store",
                state.counts.points,
            ),
            (
                "store_waiting",
                "1 while the store cannot be written",
                state.waiting.is_some().into(),
            ),
        ] {
            text.push_str(&format!(
                "# HELP logway_pipeline_{name} {help}.\n# TYPE logway_pipeline_{name} gauge\n\
                 logway_pipeline_{name} {value}\n"
            ));
        }
        text
    }

    /// Bytes on disk: the file and its write-ahead log.
    pub(crate) fn store_bytes(&self) -> u64 {
        let mut wal = self.store_path.clone().into_os_string();
        wal.push("-wal");
        let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
        size(&self.store_path) + size(std::path::Path::new(&wal))
    }
}
