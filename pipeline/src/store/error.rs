//! What can go wrong with the store, and which of it passes by itself.
//!
//! Invariant: a failed fsync is never retried (design D7); a full disk always is. Step 11.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use thiserror::Error;

/// Why the store cannot be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another pipeline of this one, has the file.
    #[error(
        "store {path} is in use by another pipeline{holder}; stop that one or set another store.path"
    )]
    Locked {
        /// The store's file.
        path: PathBuf,
        /// ` (process N)` when known, else empty.
        holder: String,
    },
    /// The folder or the lock file cannot be made.
    #[error("cannot use {path} for the store; check that the folder exists and is writable")]
    Folder {
        /// What was tried.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The file is not a store of this version.
    #[error(
        "{path} is a store of schema version {found}, this program reads version {expected}; \
         use the program that wrote it or set another store.path"
    )]
    Version {
        /// The store's file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version this program reads.
        expected: i64,
    },
    /// SQLite refuses.
    #[error("cannot open store {path}")]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
}

/// Why a transaction was not committed; nothing of it is in the store.
#[derive(Debug, Error)]
pub enum WriteError {
    /// Someone else has taken the partition over, or moved its offset.
    #[error(
        "partition {topic}-{partition} has another owner: expected epoch {epoch} at offset {expected}"
    )]
    Fenced {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The epoch this writer holds.
        epoch: i64,
        /// The offset this writer stored last.
        expected: i64,
    },
    /// No space is left.
    #[error("no space left for store {path}; free some, writing goes on by itself")]
    Full {
        /// The store's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// SQLite refuses.
    #[error("cannot write to store {path}")]
    Sqlite {
        /// The store's file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The writer has stopped, after an earlier error or at shutdown.
    #[error("the store's writer has stopped")]
    Stopped,
}

/// `SQLITE_IOERR_FSYNC` and `SQLITE_IOERR_DIR_FSYNC`.
const FSYNC_CODES: [i32; 2] = [1034, 1290];

impl WriteError {
    pub(crate) fn new(path: &Path, source: rusqlite::Error) -> WriteError {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => WriteError::Full { path, source },
            _ => WriteError::Sqlite { path, source },
        }
    }

    /// Whether the same transaction may succeed later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            WriteError::Full { .. } => true,
            WriteError::Fenced { .. } | WriteError::Stopped => false,
            WriteError::Sqlite { source, .. } => match source.sqlite_error() {
                Some(error) if FSYNC_CODES.contains(&error.extended_code) => false,
                Some(error) => matches!(
                    error.code,
                    ErrorCode::SystemIoFailure
                        | ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::CannotOpen
                        | ErrorCode::OutOfMemory
                        | ErrorCode::FileLockingProtocolFailed
                ),
                None => false,
            },
        }
    }
}

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum ReadError {
    /// SQLite refuses.
    #[error("cannot read the store")]
    Sqlite(#[from] rusqlite::Error),
    /// It took longer than allowed.
    #[error("the query took longer than {0} s; narrow its time range")]
    TooSlow(u64),
    /// Too many queries wait already.
    #[error("too many queries at once; try again")]
    Busy,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
