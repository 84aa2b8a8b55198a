//! One file that is known: what proves it, how far it is read, how far it is acknowledged. Step 2 of the
//! hallway.
//!
//! **Invariant:** `cursor` is never behind `acks`, and a file is only read on while the bytes before the
//! cursor are the ones that were read.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tracing::debug;

use super::evidence::{Fingerprint, Frontier, Home, Locator, Tail};
use super::frame::Cursor;
use crate::checkpoint::{FileId, FileRecord};
use crate::shipper::{Acks, LaneId, Stamp};

/// Where a file stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Known from the state or closed; its evidence must be checked before it is read on.
    Unproven,
    /// Open and named by a pattern.
    Live,
    /// Open, but no name leads to it any more: deleted or moved away. Read until it is quiet.
    Leaving { since: Instant },
    /// Its last bytes are read; waits for its acknowledgements.
    Finished,
    /// Its inode holds another content now. Its lines in flight are waited for; a copy may continue it.
    Lost { since: Instant },
}

/// Size and time of change at a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) size: u64,
    mtime_ns: i128,
}

impl Look {
    pub(super) fn of(metadata: &Metadata) -> Look {
        Look {
            size: metadata.len(),
            mtime_ns: i128::from(metadata.mtime()) * 1_000_000_000
                + i128::from(metadata.mtime_nsec()),
        }
    }

    /// Time since the last change; zero for one in the future.
    pub(super) fn age(&self, wall_ms: u64) -> Duration {
        let age_ms = i128::from(wall_ms) - self.mtime_ns / 1_000_000;
        Duration::from_millis(u64::try_from(age_ms).unwrap_or(0))
    }
}

/// A known file.
#[derive(Debug)]
pub(super) struct Tailed {
    pub(super) id: FileId,
    /// Index of the input whose pattern named it first.
    pub(super) input: usize,
    pub(super) path: PathBuf,
    pub(super) locator: Locator,
    pub(super) phase: Phase,
    pub(super) file: Option<File>,
    pub(super) cursor: Cursor,
    pub(super) acks: Acks,
    pub(super) fingerprint: Fingerprint,
    pub(super) stamp: Stamp,
    pub(super) lane: Option<LaneId>,
    /// The look at which everything up to the end had been read.
    pub(super) read_at: Option<Look>,
    /// Size at the last look.
    pub(super) size: u64,
    /// Whether it is in the queue of files to read.
    pub(super) queued: bool,
    /// The bytes before the cursor were not the ones read; the next scan decides what it is.
    pub(super) suspect: bool,
    /// All before it may have been sent. While the cursor is behind it, lines are read again, and only as
    /// long as the file still holds everything up to here.
    pub(super) sent: Frontier,
    /// Another file has its path now: nobody should write to it any more.
    pub(super) superseded: bool,
    /// Its last bytes are a line even without a line feed.
    pub(super) ending: bool,
    pub(super) home: Home,
    /// The file that came to be in the same place before: read to its end first, and again before this one
    /// when its lines are sent again.
    pub(super) before: Option<FileId>,
    /// Whether the file before was once read to its end. Somebody may still write to it.
    pub(super) caught_up: bool,
    /// Number of the last scan that saw it.
    pub(super) scan: u64,
    pub(super) next_poll: Instant,
    pub(super) poll_every: Duration,
    pub(super) grown_at: Instant,
}

/// What a look into a file says about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It is the file; the tail is the one before the acknowledged position.
    Same(Tail),
    /// It is the file up to the acknowledged position; what was sent after that is not there.
    SameUpToAcked(Tail),
    /// It is another content.
    Other,
}

/// Compares a file with what is remembered.
pub(super) fn prove(record: &FileRecord, file: &File) -> io::Result<Proof> {
    let size = file.metadata()?.len();
    let begins = record.fingerprint.holds(file)?;
    let acked = record.acked.tail_in(file)?;
    let sent = record.sent.tail_in(file)?;
    let sent_stands = record.sent.offset <= record.acked.offset || sent.is_some();
    let proof = match acked {
        Some(tail) if begins && sent_stands => Proof::Same(tail),
        Some(tail) if begins => Proof::SameUpToAcked(tail),
        _ => Proof::Other,
    };
    debug!(origin = %record.id, size, begins, acked = record.acked.offset, acked_stands = acked.is_some(),
        sent = record.sent.offset, sent_stands, "compared a file with what is known of it");
    Ok(proof)
}

/// Opens a path for reading without ever waiting: a FIFO in its place must not stop the reader.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let nonblock = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(nonblock)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file any more",
        ));
    }
    Ok(file)
}

impl Tailed {
    /// A file from the state, to be proven when a scan finds it.
    pub(super) fn unproven(record: &FileRecord, stamp: Stamp, now: Instant) -> Tailed {
        let tail = Tail::default();
        Tailed {
            id: record.id,
            input: 0,
            path: record.path.clone(),
            locator: record.locator,
            phase: Phase::Unproven,
            file: None,
            cursor: Cursor::at(record.acked.offset, tail),
            acks: Acks::new(record.acked.offset, tail),
            fingerprint: record.fingerprint,
            stamp,
            lane: None,
            read_at: None,
            size: record.acked.offset,
            queued: false,
            suspect: false,
            sent: record.sent,
            superseded: false,
            ending: false,
            home: record.home,
            before: record.before,
            caught_up: false,
            scan: 0,
            next_poll: now,
            poll_every: Duration::ZERO,
            grown_at: now,
        }
    }

    /// Begins to read an opened and proven file at its acknowledged position.
    pub(super) fn resume(&mut self, file: File, tail: Tail, now: Instant) {
        let committed = self.acks.committed().0;
        if self.acks.is_settled() {
            self.acks.restart(committed, tail);
            self.cursor = Cursor::at(committed, tail);
        }
        self.file = Some(file);
        self.phase = Phase::Live;
        self.read_at = None;
        self.suspect = false;
        self.grown_at = now;
    }

    /// Goes back to the acknowledged position.
    pub(super) fn rewind(&mut self) {
        self.acks.rewind();
        let (committed, tail) = self.acks.committed();
        self.cursor = Cursor::at(committed, *tail);
        self.read_at = None;
    }

    /// Whether lines that were sent before are read again.
    pub(super) fn is_resending(&self) -> bool {
        self.cursor.line_start < self.sent.offset
    }

    /// Whether the bytes before the cursor are too few to prove anything, or not all that was sent.
    pub(super) fn needs_proof(&self) -> bool {
        self.is_resending() || self.cursor.line_start < self.fingerprint.len
    }

    /// Whether `file` still holds all that was seen, read and sent of it.
    pub(super) fn still_holds(&self, file: &File) -> io::Result<bool> {
        if self.needs_proof() && !self.fingerprint.holds(file)? {
            return Ok(false);
        }
        if self.is_resending() && self.sent.tail_in(file)?.is_none() {
            return Ok(false);
        }
        let at = self.cursor.line_start;
        Ok(file.metadata()?.len() >= at && Tail::read(file, at)? == self.cursor.tail)
    }

    /// Bytes not acknowledged.
    pub(super) fn lag(&self) -> u64 {
        self.size.saturating_sub(self.acks.committed().0)
    }

    /// Whether it may be read now.
    pub(super) fn is_readable(&self) -> bool {
        let open = matches!(self.phase, Phase::Live | Phase::Leaving { .. });
        open && self.file.is_some() && !self.suspect
    }
}
