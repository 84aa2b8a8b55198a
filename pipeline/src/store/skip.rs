//! Finding text with the help of the blocks: most lines are never looked at.
//!
//! Invariant: gives the same pages in the same order as walking all lines. Blocks are visited by
//! their nearest edge in page order, and rows are only final when no block that is left can hold
//! an earlier one. Step 12.

use std::time::Instant;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::blocks::{BLOCK_LINES, may_hold};
use super::search::{self, Found, LogFilter, LogRow, Names, Order, Page, Position};

/// A run of lines.
#[derive(Debug, Clone, Copy)]
struct Span {
    block: i64,
    min_ts: i64,
    max_ts: i64,
}

impl Span {
    /// Where a row of this span can be at the earliest, in page order.
    fn edge(&self, page: Page) -> (i64, i64) {
        let (first, last) = (self.block * BLOCK_LINES, (self.block + 1) * BLOCK_LINES - 1);
        match (page.after, page.order) {
            (Position::Time { .. }, Order::Descending) => (self.max_ts, last),
            (Position::Time { .. }, Order::Ascending) => (self.min_ts, first),
            (Position::Id(_), Order::Descending) => (0, last),
            (Position::Id(_), Order::Ascending) => (0, first),
        }
    }
}

/// Finds one page of lines whose blocks have all bits of `required`.
pub(super) fn find(
    conn: &Connection,
    filter: &LogFilter,
    page: Page,
    required: &[u32],
) -> rusqlite::Result<Found> {
    // One view of the store for blocks and lines.
    let view = conn.unchecked_transaction()?;
    let Some((sql, params)) = search::statement(&view, filter, page, true)? else {
        return Ok(Found::none());
    };
    let started = Instant::now();
    let mut found = Found::none();
    let mut names = Names::default();
    let mut cut = false;
    for span in spans(&view, filter, page)? {
        let edge = span.edge(page);
        let full = found.rows.len() >= page.limit || cut;
        if full
            && found
                .rows
                .last()
                .is_some_and(|last| before(key(last, page), edge, page.order))
        {
            found.next = found.rows.last().map(|last| position(last, page));
            return Ok(found);
        }
        if started.elapsed() >= page.time_max {
            found
                .rows
                .retain(|row| before(key(row, page), edge, page.order));
            found.next = Some(just_before(edge, page));
            found.complete = false;
            return Ok(found);
        }
        if !may_hold(&view, span.block, required)? {
            continue;
        }
        let mut bound = params.clone();
        bound.push(Sql::Integer(span.block * BLOCK_LINES));
        bound.push(Sql::Integer((span.block + 1) * BLOCK_LINES - 1));
        let mut statement = view.prepare_cached(&sql)?;
        let mut cursor = statement.query(params_from_iter(bound))?;
        while let Some(row) = cursor.next()? {
            found.scanned += 1;
            if let Some(row) = names.matching(&view, row, &filter.needles)? {
                found.rows.push(row);
            }
        }
        cut |= sort_and_cut(&mut found.rows, page);
    }
    if cut {
        found.next = found.rows.last().map(|last| position(last, page));
    }
    Ok(found)
}

/// The runs that may hold rows of the page, by their edge in page order; also what lies behind
/// the last written block.
fn spans(conn: &Connection, filter: &LogFilter, page: Page) -> rusqlite::Result<Vec<Span>> {
    let (mut from, mut to) = (
        filter.from.unwrap_or(i64::MIN),
        filter.to.unwrap_or(i64::MAX),
    );
    let (mut first, mut last) = (i64::MIN, i64::MAX);
    match (page.after, page.order) {
        (Position::Time { timestamp, .. }, Order::Descending) => to = to.min(timestamp),
        (Position::Time { timestamp, .. }, Order::Ascending) => from = from.max(timestamp),
        (Position::Id(id), Order::Descending) => last = id.div_euclid(BLOCK_LINES),
        (Position::Id(id), Order::Ascending) => first = id.div_euclid(BLOCK_LINES),
    }
    let mut spans = conn
        .prepare_cached(
            "SELECT id, min_ts, max_ts FROM blocks
             WHERE id BETWEEN ?1 AND ?2 AND max_ts >= ?3 AND min_ts <= ?4",
        )?
        .query_map([first, last, from, to], |row| {
            Ok(Span {
                block: row.get(0)?,
                min_ts: row.get(1)?,
                max_ts: row.get(2)?,
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let written: Option<i64> = conn
        .query_row("SELECT max(id) FROM blocks", [], |row| row.get(0))
        .optional()?
        .flatten();
    let next = written.map_or(0, |block| block + 1);
    let newest: Option<i64> = conn.query_row("SELECT max(id) FROM logs", [], |row| row.get(0))?;
    for block in next..=newest.map_or(next - 1, |id| id.div_euclid(BLOCK_LINES)) {
        if (first..=last).contains(&block) {
            spans.extend(unwritten(conn, block)?);
        }
    }
    match page.order {
        Order::Descending => spans.sort_unstable_by_key(|span| std::cmp::Reverse(span.edge(page))),
        Order::Ascending => spans.sort_unstable_by_key(|span| span.edge(page)),
    }
    Ok(spans)
}

/// The run of a block that is not full yet.
fn unwritten(conn: &Connection, block: i64) -> rusqlite::Result<Option<Span>> {
    let range = [block * BLOCK_LINES, (block + 1) * BLOCK_LINES - 1];
    conn.prepare_cached("SELECT min(ts), max(ts) FROM logs WHERE id BETWEEN ?1 AND ?2")?
        .query_row(range, |row| {
            let (min_ts, max_ts): (Option<i64>, Option<i64>) = (row.get(0)?, row.get(1)?);
            Ok(min_ts.zip(max_ts).map(|(min_ts, max_ts)| Span {
                block,
                min_ts,
                max_ts,
            }))
        })
}

/// Sorts into page order and drops what does not fit on the page; true when something did not.
fn sort_and_cut(rows: &mut Vec<LogRow>, page: Page) -> bool {
    match page.order {
        Order::Descending => rows.sort_unstable_by_key(|row| std::cmp::Reverse(key(row, page))),
        Order::Ascending => rows.sort_unstable_by_key(|row| key(row, page)),
    }
    let mut bytes = 0;
    let fits = rows.iter().take(page.limit).take_while(|row| {
        let first = bytes == 0;
        bytes += row.body.len();
        first || bytes <= search::PAGE_BYTES_MAX
    });
    let fits = fits.count();
    let cut = fits < rows.len();
    rows.truncate(fits);
    cut
}

fn key(row: &LogRow, page: Page) -> (i64, i64) {
    match page.after {
        Position::Time { .. } => (row.timestamp, row.id),
        Position::Id(_) => (0, row.id),
    }
}

fn before(a: (i64, i64), b: (i64, i64), order: Order) -> bool {
    match order {
        Order::Descending => a > b,
        Order::Ascending => a < b,
    }
}

fn position(row: &LogRow, page: Page) -> Position {
    match page.after {
        Position::Time { .. } => Position::Time {
            timestamp: row.timestamp,
            id: row.id,
        },
        Position::Id(_) => Position::Id(row.id),
    }
}

/// The position right before a place, so that the next page begins with it.
fn just_before((timestamp, id): (i64, i64), page: Page) -> Position {
    let id = match page.order {
        Order::Descending => id.saturating_add(1),
        Order::Ascending => id.saturating_sub(1),
    };
    match page.after {
        Position::Time { .. } => Position::Time { timestamp, id },
        Position::Id(_) => Position::Id(id),
    }
}
