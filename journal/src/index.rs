//! A sparse index: sorted fixed-size entries, most of them in a file, the newest few in memory.
//!
//! Invariant: an index only ever shortens a search. Whatever it answers is compared with the log
//! itself by the caller, so a damaged index file costs time, never a wrong answer. Views are
//! immutable: readers search them while the writer adds entries.
//! Hallway: step 8, beside each segment.
use std::io;
use std::sync::Arc;

use crate::disk::{DiskFile, FileHandle};
use crate::residency::Access;

/// Entries that wait in memory before they are written in one piece.
const TAIL_ENTRIES: usize = 64;
/// A binary search ends by reading this many entries at once.
const BLOCK_ENTRIES: u32 = 256;

/// A fixed-size index entry. Offsets are absolute here and relative to the segment's base on disk.
pub(crate) trait Entry: Copy {
    /// Bytes on disk.
    const SIZE: usize;
    /// Appends the entry's bytes.
    fn encode(self, base_offset: i64, out: &mut Vec<u8>);
    /// Reads an entry from the first `SIZE` bytes.
    fn decode(bytes: &[u8], base_offset: i64) -> Option<Self>;
}

/// `.index`: the batch that starts at `position` ends with `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) offset: i64,
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn encode(self, base_offset: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&relative(self.offset, base_offset).to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(mut bytes: &[u8], base_offset: i64) -> Option<Self> {
        let offset = take_relative(&mut bytes, base_offset)?;
        let position = u32::from_be_bytes(*bytes.first_chunk()?);
        Some(OffsetEntry { offset, position })
    }
}

/// `.timeindex`: up to and including the batch that ends with `offset` no timestamp exceeds
/// `timestamp`, and that batch is the first to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn encode(self, base_offset: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&relative(self.offset, base_offset).to_be_bytes());
    }

    fn decode(bytes: &[u8], base_offset: i64) -> Option<Self> {
        let (timestamp, mut rest) = bytes.split_first_chunk()?;
        let offset = take_relative(&mut rest, base_offset)?;
        let timestamp = i64::from_be_bytes(*timestamp);
        Some(TimeEntry { timestamp, offset })
    }
}

fn relative(offset: i64, base_offset: i64) -> i32 {
    i32::try_from(offset - base_offset).expect("a segment rolls before an offset leaves its range")
}

fn take_relative(bytes: &mut &[u8], base_offset: i64) -> Option<i64> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    base_offset.checked_add(i64::from(i32::from_be_bytes(*head)))
}

/// An immutable picture of one index.
#[derive(Debug, Clone)]
pub(crate) struct IndexView<E> {
    /// Entries in the file.
    persisted: u32,
    /// Entries behind them.
    tail: Arc<[E]>,
}

impl<E: Entry> IndexView<E> {
    pub(crate) fn empty() -> IndexView<E> {
        IndexView::of_file(0)
    }

    /// The first `entries` entries of the file.
    pub(crate) fn of_file(entries: u32) -> IndexView<E> {
        let tail = Arc::from([].as_slice());
        IndexView {
            persisted: entries,
            tail,
        }
    }

    pub(crate) fn entries(&self) -> u32 {
        self.persisted + self.tail.len() as u32
    }

    /// Bytes of the file that belong to the index.
    pub(crate) fn file_len(&self) -> u64 {
        u64::from(self.persisted) * E::SIZE as u64
    }

    /// The last entry, or none if there is none or its file cannot be read.
    pub(crate) fn last(&self, file: &dyn DiskFile, base_offset: i64) -> Option<E> {
        match self.tail.last() {
            Some(entry) => Some(*entry),
            None => {
                let last = self.persisted.checked_sub(1)?;
                let block = {
                    let access = &mut Access::default();
                    Block::read(
                        &file.open().ok()?,
                        base_offset,
                        access,
                        last..self.persisted,
                    )?
                };
                block.entries.last().copied()
            }
        }
    }

