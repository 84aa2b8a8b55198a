//! Brings back what a log says of its producers: from a snapshot and the batches behind it.
//! Invariant: nothing below the snapshot is read, and of the batches behind it only headers and
//! markers; the aborted transactions past the recovery point are noted again. Step 8 of the hallway,
//! at start.

use bytes::Bytes;
use logway_journal::{DiskError, Log, ReadError};
use thiserror::Error;
use tracing::warn;

use super::producer_state::{Marker, ProducerStates};
use super::snapshot;

/// Why the producers' state cannot be brought back.
#[derive(Debug, Error)]
pub(super) enum RestoreError {
    #[error("read log: {0}")]
    Read(#[from] ReadError),
    #[error("bring back the producers' state: {0}")]
    Disk(#[from] DiskError),
}

/// Producers' states as of the log's end, without those silent since `oldest_ms`, and the offset of
/// the snapshot they began with. To be called when the log was opened, after a clean shutdown or
/// not, or has lost its end.
pub(super) fn restore(
    log: &mut Log,
    was_clean: bool,
    oldest_ms: i64,
) -> Result<(ProducerStates, i64), RestoreError> {
    let (from, mut producers) = begin(log, was_clean)?;
    producers.expire(oldest_ms);
    if from < log.log_end_offset() {
        let reader = log.reader();
        reader.replay(from, |header, control| {
            let control = control.map(Bytes::copy_from_slice);
            let marker = control.and_then(|batch| Marker::of(header, &batch));
            match producers.appended(header, marker) {
                Some(aborted) => log.note_aborted(aborted).map_err(RestoreError::from),
                None => Ok(()),
            }
        })?;
    }
    log.finish_aborted()?;
    log.prune_snapshots()?;
    Ok((producers, from))
}

/// Where reading has to begin, and what is known there.
fn begin(log: &Log, was_clean: bool) -> Result<(i64, ProducerStates), DiskError> {
    let (start, end) = (log.log_start_offset(), log.log_end_offset());
    // The transaction indexes have to be made again from there on.
    let limit = log.aborted_known_below().min(end);
    let fitting = log.snapshots().iter().rev();
    for offset in fitting.filter(|offset| (start + 1..=limit).contains(offset)) {
        let content = log.read_snapshot(*offset)?;
        if let Some(states) = content.as_deref().and_then(snapshot::decode) {
            return Ok((*offset, states));
        }
        warn!(folder = %log.dir().display(), offset,
            "producer snapshot is not readable, an older one or the log is used");
    }
    // Kafka's rule: a log that was closed cleanly and has no snapshot is from before there were any.
    let from = match was_clean && log.snapshots().is_empty() && limit == end {
        true => end,
        false => start,
    };
    Ok((from, ProducerStates::default()))
}
