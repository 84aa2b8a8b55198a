//! Who owns a partition and how far it is stored.
//!
//! Invariant: an offset moves only from the value its owner stored last and only under the owner's
//! epoch; a claim raises the epoch, so that whoever held the partition before is fenced off. Step 11.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use serde::Serialize;

use super::Store;
use super::error::WriteError;

/// A partition taken over by this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The group whose offset it is.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The claim's number: later claims have higher ones.
    pub epoch: i64,
    /// The first offset that is not stored yet; `None` when nothing was ever stored.
    pub next_offset: Option<i64>,
    /// Id (KIP-516) of the topic the offset belongs to; empty when unknown.
    pub topic_id: String,
}

/// A move of a partition's offset, part of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The group whose offset it is.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The epoch of the claim.
    pub epoch: i64,
    /// The offset stored last.
    pub expected: i64,
    /// The offset after this transaction.
    pub next: i64,
}

impl Advance {
    pub(crate) fn fenced(&self) -> WriteError {
        WriteError::Fenced {
            topic: self.topic.clone(),
            partition: self.partition,
            epoch: self.epoch,
            expected: self.expected,
        }
    }
}

/// Why a partition's offset is set, rather than moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Nothing was stored before.
    First,
    /// The topic was made anew: offsets start over and name other records than before.
    Recreated,
    /// The broker has removed this many records before they were read.
    Skipped(u64),
}

/// A stored offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredOffset {
    /// The group whose offset it is.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The first offset that is not stored yet; -1 when nothing was ever stored.
    pub next_offset: i64,
    /// When it was moved last, milliseconds since 1970.
    pub updated_ms: i64,
}

impl Store {
    /// Takes a partition over; whoever held it before can no longer write for it.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn claim(&mut self, group: &str, topic: &str, partition: i32) -> Result<Claim, WriteError> {
        let (next, epoch, topic_id): (i64, i64, String) = self
            .conn
            .query_row(
                "INSERT INTO offsets (grp, topic, partition, next_offset, epoch)
                 VALUES (?1, ?2, ?3, -1, 1)
                 ON CONFLICT DO UPDATE SET epoch = epoch + 1
                 RETURNING next_offset, epoch, topic_id",
                params![group, topic, partition],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .map_err(|source| WriteError::new(&self.path, source))?;
        Ok(Claim {
            group: group.to_owned(),
            topic: topic.to_owned(),
            partition,
            epoch,
            next_offset: (next >= 0).then_some(next),
            topic_id,
        })
    }

    /// Sets where a claimed partition goes on, and the claim's topic id with it.
    ///
    /// # Errors
    /// [`WriteError::Fenced`] when the claim is no longer the newest; otherwise what SQLite says.
    pub fn place(
        &mut self,
        claim: &Claim,
        offset: i64,
        placement: Placement,
    ) -> Result<(), WriteError> {
        let before = self.counts.clone();
        match placement {
            Placement::First => {}
            Placement::Recreated => self.counts.resets += 1,
            Placement::Skipped(records) => self.counts.lost += records,
        }
        let done = self.try_place(claim, offset, placement == Placement::Recreated);
        if done.is_err() {
            self.counts = before;
        }
        self.dictionary.forget_sources();
        done
    }

    fn try_place(&mut self, claim: &Claim, offset: i64, anew: bool) -> Result<(), WriteError> {
        let path = &self.path;
        let sqlite = |source| WriteError::new(path, source);
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite)?;
        let expected = claim.next_offset.unwrap_or(-1);
        let moved = tx
            .execute(
                "UPDATE offsets SET next_offset = ?5, incarnation = incarnation + ?6, updated_ms = ?7,
                        topic_id = ?9
                 WHERE grp = ?1 AND topic = ?2 AND partition = ?3 AND epoch = ?4
                   AND next_offset = ?8",
                params![
                    claim.group,
                    claim.topic,
                    claim.partition,
                    claim.epoch,
                    offset,
                    anew,
                    self.now_ms,
                    expected,
                    claim.topic_id
                ],
            )
            .map_err(sqlite)?;
        if moved == 0 {
            return Err(WriteError::Fenced {
                topic: claim.topic.clone(),
                partition: claim.partition,
                epoch: claim.epoch,
                expected,
            });
        }
        self.counts.write(&tx).map_err(sqlite)?;
        tx.commit().map_err(sqlite)
    }
}

/// Moves one offset; false when the owner or the offset is not the expected one.
pub(super) fn advance(
    tx: &Transaction<'_>,
    advance: &Advance,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let mut statement = tx.prepare_cached(
        "UPDATE offsets SET next_offset = ?6, updated_ms = ?7
         WHERE grp = ?1 AND topic = ?2 AND partition = ?3 AND epoch = ?4 AND next_offset = ?5",
    )?;
    let moved = statement.execute(params![
        advance.group,
        advance.topic,
        advance.partition,
        advance.epoch,
        advance.expected,
        advance.next,
        now_ms
    ])?;
    Ok(moved == 1)
}

/// All stored offsets, by group, topic and partition.
pub(crate) fn all(conn: &Connection) -> rusqlite::Result<Vec<StoredOffset>> {
    let mut statement = conn.prepare_cached(
        "SELECT grp, topic, partition, next_offset, updated_ms FROM offsets
         ORDER BY grp, topic, partition",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(StoredOffset {
            group: row.get(0)?,
            topic: row.get(1)?,
            partition: row.get(2)?,
            next_offset: row.get(3)?,
            updated_ms: row.get(4)?,
        })
    })?;
    rows.collect()
}

/// One stored offset.
pub(crate) fn one(
    conn: &Connection,
    group: &str,
    topic: &str,
    partition: i32,
) -> rusqlite::Result<Option<i64>> {
    conn.query_row(
        "SELECT next_offset FROM offsets
         WHERE grp = ?1 AND topic = ?2 AND partition = ?3 AND next_offset >= 0",
        params![group, topic, partition],
        |row| row.get(0),
    )
    .optional()
}
