//! What can go wrong, one enum per operation.
//!
//! Invariant: every error names its file or offset; an input/output error is never turned into text.
//! Hallway: step 8.
use std::io;
use std::path::PathBuf;

use logway_protocol::batch::BatchError;
use rustix::io::Errno;

use crate::walk::BatchFault;

/// An operation on the file system that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct DiskError {
    /// What was tried, as a verb: `read`, `rename`.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl DiskError {
    /// Makes an error out of what the system said; for `map_err`.
    pub(crate) fn of(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.into();
        move |source| DiskError {
            operation,
            path,
            source,
        }
    }

    /// Whether the device is full: the operation works again once there is room.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

impl DiskError {
    /// Whether the process, or the system, may open no more files: nothing was written or synced, and
    /// the operation works again once others are closed.
    #[must_use]
    pub fn is_out_of_files(&self) -> bool {
        is_out_of_files(&self.source)
    }
}

/// Only opening a file fails so, never a write or a sync.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE))
}

/// Why a log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused; nothing was changed that recovery would not do again.
    #[error("cannot open the log")]
    Disk(#[from] DiskError),
    /// A `.log` file is larger than the format allows.
    #[error("{} has {len} bytes, a segment has at most {}", path.display(), i32::MAX)]
    SegmentTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        len: u64,
    },
}

/// Why a batch was not appended. The log is as before.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A sync has failed before, so nobody knows what is on the disk: this log takes no more
    /// writes until it is opened again.
    #[error("the log at {} takes no writes after a failed write or sync; restart to recover it", dir.display())]
    Poisoned {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The bytes are not one whole record batch.
    #[error("the bytes are not one record batch")]
    Batch(#[from] BatchError),
    /// The batch's offsets do not fit behind the log's end.
    #[error("the batch ends at offset {last_offset}, the log expects {expected} or more")]
    Offsets {
        /// Last offset of the batch.
        last_offset: i64,
        /// The log end offset.
        expected: i64,
    },
    /// Larger than a segment can be.
    #[error("the batch has {0} bytes, more than a segment can hold")]
    TooLarge(usize),
    /// The disk is full or broken. What was written of the batch has been cut off again.
    #[error("cannot append to the log")]
    Disk(#[from] DiskError),
    /// The segment's first batch could not be read, which tells the segment's age.
    #[error("cannot append to the log")]
    Read(#[from] ReadError),
}

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset is not in the log.
    #[error("offset {offset} is outside the log, which has {log_start_offset} to {log_end_offset}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: i64,
        /// First offset of the log.
        log_start_offset: i64,
        /// Offset that the next record will get.
        log_end_offset: i64,
    },
    /// The log's bytes are damaged.
    #[error("segment {base_offset} of the log at {} is damaged", dir.display())]
    Corrupt {
        /// The log's folder.
        dir: PathBuf,
        /// Base offset of the segment.
        base_offset: i64,
        /// What was found.
        #[source]
        source: BatchFault,
    },
    /// The disk failed.
    #[error("cannot read the log")]
    Disk(#[from] DiskError),
}

/// Why the log could not be shortened, rolled or closed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// See [`AppendError::Poisoned`].
    #[error("the log at {} takes no writes after a failed write or sync; restart to recover it", dir.display())]
    Poisoned {
        /// The log's folder.
        dir: PathBuf,
    },
    /// Compacted segments are being swapped in: try again when that is over.
    #[error("segments of the log at {} are being swapped", dir.display())]
    Swapping {
        /// The log's folder.
        dir: PathBuf,
    },
    /// The file system refused. The log is usable; part of the change may have been made.
    #[error("cannot change the log")]
    Disk(#[from] DiskError),
    /// The log could not be read, which the change needs.
    #[error("cannot change the log")]
    Read(#[from] ReadError),
    /// A sync failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// A sync failed.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// An earlier sync has failed; trying again would hide what was lost.
    #[error("the log at {} takes no writes after a failed write or sync; restart to recover it", dir.display())]
    Poisoned {
        /// The log's folder.
        dir: PathBuf,
    },
    /// This one failed. The log takes no more writes, unless no file could be opened.
    #[error("cannot make the log durable")]
    Disk(#[from] DiskError),
}

impl SyncError {
    /// Whether nothing was synced for want of file descriptors: the one failure after which it is
    /// right to try again.
    #[must_use]
    pub fn is_out_of_files(&self) -> bool {
        matches!(self, SyncError::Disk(error) if error.is_out_of_files())
    }
}
