//! `GET /api/v1/metrics` and `/api/v1/metrics/query`: what is measured, and its values over time.
//! Step 12.
//!
//! Invariant: an answer has at most [`BUCKETS_MAX`] values per series and a bounded number of
//! series; it says when there are more.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Value, json};

use super::App;
use super::error::ApiError;
use super::param::Params;
use crate::store::{Aggregate, MetricFilter, measurements, now_ms, query, series};

/// Buckets of one series.
const BUCKETS_MAX: i64 = 5_000;
/// Buckets when no step is asked for.
const BUCKETS_DEFAULT: i64 = 300;
const HOUR_MS: i64 = 3_600_000;

pub(crate) async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let params = Params::read(&uri, &[&["name", "field", "tag."]])?;
    let Some(name) = params.text("name").map(str::to_owned) else {
        let list = app.reader.run(measurements).await?;
        return Ok(Json(json!({ "metrics": list })));
    };
    let field = params.text("field").map(str::to_owned);
    let tags = params.tags();
    let wanted = name.clone();
    let (list, more) = app
        .reader
        .run(move |conn| series(conn, &wanted, field.as_deref(), &tags))
        .await?;
    Ok(Json(
        json!({ "name": name, "series": list, "truncated": more }),
    ))
}

pub(crate) async fn values(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Value>, ApiError> {
    let known = ["name", "field", "from", "to", "step", "agg", "tag."];
    let params = Params::read(&uri, &[&known])?;
    let now_ms = now_ms();
    let to = params.time("to", now_ms)?.unwrap_or(now_ms);
    let from = params
        .time("from", now_ms)?
        .unwrap_or(to.saturating_sub(HOUR_MS));
    if from >= to {
        return Err(ApiError::bad("parameter `from` must be before `to`"));
    }
    let length = to
        .checked_sub(from)
        .ok_or_else(|| ApiError::bad("the time range is too wide"))?;
    let step = params
        .duration_ms("step")?
        .unwrap_or((length / BUCKETS_DEFAULT).max(1000));
    if length / step > BUCKETS_MAX {
        return Err(ApiError::bad(format!(
            "more than {BUCKETS_MAX} steps from `from` to `to`; take a wider `step`, at least {} ms",
            length / BUCKETS_MAX + 1
        )));
    }
    let aggregate = params.text("agg").unwrap_or("avg");
    let aggregate = Aggregate::parse(aggregate).ok_or_else(|| {
        ApiError::bad(format!(
            "parameter `agg` must be avg, min, max, sum, last or count, not `{aggregate}`"
        ))
    })?;
    let filter = MetricFilter {
        name: params.required("name")?.to_owned(),
        field: params.required("field")?.to_owned(),
        tags: params.tags(),
        from_ns: nanoseconds(from)?,
        to_ns: nanoseconds(to)?,
        step_ns: nanoseconds(step)?,
        aggregate,
    };
    let (name, field) = (filter.name.clone(), filter.field.clone());
    let (series, more) = app.reader.run(move |conn| query(conn, &filter)).await?;
    Ok(Json(json!({
        "name": name, "field": field, "from": from, "to": to, "step_ms": step,
        "series": series, "truncated": more,
    })))
}

fn nanoseconds(ms: i64) -> Result<i64, ApiError> {
    ms.checked_mul(1_000_000)
        .ok_or_else(|| ApiError::bad("a time is outside the years 1678 to 2262"))
}
