//! The store itself: opening, changing, appending, snapshots, lock. Beside step 5 of the hallway.
//!
//! **Invariant:** what `flush` returned Ok for survives the death of the process, what `sync` returned Ok for
//! survives a power failure. A failed write is cut off and tried again from memory; after a failed sync the
//! file is not trusted any more and everything is written anew.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tracing::{info, warn};

use super::frame;
use super::record::{self, FileId, FileRecord, Record};

/// A log below this size is never rewritten.
const LOG_BYTES_MIN: u64 = 1 << 20;

/// Why the state cannot be opened.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error("another agent works with state_dir {}; give each agent its own", .0.display())]
    InUse(PathBuf),
    #[error("{action} {} for the agent's state", .path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// The agent's memory of its files. One per state folder, guarded by a lock file.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// Held for the life of the store; the kernel lets go of the lock when the process dies.
    _lock: File,
    pub(super) log: File,
    log_bytes: u64,
    snapshot_bytes: u64,
    generation: u64,
    files: HashMap<FileId, FileRecord>,
    /// Files whose whole record must be written.
    changed: HashSet<FileId>,
    /// Files of which only the progress must be written.
    progressed: HashSet<FileId>,
    forgotten: BTreeSet<FileId>,
    unsynced: bool,
    /// The log is not to be trusted any more: the next flush writes a snapshot.
    rewrite: bool,
}

