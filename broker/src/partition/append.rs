//! Appending to a partition and waiting until that is on disk.
//! Invariant: producer sequences are judged and the batch is written under one lock, so two
//! connections of one producer cannot both be first. Step 8 of the hallway.
//!
//! The write itself goes to the page cache and is done on the caller's thread: a few microseconds
//! per batch. Syncs never are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use logway_protocol::batch::BatchHeader;
use thiserror::Error;
use tracing::{error, warn};

use super::producer_state::{Marker, SequenceError, Verdict};
use super::{Availability, Partition, Writer};

/// Time between two reports of a full disk by one partition.
const REPORT_FULL_MS: i64 = 10_000;

/// What the producers' states say of a batch.
pub(super) type Judged = Result<Verdict, SequenceError>;

/// Where a batch stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    /// The batch had been appended before, by an earlier try of the same producer.
    pub(crate) duplicate: bool,
    /// Largest timestamp of the stored batch.
    pub(crate) timestamp: i64,
}

/// Why a batch is not in the log.
#[derive(Debug, Error)]
pub(crate) enum AppendError {
    #[error("partition was deleted")]
    Deleted,
    #[error("broker is stopping")]
    Closed,
    #[error("writer of the partition stopped after a failed write or sync; start the broker again")]
    Failed,
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    #[error("Record was not part of an ongoing transaction")]
    NotInTransaction,
    #[error("record batch is larger than segment.bytes {limit}")]
    LargerThanSegment { limit: i64 },
    #[error("disk is full")]
    DiskFull(#[source] logway_journal::AppendError),
    #[error(transparent)]
    Journal(logway_journal::AppendError),
}

impl Partition {
    /// Appends one checked batch, or the marker that ends a transaction. It can be read at once; see
    /// `durable` for when it is on disk.
    pub(crate) fn append(
        &self,
        header: &BatchHeader,
        batch: &Bytes,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.append_if(header, batch, now_ms, |_, verdict| Ok(verdict?))
    }

    /// As `append`; `admit` has the last word on the verdict, under the same lock.
    pub(super) fn append_if(
        &self,
        header: &BatchHeader,
        batch: &Bytes,
        now_ms: i64,
        admit: impl FnOnce(&Writer, Judged) -> Result<Verdict, AppendError>,
    ) -> Result<Appended, AppendError> {
        let limit = self.config.load().segment_bytes;
        if i64::try_from(batch.len()).unwrap_or(i64::MAX) > limit {
            return Err(AppendError::LargerThanSegment { limit });
        }
        let marker = Marker::of(header, batch);
        let mut writer = self.writer.lock();
        self.check_available()?;
        let end = self.reader.log_end_offset();
        let verdict = writer.producers.judge(header, marker.as_ref(), end);
        if let Verdict::Duplicate(trace) = admit(&writer, verdict)? {
            return Ok(Appended {
                base_offset: trace.base_offset,
                last_offset: trace.last_offset,
                duplicate: true,
                timestamp: trace.timestamp,
            });
        }
        let log = writer.log.as_mut().ok_or(AppendError::Closed)?;
        if header.is_transactional() && !header.is_control() {
            // Before it can be read: no reader may take it for stable in between.
            self.first_open.fetch_min(end, Ordering::AcqRel);
        }
        let appended = log
            .append(batch, self.leader_epoch, now_ms)
            .map_err(|error| self.append_failed(error, now_ms));
        let appended = appended.inspect_err(|_| self.publish_first_open(&writer))?;
        if appended.rolled {
            // As of the segment's first offset: the producers do not know of this batch yet.
            writer.write_snapshot(appended.base_offset);
        }
        let placed = BatchHeader {
            base_offset: appended.base_offset,
            ..*header
        };
        let aborted = writer.producers.appended(&placed, marker);
        if let (Some(aborted), Some(log)) = (aborted, writer.log.as_mut())
            && let Err(source) = log.note_aborted(aborted)
        {
            error!(
                topic = self.topic(),
                partition = self.index(),
                "write transaction index: {source}"
            );
        }
        if header.is_transactional() {
            writer.verifications.end(header.producer_id);
            self.publish_first_open(&writer);
        }
        drop(writer);
        self.announce(batch.len());
        Ok(Appended {
            base_offset: appended.base_offset,
            last_offset: placed.last_offset(),
            duplicate: false,
            timestamp: header.max_timestamp,
        })
    }

    fn check_available(&self) -> Result<(), AppendError> {
        match self.availability() {
            Availability::Online => Ok(()),
            Availability::Failed => Err(AppendError::Failed),
            Availability::Deleted => Err(AppendError::Deleted),
            Availability::Closed => Err(AppendError::Closed),
        }
    }

    fn append_failed(&self, source: logway_journal::AppendError, now_ms: i64) -> AppendError {
        use logway_journal::AppendError as Journal;
        match &source {
            Journal::Disk(disk) if disk.is_disk_full() => {
                self.report_full(now_ms);
                return AppendError::DiskFull(source);
            }
            Journal::Poisoned { .. } => {
                self.set_availability(Availability::Failed);
                return AppendError::Failed;
            }
            _ => {}
        }
        let (topic, partition) = (self.topic(), self.index());
        error!(topic, partition, "append failed: {source}");
        AppendError::Journal(source)
    }

    fn report_full(&self, now_ms: i64) {
        let last = self.full_reported_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last) >= REPORT_FULL_MS {
            self.full_reported_ms.store(now_ms, Ordering::Relaxed);
            let (topic, partition) = (self.topic(), self.index());
            warn!(
                topic,
                partition, "disk is full: records are refused until there is room"
            );
        }
    }

    /// Waits until every record below `offset` is on disk. Somebody must have asked the flusher.
    pub(crate) async fn durable(self: &Arc<Partition>, offset: i64) -> Result<(), AppendError> {
        loop {
            let changed = self.durable_changed.notified();
            tokio::pin!(changed);
            // Listens before it looks, so that no change falls between.
            changed.as_mut().enable();
            if self.durable.load(Ordering::Acquire) >= offset {
                return Ok(());
            }
            match self.availability() {
                // A closing broker still syncs what was appended.
                Availability::Online | Availability::Closed => changed.await,
                Availability::Failed => return Err(AppendError::Failed),
                Availability::Deleted => return Err(AppendError::Deleted),
            }
        }
    }
}
