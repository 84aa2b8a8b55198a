//! What the writer publishes after each append and readers work from.
//!
//! Invariant: a published view never changes; segments are in offset order, the last one is active.
//! Hallway: between steps 8 and 10.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use crate::disk::Disk;
use crate::epoch::EpochEntry;
use crate::segment::SegmentView;

/// The log at one moment.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) closed: Arc<[Arc<SegmentView>]>,
    pub(crate) active: SegmentView,
    pub(crate) log_start_offset: i64,
    pub(crate) log_end_offset: i64,
    pub(crate) epochs: Arc<[EpochEntry]>,
}

impl View {
    /// Segments from the one that may hold `offset` on, each with the offset at which it ends.
    pub(crate) fn segments_from(&self, offset: i64) -> impl Iterator<Item = (&SegmentView, i64)> {
        let after = if self.active.base_offset() <= offset {
            self.closed.len()
        } else {
            let closed = &self.closed;
            closed
                .partition_point(|segment| segment.base_offset() <= offset)
                .saturating_sub(1)
        };
        self.segments().skip(after)
    }

    /// All segments, each with the offset at which it ends.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (&SegmentView, i64)> {
        let closed = self.closed.iter().map(|segment| &**segment);
        let all = closed.chain([&self.active]);
        let ends = self.closed.iter().skip(1).map(|next| next.base_offset());
        let active = (!self.closed.is_empty()).then(|| self.active.base_offset());
        all.zip(ends.chain(active).chain([self.log_end_offset]))
    }
}

/// What the writer, its readers and pending syncs share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: Arc<Path>,
    pub(crate) view: ArcSwap<View>,
    poisoned: AtomicBool,
}

impl Shared {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: Arc<Path>, view: View) -> Shared {
        Shared {
            disk,
            dir,
            view: ArcSwap::from_pointee(view),
            poisoned: AtomicBool::new(false),
        }
    }

    /// No write after this; only opening the log again helps.
    pub(crate) fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }
}
