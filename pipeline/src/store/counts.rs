//! Counts kept in the store, so that a status needs no counting of rows and survives restarts.
//!
//! Invariant: written in the transaction whose rows they count. Step 11.

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;

use super::write::Applied;

/// Counts of everything that ever happened to the store's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Log lines in the store now.
    pub lines: u64,
    /// Metrics in the store: samples of a series with at least one new field.
    pub metrics: u64,
    /// Field values in the store now.
    pub points: u64,
    /// Lines of metrics topics that are no metrics, kept.
    pub unparsed: u64,
    /// Log lines received again and not stored again.
    pub repeats: u64,
    /// Metrics received again.
    pub metric_repeats: u64,
    /// Log lines removed by the retention setting.
    pub expired_lines: u64,
    /// Field values removed by the retention setting.
    pub expired_points: u64,
    /// Records the broker had removed before they were read.
    pub lost: u64,
    /// Partitions that were read from their start again because the topic was made anew.
    pub resets: u64,
    /// The id the next log line gets.
    #[serde(skip)]
    pub(crate) next_id: i64,
}

impl Counts {
    pub(crate) fn read(conn: &Connection) -> rusqlite::Result<Counts> {
        let mut counts = Counts {
            lines: 0,
            metrics: 0,
            points: 0,
            unparsed: 0,
            repeats: 0,
            metric_repeats: 0,
            expired_lines: 0,
            expired_points: 0,
            lost: 0,
            resets: 0,
            next_id: 1,
        };
        let mut statement = conn.prepare_cached("SELECT name, value FROM counters")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let value: i64 = row.get(1)?;
            if name == "next_id" {
                counts.next_id = value;
            }
            for (known, slot) in counts.slots() {
                if known == name {
                    *slot = value.unsigned_abs();
                }
            }
        }
        Ok(counts)
    }

    pub(crate) fn write(&mut self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let mut statement = tx.prepare_cached(
            "INSERT INTO counters (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value
             WHERE value <> excluded.value",
        )?;
        statement.execute(params!["next_id", self.next_id])?;
        for (name, value) in self.slots() {
            statement.execute(params![name, i64::try_from(*value).unwrap_or(i64::MAX)])?;
        }
        Ok(())
    }

    pub(crate) fn add(&mut self, applied: &Applied) {
        self.lines += applied.lines;
        self.repeats += applied.repeats;
        self.metrics += applied.metrics;
        self.metric_repeats += applied.metric_repeats;
        self.points += applied.points;
        self.unparsed += applied.unparsed;
    }

    fn slots(&mut self) -> [(&'static str, &mut u64); 10] {
        [
            ("lines", &mut self.lines),
            ("metrics", &mut self.metrics),
            ("points", &mut self.points),
            ("unparsed", &mut self.unparsed),
            ("repeats", &mut self.repeats),
            ("metric_repeats", &mut self.metric_repeats),
            ("expired_lines", &mut self.expired_lines),
            ("expired_points", &mut self.expired_points),
            ("lost", &mut self.lost),
            ("resets", &mut self.resets),
        ]
    }
}
