//! Which data batches were aborted and which markers are no longer needed, batch by batch.
//!
//! Invariant: a marker is given up only when no batch of its transaction is left before it; fed with
//! all batches in offset order. (Kafka's CleanedTransactionMetadata.)
//! Hallway: step 8, in compaction.
use std::collections::{HashMap, HashSet, VecDeque};

use logway_protocol::batch::BatchHeader;
use logway_protocol::control::ControlType;

/// Version of the entries of a `.txnindex` file.
const VERSION: i16 = 0;
/// Bytes of one entry.
const ENTRY: usize = 2 + 4 * 8;

/// One entry of a `.txnindex` file: an aborted transaction in this partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
    pub(crate) last_stable_offset: i64,
}

impl AbortedTransaction {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_be_bytes());
        for field in [
            self.producer_id,
            self.first_offset,
            self.last_offset,
            self.last_stable_offset,
        ] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    fn decode(bytes: &[u8]) -> Option<AbortedTransaction> {
        let (version, fields) = bytes.split_first_chunk()?;
        let mut fields = fields.chunks_exact(8).map(|field| {
            let field = field.first_chunk()?;
            Some(i64::from_be_bytes(*field))
        });
        let mut next = || fields.next().flatten();
        let entry = AbortedTransaction {
            producer_id: next()?,
            first_offset: next()?,
            last_offset: next()?,
            last_stable_offset: next()?,
        };
        (i16::from_be_bytes(*version) <= VERSION).then_some(entry)
    }
}

/// The entries of a `.txnindex` file; none if it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<AbortedTransaction>> {
    let entries = bytes.chunks(ENTRY);
    entries.map(AbortedTransaction::decode).collect()
}

/// The content of a `.txnindex` file.
pub(crate) fn encode(entries: &[AbortedTransaction]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY);
    entries.iter().for_each(|entry| entry.encode(&mut bytes));
    bytes
}

/// An aborted transaction whose marker has not been met yet.
#[derive(Debug)]
struct Open {
    transaction: AbortedTransaction,
    /// Some of its batches are still there.
    has_batches: bool,
}

/// What is known of transactions at one place of the log.
#[derive(Debug)]
pub(crate) struct Transactions {
    /// Not begun yet, by their first offsets.
    ahead: VecDeque<AbortedTransaction>,
    /// By producer id.
    aborted: HashMap<i64, Open>,
    /// Producers of which batches were met since their last marker.
    committed: HashSet<i64>,
    /// Those whose marker stays: the entries of the new `.txnindex`.
    pub(crate) retained: Vec<AbortedTransaction>,
}

impl Transactions {
    /// To begin reading at `from`, with all aborted transactions that end there or later.
    pub(crate) fn from(from: i64, aborted: &[AbortedTransaction]) -> Transactions {
        let ends_later = |entry: &&AbortedTransaction| entry.last_offset >= from;
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
