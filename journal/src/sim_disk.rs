//! A disk for tests: in memory, it loses what was not synced and fails when told to.
//!
//! Invariant: what was synced is there after every [`SimDisk::crash`]. Of the rest a crash may keep
//! any part: each write, resize and directory change that was not synced is kept or lost by itself.
//! Hallway: stands in for the disk of step 8.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::disk::{DirEntry, Disk, DiskFile, FileHandle, LockGuard, ReadAt};

mod change;
mod state;

pub use change::Surviving;
use state::State;
pub use state::{Fault, FaultKind, Operation};

/// The test double. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk with the root folder `/`.
    #[must_use]
    pub fn new() -> SimDisk {
        SimDisk::default()
    }

    /// What the disk holds after a power failure, as a new disk. This one is not changed.
    #[must_use]
    pub fn crash(&self, surviving: Surviving) -> SimDisk {
        let state = self.state.lock().after_crash(surviving);
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// What the disk holds after the process was killed: everything that was written.
    #[must_use]
    pub fn kill(&self) -> SimDisk {
        let state = self.state.lock().after_kill();
        SimDisk {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Makes operations fail from now on.
    pub fn inject(&self, fault: Fault) {
        self.state.lock().inject(fault);
    }

    /// Takes all faults away.
    pub fn heal(&self) {
        self.state.lock().heal();
    }

    /// Changing operations so far: creations, writes, resizes, syncs, renames, removals.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations()
    }

    /// Content of a file as a process sees it; none if there is no such file.
    #[must_use]
    pub fn content(&self, path: &Path) -> Option<Vec<u8>> {
        self.state.lock().content(path)
    }

    /// Puts a file there, synced, with its folder.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        self.state.lock().put(path, content);
    }

    /// Paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.state.lock().files()
    }
}

impl Disk for SimDisk {
    fn file(&self, path: &Path) -> Arc<dyn DiskFile> {
        Arc::new(SimFile {
            state: Arc::clone(&self.state),
            path: path.to_path_buf(),
            pinned: OnceLock::new(),
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.state.lock().list(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.state.lock().exists(path)
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        self.state.lock().inode(path).map(|_| 0)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.state.lock().create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.state.lock().remove_dir_all(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state.lock().sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<LockGuard> {
        // A crash or kill makes a new disk, so a lock never outlives its process.
        Ok(Box::new(path.to_path_buf()))
    }
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    /// The file that this stands for whatever its name.
    pinned: OnceLock<usize>,
}

impl DiskFile for SimFile {
    fn create(&self) -> io::Result<()> {
        self.state.lock().create(&self.path)
    }

    fn open(&self) -> io::Result<FileHandle> {
        let inode = match self.pinned.get() {
            Some(inode) => *inode,
            None => self.state.lock().inode(&self.path)?,
        };
        Ok(FileHandle::Other(Arc::new(SimHandle {
            state: Arc::clone(&self.state),
            inode,
        })))
    }

    fn write_at(&self, [first, second]: [&[u8]; 2], position: u64) -> io::Result<()> {
        let bytes = [first, second].concat();
        self.state.lock().write(&self.path, position, &bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().set_len(&self.path, len)
    }

    /// This disk has no room to give, so that tests see what follows from that.
    fn reserve(&self, _position: u64, _len: u64) -> io::Result<()> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn give_back(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = match self.pinned.get() {
            Some(inode) => Ok(*inode),
            None => state.inode(&self.path),
        };
        state.sync_data(inode)
    }

    fn release(&self) {}

    fn pin(&self) -> io::Result<()> {
        let inode = self.state.lock().inode(&self.path)?;
        self.pinned.get_or_init(|| inode);
        Ok(())
    }
}

#[derive(Debug)]
struct SimHandle {
    state: Arc<Mutex<State>>,
    inode: usize,
}

impl ReadAt for SimHandle {
    fn read_into(&self, out: &mut Vec<u8>, position: u64, len: usize) -> io::Result<usize> {
        self.state.lock().read(self.inode, out, position, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.state.lock().len_of(self.inode)
    }
}
