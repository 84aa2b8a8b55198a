//! The transaction: rows in, offsets moved, or neither.
//!
//! Invariant: after [`Store::apply`] either every row is in the store and every partition's offset
//! has moved from its expected value, or the store is as before. A line is stored once, known by
//! (origin, position), or by (topic, partition, offset) when it has no origin. Step 11.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, ToSql, Transaction, TransactionBehavior, params};

use super::blocks::Block;
use super::counts::Counts;
use super::dictionary::Dictionary;
use super::error::WriteError;
use super::{Advance, Store};
use crate::transform::{Content, LogLine, Metric, Row, Unparsed, Value};

/// What a transaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Log lines stored.
    pub lines: u64,
    /// Log lines that were in the store already.
    pub repeats: u64,
    /// Metrics stored.
    pub metrics: u64,
    /// Metrics of which every field was in the store already.
    pub metric_repeats: u64,
    /// Field values stored.
    pub points: u64,
    /// Lines kept as unparsed.
    pub unparsed: u64,
    /// The newest log line's id; 0 when the store has none.
    pub last_id: i64,
}

impl Store {
    /// Stores `rows` and moves the offsets of `advances`, in one transaction.
    ///
    /// # Errors
    /// [`WriteError::Fenced`] when a partition has another owner; otherwise what SQLite says.
    /// Nothing is changed then, and the same call may be repeated.
    pub fn apply(&mut self, rows: &[Row<'_>], advances: &[Advance]) -> Result<Applied, WriteError> {
        let before = (self.counts.clone(), self.block.clone());
        let done = self.try_apply(rows, advances);
        if done.is_err() {
            self.dictionary.clear();
            (self.counts, self.block) = before;
        }
        done
    }

    fn try_apply(&mut self, rows: &[Row<'_>], advances: &[Advance]) -> Result<Applied, WriteError> {
        let path = &self.path;
        let sqlite = |source| WriteError::new(path, source);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        for advance in advances {
            if !super::offsets::advance(&tx, advance, self.now_ms).map_err(sqlite)? {
                return Err(advance.fenced());
            }
        }
        let mut applied = Applied::default();
        if !rows.is_empty() {
            let mut sink = Sink::new(&tx, &mut self.dictionary, &mut self.counts, &mut self.block)
                .map_err(sqlite)?;
            for row in rows {
                sink.store(row, &mut applied).map_err(sqlite)?;
            }
        }
        self.counts.add(&applied);
        self.counts.write(&tx).map_err(sqlite)?;
        applied.last_id = self.counts.next_id - 1;
        tx.commit().map_err(sqlite)?;
        Ok(applied)
    }
}

/// The prepared statements of one transaction.
struct Sink<'tx, 'store> {
    tx: &'tx Transaction<'tx>,
    dictionary: &'store mut Dictionary,
    counts: &'store mut Counts,
    block: &'store mut Block,
    log: CachedStatement<'tx>,
    point: CachedStatement<'tx>,
    point_again: CachedStatement<'tx>,
    unparsed: CachedStatement<'tx>,
    source: Option<(String, i32, i64)>,
    ids: Vec<i64>,
}

impl<'tx, 'store> Sink<'tx, 'store> {
    fn new(
        tx: &'tx Transaction<'tx>,
        dictionary: &'store mut Dictionary,
        counts: &'store mut Counts,
        block: &'store mut Block,
    ) -> rusqlite::Result<Self> {
        Ok(Sink {
            log: tx.prepare_cached(
                "INSERT INTO logs (id, ts, source, offset, origin, position, format, level,
                                   host, path, logger, service, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                 ON CONFLICT DO NOTHING",
            )?,
            point: tx.prepare_cached(
                "INSERT INTO points (series, ts, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?,
            // Of two values for one time the last one counts, as in InfluxDB.
            point_again: tx.prepare_cached(
                "UPDATE points SET value = ?3 WHERE series = ?1 AND ts = ?2 AND value IS NOT ?3",
            )?,
            unparsed: tx.prepare_cached(
                "INSERT INTO unparsed (source, offset, item, ts, reason, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?,
            tx,
            dictionary,
            counts,
            block,
            source: None,
            ids: Vec::new(),
        })
    }

    fn store(&mut self, row: &Row<'_>, applied: &mut Applied) -> rusqlite::Result<()> {
        match &row.content {
            Content::Log(line) => self.log(row, line, applied),
            Content::Metric(metric) => self.metric(metric, applied),
            Content::Unparsed(unparsed) => self.unparsed(row, unparsed, applied),
        }
    }

    fn log(
        &mut self,
        row: &Row<'_>,
        line: &LogLine<'_>,
        applied: &mut Applied,
    ) -> rusqlite::Result<()> {
        let source = self.source(row)?;
        let (origin, position) = match line.identity {
            Some((origin, position)) => (
                Some(self.dictionary.origin(self.tx, origin)?),
                Some(position),
            ),
            None => (None, None),
        };
        let host = self.dictionary.name(self.tx, line.host.as_deref())?;
        let path = self.dictionary.name(self.tx, line.path.as_deref())?;
        let logger = self.dictionary.name(self.tx, line.logger.as_deref())?;
        let service = self.dictionary.name(self.tx, line.service.as_deref())?;
        let stored = self.log.execute(params![
            self.counts.next_id,
            line.timestamp,
            source,
            row.slot.offset,
            origin,
            position,
            line.format as i32,
            line.level.map(crate::transform::Level::number),
            host,
            path,
            logger,
            service,
            line.body,
        ])?;
        if stored == 0 {
            applied.repeats += 1;
        } else {
            applied.lines += 1;
            let id = self.counts.next_id;
            self.block.add(self.tx, id, line.timestamp, line.body)?;
            self.counts.next_id += 1;
        }
        Ok(())
    }

    fn metric(&mut self, metric: &Metric<'_>, applied: &mut Applied) -> rusqlite::Result<()> {
        self.ids.clear();
        self.dictionary
            .series(self.tx, &metric.series, &metric.fields, &mut self.ids)?;
        let mut fresh = 0;
        for (id, (_, value)) in self.ids.iter().zip(&metric.fields) {
            let value = Stored(value);
            let stored = self.point.execute(params![id, metric.timestamp, value])?;
            if stored == 0 {
                self.point_again
                    .execute(params![id, metric.timestamp, value])?;
            }
            fresh += stored as u64;
        }
        applied.points += fresh;
        if fresh == 0 {
            applied.metric_repeats += 1;
        } else {
            applied.metrics += 1;
        }
        Ok(())
    }

    fn unparsed(
        &mut self,
        row: &Row<'_>,
        unparsed: &Unparsed<'_>,
        applied: &mut Applied,
    ) -> rusqlite::Result<()> {
        let source = self.source(row)?;
        let stored = self.unparsed.execute(params![
            source,
            row.slot.offset,
            row.item,
            row.timestamp,
            unparsed.reason.name(),
            unparsed.body,
        ])?;
        applied.unparsed += stored as u64;
        Ok(())
    }

    fn source(&mut self, row: &Row<'_>) -> rusqlite::Result<i64> {
        let slot = row.slot;
        match &self.source {
            Some((topic, partition, id)) if topic == slot.topic && *partition == slot.partition => {
                Ok(*id)
            }
            _ => {
                let id = self
                    .dictionary
                    .source(self.tx, slot.topic, slot.partition)?;
                self.source = Some((slot.topic.to_owned(), slot.partition, id));
                Ok(id)
            }
        }
    }
}

/// A field's value as SQLite keeps it: an unsigned number beyond `i64` as its digits, which SQLite
/// still calculates with, so that nothing is rounded.
struct Stored<'a>(&'a Value<'a>);

impl ToSql for Stored<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Float(number) => ToSqlOutput::from(*number),
            Value::Int(number) => ToSqlOutput::from(*number),
            Value::Uint(number) => match i64::try_from(*number) {
                Ok(number) => ToSqlOutput::from(number),
                Err(_) => ToSqlOutput::from(number.to_string()),
            },
            Value::Bool(flag) => ToSqlOutput::from(i64::from(*flag)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
