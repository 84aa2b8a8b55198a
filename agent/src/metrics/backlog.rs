//! Metric batches that wait for the broker: bounded, the oldest goes first. Step 4 of the hallway, for
//! metrics.
//!
//! **Invariant:** what is dropped is counted, and it is always the oldest: fresh figures are worth more.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use logway_client::EncodedBatch;

/// Bytes that wait at most.
const BYTES_MAX: usize = 4 << 20;

/// The queue between the collecting thread and the sending task.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<EncodedBatch>,
    bytes: usize,
    closed: bool,
}

impl Backlog {
    /// Adds a batch; gives the number of records dropped for it.
    pub(crate) fn push(&self, batch: EncodedBatch) -> u64 {
        let mut waiting = self.waiting.lock();
        let mut dropped = 0;
        waiting.bytes += batch.bytes.len();
        waiting.batches.push_back(batch);
        while waiting.bytes > BYTES_MAX && waiting.batches.len() > 1 {
            let Some(oldest) = waiting.batches.pop_front() else {
                break;
            };
            waiting.bytes -= oldest.bytes.len();
            dropped += u64::from(oldest.records.unsigned_abs());
        }
        drop(waiting);
        self.news.notify_one();
        dropped
    }

    /// No more comes; what waits can still be taken.
    pub(crate) fn close(&self) {
        self.waiting.lock().closed = true;
        self.news.notify_one();
    }

    /// The oldest batch; `None` when all is taken and no more comes.
    pub(crate) async fn take(&self) -> Option<EncodedBatch> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if let Some(batch) = waiting.batches.pop_front() {
                    waiting.bytes -= batch.bytes.len();
                    return Some(batch);
                }
                if waiting.closed {
                    return None;
                }
            }
            self.news.notified().await;
        }
    }
}