    /// The last entry for which `holds` is true, where it is true for a prefix of the entries; with
    /// the entry after it. An unreadable file counts as empty; `access` knows of reads refused.
    pub(crate) fn floor(
        &self,
        file: &dyn DiskFile,
        base_offset: i64,
        access: &mut Access,
        holds: impl Fn(&E) -> bool,
    ) -> Option<(E, Option<E>)> {
        let in_tail = self.tail.partition_point(&holds);
        let after = self.tail.get(in_tail).copied();
        if let Some(entry) = in_tail.checked_sub(1).and_then(|at| self.tail.get(at)) {
            return Some((*entry, after));
        }
        if self.persisted == 0 {
            return None;
        }
        let handle = file.open().ok()?;
        let (mut low, mut high) = (0, self.persisted);
        // Invariant: entries before `low` hold; from `high` on none does.
        while high - low > BLOCK_ENTRIES {
            let middle = low + (high - low) / 2;
            let block = Block::<E>::read(&handle, base_offset, access, middle..middle + 1)?;
            if block.entries.first().is_some_and(&holds) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let first = low.saturating_sub(1);
        let until = (high + 1).min(self.persisted);
        let block = Block::<E>::read(&handle, base_offset, access, first..until)?;
        let count = block.entries.partition_point(&holds);
        let next = block.entries.get(count).copied().or(after);
        let entry = block.entries.get(count.checked_sub(1)?)?;
        Some((*entry, next))
    }

    /// How many entries, from the first on, `holds` is true for; 0 if the file cannot be read.
    pub(crate) fn count_while(
        &self,
        file: &dyn DiskFile,
        base_offset: i64,
        holds: impl Fn(&E) -> bool,
    ) -> u32 {
        let in_tail = self.tail.partition_point(&holds) as u32;
        if in_tail > 0 || self.persisted == 0 {
            return self.persisted + in_tail;
        }
        let Ok(handle) = file.open() else { return 0 };
        let (mut low, mut high) = (0, self.persisted);
        while low < high {
            let middle = low + (high - low) / 2;
            match Block::<E>::read(
                &handle,
                base_offset,
                &mut Access::default(),
                middle..middle + 1,
            ) {
                Some(block) if block.entries.first().is_some_and(&holds) => low = middle + 1,
                Some(_) => high = middle,
                None => return 0,
            }
        }
        low
    }

    /// Shows `visit` the entries from the one with that number on, until it says false. None if the
    /// file cannot be read or holds something else.
    pub(crate) fn visit_from(
        &self,
        first: u32,
        file: &dyn DiskFile,
        base_offset: i64,
        mut visit: impl FnMut(E) -> bool,
    ) -> Option<()> {
        if first < self.persisted {
            let handle = file.open().ok()?;
            let mut at = first;
            while at < self.persisted {
                let until = self.persisted.min(at.saturating_add(BLOCK_ENTRIES));
                for entry in
                    Block::read(&handle, base_offset, &mut Access::default(), at..until)?.entries
                {
                    if !visit(entry) {
                        return Some(());
                    }
                }
                at = until;
            }
        }
        let in_tail = first.saturating_sub(self.persisted) as usize;
        for entry in self.tail.iter().skip(in_tail) {
            if !visit(*entry) {
                break;
            }
        }
        Some(())
    }

    /// Adds an entry in memory. It reaches the file with [`IndexView::flush`].
    pub(crate) fn push(&mut self, entry: E) {
        self.tail = self.tail.iter().copied().chain([entry]).collect();
    }

    /// The first entry that is not in the file yet.
    pub(crate) fn first_waiting(&self) -> Option<E> {
        self.tail.first().copied()
    }

    /// Whether all entries are in the file.
    pub(crate) fn is_flushed(&self) -> bool {
        self.tail.is_empty()
    }

    /// Whether enough entries wait in memory to be worth a write.
    pub(crate) fn is_flush_due(&self) -> bool {
        self.tail.len() >= TAIL_ENTRIES
    }

    /// Writes the waiting entries behind the others, creating the file for the first of them.
    pub(crate) fn flush(&mut self, file: &dyn DiskFile, base_offset: i64) -> io::Result<()> {
        if self.tail.is_empty() {
            return Ok(());
        }
        if self.persisted == 0 {
            file.create()?;
        }
        let mut bytes = Vec::with_capacity(self.tail.len() * E::SIZE);
        for entry in self.tail.iter() {
            entry.encode(base_offset, &mut bytes);
        }
        file.write_at([&bytes, &[]], self.file_len())?;
        *self = IndexView::of_file(self.entries());
        Ok(())
    }
}

/// Entries that lie side by side in the file.
struct Block<E> {
    entries: Vec<E>,
}

impl<E: Entry> Block<E> {
    fn read(
        handle: &FileHandle,
        base_offset: i64,
        access: &mut Access,
        range: std::ops::Range<u32>,
    ) -> Option<Self> {
        let len = range.len() * E::SIZE;
        let mut bytes = Vec::with_capacity(len);
        let position = u64::from(range.start) * E::SIZE as u64;
        let read = access.read_into(handle, &mut bytes, position, (len, len));
        if read.ok()? < len {
            return None;
        }
        let entries = bytes.chunks_exact(E::SIZE);
        let entries = entries.map(|chunk| E::decode(chunk, base_offset));
        let entries = entries.collect::<Option<Vec<E>>>()?;
        Some(Block { entries })
    }
}

#[cfg(test)]
mod tests;