impl Store {
    /// Opens the store in `dir`, which is made when missing; heals what is damaged and says so.
    pub(crate) fn open(dir: &Path) -> Result<Store, OpenError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io {
                action,
                path,
                source,
            }
        };
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
        let lock = lock(dir)?;
        let mut loaded = Loaded::default();
        let snapshot = dir.join("snapshot");
        let snapshot_bytes = loaded.read(&snapshot).map_err(failed("read", &snapshot))?;
        let logs = logs(dir).map_err(failed("list", dir))?;
        // A log older than the snapshot is part of it already.
        for (generation, path) in &logs {
            if *generation >= loaded.generation {
                loaded.read(path).map_err(failed("read", path))?;
            }
        }
        let newest = logs.last().map_or(0, |(generation, _)| *generation);
        let mut store = Store {
            dir: dir.to_owned(),
            _lock: lock,
            // Stands in until `rewrite_all` opens the first log.
            log: File::open(dir).map_err(failed("open", dir))?,
            log_bytes: 0,
            snapshot_bytes,
            generation: newest.max(loaded.generation),
            files: loaded.files,
            changed: HashSet::new(),
            progressed: HashSet::new(),
            forgotten: BTreeSet::new(),
            unsynced: false,
            rewrite: true,
        };
        info!(files = store.files.len(), state_dir = %dir.display(), "agent state opened");
        // A fresh generation at every start: no append ever follows a torn tail.
        store.rewrite_all().map_err(failed("write", dir))?;
        Ok(store)
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &FileRecord> + Clone {
        self.files.values()
    }

    /// Number of files remembered.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn get(&self, id: FileId) -> Option<&FileRecord> {
        self.files.get(&id)
    }

    /// An id that no remembered file has.
    pub(crate) fn fresh_id(&self) -> FileId {
        use std::hash::{BuildHasher, Hasher, RandomState};
        loop {
            // Keyed by the operating system's randomness.
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u32(std::process::id());
            let id = FileId(hasher.finish());
            if id.0 != 0 && !self.files.contains_key(&id) {
                return id;
            }
        }
    }

    /// Adds a file or replaces what is known of it.
    pub(crate) fn put(&mut self, file: FileRecord) {
        self.changed.insert(file.id);
        self.forgotten.remove(&file.id);
        self.files.insert(file.id, file);
    }

    /// Changes a file's frontiers.
    pub(crate) fn progress(&mut self, id: FileId, change: impl FnOnce(&mut FileRecord)) {
        if let Some(file) = self.files.get_mut(&id) {
            change(file);
            self.progressed.insert(id);
        }
    }

    /// Changes anything of a file but its id.
    pub(crate) fn change(&mut self, id: FileId, change: impl FnOnce(&mut FileRecord)) {
        if let Some(file) = self.files.get_mut(&id) {
            change(file);
            self.changed.insert(id);
        }
    }

    pub(crate) fn forget(&mut self, id: FileId) {
        if self.files.remove(&id).is_some() {
            self.changed.remove(&id);
            self.progressed.remove(&id);
            self.forgotten.insert(id);
        }
    }

    /// Appends what has changed: it survives the death of the process, not yet a power failure.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.rewrite || self.log_bytes > LOG_BYTES_MIN.max(4 * self.snapshot_bytes) {
            return self.rewrite_all();
        }
        if self.changed.is_empty() && self.progressed.is_empty() && self.forgotten.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        for id in self.changed.union(&self.progressed) {
            let Some(file) = self.files.get(id) else {
                continue;
            };
            payload.clear();
            if self.changed.contains(id) {
                record::encode_file(&mut payload, file);
            } else {
                record::encode_progress(&mut payload, file);
            }
            frame::push(&mut bytes, &payload);
        }
        for id in &self.forgotten {
            payload.clear();
            record::encode_forget(&mut payload, *id);
            frame::push(&mut bytes, &payload);
        }
        if let Err(error) = self.log.write_all(&bytes) {
            // Whatever part was written must not stand between sound frames.
            self.rewrite = self.log.set_len(self.log_bytes).is_err();
            return Err(error);
        }
        self.log_bytes += bytes.len() as u64;
        self.clear_pending();
        self.unsynced = true;
        Ok(())
    }

    /// Flushes, and waits until the disk has it all.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if self.unsynced {
            // After a failed sync the kernel may have dropped the pages: never ask the same file again.
            self.log.sync_data().inspect_err(|_| self.rewrite = true)?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Whether a power failure could still undo what was flushed.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced
    }

    fn clear_pending(&mut self) {
        self.changed.clear();
        self.progressed.clear();
        self.forgotten.clear();
    }

    /// Writes everything to a new snapshot and begins the next log.
    fn rewrite_all(&mut self) -> io::Result<()> {
        // Until it has succeeded, nothing may be appended to the old log.
        self.rewrite = true;
        let generation = self.generation + 1;
        let mut bytes = Vec::new();
        let mut payload = Vec::new();
        record::encode_head(&mut payload, generation);
        frame::push(&mut bytes, &payload);
        let head_bytes = bytes.len();
        for file in self.files.values() {
            payload.clear();
            record::encode_file(&mut payload, file);
            frame::push(&mut bytes, &payload);
        }
        // The log first: a snapshot without its log would be a store that forgets.
        let log_path = self.dir.join(format!("changes.{generation}"));
        let mut options = OpenOptions::new();
        let mut log = options.append(true).create(true).open(&log_path)?;
        log.set_len(0)?;
        log.write_all(&bytes[..head_bytes])?;
        log.sync_all()?;
        let aside = self.dir.join("snapshot.new");
        let mut snapshot = File::create(&aside)?;
        snapshot.write_all(&bytes)?;
        snapshot.sync_all()?;
        fs::rename(&aside, self.dir.join("snapshot"))?;
        File::open(&self.dir)?.sync_all()?;
        self.log = log;
        self.log_bytes = head_bytes as u64;
        self.snapshot_bytes = bytes.len() as u64;
        self.generation = generation;
        self.rewrite = false;
        self.unsynced = false;
        self.clear_pending();
        for (old, path) in logs(&self.dir)? {
            if old < generation {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// What has been read of the state files so far.
#[derive(Debug, Default)]
struct Loaded {
    generation: u64,
    files: HashMap<FileId, FileRecord>,
}

impl Loaded {
    /// Reads a state file as far as it is sound; gives its size, 0 when there is none.
    fn read(&mut self, path: &Path) -> io::Result<u64> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut unknown = 0_u64;
        let sound = frame::read(&bytes, |payload| match record::decode(payload) {
            Some(record) => self.apply(record),
            None => unknown += 1,
        });
        if sound.torn_bytes > 0 {
            info!(file = %path.display(), bytes = sound.torn_bytes, "cut an unfinished write off the agent's state");
        }
        if sound.damaged_bytes > 0 || unknown > 0 || (sound.frames == 0 && !bytes.is_empty()) {
            warn!(
                file = %path.display(), damaged_bytes = sound.damaged_bytes, unknown_records = unknown,
                sound_records = sound.frames,
                "the agent's state is damaged; kept what is sound, lines may be sent again"
            );
        }
        Ok(bytes.len() as u64)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Head { generation } => self.generation = self.generation.max(generation),
            Record::File(file) => {
                self.files.insert(file.id, file);
            }
            Record::Progress { id, acked, sent } => {
                if let Some(file) = self.files.get_mut(&id) {
                    file.acked = acked;
                    file.sent = sent;
                }
            }
            Record::Forget(id) => {
                self.files.remove(&id);
            }
        }
    }
}

/// Takes the lock of a state folder.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(&path);
    let failed = |source| OpenError::Io {
        action: "lock",
        path: path.clone(),
        source,
    };
    let file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The logs in `dir`, oldest first.
fn logs(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("changes."));
        if let Some(generation) = number.and_then(|number| number.parse().ok()) {
            logs.push((generation, entry.path()));
        }
    }
    logs.sort_unstable();
    Ok(logs)
}
