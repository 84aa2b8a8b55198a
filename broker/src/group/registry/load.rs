//! Rebuilding groups and offsets from the records of `__consumer_offsets`.
//! Invariant: the last record of a key decides. A record that cannot be read is passed over and
//! counted, never fatal: one bad group must not keep the others from working. Hallway: beside 8.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::kind::Kind;
use super::{Entry, Registry};
use crate::group::consumer::{ConsumerGroup, Recorded};
use crate::group::engine::{Group, Now, Snapshot};
use crate::group::offsets::GroupOffsets;
use crate::group::pending::PendingOffsets;
use crate::group::records::{self, Stored};

/// One partition while it is being read.
#[derive(Debug, Default)]
pub(crate) struct Loading {
    groups: HashMap<Arc<str>, Loaded>,
    /// Offsets of transactions that are open where the reader stands.
    pending: PendingOffsets,
    /// Records that could not be read.
    pub(crate) unreadable: u64,
}

#[derive(Debug, Default)]
struct Loaded {
    snapshot: Option<Snapshot>,
    consumer: Recorded,
    offsets: GroupOffsets,
}

impl Loading {
    /// Takes the next record of the partition.
    pub(crate) fn record(&mut self, key: &Bytes, value: Option<&Bytes>, offset: i64) {
        match records::read(key, value, offset) {
            Ok(Stored::Offset { key, committed }) => {
                if committed.is_none() {
                    let place = (key.topic.clone(), key.partition);
                    self.pending.forget(&key.group, &place, offset);
                }
                let loaded = self.groups.entry(key.group).or_default();
                match committed {
                    Some(committed) => loaded.offsets.put(&key.topic, key.partition, committed),
                    None => loaded.offsets.remove(&key.topic, key.partition, offset),
                }
            }
            Ok(Stored::Group { id, snapshot }) => {
                self.groups.entry(id).or_default().snapshot = snapshot;
            }
            Ok(Stored::Consumer { id, fact }) => {
                self.groups.entry(id).or_default().consumer.take(fact);
            }
            Ok(Stored::Other) => {}
            Err(_) => self.unreadable += 1,
        }
    }
}

impl Loading {
    /// Takes the next record, which was written within the transaction of a producer.
    pub(crate) fn record_within(
        &mut self,
        producer_id: i64,
        (key, value): (&Bytes, Option<&Bytes>),
        offset: i64,
    ) {
        match records::read(key, value, offset) {
            Ok(Stored::Offset {
                key,
                committed: Some(committed),
            }) => {
                let place = (key.topic, key.partition);
                self.pending
                    .put(producer_id, &key.group, (place, committed));
            }
            Ok(_) => {}
            Err(_) => self.unreadable += 1,
        }
    }

    /// The transaction of the producer has ended here.
    pub(crate) fn settle(&mut self, producer_id: i64, committed: bool) {
        let settled = self.pending.settle(producer_id, |_| true);
        for (group, offsets) in settled.into_iter().filter(|_| committed) {
            let loaded = self.groups.entry(group).or_default();
            for ((topic, partition), committed) in offsets {
                loaded.offsets.put(&topic, partition, committed);
            }
        }
    }

    /// The offsets of transactions that were open at the log's end.
    pub(crate) fn take_pending(&mut self) -> PendingOffsets {
        std::mem::take(&mut self.pending)
    }
}

impl Registry {
    /// Takes over what a partition held; members' sessions begin now.
    pub(crate) fn load(&mut self, now: Now, loading: Loading) {
        for (id, loaded) in loading.groups {
            let consumer = loaded.consumer.epoch.is_some();
            let stored = consumer || loaded.snapshot.is_some();
            if !stored && loaded.offsets.is_empty() {
                continue;
            }
            let entry = |group| Entry {
                group,
                offsets: loaded.offsets,
                writes_under_way: 0,
                stored,
            };
            if consumer {
                let (group, effects) =
                    ConsumerGroup::restore(self.consumer_rules(&id), now, loaded.consumer);
                let group = Kind::Consumer(Box::new(group));
                self.groups.insert(id.clone(), entry(group));
                self.perform_consumer(now, &id, effects);
                continue;
            }
            let (group, effects) = match &loaded.snapshot {
                Some(snapshot) => Group::restore(self.rules.limits, now, snapshot),
                None => (Group::new(self.rules.limits, now), Vec::new()),
            };
            self.groups
                .insert(id.clone(), entry(Kind::Classic(Box::new(group))));
            self.perform(now, &id, effects);
        }
    }
}
