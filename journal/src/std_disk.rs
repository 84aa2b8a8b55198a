//! The real disk: system files, opened on demand, with a bound on how many stay open.
//!
//! Invariant: at most `open_files_max` handles are cached; the longest unused is closed first.
//! Hallway: step 8, below the segments.
use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::UNIX_EPOCH;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, FlockOperation};

use crate::disk::{DirEntry, Disk, DiskFile, FileHandle, LockGuard};

/// Handles that stay open at most, unless another number is asked for.
pub const OPEN_FILES_MAX: usize = 4096;

/// At most one of this many free bytes is set aside at once: a disk that is nearly full has none to spare.
const FREE_SHARE: u64 = 64;
/// Less than this behind a file's end is not worth a change of the file.
const LEFT_BYTES_MIN: u64 = 64 * 1024;

/// Files of the operating system.
#[derive(Debug)]
pub struct StdDisk {
    cache: Arc<HandleCache>,
}

impl StdDisk {
    /// A disk that keeps at most [`OPEN_FILES_MAX`] files open, and at most half of what the
    /// process may open, so that sockets find room.
    #[must_use]
    pub fn new() -> StdDisk {
        let allowed = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let allowed = allowed.and_then(|limit| usize::try_from(limit).ok());
        StdDisk::with_open_files_max(
            allowed.map_or(OPEN_FILES_MAX, |limit| (limit / 2).min(OPEN_FILES_MAX)),
        )
    }

    /// A disk that keeps at most `open_files_max` files open; at least one.
    #[must_use]
    pub fn with_open_files_max(open_files_max: usize) -> StdDisk {
        let cache = HandleCache {
            open_files_max: open_files_max.max(1),
            open: Mutex::default(),
        };
        StdDisk {
            cache: Arc::new(cache),
        }
    }

    /// Files that are open now.
    #[must_use]
    pub fn open_files(&self) -> usize {
        let open = self.cache.open.lock();
        open.iter()
            .filter_map(Weak::upgrade)
            .filter(|slot| slot.file.load().is_some())
            .count()
    }
}

