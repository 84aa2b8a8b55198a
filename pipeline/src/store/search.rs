//! Finding log lines: text, time range and fields, page by page.
//!
//! Invariant: a page is bounded in rows, bytes and time; where it ends, its `next` position goes
//! on, so that walking the pages yields each matching row once, whatever is stored meanwhile.
//!
//! Text is found as it is, any substring, like grep does: a small index tells which blocks of lines
//! cannot hold it (`blocks.rs`), the others are looked at. Texts shorter than four bytes are looked
//! for in all lines, newest first, until the page is full. `examples/measure.rs` measures it. Step 12.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::{blocks, skip};
use crate::needle::Needle;
use crate::transform::{Format, Level, logstash};

/// Bytes of bodies on one page.
pub(super) const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Rows between two looks at the clock.
const CLOCK_ROWS: u64 = 4096;
/// Names a wildcard may stand for.
const NAMES_MAX: usize = 500;

/// What lines are wanted; everything left out matches.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// All of these occur in the body.
    pub needles: Vec<Needle>,
    /// Earliest time, milliseconds, inclusive.
    pub from: Option<i64>,
    /// Latest time, milliseconds, exclusive.
    pub to: Option<i64>,
    /// One of these levels; empty: any.
    pub levels: Vec<Level>,
    /// Topic.
    pub topic: Option<String>,
    /// Partition.
    pub partition: Option<i32>,
    /// Host; `*` stands for any text, here and in the following.
    pub host: Option<String>,
    /// File.
    pub path: Option<String>,
    /// Logger.
    pub logger: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Origin.
    pub origin: Option<String>,
}

/// Which way the pages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Downwards, newest first.
    Descending,
    /// Upwards.
    Ascending,
}

/// A place between rows; also says what the pages are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// By time, then id.
    Time {
        /// Milliseconds.
        timestamp: i64,
        /// The row at that time.
        id: i64,
    },
    /// By id, the order of storing.
    Id(i64),
}

/// Which part of the matching lines.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Which way.
    pub order: Order,
    /// Behind this place, which itself is not part of the page.
    pub after: Position,
    /// Most rows.
    pub limit: usize,
    /// Longest time to search.
    pub time_max: Duration,
}

impl Page {
    /// The first page of an order by time.
    #[must_use]
    pub fn by_time(order: Order, limit: usize) -> Page {
        let edge = if order == Order::Descending {
            i64::MAX
        } else {
            i64::MIN
        };
        let after = Position::Time {
            timestamp: edge,
            id: edge,
        };
        Page {
            order,
            after,
            limit,
            time_max: Duration::from_secs(5),
        }
    }

    /// A page in the order of storing.
    #[must_use]
    pub fn by_id(order: Order, after: i64, limit: usize) -> Page {
        Page {
            order,
            after: Position::Id(after),
            limit,
            time_max: Duration::from_secs(5),
        }
    }
}

/// A stored line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    /// Number in the order of storing, from 1.
    pub id: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Origin, if the record had one.
    pub origin: Option<String>,
    /// Position at the origin.
    pub position: Option<i64>,
    /// How the body is to be read.
    pub format: Format,
    /// Severity.
    pub level: Option<Level>,
    /// Host.
    pub host: Option<String>,
    /// File.
    pub path: Option<String>,
    /// Logger.
    pub logger: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// The record's value.
    pub body: Vec<u8>,
}

/// A page of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The lines.
    pub rows: Vec<LogRow>,
    /// Where the next page begins; `None`: there is nothing behind this page.
    pub next: Option<Position>,
    /// False when the page ended because its time was over, not because it is full.
    pub complete: bool,
    /// Rows looked at.
    pub scanned: u64,
}

impl Found {
    pub(super) fn none() -> Found {
        Found {
            rows: Vec::new(),
            next: None,
            complete: true,
            scanned: 0,
        }
    }
}

/// Finds one page of lines.
///
/// # Errors
/// What SQLite says.
pub(crate) fn find(conn: &Connection, filter: &LogFilter, page: Page) -> rusqlite::Result<Found> {
    let required = blocks::required(&filter.needles);
    if required.is_empty() {
        walk(conn, filter, page)
    } else {
        skip::find(conn, filter, page, &required)
    }
}

