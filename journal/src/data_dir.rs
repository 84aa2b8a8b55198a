//! A data folder: many logs, and what is remembered about them from one run to the next.
//!
//! Invariant: the clean mark is gone, for good, before any log is opened, and comes back only after
//! all are closed. A log is known by its folder's name, `<topic>-<partition>` in Kafka's layout.
//! Hallway: step 8, at start, at intervals and at the end.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::checkpoint::{self, Content, Durability, TMP_SUFFIX};
use crate::disk::{Disk, LockGuard};
use crate::error::DiskError;
use crate::open::Recovery;

const CLEAN_MARK: &str = ".kafka_cleanshutdown";
/// What Kafka writes into its clean mark when it knows no broker epoch.
const CLEAN_MARK_CONTENT: &str = "{\"version\":0,\"brokerEpoch\":-1}";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const CLEANED_TO: &str = "cleaner-offset-checkpoint";
const LOCK: &str = ".lock";
const DELETE_SUFFIX: &str = "-delete";

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// Another process works on it.
    #[error("{} is in use by another process; stop it or choose another data folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot use the data folder")]
    Disk(#[from] DiskError),
}

/// What the checkpoints say, or are to say, about one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogState {
    /// [`crate::Log::recovery_point`].
    pub recovery_point: i64,
    /// [`crate::Log::log_start_offset`].
    pub log_start_offset: i64,
}

/// A folder of logs, locked for this process.
#[derive(Debug)]
pub struct DataDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    clean: bool,
    folders: Vec<String>,
    recovery_points: BTreeMap<String, i64>,
    log_starts: BTreeMap<String, i64>,
    cleaned_to: BTreeMap<String, i64>,
    _lock: LockGuard,
}

