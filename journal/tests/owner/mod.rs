//! What the owner of a log does with it, as the broker does: opens it in its data folder, keeps its
//! checkpoint there, compacts it, and has its power cut at any point.
#![allow(dead_code)]

pub(crate) mod power;
pub(crate) mod rounds;

use std::sync::Arc;

use logway_journal::sim_disk::SimDisk;
use logway_journal::{DataDir, Log, LogConfig, LogState};

use crate::support::dir;

/// The log's folder in the data folder.
pub(crate) const FOLDER: &str = "GameLog-0";

/// Why a life ended early.
pub(crate) type Stopped = Box<dyn std::error::Error>;

/// A log with the data folder it lies in.
pub(crate) struct Owned {
    pub(crate) data: DataDir,
    pub(crate) log: Log,
}

impl Owned {
    /// Opens the log as its checkpoint says; what recovery took back of it is written down at once.
    pub(crate) fn open(disk: &SimDisk, config: &LogConfig) -> Result<Owned, Stopped> {
        let data = DataDir::open(Arc::new(disk.clone()), "/data".as_ref())?;
        let recovery = data.recovery(FOLDER);
        let log = Log::open(Arc::new(disk.clone()), dir(), config.clone(), recovery, 0)?;
        let mut owned = Owned { data, log };
        if owned.log.recovery_point() < recovery.recovery_point {
            owned.write_checkpoint()?;
        }
        Ok(owned)
    }

    pub(crate) fn write_checkpoint(&mut self) -> Result<(), Stopped> {
        let state = LogState {
            recovery_point: self.log.recovery_point(),
            log_start_offset: self.log.log_start_offset(),
        };
        Ok(self.data.write_checkpoints([(FOLDER, state)])?)
    }

    /// Closes the log and leaves the mark for a start without recovery.
    pub(crate) fn close_clean(self) -> Result<(), Stopped> {
        let Owned { mut data, mut log } = self;
        data.sync()?;
        log.parent_synced();
        let closed = log.close_clean()?;
        let state = LogState {
            recovery_point: closed.recovery_point,
            log_start_offset: closed.log_start_offset,
        };
        data.write_checkpoints([(FOLDER, state)])?;
        Ok(data.mark_clean()?)
    }

    /// The offset that lies so far between the log's start and its end.
    pub(crate) fn at(&self, part: f64) -> i64 {
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        start + ((end - start) as f64 * part) as i64
    }
}