/// Finds one page by looking at all lines in page order.
pub(super) fn walk(conn: &Connection, filter: &LogFilter, page: Page) -> rusqlite::Result<Found> {
    let Some((sql, params)) = statement(conn, filter, page, false)? else {
        return Ok(Found::none());
    };
    let started = Instant::now();
    let mut statement = conn.prepare_cached(&sql)?;
    let mut cursor = statement.query(params_from_iter(params))?;
    let mut names = Names::default();
    let mut found = Found::none();
    let mut bytes = 0;
    while let Some(row) = cursor.next()? {
        found.scanned += 1;
        let position = position_of(row, page)?;
        if let Some(row) = names.matching(conn, row, &filter.needles)? {
            bytes += row.body.len();
            found.rows.push(row);
            if found.rows.len() >= page.limit || bytes >= PAGE_BYTES_MAX {
                found.next = Some(position);
                return Ok(found);
            }
        }
        if found.scanned.is_multiple_of(CLOCK_ROWS) && started.elapsed() >= page.time_max {
            found.next = Some(position);
            found.complete = false;
            return Ok(found);
        }
    }
    Ok(found)
}

/// Whether a body holds all needles; in JSON also as unescaped text of the message.
fn matches_all(needles: &[Needle], format: Format, body: &[u8]) -> bool {
    needles.iter().all(|needle| {
        needle.occurs_in(body)
            || (format == Format::Logstash
                && needle.is_escaped_in_json()
                && logstash::parse(body)
                    .and_then(|event| event.message)
                    .is_some_and(|message| needle.occurs_in(message.as_bytes())))
    })
}

fn position_of(row: &rusqlite::Row<'_>, page: Page) -> rusqlite::Result<Position> {
    let id = row.get(0)?;
    Ok(match page.after {
        Position::Time { .. } => Position::Time {
            timestamp: row.get(1)?,
            id,
        },
        Position::Id(_) => Position::Id(id),
    })
}

/// The statement of a page; `None` when a wanted name does not occur in the store.
///
/// In a `span` the rows have no order, and the ids of its first and last line are bound last.
pub(super) fn statement(
    conn: &Connection,
    filter: &LogFilter,
    page: Page,
    span: bool,
) -> rusqlite::Result<Option<(String, Vec<Sql>)>> {
    let mut clauses = Vec::new();
    let mut params = Vec::new();
    let (than, direction) = match page.order {
        Order::Descending => ("<", "DESC"),
        Order::Ascending => (">", "ASC"),
    };
    let (index, order) = match page.after {
        Position::Time { timestamp, id } => {
            clauses.push(format!("(ts, id) {than} (?, ?)"));
            params.extend([Sql::Integer(timestamp), Sql::Integer(id)]);
            (
                "INDEXED BY logs_by_time",
                format!("ts {direction}, id {direction}"),
            )
        }
        Position::Id(id) => {
            clauses.push(format!("id {than} ?"));
            params.push(Sql::Integer(id));
            ("NOT INDEXED", format!("id {direction}"))
        }
    };
    if !narrow(conn, filter, &mut clauses, &mut params)? {
        return Ok(None);
    }
    let (index, order) = if span {
        clauses.push("id BETWEEN ? AND ?".to_owned());
        ("NOT INDEXED", String::new())
    } else {
        (index, format!("ORDER BY {order}"))
    };
    let sql = format!(
        "SELECT id, ts, source, offset, origin, position, format, level, host, path, logger,
                service, body
         FROM logs {index} WHERE {} {order}",
        clauses.join(" AND ")
    );
    Ok(Some((sql, params)))
}

