//! Stores what groups decide: takes all writes that are waiting, packs them into one batch per
//! partition of `__consumer_offsets`, appends these side by side and reports how it ended.
//! Invariant: writes of one group are stored in the order in which they were decided, because a
//! round begins only when the one before has ended; many commits share one fsync. Hallway: step 8.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::ErrorCode;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use tokio::task::JoinSet;
use tracing::error;

use super::log::OffsetsLog;
use super::records::{KeyValue, partition_for};
use super::registry::PendingWrite;

/// A write and how it ended.
pub(crate) type Ended = (PendingWrite, Result<i64, ErrorCode>);

/// Stores `writes`; `batch_max` is the most bytes that one batch may have.
pub(crate) async fn store(
    log: &Arc<dyn OffsetsLog>,
    writes: Vec<PendingWrite>,
    now_ms: i64,
    batch_max: usize,
) -> Vec<Ended> {
    let partitions = match log.prepare().await {
        Ok(partitions) => partitions,
        Err(error) => {
            return writes
                .into_iter()
                .map(|write| (write, Err(error)))
                .collect();
        }
    };
    let mut by_partition: BTreeMap<i32, Vec<PendingWrite>> = BTreeMap::new();
    for write in writes {
        by_partition
            .entry(partition_for(&write.group, partitions))
            .or_default()
            .push(write);
    }
    let mut rounds = JoinSet::new();
    for (partition, writes) in by_partition {
        let log = Arc::clone(log);
        rounds.spawn(async move {
            let mut ended = Vec::with_capacity(writes.len());
            for pack in pack(writes, batch_max) {
                ended.extend(append(&log, partition, pack, (now_ms, batch_max)).await);
            }
            ended
        });
    }
    let mut ended = Vec::new();
    while let Some(round) = rounds.join_next().await {
        match round {
            Ok(writes) => ended.extend(writes),
            // The callers of lost writes see their answer's channel close.
            Err(failure) => error!("a write to the offsets topic broke off: {failure}"),
        }
    }
    ended
}

/// Splits writes into runs that fit one batch; a write is never torn.
fn pack(writes: Vec<PendingWrite>, batch_max: usize) -> Vec<Vec<PendingWrite>> {
    let mut packs: Vec<Vec<PendingWrite>> = Vec::new();
    let mut room = 0;
    for write in writes {
        let size: usize = write.records.iter().map(record_size).sum();
        match packs.last_mut().filter(|_| size <= room) {
            Some(pack) => {
                room -= size;
                pack.push(write);
            }
            None => {
                room = batch_max.saturating_sub(size);
                packs.push(vec![write]);
            }
        }
    }
    packs
}

/// An upper bound of a record's bytes in a batch.
fn record_size(record: &KeyValue) -> usize {
    const FRAMING: usize = 32;
    record.key.len() + record.value.as_ref().map_or(0, Bytes::len) + FRAMING
}

async fn append(
    log: &Arc<dyn OffsetsLog>,
    partition: i32,
    writes: Vec<PendingWrite>,
    (now_ms, batch_max): (i64, usize),
) -> Vec<Ended> {
    let outcome = match build(&writes, now_ms) {
        Ok(batch) if batch.len() > batch_max => Err(ErrorCode::MessageTooLarge),
        Ok(batch) => log.append(partition, batch).await,
        Err(error) => Err(error),
    };
    let mut next = outcome;
    writes
        .into_iter()
        .map(|write| {
            let first = next;
            next = next.map(|offset| offset + write.records.len() as i64);
            (write, first)
        })
        .collect()
}

fn build(writes: &[PendingWrite], now_ms: i64) -> Result<Bytes, ErrorCode> {
    let mut batch = BatchBuilder::new(Compression::None);
    for record in writes.iter().flat_map(|write| &write.records) {
        batch
            .append(now_ms, Some(&record.key), record.value.as_deref(), &[])
            .map_err(|_| ErrorCode::RecordListTooLarge)?;
    }
    batch.build().map_err(|source| {
        error!("batch for the offsets topic cannot be built: {source}");
        ErrorCode::UnknownServerError
    })
}