impl DataDir {
    /// Locks the folder, creating it with its parents if it is missing, reads its checkpoints, takes
    /// away its clean mark and removes what earlier deletions left.
    pub fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<DataDir, DataDirError> {
        create_with_parents(&*disk, path)?;
        let lock = disk.lock(&path.join(LOCK)).map_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                let path = path.to_path_buf();
                return DataDirError::InUse { path };
            }
            DiskError::of("lock", path.join(LOCK))(error).into()
        })?;
        let mut dir = DataDir {
            path: path.to_path_buf(),
            clean: false,
            folders: Vec::new(),
            recovery_points: read_offsets(&*disk, &path.join(RECOVERY_POINTS))?,
            log_starts: read_offsets(&*disk, &path.join(LOG_STARTS))?,
            cleaned_to: read_offsets(&*disk, &path.join(CLEANED_TO))?,
            disk,
            _lock: lock,
        };
        dir.read_listing()?;
        Ok(dir)
    }

    fn read_listing(&mut self) -> Result<(), DiskError> {
        let listed = self.disk.list(&self.path);
        for entry in listed.map_err(DiskError::of("list", &self.path))? {
            let path = self.path.join(&entry.name);
            if entry.is_dir && entry.name.ends_with(DELETE_SUFFIX) {
                let removed = self.disk.remove_dir_all(&path);
                removed.map_err(DiskError::of("remove", &path))?;
            } else if entry.is_dir && split_folder(&entry.name).is_some() {
                self.folders.push(entry.name);
            } else if !entry.is_dir && entry.name == CLEAN_MARK {
                self.clean = true;
                self.disk
                    .remove_file(&path)
                    .map_err(DiskError::of("remove", &path))?;
                self.sync()?;
            } else if !entry.is_dir && entry.name.ends_with(TMP_SUFFIX) {
                self.disk
                    .remove_file(&path)
                    .map_err(DiskError::of("remove", &path))?;
            }
        }
        self.folders.sort();
        Ok(())
    }

    /// The folder's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the last run ended with [`DataDir::mark_clean`].
    #[must_use]
    pub fn was_clean(&self) -> bool {
        self.clean
    }

    /// Names of the logs' folders, sorted, as they were when the data folder was opened.
    #[must_use]
    pub fn folders(&self) -> &[String] {
        &self.folders
    }

    /// Where a log lies.
    #[must_use]
    pub fn log_path(&self, folder: &str) -> PathBuf {
        self.path.join(folder)
    }

    /// What is known about the log in a folder, for [`crate::Log::open`].
    #[must_use]
    pub fn recovery(&self, folder: &str) -> Recovery {
        let of = |offsets: &BTreeMap<String, i64>| offsets.get(folder).copied().unwrap_or(0);
        Recovery {
            clean: self.clean,
            recovery_point: of(&self.recovery_points),
            log_start_offset: of(&self.log_starts),
        }
    }

    /// Replaces both checkpoints by the states of these logs, durably; does nothing if they say the
    /// same already. Folders whose names do not end with `-<number>` have no line.
    pub fn write_checkpoints<'a>(
        &mut self,
        states: impl IntoIterator<Item = (&'a str, LogState)>,
    ) -> Result<(), DiskError> {
        let (mut recovery_points, mut log_starts) = (BTreeMap::new(), BTreeMap::new());
        for (folder, state) in states {
            recovery_points.insert(folder.to_owned(), state.recovery_point);
            if state.log_start_offset > 0 {
                log_starts.insert(folder.to_owned(), state.log_start_offset);
            }
        }
        self.replace(recovery_points, log_starts)
    }

    /// Up to where the log was compacted: where the next round begins.
    #[must_use]
    pub fn cleaned_to(&self, folder: &str) -> Option<i64> {
        self.cleaned_to.get(folder).copied()
    }

    /// Notes, durably, that the log was compacted below `offset`.
    pub fn note_cleaned_to(&mut self, folder: &str, offset: i64) -> Result<(), DiskError> {
        let mut cleaned_to = self.cleaned_to.clone();
        cleaned_to.insert(folder.to_owned(), offset);
        self.replace_cleaned_to(cleaned_to)
    }

    fn replace_cleaned_to(&mut self, cleaned_to: BTreeMap<String, i64>) -> Result<(), DiskError> {
        if cleaned_to != self.cleaned_to {
            self.write_offsets(CLEANED_TO, &cleaned_to)?;
            self.cleaned_to = cleaned_to;
        }
        Ok(())
    }

    /// Takes the lines of logs out of all checkpoints, durably: to be called before their folders
    /// are removed or given to other logs. A new log of the same name would otherwise be taken for
    /// the old one after a crash, and emptied if it ends before the old one's start.
    pub fn forget_logs<'a>(
        &mut self,
        folders: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), DiskError> {
        let has_line = |folder: &&str| {
            let all = [&self.recovery_points, &self.log_starts, &self.cleaned_to];
            all.iter().any(|lines| lines.contains_key(*folder))
        };
        let known: Vec<&str> = folders.into_iter().filter(has_line).collect();
        if known.is_empty() {
            return Ok(());
        }
        let (mut recovery_points, mut log_starts) =
            (self.recovery_points.clone(), self.log_starts.clone());
        let mut cleaned_to = self.cleaned_to.clone();
        for folder in known {
            recovery_points.remove(folder);
            log_starts.remove(folder);
            cleaned_to.remove(folder);
        }
        self.replace_cleaned_to(cleaned_to)?;
        self.replace(recovery_points, log_starts)
    }

    /// Replaces the lines of some logs in both checkpoints, durably: to be called before anything is
    /// appended to logs whose recovery points have become lower than their lines say, and before it is
    /// said that records were deleted, so that they do not come back after a crash.
    pub fn note_logs<'a>(
        &mut self,
        states: impl IntoIterator<Item = (&'a str, LogState)>,
    ) -> Result<(), DiskError> {
        let (mut recovery_points, mut log_starts) =
            (self.recovery_points.clone(), self.log_starts.clone());
        for (folder, state) in states {
            recovery_points.insert(folder.to_owned(), state.recovery_point);
            match state.log_start_offset {
                start if start > 0 => log_starts.insert(folder.to_owned(), start),
                _ => log_starts.remove(folder),
            };
        }
        self.replace(recovery_points, log_starts)
    }

    /// Makes the names of all logs' folders survive a power failure; see [`crate::Log::parent_synced`].
    pub fn sync(&self) -> Result<(), DiskError> {
        let synced = self.disk.sync_dir(&self.path);
        synced.map_err(DiskError::of("sync", &self.path))
    }

    fn replace(
        &mut self,
        recovery_points: BTreeMap<String, i64>,
        log_starts: BTreeMap<String, i64>,
    ) -> Result<(), DiskError> {
        // The log start first: a recovery point never lies in what was deleted.
        if log_starts != self.log_starts {
            self.write_offsets(LOG_STARTS, &log_starts)?;
            self.log_starts = log_starts;
        }
        if recovery_points != self.recovery_points {
            self.write_offsets(RECOVERY_POINTS, &recovery_points)?;
            self.recovery_points = recovery_points;
        }
        Ok(())
    }

    fn write_offsets(&self, name: &str, offsets: &BTreeMap<String, i64>) -> Result<(), DiskError> {
        let lines = offsets.iter().filter_map(|(folder, offset)| {
            let (topic, partition) = split_folder(folder)?;
            Some(format!("{topic} {partition} {offset}"))
        });
        let lines: Vec<String> = lines.collect();
        let path = self.path.join(name);
        checkpoint::write(&*self.disk, &path, &lines, Durability::Synced)
    }

    /// Says, durably, that every log was closed with [`crate::Log::close_clean`] and that the
    /// checkpoints are up to date: the next start scans nothing.
    pub fn mark_clean(&self) -> Result<(), DiskError> {
        let path = self.path.join(CLEAN_MARK);
        let content = CLEAN_MARK_CONTENT.as_bytes();
        checkpoint::replace(&*self.disk, &path, content, Durability::Synced)
    }

    /// Removes a log for good, with one rename, so that a crash leaves the whole log or none. The
    /// caller has dropped its [`crate::Log`]; `tag` makes the name of what is removed unique.
    pub fn remove_log(&mut self, folder: &str, tag: u128) -> Result<(), DiskError> {
        self.forget_logs([folder])?;
        let from = self.path.join(folder);
        let to = self
            .path
            .join(format!("{folder}.{tag:032x}{DELETE_SUFFIX}"));
        self.disk
            .rename(&from, &to)
            .map_err(DiskError::of("rename", &from))?;
        self.sync()?;
        self.disk
            .remove_dir_all(&to)
            .map_err(DiskError::of("remove", &to))
    }
}

