//! Offsets that were committed within transactions whose end is not known yet (KIP-98, KIP-447).
//! Invariant: rebuilt from the log it is the same: a batch of a transaction adds, its marker takes
//! away; nothing here is shown to anyone but as "unstable". Pure. Hallway: beside step 10.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::offsets::Committed;

/// Offsets of one producer for one group.
type Offsets = BTreeMap<(Arc<str>, i32), Committed>;

/// The offsets of one group that a transaction has settled.
pub(crate) type Settled = (Arc<str>, Offsets);

/// All offsets of open transactions.
#[derive(Debug, Default)]
pub(crate) struct PendingOffsets {
    groups: HashMap<Arc<str>, BTreeMap<i64, Offsets>>,
    producers: HashMap<i64, BTreeSet<Arc<str>>>,
}

impl PendingOffsets {
    /// Takes an offset that stands in the log; a later one for the same place replaces it.
    pub(crate) fn put(
        &mut self,
        producer_id: i64,
        group: &Arc<str>,
        ((topic, partition), committed): ((Arc<str>, i32), Committed),
    ) {
        let of_group = self.groups.entry(group.clone()).or_default();
        let offsets = of_group.entry(producer_id).or_default();
        offsets.insert((topic, partition), committed);
        let groups = self.producers.entry(producer_id).or_default();
        groups.insert(group.clone());
    }

    /// Whether an open transaction has offsets for the group.
    pub(crate) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// All places of a group that are unstable.
    pub(crate) fn places(&self, group: &str) -> BTreeSet<(Arc<str>, i32)> {
        let producers = self.groups.get(group).into_iter().flatten();
        producers
            .flat_map(|(_, offsets)| offsets.keys().cloned())
            .collect()
    }

    /// The producer's transaction has ended where these groups are kept: its offsets leave.
    pub(crate) fn settle(
        &mut self,
        producer_id: i64,
        is_kept_there: impl Fn(&str) -> bool,
    ) -> Vec<Settled> {
        let Some(groups) = self.producers.get_mut(&producer_id) else {
            return Vec::new();
        };
        let here: Vec<Arc<str>> = groups
            .iter()
            .filter(|id| is_kept_there(id))
            .cloned()
            .collect();
        groups.retain(|id| !is_kept_there(id));
        if groups.is_empty() {
            self.producers.remove(&producer_id);
        }
        let mut settled = Vec::with_capacity(here.len());
        for id in here {
            let Some(producers) = self.groups.get_mut(&id) else {
                continue;
            };
            if let Some(offsets) = producers.remove(&producer_id) {
                settled.push((id.clone(), offsets));
            }
            if producers.is_empty() {
                self.groups.remove(&id);
            }
        }
        settled
    }

    /// A tombstone for a place stands in the log at `offset`: what was put there before is void,
    /// however its transaction ends.
    pub(crate) fn forget(&mut self, group: &Arc<str>, place: &(Arc<str>, i32), offset: i64) {
        let Some(of_group) = self.groups.get_mut(group) else {
            return;
        };
        let mut emptied = Vec::new();
        for (producer_id, offsets) in of_group.iter_mut() {
            if offsets
                .get(place)
                .is_some_and(|of| of.record_offset < offset)
            {
                offsets.remove(place);
            }
            if offsets.is_empty() {
                emptied.push(*producer_id);
            }
        }
        for producer_id in emptied {
            of_group.remove(&producer_id);
            let groups = self.producers.get_mut(&producer_id);
            if groups.is_some_and(|groups| groups.remove(group) && groups.is_empty()) {
                self.producers.remove(&producer_id);
            }
        }
        if of_group.is_empty() {
            self.groups.remove(group);
        }
    }

    /// Takes over what another part of the log held.
    pub(crate) fn absorb(&mut self, other: PendingOffsets) {
        for (group, producers) in other.groups {
            for (producer_id, offsets) in producers {
                for (place, committed) in offsets {
                    self.put(producer_id, &group, (place, committed));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn committed(offset: i64) -> Committed {
        Committed {
            offset,
            leader_epoch: -1,
            metadata: Box::from(""),
            committed_ms: 0,
            expires_ms: None,
            record_offset: offset,
        }
    }

    #[test]
    fn a_tombstone_voids_what_stands_before_it() {
        let mut pending = PendingOffsets::default();
        let group: Arc<str> = Arc::from("g");
        let place = (Arc::from("t"), 0);
        pending.put(1, &group, (place.clone(), committed(5)));
        pending.put(2, &group, (place.clone(), committed(7)));
        pending.forget(&group, &place, 6);
        assert!(pending.settle(1, |_| true).is_empty());
        assert_eq!(pending.settle(2, |_| true).len(), 1, "it stands behind");
        pending.put(3, &group, (place.clone(), committed(8)));
        pending.forget(&group, &place, 9);
        assert!(!pending.has("g") && pending.producers.is_empty());
    }

    #[test]
    fn an_end_settles_one_producer_where_its_marker_stands() {
        let mut pending = PendingOffsets::default();
        let (one, other): (Arc<str>, Arc<str>) = (Arc::from("one"), Arc::from("other"));
        let place = (Arc::from("t"), 0);
        for (producer, group, offset) in [(1, &one, 5), (1, &one, 6), (1, &other, 7), (2, &one, 8)]
        {
            pending.put(producer, group, (place.clone(), committed(offset)));
        }
        let settled = pending.settle(1, |group| group == "one");
        assert_eq!(settled.len(), 1);
        // The last of the transaction counts.
        assert_eq!(settled[0].1[&place].offset, 6);
        assert!(pending.has("one") && pending.has("other"), "of others");
        assert!(pending.settle(1, |group| group == "one").is_empty());
        pending.settle(2, |_| true);
        assert!(!pending.has("one") && pending.places("one").is_empty());
        let mut whole = PendingOffsets::default();
        whole.absorb(pending);
        assert_eq!(whole.places("other").len(), 1);
        assert_eq!(whole.settle(1, |_| true).len(), 1);
    }
}
