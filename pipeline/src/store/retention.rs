//! Removes rows older than the retention setting, a little at a time.
//!
//! Invariant: one step holds the write lock only for a bounded number of rows, so that storing goes
//! on between steps. Age is the row's own time. A line whose row has gone is no longer recognised
//! as a repeat. Step 11.

use rusqlite::{TransactionBehavior, params};

use super::Store;
use super::error::WriteError;

/// Rows removed per step and table.
const STEP_ROWS: usize = 5_000;
/// Series looked at per step.
const STEP_SERIES: usize = 500;

/// How far a sweep over the series has come.
#[derive(Debug, Default)]
pub struct Sweep {
    series_done: i64,
}

impl Store {
    /// Removes some of what is older than `cutoff_ms`; true when there is more to do.
    ///
    /// # Errors
    /// What SQLite says; nothing is removed then.
    pub fn expire(&mut self, cutoff_ms: i64, sweep: &mut Sweep) -> Result<bool, WriteError> {
        let before = self.counts.clone();
        let done = self.try_expire(cutoff_ms, sweep);
        if done.is_err() {
            self.counts = before;
        }
        done
    }

    fn try_expire(&mut self, cutoff_ms: i64, sweep: &mut Sweep) -> Result<bool, WriteError> {
        let path = &self.path;
        let sqlite = |source| WriteError::new(path, source);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        let lines = tx
            .execute(
                "DELETE FROM logs WHERE id IN
                   (SELECT id FROM logs WHERE ts < ?1 ORDER BY ts LIMIT ?2)",
                params![cutoff_ms, STEP_ROWS as i64],
            )
            .map_err(sqlite)?;
        // A block goes when all its lines are gone.
        tx.execute(
            "DELETE FROM blocks WHERE id < (SELECT coalesce(min(id), 0) / ?1 FROM logs)",
            [super::blocks::BLOCK_LINES],
        )
        .map_err(sqlite)?;
        let unparsed = tx
            .execute(
                "DELETE FROM unparsed WHERE id IN
                   (SELECT id FROM unparsed WHERE ts < ?1 ORDER BY ts LIMIT ?2)",
                params![cutoff_ms, STEP_ROWS as i64],
            )
            .map_err(sqlite)?;
        let (points, series, last) =
            expire_points(&tx, cutoff_ms, sweep.series_done).map_err(sqlite)?;
        self.counts.lines = self.counts.lines.saturating_sub(lines as u64);
        self.counts.expired_lines += lines as u64;
        self.counts.unparsed = self.counts.unparsed.saturating_sub(unparsed as u64);
        self.counts.points = self.counts.points.saturating_sub(points);
        self.counts.expired_points += points;
        self.counts.write(&tx).map_err(sqlite)?;
        tx.commit().map_err(sqlite)?;
        sweep.series_done = last;
        Ok(lines == STEP_ROWS || unparsed == STEP_ROWS || series == STEP_SERIES)
    }
}

/// Returns points removed, series looked at and the last series' id.
fn expire_points(
    tx: &rusqlite::Transaction<'_>,
    cutoff_ms: i64,
    after: i64,
) -> rusqlite::Result<(u64, usize, i64)> {
    let cutoff_ns = cutoff_ms.saturating_mul(1_000_000);
    let mut select =
        tx.prepare_cached("SELECT id FROM series WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let ids = select
        .query_map(params![after, STEP_SERIES as i64], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let mut delete = tx.prepare_cached("DELETE FROM points WHERE series = ?1 AND ts < ?2")?;
    let mut points = 0;
    for id in &ids {
        points += delete.execute(params![id, cutoff_ns])? as u64;
    }
    Ok((points, ids.len(), ids.last().copied().unwrap_or(after)))
}
