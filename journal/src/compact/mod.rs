//! Compaction: of each key the newest record stays, by Kafka's rules (`cleanup.policy=compact`).
//!
//! A round: [`LogReader::cleanable`] says what there is to do, [`Cleaner::begin`] reads the dirty
//! part into a map, [`Round::next_group`] writes some segments anew beside the old ones, and
//! [`Log::begin_swap`], [`Swap::run`] and [`Log::finish_swap`] put the new one in their place. Only
//! the first and the last of these three need the writer, and neither touches the disk.
//!
//! Invariants: no record is removed before the newer one of its key is durable; offsets, producer
//! epochs and last sequences outlive their records; a crash at any point leaves, after opening, the
//! old segments or the new one, whole. A damaged batch stops the round and nothing is replaced.
//! Hallway: step 8, beside it.
//!
//! Unlike Kafka's, the last batch of every new segment stays, empty if need be: segments then join
//! without a gap, and recovery can tell compacted logs from logs that lost batches.
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::error::{DiskError, ReadError};
use crate::reader::read_error;
use crate::segment::SegmentView;
use crate::view::Shared;
use crate::walk::{BatchFault, WalkError};

#[cfg(doc)]
use crate::{Log, LogReader};

mod copy;
mod key_map;
mod output;
mod plan;
mod round;
mod swap;
mod transactions;

pub use copy::LastRecord;
pub use plan::Cleanable;
pub use round::{Cleaner, CleanerConfig, Replacement, Round, RoundInputs, RoundStats};
pub(crate) use swap::{CLEANED_SUFFIX, complete_swaps};
pub use swap::{Swap, Swapped};

/// When a log is compacted, and how long tombstones stay, under Kafka's topic setting names.
#[derive(Debug, Clone, PartialEq)]
pub struct CompactConfig {
    /// `min.cleanable.dirty.ratio`: more than this share of the bytes must be dirty.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: segments with younger records are left alone.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: dirty segments with older records are due whatever the ratio.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: how long tombstones and markers stay after the round that met them.
    pub delete_retention_ms: i64,
}

impl Default for CompactConfig {
    fn default() -> Self {
        CompactConfig {
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}

/// Told of every piece of so many bytes that was read or written; may wait, and may end the round.
pub type Pace<'a> = &'a mut dyn FnMut(usize) -> ControlFlow<()>;

/// Why a round ended early. What it had swapped in stays; the rest of the log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The caller wanted it.
    #[error("compaction was stopped")]
    Stopped,
    /// Segments were deleted or truncated meanwhile, or another swap is under way: begin again.
    #[error("the log has changed while it was compacted")]
    Changed,
    /// Records that the round goes by are not durable: sync the log first.
    #[error("the log is durable below offset {durable}, compaction goes up to {needed}")]
    NotDurable {
        /// [`crate::Log::durable_offset`].
        durable: i64,
        /// Where the round ends.
        needed: i64,
    },
    /// A segment cannot be read, or is damaged.
    #[error("cannot compact the log")]
    Read(#[from] ReadError),
    /// The file system refused.
    #[error("cannot compact the log")]
    Disk(#[from] DiskError),
    /// The compacted segment would be larger than a segment can be.
    #[error("segment {base_offset} of the log does not fit into one segment when compacted")]
    TooLarge {
        /// Base offset of the first segment of the group.
        base_offset: i64,
    },
    /// See [`crate::AppendError::Poisoned`].
    #[error("the log at {} takes no changes after a failed write or sync; restart to recover it", dir.display())]
    Poisoned {
        /// The log's folder.
        dir: PathBuf,
    },
}

fn walk_failed(shared: &Shared, segment: &SegmentView) -> impl Fn(WalkError) -> CleanError {
    move |error| read_error(shared, segment.base_offset(), error).into()
}

fn damaged(shared: &Shared, base_offset: i64, fault: BatchFault) -> CleanError {
    read_error(shared, base_offset, WalkError::Fault(fault)).into()
}

fn paced(pace: Pace<'_>, bytes: usize) -> Result<(), CleanError> {
    match pace(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(CleanError::Stopped),
    }
}
