//! Rebuilding transactions from `__transaction_state`.
//! Invariant: the last record of an id decides; a record that cannot be read is passed over and
//! counted, never fatal. Beside step 8.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::record::decode_records;

use super::records;
use super::state::Transaction;

/// Uncompressed bytes that one batch of the topic may expand to when read back.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Loading {
    pub(super) transactions: HashMap<Arc<str>, Transaction>,
    /// Records and batches that could not be read.
    pub(super) unreadable: u64,
}

impl Loading {
    /// Takes the next batch.
    pub(super) fn batch(&mut self, batch: &Bytes) {
        let Ok(batch) = decode_records(batch, BATCH_BYTES_MAX) else {
            self.unreadable += 1;
            return;
        };
        for record in batch {
            let Some(key) = &record.key else { continue };
            match records::read(key, record.value.as_ref()) {
                Ok(Some((id, Some(transaction)))) => {
                    self.transactions.insert(id, transaction);
                }
                Ok(Some((id, None))) => {
                    self.transactions.remove(&id);
                }
                Ok(None) | Err(_) => self.unreadable += 1,
            }
        }
    }
}
