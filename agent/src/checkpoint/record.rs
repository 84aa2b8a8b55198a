//! The records of the state files and their bytes. Beside step 5 of the hallway.
//!
//! Layout, little-endian, first byte the kind: `H` begins a file (version u8, generation u64); `G` is all of
//! a file (id, dev, ino, born_ns: u64; fingerprint length u16, hash u128; acknowledged and sent frontier:
//! offset u64, guard u64 each; seen_ms, home, id of the file before it or 0: u64; path bytes); `P` is a file's progress (id, both frontiers);
//! `D` says that a file is forgotten (id). Version 1 had `F` for `G`, without home and file before; it is read.
//!
//! **Invariant:** a layout never changes under its version.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use crate::input::file::evidence::{Fingerprint, Frontier, Home, Locator};

/// Version of the layout and of the identity scheme (which hashes over how many bytes).
const VERSION: u8 = 2;
/// Versions that are read.
const READABLE: std::ops::RangeInclusive<u8> = 1..=VERSION;
/// Longest path kept; Linux's PATH_MAX. A longer one is cut: it serves the eye, not identity.
const PATH_BYTES_MAX: usize = 4096;

/// Durable random name of one file's content: the `logway.origin` of its lines. Never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(pub(crate) u64);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// All that is remembered of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileRecord {
    pub(crate) id: FileId,
    pub(crate) locator: Locator,
    pub(crate) fingerprint: Fingerprint,
    /// All before it is acknowledged by the broker.
    pub(crate) acked: Frontier,
    /// All before it may have been sent under this id; never before `acked`.
    pub(crate) sent: Frontier,
    /// When a scan last saw it, milliseconds since 1970.
    pub(crate) seen_ms: u64,
    /// Where it was last seen.
    pub(crate) path: PathBuf,
    /// The place where it came to be.
    pub(crate) home: Home,
    /// The file that came to be in the same place before it, to be read first.
    pub(crate) before: Option<FileId>,
}

/// One payload of a state file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    Head {
        generation: u64,
    },
    File(FileRecord),
    Progress {
        id: FileId,
        acked: Frontier,
        sent: Frontier,
    },
    Forget(FileId),
}

pub(super) fn encode_head(out: &mut Vec<u8>, generation: u64) {
    out.extend_from_slice(&[b'H', VERSION]);
    out.extend_from_slice(&generation.to_le_bytes());
}

pub(super) fn encode_file(out: &mut Vec<u8>, file: &FileRecord) {
    out.push(b'G');
    let Locator { dev, ino, born_ns } = file.locator;
    for number in [file.id.0, dev, ino, born_ns] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&(file.fingerprint.len as u16).to_le_bytes());
    out.extend_from_slice(&file.fingerprint.hash.to_le_bytes());
    encode_frontiers(out, file);
    let before = file.before.map_or(0, |before| before.0);
    for number in [file.seen_ms, file.home.0, before] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let path = file.path.as_os_str().as_bytes();
    out.extend_from_slice(&path[..path.len().min(PATH_BYTES_MAX)]);
}

pub(super) fn encode_progress(out: &mut Vec<u8>, file: &FileRecord) {
    out.push(b'P');
    out.extend_from_slice(&file.id.0.to_le_bytes());
    encode_frontiers(out, file);
}

pub(super) fn encode_forget(out: &mut Vec<u8>, id: FileId) {
    out.push(b'D');
    out.extend_from_slice(&id.0.to_le_bytes());
}

fn encode_frontiers(out: &mut Vec<u8>, file: &FileRecord) {
    for Frontier { offset, guard } in [file.acked, file.sent] {
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&guard.to_le_bytes());
    }
}

/// Reads a payload; `None` for one of another version or kind.
pub(super) fn decode(payload: &[u8]) -> Option<Record> {
    let (kind, rest) = payload.split_first()?;
    let mut fields = Fields(rest);
    match kind {
        b'H' => {
            let [version] = fields.take::<1>()?;
            let generation = fields.number()?;
            READABLE
                .contains(&version)
                .then_some(Record::Head { generation })
        }
        b'F' => fields.file(false).map(Record::File),
        b'G' => fields.file(true).map(Record::File),
        b'P' => Some(Record::Progress {
            id: FileId(fields.number()?),
            acked: fields.frontier()?,
            sent: fields.frontier()?,
        }),
        b'D' => Some(Record::Forget(FileId(fields.number()?))),
        _ => None,
    }
}

/// What is left of a payload.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn frontier(&mut self) -> Option<Frontier> {
        Some(Frontier {
            offset: self.number()?,
            guard: self.number()?,
        })
    }

    fn file(mut self, knows_home: bool) -> Option<FileRecord> {
        let id = self.number()?;
        Some(FileRecord {
            id: FileId(id),
            locator: Locator {
                dev: self.number()?,
                ino: self.number()?,
                born_ns: self.number()?,
            },
            fingerprint: Fingerprint {
                len: u64::from(u16::from_le_bytes(self.take()?)),
                hash: u128::from_le_bytes(self.take()?),
            },
            acked: self.frontier()?,
            sent: self.frontier()?,
            seen_ms: self.number()?,
            // In version 1 a file's id said which partition is its own.
            home: Home(if knows_home { self.number()? } else { id }),
            before: match knows_home {
                true => Some(FileId(self.number()?)).filter(|before| before.0 != 0),
                false => None,
            },
            path: PathBuf::from(OsString::from_vec(self.0.to_vec())),
        })
    }
}
