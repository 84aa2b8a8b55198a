//! How far a partition's transactions are decided, for readers of committed records.
//! Invariant: no record of an open transaction lies below the last stable offset, and what was
//! aborted below it can be looked up. Step 10 of the hallway.
//!
//! Whoever reads asks in this order: the last stable offset, the records below it, the transactions
//! aborted among those.

use std::sync::atomic::Ordering;

use logway_journal::ReadError;

use super::{Partition, Writer};

impl Partition {
    /// Offset behind the last record that readers of committed records may have: Kafka's LSO.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        // In this order: a transaction that begins in between lies past the first.
        let high_watermark = self.high_watermark();
        let first_open = self.first_open.load(Ordering::Acquire);
        // Its first records may be deleted.
        first_open.max(self.log_start_offset()).min(high_watermark)
    }

    /// Producer and first offset of the aborted transactions that have records from `fetch_offset`
    /// to `upper_bound` (exclusive), in the order of their markers.
    pub(crate) fn aborted_transactions(
        &self,
        fetch_offset: i64,
        upper_bound: i64,
    ) -> Result<Vec<(i64, i64)>, ReadError> {
        let found = self
            .reader
            .aborted_transactions(fetch_offset, upper_bound)?;
        let of = found.iter().map(|txn| (txn.producer_id, txn.first_offset));
        Ok(of.collect())
    }

    /// Shows readers which transactions are open. Called with the writer locked, after the log and
    /// its transaction index say the same.
    pub(super) fn publish_first_open(&self, writer: &Writer) {
        let first_open = writer.producers.first_open().unwrap_or(i64::MAX);
        self.first_open.store(first_open, Ordering::Release);
    }
}