/// Adds the filter's clauses; false when a wanted name does not occur in the store.
fn narrow(
    conn: &Connection,
    filter: &LogFilter,
    clauses: &mut Vec<String>,
    params: &mut Vec<Sql>,
) -> rusqlite::Result<bool> {
    for (clause, bound) in [("ts >= ?", filter.from), ("ts < ?", filter.to)] {
        if let Some(bound) = bound {
            clauses.push(clause.to_owned());
            params.push(Sql::Integer(bound));
        }
    }
    if !filter.levels.is_empty() {
        clauses.push(list(
            "level",
            filter.levels.iter().map(|level| i64::from(level.number())),
        ));
    }
    if filter.topic.is_some() || filter.partition.is_some() {
        let sources = sources(conn, filter)?;
        clauses.push(list("source", sources.into_iter()));
    }
    for (column, wanted) in [
        ("host", &filter.host),
        ("path", &filter.path),
        ("logger", &filter.logger),
        ("service", &filter.service),
    ] {
        if let Some(wanted) = wanted {
            let ids = names(conn, wanted)?;
            if ids.is_empty() {
                return Ok(false);
            }
            clauses.push(list(column, ids.into_iter()));
        }
    }
    if let Some(origin) = &filter.origin {
        let id = conn
            .query_row("SELECT id FROM origins WHERE value = ?1", [origin], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        clauses.push("origin = ?".to_owned());
        params.push(Sql::Integer(id));
    }
    Ok(true)
}

/// `column IN (…)` of numbers that come from the store itself.
fn list(column: &str, ids: impl Iterator<Item = i64>) -> String {
    let ids: Vec<String> = ids.map(|id| id.to_string()).collect();
    format!("{column} IN ({})", ids.join(","))
}

fn sources(conn: &Connection, filter: &LogFilter) -> rusqlite::Result<Vec<i64>> {
    conn.prepare_cached(
        "SELECT id FROM sources WHERE (?1 IS NULL OR topic = ?1) AND (?2 IS NULL OR partition = ?2)",
    )?
    .query_map(params![filter.topic, filter.partition], |row| row.get(0))?
    .collect()
}

/// The numbers of the names that `wanted` stands for.
fn names(conn: &Connection, wanted: &str) -> rusqlite::Result<Vec<i64>> {
    let (clause, wanted) = if wanted.contains('*') {
        // Of SQLite's wildcards only the star is offered.
        (
            "value GLOB ?1",
            wanted.replace('[', "[[]").replace('?', "[?]"),
        )
    } else {
        ("value = ?1", wanted.to_owned())
    };
    conn.prepare_cached(&format!(
        "SELECT id FROM names WHERE {clause} LIMIT {NAMES_MAX}"
    ))?
    .query_map([wanted], |row| row.get(0))?
    .collect()
}

/// Names looked up once per page.
#[derive(Default)]
pub(super) struct Names {
    sources: HashMap<i64, (String, i32)>,
    origins: HashMap<i64, String>,
    names: HashMap<i64, String>,
}

impl Names {
    /// The row, if its body holds all needles.
    pub(super) fn matching(
        &mut self,
        conn: &Connection,
        row: &rusqlite::Row<'_>,
        needles: &[Needle],
    ) -> rusqlite::Result<Option<LogRow>> {
        let format = if row.get::<_, i64>(6)? == 1 {
            Format::Logstash
        } else {
            Format::Raw
        };
        if !matches_all(needles, format, row.get_ref(12)?.as_bytes()?) {
            return Ok(None);
        }
        self.log_row(conn, row, format).map(Some)
    }

    fn log_row(
        &mut self,
        conn: &Connection,
        row: &rusqlite::Row<'_>,
        format: Format,
    ) -> rusqlite::Result<LogRow> {
        let (topic, partition) = self.source(conn, row.get(2)?)?;
        let origin = match row.get::<_, Option<i64>>(4)? {
            None => None,
            Some(id) => {
                let sql = "SELECT value FROM origins WHERE id = ?1";
                Some(text(&mut self.origins, conn, sql, id)?)
            }
        };
        let mut name = |column| match row.get::<_, Option<i64>>(column)? {
            None => Ok(None),
            Some(id) => text(
                &mut self.names,
                conn,
                "SELECT value FROM names WHERE id = ?1",
                id,
            )
            .map(Some),
        };
        Ok(LogRow {
            id: row.get(0)?,
            timestamp: row.get(1)?,
            topic,
            partition,
            offset: row.get(3)?,
            origin,
            position: row.get(5)?,
            format,
            level: row.get::<_, Option<i32>>(7)?.and_then(Level::from_number),
            host: name(8)?,
            path: name(9)?,
            logger: name(10)?,
            service: name(11)?,
            body: row.get_ref(12)?.as_bytes()?.to_vec(),
        })
    }

    fn source(&mut self, conn: &Connection, id: i64) -> rusqlite::Result<(String, i32)> {
        if let Some(source) = self.sources.get(&id) {
            return Ok(source.clone());
        }
        let source: (String, i32) = conn
            .prepare_cached("SELECT topic, partition FROM sources WHERE id = ?1")?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.sources.insert(id, source.clone());
        Ok(source)
    }
}

fn text(
    cache: &mut HashMap<i64, String>,
    conn: &Connection,
    sql: &str,
    id: i64,
) -> rusqlite::Result<String> {
    if let Some(text) = cache.get(&id) {
        return Ok(text.clone());
    }
    let text: String = conn
        .prepare_cached(sql)?
        .query_row([id], |row| row.get(0))?;
    cache.insert(id, text.clone());
    Ok(text)
}
