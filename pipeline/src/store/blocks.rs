//! A small index that tells which runs of lines cannot hold a text.
//!
//! Every 128 lines in the order of storing are a block. For each, a bit set notes which sequences
//! of four bytes (ASCII in lower case, hashed) occur in its bodies, with its earliest and latest
//! time. A text of four bytes or more can only be in a block that has all its sequences, so a
//! search looks into a few blocks instead of all lines. It costs 4 KiB for 128 lines.
//!
//! Invariant: a block's set is written in the transaction of its last line; lines behind the last
//! written block are searched one by one. A set may promise too much, never too little. Step 11.

use rusqlite::{Connection, Transaction, params};

use crate::needle::Needle;

/// Lines of a block.
pub(crate) const BLOCK_LINES: i64 = 128;
/// Bits of a set.
const BITS: u32 = 1 << 15;
/// Bytes of a sequence.
const GRAM: usize = 4;

/// The block being filled.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    bits: Vec<u8>,
    min_ts: i64,
    max_ts: i64,
}

impl Block {
    fn empty() -> Block {
        Block {
            bits: vec![0; (BITS / 8) as usize],
            min_ts: i64::MAX,
            max_ts: i64::MIN,
        }
    }

    /// Reads the lines of the block that `next_id` falls into.
    pub(crate) fn read(conn: &Connection, next_id: i64) -> rusqlite::Result<Block> {
        let mut block = Block::empty();
        let first = next_id - next_id.rem_euclid(BLOCK_LINES);
        let mut statement = conn.prepare("SELECT ts, body FROM logs WHERE id >= ?1 AND id < ?2")?;
        let mut rows = statement.query([first, next_id])?;
        while let Some(row) = rows.next()? {
            block.note(row.get(0)?, row.get_ref(1)?.as_bytes()?);
        }
        Ok(block)
    }

    /// Adds a stored line; writes the block and begins the next one when it is full.
    pub(crate) fn add(
        &mut self,
        tx: &Transaction<'_>,
        id: i64,
        ts: i64,
        body: &[u8],
    ) -> rusqlite::Result<()> {
        self.note(ts, body);
        if id.rem_euclid(BLOCK_LINES) == BLOCK_LINES - 1 {
            tx.prepare_cached(
                "INSERT OR REPLACE INTO blocks (id, min_ts, max_ts, bits) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                id.div_euclid(BLOCK_LINES),
                self.min_ts,
                self.max_ts,
                self.bits
            ])?;
            *self = Block::empty();
        }
        Ok(())
    }

    fn note(&mut self, ts: i64, body: &[u8]) {
        self.min_ts = self.min_ts.min(ts);
        self.max_ts = self.max_ts.max(ts);
        let mut window = 0_u32;
        for (at, byte) in body.iter().enumerate() {
            window = window << 8 | u32::from(byte.to_ascii_lowercase());
            if at + 1 >= GRAM {
                let bit = hash(window);
                self.bits[(bit / 8) as usize] |= 1 << (bit % 8);
            }
        }
    }
}

/// The bits that a block must have to hold all needles; empty when that cannot be said.
pub(crate) fn required(needles: &[Needle]) -> Vec<u32> {
    let mut bits = Vec::new();
    for needle in needles {
        // In JSON some characters may be written in another way: only what lies between counts.
        for part in needle.text().split(|byte| Needle::may_be_escaped(*byte)) {
            for gram in part.windows(GRAM) {
                bits.push(hash(
                    gram.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)),
                ));
            }
        }
    }
    bits.sort_unstable();
    bits.dedup();
    bits
}

/// Whether a block may hold what needs `required`; true for a block that is not written.
pub(crate) fn may_hold(conn: &Connection, block: i64, required: &[u32]) -> rusqlite::Result<bool> {
    let mut statement = conn.prepare_cached("SELECT bits FROM blocks WHERE id = ?1")?;
    let mut rows = statement.query([block])?;
    let Some(row) = rows.next()? else {
        return Ok(true);
    };
    let bits = row.get_ref(0)?.as_bytes()?;
    Ok(required.iter().all(|bit| {
        bits.get((bit / 8) as usize)
            .is_none_or(|byte| byte & (1 << (bit % 8)) != 0)
    }))
}

fn hash(window: u32) -> u32 {
    window.wrapping_mul(0x9E37_79B1) >> (32 - BITS.trailing_zeros())
}
