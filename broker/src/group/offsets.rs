//! The committed offsets of one group.
//! Invariant: for each partition the entry with the highest place in the log is kept, in whatever
//! order the writes are reported, so memory equals what a reader of the log would rebuild. Pure.
//! Hallway: beside step 10.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub(crate) offset: i64,
    /// Leader epoch of the last record read, -1 unknown.
    pub(crate) leader_epoch: i32,
    /// The client's own note.
    pub(crate) metadata: Box<str>,
    /// Wall clock of the commit, milliseconds since the epoch.
    pub(crate) committed_ms: i64,
    /// Wall clock at which it lapses, when the client asked for a time of its own (v2-4).
    pub(crate) expires_ms: Option<i64>,
    /// Place of its record in the partition of `__consumer_offsets`.
    pub(crate) record_offset: i64,
}

impl Committed {
    /// Whether it has lapsed at `now_ms` when its time runs from `since_ms`.
    pub(crate) fn is_expired(&self, now_ms: i64, since_ms: i64, retention_ms: i64) -> bool {
        match self.expires_ms {
            Some(expires_ms) => now_ms >= expires_ms,
            None => now_ms.saturating_sub(since_ms) >= retention_ms,
        }
    }
}

/// The offsets of one group by topic and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GroupOffsets {
    by_topic: BTreeMap<Arc<str>, BTreeMap<i32, Committed>>,
}

impl GroupOffsets {
    pub(crate) fn is_empty(&self) -> bool {
        self.by_topic.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_topic.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&Committed> {
        self.by_topic.get(topic)?.get(&partition)
    }

    /// Topics in the order of their names, each with its partitions in order.
    pub(crate) fn topics(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<i32, Committed>)> {
        self.by_topic.iter()
    }

    /// Takes a commit that is stored. An older one than the present changes nothing.
    pub(crate) fn put(&mut self, topic: &Arc<str>, partition: i32, committed: Committed) {
        let partitions = match self.by_topic.get_mut(topic) {
            Some(partitions) => partitions,
            None => self.by_topic.entry(topic.clone()).or_default(),
        };
        match partitions.get(&partition) {
            Some(present) if present.record_offset > committed.record_offset => {}
            _ => {
                partitions.insert(partition, committed);
            }
        }
    }

    /// Takes a removal stored at `record_offset`. A newer commit stays.
    pub(crate) fn remove(&mut self, topic: &str, partition: i32, record_offset: i64) {
        let Some(partitions) = self.by_topic.get_mut(topic) else {
            return;
        };
        if partitions
            .get(&partition)
            .is_some_and(|kept| kept.record_offset <= record_offset)
        {
            partitions.remove(&partition);
        }
        if partitions.is_empty() {
            self.by_topic.remove(topic);
        }
    }
}
