//! The disk as the journal sees it: a few named operations, so that a test can lose what was not synced.
//!
//! Invariant: nothing else in this crate touches the file system. A [`DiskFile`] names a file, it
//! does not hold it open: an idle log costs no file descriptor.
//! Hallway: step 8, below the segments.
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without its directory. Names that are not UTF-8 are left out of listings.
    pub name: String,
    /// Size in bytes; 0 for a directory.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// Proof that a lock file is held, until it is dropped.
pub type LockGuard = Box<dyn Debug + Send + Sync>;

/// Directory operations and the way to files.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Names `path` without touching it: opening happens with the first operation on the result.
    fn file(&self, path: &Path) -> Arc<dyn DiskFile>;

    /// Entries of a directory in no particular order.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;

    /// Whether a file or directory is there.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// When the file was last written, in milliseconds since 1970.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;

    /// Creates one directory; its parent must be there, and it may be there already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or directory, replacing a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; that it is missing is an error.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and everything below it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in the directory survive a power failure.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Locks a file, which is created if it is missing, against other processes; fails with
    /// `WouldBlock` if another one holds it.
    fn lock(&self, path: &Path) -> io::Result<LockGuard>;

    /// Reads a whole small file.
    fn read_file(&self, path: &Path) -> io::Result<Vec<u8>> {
        let handle = self.file(path).open()?;
        let len = usize::try_from(handle.len()?).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(len);
        handle.read_into(&mut bytes, 0, len)?;
        Ok(bytes)
    }
}

/// A named file. Handles are opened on demand and may be closed at any time by [`DiskFile::release`].
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Creates the file, empty; replaces what is there.
    fn create(&self) -> io::Result<()>;

    /// A handle that stays usable while the file is released, renamed or removed.
    fn open(&self) -> io::Result<FileHandle>;

    /// Writes both parts one after the other at `position`, all of them, in one call where the
    /// system allows. After an error any prefix may have been written.
    fn write_at(&self, parts: [&[u8]; 2], position: u64) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Sets room on the disk aside for what will be written: `len` bytes from `position` on. The
    /// file's size does not change. An error means only that there is none to be had.
    fn reserve(&self, position: u64, len: u64) -> io::Result<()>;

    /// Gives back what was set aside behind the file's end. Nobody else may write meanwhile.
    fn give_back(&self) -> io::Result<()>;

    /// Makes the file's content and size survive a power failure. After an error nobody knows what
    /// is on the disk: the caller must not try again.
    fn sync_data(&self) -> io::Result<()>;

    /// Closes the handle; the next operation opens the file again.
    fn release(&self);

    /// Keeps to the file that has the name now, for good: whatever takes its name afterwards is
    /// not seen here, and [`DiskFile::release`] does nothing any more. Its bytes go when this goes.
    fn pin(&self) -> io::Result<()>;
}

/// Reading through a handle of a disk that is not made of system files.
pub trait ReadAt: Send + Sync + Debug {
    /// Appends up to `len` bytes from `position` on to `out`; fewer only at the end of the file.
    fn read_into(&self, out: &mut Vec<u8>, position: u64, len: usize) -> io::Result<usize>;

    /// Size in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// An open file for reading.
#[derive(Debug, Clone)]
pub enum FileHandle {
    /// A system file: ranges of it can be sent without being read into a buffer of their own.
    System(Arc<File>),
    /// A file of a test double.
    Other(Arc<dyn ReadAt>),
}

impl FileHandle {
    /// Appends up to `len` bytes from `position` on to `out`; fewer only at the end of the file.
    pub fn read_into(&self, out: &mut Vec<u8>, position: u64, len: usize) -> io::Result<usize> {
        match self {
            Self::System(file) => read_system(file, out, position, len),
            Self::Other(file) => file.read_into(out, position, len),
        }
    }

    /// Size in bytes.
    pub fn len(&self) -> io::Result<u64> {
        match self {
            Self::System(file) => Ok(file.metadata()?.len()),
            Self::Other(file) => file.len(),
        }
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// `pread` into the spare room of `out`, so that no byte is zeroed before it is read.
fn read_system(file: &File, out: &mut Vec<u8>, position: u64, len: usize) -> io::Result<usize> {
    out.reserve_exact(len);
    let end = out.len() + len;
    let start = out.len();
    while out.len() < end {
        let at = position + (out.len() - start) as u64;
        let before = out.len();
        let read = rustix::io::retry_on_intr(|| {
            rustix::io::pread(file, rustix::buffer::spare_capacity(out), at)
        })?;
        if read == 0 {
            break;
        }
        debug_assert_eq!(out.len(), before + read);
        // The vector may have more spare room than was asked for.
        out.truncate(end);
    }
    Ok(out.len() - start)
}
