//! What of a log can be compacted, and whether it is worth it.
//!
//! Invariant: the active segment, and everything from the first segment on that holds an offset at
//! or after the last stable one or is too young, is left alone. (Kafka's LogCleanerManager.)
//! Hallway: step 8, in compaction.
use std::sync::Arc;

use super::CompactConfig;
use crate::error::{DiskError, ReadError};
use crate::reader::{LogReader, read_error};
use crate::segment::{LOG_SUFFIX, SegmentView, path_of};
use crate::view::{Shared, View};

/// What a round of compaction would do.
#[derive(Debug, Clone)]
pub struct Cleanable {
    pub(super) shared: Arc<Shared>,
    /// The segments below the first uncleanable offset, each with the offset at which it ends.
    pub(super) segments: Vec<(Arc<SegmentView>, i64)>,
    /// Below it every key was compacted before.
    pub(super) first_dirty_offset: i64,
    /// What is at or after it is left alone.
    pub(super) first_uncleanable_offset: i64,
    clean_bytes: u64,
    cleanable_bytes: u64,
    is_overdue: bool,
    min_ratio: f64,
}

impl LogReader {
    /// What there is to compact. `cleaned_to` is where the last round ended, from the checkpoint;
    /// nothing at or after `last_stable_offset` is touched. `now_ms` counts from 1970.
    pub fn cleanable(
        &self,
        cleaned_to: Option<i64>,
        last_stable_offset: i64,
        config: &CompactConfig,
        now_ms: i64,
    ) -> Result<Cleanable, ReadError> {
        self.on_a_view(|view| {
            let plan = Plan {
                shared: self.shared(),
                view,
                now_ms,
            };
            plan.cleanable(cleaned_to, last_stable_offset, config)
        })
    }
}

impl Cleanable {
    /// Where a round begins to read: below it every key was compacted before.
    #[must_use]
    pub fn first_dirty_offset(&self) -> i64 {
        self.first_dirty_offset
    }

    /// Where a round ends at the latest. The log has to be durable up to here before it begins.
    #[must_use]
    pub fn first_uncleanable_offset(&self) -> i64 {
        self.first_uncleanable_offset
    }

    /// The dirty share of the bytes that can be compacted; 0 if there are none.
    #[must_use]
    pub fn dirty_ratio(&self) -> f64 {
        let all = self.clean_bytes + self.cleanable_bytes;
        if all == 0 {
            return 0.0;
        }
        self.cleanable_bytes as f64 / all as f64
    }

    /// Whether a round is due: enough is dirty, or something has been for too long.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let is_overdue = self.is_overdue && self.cleanable_bytes > 0;
        is_overdue || self.dirty_ratio() > self.min_ratio
    }
}

struct Plan<'a> {
    shared: &'a Arc<Shared>,
    view: &'a View,
    now_ms: i64,
}

