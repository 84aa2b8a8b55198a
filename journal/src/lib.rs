//! Logway room `journal`: an append-only, segmented, recoverable log of record batches, in Kafka's
//! own file format (see FORMAT.md). Steps 8 and 10 of the hallway.
//!
//! Invariant: no runtime, no topics, no network and no clock: the caller passes the time and
//! decides on which thread a call may block. One [`Log`] writes, any number of [`LogReader`]s read
//! and never wait for it.
#![warn(clippy::indexing_slicing)]

mod disk;
mod residency;
pub mod sim_disk;
mod std_disk;

mod by_time;
mod compact;
mod config;
mod data_dir;
mod error;
mod log;
mod open;
mod reader;
mod replay;
mod shorten;
mod snapshot;
mod sync;

mod active;
mod checkpoint;
mod epoch;
mod index;
mod recovery;
mod room;
mod segment;
mod txn_index;
mod view;
mod walk;

pub use by_time::FoundByTime;
pub use compact::{
    CleanError, Cleanable, Cleaner, CleanerConfig, CompactConfig, LastRecord, Pace, Replacement,
    Round, RoundInputs, RoundStats, Swap, Swapped,
};
pub use config::LogConfig;
pub use data_dir::{DataDir, DataDirError, LogState};
pub use disk::{DirEntry, Disk, DiskFile, FileHandle, LockGuard, ReadAt};
pub use error::{AppendError, ChangeError, DiskError, OpenError, ReadError, SyncError};
pub use log::{Appended, Log};
pub use open::Recovery;
pub use reader::{Batches, FetchSlice, LogReader};
pub use shorten::Deleted;
pub use std_disk::{OPEN_FILES_MAX, StdDisk};
pub use sync::{Closed, SyncTarget, Synced};
pub use txn_index::AbortedTxn;
pub use walk::BatchFault;