/// A folder's name as Kafka's checkpoints spell it: topic and partition.
fn split_folder(folder: &str) -> Option<(&str, i32)> {
    let (topic, partition) = folder.rsplit_once('-')?;
    if topic.is_empty() || topic.contains(' ') || !partition.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((topic, partition.parse().ok()?))
}

fn read_offsets(disk: &dyn Disk, path: &Path) -> Result<BTreeMap<String, i64>, DiskError> {
    let lines = match checkpoint::read(disk, path)? {
        Content::Lines(lines) => lines,
        Content::Missing => Vec::new(),
        Content::Damaged => {
            tracing::warn!(path = %path.display(),
                "the checkpoint is damaged and ignored: the logs are scanned from their start");
            Vec::new()
        }
    };
    let line = |line: &String| {
        let mut words = line.split(' ');
        let (topic, partition, offset) = (words.next()?, words.next()?, words.next()?);
        let offset: i64 = offset.parse().ok()?;
        Some((format!("{topic}-{partition}"), offset.max(0)))
    };
    Ok(lines.iter().filter_map(line).collect())
}

fn create_with_parents(disk: &dyn Disk, path: &Path) -> Result<(), DiskError> {
    let exists = disk.exists(path);
    if exists.map_err(DiskError::of("look at", path))? {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_with_parents(disk, parent)?;
    }
    disk.create_dir(path)
        .map_err(DiskError::of("create", path))?;
    match parent {
        Some(parent) => disk.sync_dir(parent).map_err(DiskError::of("sync", parent)),
        None => Ok(()),
    }
}
