//! Commits within transactions: `TxnOffsetCommit`, and what the transaction's end makes of it.
//! Invariant: the batch or marker goes into the log and its meaning into memory under one lock, so
//! that memory follows the log's order. Hallway: step 7.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::ErrorCode;
use logway_protocol::batch::BatchHeader;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use tracing::error;

use super::coordinator::GroupCoordinator;
use super::engine::Claim;
use super::records::{self, KeyValue, OffsetKey, partition_for};
use super::registry::Commit;
use crate::group::offsets::Committed;

/// Coordinators do not number their batches; Kafka writes 0.
const BASE_SEQUENCE: i32 = 0;

/// A place in the offsets topic at which something was appended.
pub(crate) trait Placed {
    /// Offset of the first record.
    fn base_offset(&self) -> i64;
}

impl GroupCoordinator {
    /// The partition of the offsets topic that keeps a group; makes the topic if it does not exist.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) async fn partition_of(&self, group_id: &str) -> Result<i32, ErrorCode> {
        let partitions = self.log().prepare().await?;
        Ok(partition_for(group_id, partitions))
    }

    /// Puts a group's offsets into the log as part of the producer's transaction. `append` appends the
    /// batch it is given; the offsets hold only when the transaction commits.
    ///
    /// # Errors
    /// The claim does not hold, or the batch could not be appended.
    pub(crate) fn commit_in_transaction<P: Placed>(
        &self,
        (group_id, claim): (&str, &Claim),
        producer: (i64, i16),
        commits: Vec<Commit>,
        append: impl FnOnce(&BatchHeader, &Bytes) -> Result<P, ErrorCode>,
    ) -> Result<P, ErrorCode> {
        self.ready()?;
        let group = self.admit(group_id, claim)?;
        let mut stored = Vec::with_capacity(commits.len());
        for commit in &commits {
            let key = OffsetKey {
                group: group.clone(),
                topic: commit.topic.clone(),
                partition: commit.partition,
            };
            let record = records::offset_record(&key, Some(&commit.committed));
            stored.push(record.map_err(|source| {
                error!(group = group_id, "offset cannot be written: {source}");
                ErrorCode::InvalidCommitOffsetSize
            })?);
        }
        let batch = batch(&stored, producer)?;
        let header = BatchHeader::decode(&batch).map_err(|_| ErrorCode::UnknownServerError)?;
        let mut pending = self.pending().lock();
        let placed = append(&header, &batch)?;
        for (commit, record_offset) in commits.into_iter().zip(placed.base_offset()..) {
            let committed = Committed {
                record_offset,
                ..commit.committed
            };
            let place = (commit.topic, commit.partition);
            pending.put(producer.0, &group, (place, committed));
        }
        Ok(placed)
    }

    /// Writes the marker of a producer's transaction (its id, and whether it commits) into a partition
    /// of the offsets topic with `append`, and settles the offsets there.
    ///
    /// # Errors
    /// Groups are not known yet, or the marker could not be appended.
    pub(crate) fn end_transaction<P>(
        &self,
        partition: i32,
        (producer_id, committed): (i64, bool),
        append: impl FnOnce() -> Result<P, ErrorCode>,
    ) -> Result<P, ErrorCode> {
        self.ready()?;
        let partitions = self.log().partitions().unwrap_or(1);
        let mut pending = self.pending().lock();
        let placed = append()?;
        let settled = pending.settle(producer_id, |group| {
            partition_for(group, partitions) == partition
        });
        if committed {
            // Still under the lock: nobody sees a group without both.
            self.take_settled(settled);
        }
        Ok(placed)
    }

    /// All places of a group for which a transaction that is still open has an offset.
    pub(crate) fn unstable_places(&self, group_id: &str) -> BTreeSet<(Arc<str>, i32)> {
        self.pending().lock().places(group_id)
    }
}

fn batch(records: &[KeyValue], (id, epoch): (i64, i16)) -> Result<Bytes, ErrorCode> {
    let mut batch = BatchBuilder::new(Compression::None);
    let now_ms = crate::clock::now_ms();
    for record in records {
        batch
            .append(now_ms, Some(&record.key), record.value.as_deref(), &[])
            .map_err(|_| ErrorCode::InvalidCommitOffsetSize)?;
    }
    let batch = batch
        .set_producer(id, epoch, BASE_SEQUENCE)
        .set_transactional(true)
        .build();
    batch.map_err(|source| {
        error!("batch for the offsets topic cannot be built: {source}");
        ErrorCode::UnknownServerError
    })
}
