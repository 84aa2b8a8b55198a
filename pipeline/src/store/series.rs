//! Reading metrics: which there are, and their values in buckets.
//!
//! Invariant: bucketing happens in SQL; a query is bounded in series and buckets. Step 12.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};
use serde::Serialize;

/// Series one query may return.
const SERIES_MAX: usize = 200;
/// Rows of the list of measurements and fields.
const LIST_MAX: i64 = 10_000;

/// A measurement and its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Measurement {
    /// Name.
    pub name: String,
    /// Fields.
    pub fields: Vec<FieldInfo>,
}

/// A field of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldInfo {
    /// Name.
    pub name: String,
    /// `float`, `integer`, `unsigned`, `boolean` or `text`.
    pub kind: String,
    /// Number of series (sets of tags) that have it.
    pub series: u64,
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeriesInfo {
    /// Number in the store.
    pub id: i64,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Field.
    pub field: String,
    /// `float`, `integer`, `unsigned`, `boolean` or `text`.
    pub kind: String,
}

/// How the values of a bucket become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Mean.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Sum.
    Sum,
    /// The latest.
    Last,
    /// Number of values.
    Count,
}

impl Aggregate {
    /// Reads a name: `avg`, `min`, `max`, `sum`, `last`, `count`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Aggregate> {
        Some(match name {
            "avg" | "mean" => Aggregate::Avg,
            "min" => Aggregate::Min,
            "max" => Aggregate::Max,
            "sum" => Aggregate::Sum,
            "last" => Aggregate::Last,
            "count" => Aggregate::Count,
            _ => return None,
        })
    }

    fn sql(self) -> &'static str {
        match self {
            Aggregate::Avg => "avg(value), NULL",
            Aggregate::Min => "min(value + 0), NULL",
            Aggregate::Max => "max(value + 0), NULL",
            Aggregate::Sum => "total(value), NULL",
            // SQLite takes the bare column from the row that has the maximum.
            Aggregate::Last => "value + 0, max(ts)",
            Aggregate::Count => "count(*), NULL",
        }
    }
}

/// What values are wanted.
#[derive(Debug, Clone)]
pub struct MetricFilter {
    /// Measurement.
    pub name: String,
    /// Field.
    pub field: String,
    /// Tags a series must have.
    pub tags: BTreeMap<String, String>,
    /// Earliest time, nanoseconds, inclusive.
    pub from_ns: i64,
    /// Latest time, nanoseconds, exclusive.
    pub to_ns: i64,
    /// Width of a bucket, nanoseconds, above 0. Buckets begin at multiples of it.
    pub step_ns: i64,
    /// How values become one.
    pub aggregate: Aggregate,
}

/// The bucketed values of one series.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bucketed {
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Start of the bucket in milliseconds, and its value; for [`Aggregate::Last`] the value's own
    /// time, so that rates of counters are exact.
    pub points: Vec<(i64, f64)>,
}

/// A kept line that is no metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnparsedRow {
    /// Number in the order of storing.
    pub id: i64,
    /// The record's time in milliseconds.
    pub timestamp: i64,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Why it is no metric.
    pub reason: String,
    /// The line.
    pub body: Vec<u8>,
}

/// All measurements with their fields.
pub(crate) fn measurements(conn: &Connection) -> rusqlite::Result<Vec<Measurement>> {
    let mut statement = conn.prepare_cached(
        "SELECT name, field, min(kind), count(*) FROM series
         GROUP BY name, field ORDER BY name, field LIMIT ?1",
    )?;
    let mut rows = statement.query([LIST_MAX])?;
    let mut out: Vec<Measurement> = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let field = FieldInfo {
            name: row.get(1)?,
            kind: row.get(2)?,
            series: row.get::<_, i64>(3)?.unsigned_abs(),
        };
        match out.last_mut().filter(|last| last.name == name) {
            Some(last) => last.fields.push(field),
            None => out.push(Measurement {
                name,
                fields: vec![field],
            }),
        }
    }
    Ok(out)
}

/// The series of a measurement, of one field or of all; true when there are more than returned.
pub(crate) fn series(
    conn: &Connection,
    name: &str,
    field: Option<&str>,
    tags: &BTreeMap<String, String>,
) -> rusqlite::Result<(Vec<SeriesInfo>, bool)> {
    let mut statement = conn.prepare_cached(
        "SELECT id, tags, field, kind FROM series
         WHERE name = ?1 AND (?2 IS NULL OR field = ?2) ORDER BY tags, field",
    )?;
    let mut rows = statement.query(params![name, field])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        let has: BTreeMap<String, String> = serde_json::from_str(&text).unwrap_or_default();
        if tags.iter().any(|(key, value)| has.get(key) != Some(value)) {
            continue;
        }
        if out.len() == SERIES_MAX {
            return Ok((out, true));
        }
        out.push(SeriesInfo {
            id: row.get(0)?,
            tags: has,
            field: row.get(2)?,
            kind: row.get(3)?,
        });
    }
    Ok((out, false))
}

/// The values of a measurement's field, per series; true when there are more series than returned.
pub(crate) fn query(
    conn: &Connection,
    filter: &MetricFilter,
) -> rusqlite::Result<(Vec<Bucketed>, bool)> {
    let (list, more) = series(conn, &filter.name, Some(&filter.field), &filter.tags)?;
    let sql = format!(
        "SELECT ts / ?4 AS bucket, {} FROM points
         WHERE series = ?1 AND ts >= ?2 AND ts < ?3 GROUP BY bucket ORDER BY bucket",
        filter.aggregate.sql()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut out = Vec::with_capacity(list.len());
    for info in list {
        if info.kind == "text" && filter.aggregate != Aggregate::Count {
            continue;
        }
        let step = filter.step_ns;
        let points = statement
            .query_map(
                params![info.id, filter.from_ns, filter.to_ns, step],
                |row| {
                    let bucket: i64 = row.get(0)?;
                    let value: Option<f64> = row.get(1)?;
                    let at: Option<i64> = row.get(2)?;
                    Ok((at.unwrap_or(bucket.saturating_mul(step)) / 1_000_000, value))
                },
            )?
            .filter_map(|point| match point {
                Ok((time, value)) => value.map(|value| Ok((time, value))),
                Err(error) => Some(Err(error)),
            })
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if !points.is_empty() {
            out.push(Bucketed {
                tags: info.tags,
                points,
            });
        }
    }
    Ok((out, more))
}

/// The newest lines of metrics topics that are no metrics.
pub(crate) fn unparsed(
    conn: &Connection,
    before_id: i64,
    limit: usize,
) -> rusqlite::Result<Vec<UnparsedRow>> {
    let mut statement = conn.prepare_cached(
        "SELECT u.id, u.ts, s.topic, s.partition, u.offset, u.reason, u.body
         FROM unparsed u JOIN sources s ON s.id = u.source
         WHERE u.id < ?1 ORDER BY u.id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![before_id, limit as i64], |row| {
        Ok(UnparsedRow {
            id: row.get(0)?,
            timestamp: row.get(1)?,
            topic: row.get(2)?,
            partition: row.get(3)?,
            offset: row.get(4)?,
            reason: row.get(5)?,
            body: row.get(6)?,
        })
    })?;
    rows.collect()
}
