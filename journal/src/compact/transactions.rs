//! Which data batches were aborted and which markers are no longer needed, batch by batch.
//!
//! Invariant: a marker is given up only when no batch of its transaction is left before it; fed with
//! all batches in offset order. (Kafka's CleanedTransactionMetadata.)
//! Hallway: step 8, in compaction.
use std::collections::{HashMap, HashSet, VecDeque};

use logway_protocol::batch::BatchHeader;
use logway_protocol::control::ControlType;

use crate::txn_index::AbortedTxn;

/// An aborted transaction whose marker has not been met yet.
#[derive(Debug)]
struct Open {
    transaction: AbortedTxn,
    /// Some of its batches are still there.
    has_batches: bool,
}

/// What is known of transactions at one place of the log.
#[derive(Debug)]
pub(crate) struct Transactions {
    /// Not begun yet, by their first offsets.
    ahead: VecDeque<AbortedTxn>,
    /// By producer id.
    aborted: HashMap<i64, Open>,
    /// Producers of which batches were met since their last marker.
    committed: HashSet<i64>,
    /// Those whose marker stays: the entries of the new `.txnindex`.
    pub(crate) retained: Vec<AbortedTxn>,
}

impl Transactions {
    /// To begin reading at `from`, with all aborted transactions that end there or later.
    pub(crate) fn from(from: i64, aborted: &[AbortedTxn]) -> Transactions {
        let ends_later = |entry: &&AbortedTxn| entry.last_offset >= from;
        let mut ahead: Vec<_> = aborted.iter().filter(ends_later).copied().collect();
        ahead.sort_unstable_by_key(|entry| (entry.first_offset, entry.last_offset));
        ahead.dedup();
        Transactions {
            ahead: ahead.into(),
            aborted: HashMap::new(),
            committed: HashSet::new(),
            retained: Vec::new(),
        }
    }

    /// Takes note of a data batch; true if it was aborted.
    pub(crate) fn on_data(&mut self, header: &BatchHeader) -> bool {
        self.begin_up_to(header.last_offset());
        if !header.is_transactional() {
            return false;
        }
        if let Some(open) = self.aborted.get_mut(&header.producer_id) {
            open.has_batches = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Takes note of a control batch; true if nothing needs it. `kind` is that of its record, none
    /// if compaction has taken that already.
    pub(crate) fn on_control(&mut self, header: &BatchHeader, kind: Option<ControlType>) -> bool {
        self.begin_up_to(header.last_offset());
        match kind {
            Some(ControlType::Abort) => match self.aborted.remove(&header.producer_id) {
                Some(open) if open.has_batches => {
                    self.retained.push(open.transaction);
                    false
                }
                _ => true,
            },
            Some(ControlType::Commit) => !self.committed.remove(&header.producer_id),
            Some(ControlType::Other(_)) => false,
            None => true,
        }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(next) = self.ahead.pop_front_if(|next| next.first_offset <= offset) {
            let open = Open {
                transaction: next,
                has_batches: false,
            };
            self.aborted.entry(next.producer_id).or_insert(open);
        }
    }
}