impl Plan<'_> {
    fn cleanable(
        &self,
        cleaned_to: Option<i64>,
        last_stable_offset: i64,
        config: &CompactConfig,
    ) -> Result<Cleanable, ReadError> {
        let view = self.view;
        let first_dirty_offset = self.first_dirty_offset(cleaned_to);
        let mut limit = last_stable_offset.min(view.active.base_offset());
        if config.min_compaction_lag_ms > 0 {
            let from = self.now_ms.saturating_sub(config.min_compaction_lag_ms);
            limit = limit.min(self.first_younger(first_dirty_offset, from)?);
        }
        limit = limit.max(first_dirty_offset);
        // Whole segments only: one that reaches beyond the limit is left alone.
        let reaches_beyond = |(_, end): &(&Arc<SegmentView>, i64)| *end > limit;
        let first_beyond = self.closed().find(reaches_beyond);
        let first_uncleanable_offset = first_beyond
            .map_or(view.active.base_offset(), |(segment, _)| {
                segment.base_offset()
            });
        let below = self
            .closed()
            .take_while(|(segment, _)| segment.base_offset() < first_uncleanable_offset);
        let segments: Vec<_> = below
            .map(|(segment, end)| (Arc::clone(segment), end))
            .collect();
        let bytes = |keep: &dyn Fn(i64, i64) -> bool| -> u64 {
            let kept = segments
                .iter()
                .filter(|(segment, end)| keep(segment.base_offset(), *end));
            kept.map(|(segment, _)| u64::from(segment.size)).sum()
        };
        Ok(Cleanable {
            shared: Arc::clone(self.shared),
            first_dirty_offset,
            first_uncleanable_offset,
            clean_bytes: bytes(&|base, _| base < first_dirty_offset),
            cleanable_bytes: bytes(&|_, end| end > first_dirty_offset),
            is_overdue: self.is_overdue(first_dirty_offset, config)?,
            min_ratio: config.min_cleanable_dirty_ratio,
            segments,
        })
    }

    /// A checkpoint outside the log says nothing: all of the log is dirty then.
    fn first_dirty_offset(&self, cleaned_to: Option<i64>) -> i64 {
        let (start, end) = (self.view.log_start_offset, self.view.log_end_offset);
        let inside = cleaned_to.filter(|offset| (start..=end).contains(offset));
        if inside.is_none() && cleaned_to.is_some_and(|offset| offset > end) {
            tracing::warn!(dir = %self.shared.dir.display(), cleaned_to, log_end = end,
                "the compaction checkpoint lies behind the log's end: the whole log counts as dirty");
        }
        inside.unwrap_or(start)
    }

    fn closed(&self) -> impl Iterator<Item = (&Arc<SegmentView>, i64)> {
        let closed = &self.view.closed;
        let ends = closed.iter().skip(1).map(|next| next.base_offset());
        closed
            .iter()
            .zip(ends.chain([self.view.active.base_offset()]))
    }

    fn dirty(&self, first_dirty_offset: i64) -> impl Iterator<Item = &Arc<SegmentView>> {
        let dirty = self
            .closed()
            .filter(move |(_, end)| *end > first_dirty_offset);
        dirty.map(|(segment, _)| segment)
    }

    /// Base offset of the first dirty segment with a record younger than `from_ms`.
    fn first_younger(&self, first_dirty_offset: i64, from_ms: i64) -> Result<i64, ReadError> {
        for segment in self.dirty(first_dirty_offset) {
            if self.youngest_ms(segment)? > from_ms {
                return Ok(segment.base_offset());
            }
        }
        Ok(i64::MAX)
    }

    /// Largest timestamp of a segment; where records have none, when its file was last written.
    fn youngest_ms(&self, segment: &SegmentView) -> Result<i64, ReadError> {
        let base_offset = segment.base_offset();
        let max = segment.max_timestamp();
        let max = max.map_err(|error| read_error(self.shared, base_offset, error))?;
        if let Some(max) = max.filter(|max| max.timestamp >= 0) {
            return Ok(max.timestamp);
        }
        let path = path_of(&self.shared.dir, base_offset, LOG_SUFFIX);
        let modified = self.shared.disk.modified_ms(&path);
        Ok(modified.map_err(DiskError::of("look at", path))?)
    }

    /// Whether the oldest dirty segment began longer ago than `max.compaction.lag.ms`.
    fn is_overdue(
        &self,
        first_dirty_offset: i64,
        config: &CompactConfig,
    ) -> Result<bool, ReadError> {
        let limit = self
            .now_ms
            .saturating_sub(config.max_compaction_lag_ms.max(0));
        if limit <= 0 {
            return Ok(false);
        }
        for segment in self.dirty(first_dirty_offset) {
            let first = segment.headers().and_then(|mut walk| walk.header(0));
            let first =
                first.map_err(|error| read_error(self.shared, segment.base_offset(), error))?;
            if first.is_some_and(|first| (1..limit).contains(&first.max_timestamp)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
