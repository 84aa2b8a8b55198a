//! What tells one file from another: where it lies, how it begins, what stands before a position.
//! Step 2 of the hallway.
//!
//! No single sign is enough: inodes are reused, many files begin alike, paths rotate. A file is the same
//! one only while every sign that is known still holds.
//!
//! **Invariant:** the hashes are stored on disk, so their functions never change without a new format version.

use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// A fingerprint covers at most this many of a file's first bytes.
pub(crate) const FINGERPRINT_BYTES_MAX: u64 = 1024;
/// A tail holds at most this many of the bytes before a position.
pub(crate) const TAIL_BYTES_MAX: usize = 64;

const FNV64_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV64_PRIME: u64 = 0x0000_0100_0000_01b3;
const FNV128_OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const FNV128_PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// Bytes at a place; files, and byte strings in tests.
pub(crate) trait ReadAt {
    /// Reads at most `buf.len()` bytes at `offset`; 0 means that nothing lies there (yet).
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

impl ReadAt for std::fs::File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buf, offset)
    }
}

/// Reads until `buf` is full or the end is reached; gives the number of bytes read.
pub(crate) fn fill(source: &impl ReadAt, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match source.read_at(&mut buf[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where a file lies: device, inode, and the time the inode was made (so that a reused one is seen).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Locator {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
    pub(crate) born_ns: u64,
}

impl Locator {
    pub(crate) fn of(metadata: &Metadata) -> Locator {
        let born = metadata.created().ok();
        let since = born.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Locator {
            dev: metadata.dev(),
            ino: metadata.ino(),
            born_ns: since.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(0)),
        }
    }

    /// Key of the index of files; the time of birth is compared afterwards.
    pub(crate) fn key(self) -> (u64, u64) {
        (self.dev, self.ino)
    }

    /// Whether both can be the same inode in the same life.
    pub(crate) fn matches(self, other: Locator) -> bool {
        let born = self.born_ns == other.born_ns || self.born_ns == 0 || other.born_ns == 0;
        self.key() == other.key() && born
    }
}

/// The place where a file came to be: a host and the path under which it was first seen. What is rotated
/// away keeps its home, so the files of one home follow each other as one log, in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Home(pub(crate) u64);

impl Home {
    pub(crate) fn of(host: &str, path: &Path) -> Home {
        let path = path.as_os_str().as_bytes();
        let bytes = host.bytes().chain([0]).chain(path.iter().copied());
        Home(bytes.fold(FNV64_OFFSET, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV64_PRIME)
        }))
    }
}

/// Hash of a file's first bytes; grows with the file up to [`FINGERPRINT_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint {
    /// Bytes covered; 0 says nothing about the file.
    pub(crate) len: u64,
    pub(crate) hash: u128,
}

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint {
            len: 0,
            hash: FNV128_OFFSET,
        }
    }
}

impl Fingerprint {
    /// Takes in the bytes that follow those already covered.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u128::from(*byte)).wrapping_mul(FNV128_PRIME);
        }
        self.len += bytes.len() as u64;
    }

    /// Grows over bytes of `source` that it does not cover yet, up to `end`.
    pub(crate) fn grow(&mut self, source: &impl ReadAt, end: u64) -> io::Result<()> {
        let end = end.min(FINGERPRINT_BYTES_MAX);
        if end <= self.len {
            return Ok(());
        }
        let mut buf = [0; FINGERPRINT_BYTES_MAX as usize];
        let wanted = (end - self.len) as usize;
        let filled = fill(source, &mut buf[..wanted], self.len)?;
        self.extend(&buf[..filled]);
        Ok(())
    }

    /// Whether `source` still begins with the bytes covered.
    pub(crate) fn holds(self, source: &impl ReadAt) -> io::Result<bool> {
        let mut seen = Fingerprint::default();
        seen.grow(source, self.len)?;
        Ok(seen == self)
    }
}

/// The bytes just before a position: at most [`TAIL_BYTES_MAX`], fewer only near the file's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    bytes: [u8; TAIL_BYTES_MAX],
    len: u8,
}

impl Default for Tail {
    fn default() -> Self {
        Tail {
            bytes: [0; TAIL_BYTES_MAX],
            len: 0,
        }
    }
}

impl Tail {
    /// The last bytes of `bytes`, which end at the position.
    pub(crate) fn of(bytes: &[u8]) -> Tail {
        let kept = &bytes[bytes.len().saturating_sub(TAIL_BYTES_MAX)..];
        let mut tail = Tail::default();
        tail.bytes[..kept.len()].copy_from_slice(kept);
        tail.len = kept.len() as u8;
        tail
    }

    /// Reads the tail of `position`; shorter than it should be when the file is.
    pub(crate) fn read(source: &impl ReadAt, position: u64) -> io::Result<Tail> {
        let wanted = Tail::len_at(position);
        let mut buf = [0; TAIL_BYTES_MAX];
        let filled = fill(source, &mut buf[..wanted], position - wanted as u64)?;
        Ok(Tail::of(&buf[..filled]))
    }

    /// How long the tail of `position` is.
    pub(crate) fn len_at(position: u64) -> usize {
        position.min(TAIL_BYTES_MAX as u64) as usize
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A position with a hash of the bytes just before it: proof that the file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frontier {
    /// Byte offset in the file.
    pub(crate) offset: u64,
    pub(crate) guard: u64,
}

impl Default for Frontier {
    fn default() -> Self {
        Frontier::new(0, &Tail::default())
    }
}

impl Frontier {
    pub(crate) fn new(offset: u64, tail: &Tail) -> Frontier {
        let guard = tail.bytes().iter().fold(FNV64_OFFSET, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(FNV64_PRIME)
        });
        Frontier { offset, guard }
    }

    /// The tail that stands before the position in `source`, if it is the one that was seen.
    pub(crate) fn tail_in(self, source: &impl ReadAt) -> io::Result<Option<Tail>> {
        let tail = Tail::read(source, self.offset)?;
        let whole = tail.bytes().len() == Tail::len_at(self.offset);
        Ok((whole && Frontier::new(self.offset, &tail) == self).then_some(tail))
    }
}