impl Default for StdDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for StdDisk {
    fn file(&self, path: &Path) -> Arc<dyn DiskFile> {
        let slot = Slot {
            path: path.to_path_buf(),
            file: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
        };
        Arc::new(StdFile {
            slot: Arc::new(slot),
            cache: Arc::clone(&self.cache),
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // A file may vanish between the listing and this look at it.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_dir = metadata.is_dir();
            let len = if is_dir { 0 } else { metadata.len() };
            entries.push(DirEntry { name, len, is_dir });
        }
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let modified = fs::metadata(path)?.modified()?;
        let since = modified
            .duration_since(UNIX_EPOCH)
            .map_err(io::Error::other)?;
        i64::try_from(since.as_millis()).map_err(io::Error::other)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            result => result,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        // Kafka itself uses the other kind of lock.
        rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

/// Which files are open, oldest first.
#[derive(Debug)]
struct HandleCache {
    open_files_max: usize,
    open: Mutex<VecDeque<Weak<Slot>>>,
}

impl HandleCache {
    /// Keeps a file that was opened, or gives the one that is already there: since ours was looked
    /// for, the slot may have been pinned and its name gone to another file.
    fn keep(&self, slot: &Arc<Slot>, opened: io::Result<File>) -> io::Result<Arc<File>> {
        let mut open = self.open.lock();
        if let Some(file) = slot.file.load_full() {
            return Ok(file);
        }
        let file = Arc::new(opened?);
        slot.file.store(Some(Arc::clone(&file)));
        open.push_back(Arc::downgrade(slot));
        self.close_unused(&mut open);
        Ok(file)
    }

    /// Closes files until few enough are open; second chance for the used.
    fn close_unused(&self, open: &mut VecDeque<Weak<Slot>>) {
        let mut chances = open.len();
        while open.len() > self.open_files_max {
            let Some(oldest) = open.pop_front() else {
                break;
            };
            let Some(victim) = oldest.upgrade() else {
                continue;
            };
            if victim.file.load().is_none() || victim.pinned.load(Ordering::Relaxed) {
                continue;
            }
            if victim.used.swap(false, Ordering::Relaxed) && chances > 0 {
                chances -= 1;
                open.push_back(oldest);
                continue;
            }
            victim.file.store(None);
        }
    }

    /// Forgets a file that was closed, so that the queue does not grow with files opened and closed.
    fn closed(&self, slot: &Arc<Slot>) {
        let this = Arc::downgrade(slot);
        self.open.lock().retain(|other| !other.ptr_eq(&this));
    }

    /// Opens the file if it is not open; from now on nobody closes or replaces it, because whoever
    /// does holds the lock.
    fn pin(&self, slot: &Slot) -> io::Result<()> {
        let _closing = self.open.lock();
        if slot.file.load().is_none() {
            slot.file.store(Some(Arc::new(slot.open()?)));
        }
        slot.pinned.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Closes a file that is not pinned.
    fn close(&self, slot: &Arc<Slot>) {
        let mut open = self.open.lock();
        if !slot.pinned.load(Ordering::Relaxed) && slot.file.swap(None).is_some() {
            let this = Arc::downgrade(slot);
            open.retain(|other| !other.ptr_eq(&this));
        }
    }
}

#[derive(Debug)]
struct Slot {
    path: PathBuf,
    file: ArcSwapOption<File>,
    used: AtomicBool,
    /// Changed only under the cache's lock.
    pinned: AtomicBool,
}

impl Slot {
    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).open(&self.path)
    }
}

#[derive(Debug)]
struct StdFile {
    slot: Arc<Slot>,
    cache: Arc<HandleCache>,
}

impl StdFile {
    fn handle(&self) -> io::Result<Arc<File>> {
        if let Some(file) = self.slot.file.load_full() {
            self.slot.used.store(true, Ordering::Relaxed);
            return Ok(file);
        }
        self.cache.keep(&self.slot, self.slot.open())
    }
}

impl Drop for StdFile {
    fn drop(&mut self) {
        if self.slot.file.load().is_some() {
            self.cache.closed(&self.slot);
        }
    }
}

impl DiskFile for StdFile {
    fn create(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let created = options.open(&self.slot.path)?;
        self.cache.close(&self.slot);
        self.cache.keep(&self.slot, Ok(created)).map(drop)
    }

    fn open(&self) -> io::Result<FileHandle> {
        Ok(FileHandle::System(self.handle()?))
    }

    fn write_at(&self, [first, second]: [&[u8]; 2], position: u64) -> io::Result<()> {
        let file = self.handle()?;
        let total = first.len() + second.len();
        let mut written = 0;
        while written < total {
            let head = first.get(written..).unwrap_or_default();
            let tail = second
                .get(written.saturating_sub(first.len())..)
                .unwrap_or_default();
            let slices = [IoSlice::new(head), IoSlice::new(tail)];
            let at = position + written as u64;
            match rustix::io::retry_on_intr(|| rustix::io::pwritev(&*file, &slices, at))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => written += count,
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.handle()?.set_len(len)
    }

    fn reserve(&self, position: u64, len: u64) -> io::Result<()> {
        let file = self.handle()?;
        let disk = rustix::fs::fstatvfs(&*file)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) / FREE_SHARE < len {
            return Err(io::ErrorKind::StorageFull.into());
        }
        rustix::fs::fallocate(&*file, FallocateFlags::KEEP_SIZE, position, len)?;
        Ok(())
    }

    fn give_back(&self) -> io::Result<()> {
        let file = self.handle()?;
        let metadata = file.metadata()?;
        // A file system may hold a little more than the bytes for its own purposes.
        let on_disk = metadata.blocks().saturating_mul(512);
        if on_disk < metadata.len() + LEFT_BYTES_MIN {
            return Ok(());
        }
        // To the size it has: that frees what lies behind.
        file.set_len(metadata.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.handle()?.sync_data()
    }

    fn release(&self) {
        if self.slot.file.load().is_some() {
            self.cache.close(&self.slot);
        }
    }

    fn pin(&self) -> io::Result<()> {
        self.cache.pin(&self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compaction gives a segment's name to another file while a reader is about to open it.
    #[test]
    fn who_opens_a_file_too_late_gets_the_one_that_was_pinned() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("0.log");
        fs::write(&path, "old").expect("writes");
        let slot = Arc::new(Slot {
            path: path.clone(),
            file: ArcSwapOption::empty(),
            used: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
        });
        let cache = HandleCache {
            open_files_max: 1,
            open: Mutex::default(),
        };
        cache.pin(&slot).expect("pins");
        fs::rename(&path, folder.path().join("0.log.deleted")).expect("renames");
        let is_old = |file: Arc<File>| file.metadata().expect("a file").len() == 3;
        let between = cache.keep(&slot, slot.open());
        assert!(is_old(between.expect("the name is gone, the file is not")));
        fs::write(&path, "the new segment").expect("writes");
        let after = cache.keep(&slot, slot.open());
        assert!(is_old(after.expect("the pinned file")));
        cache.close(&slot);
        assert!(slot.file.load().is_some(), "a pinned file stays open");
    }
}
