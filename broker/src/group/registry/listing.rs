//! What ListGroups and DescribeGroups show.
//! Invariant: names of states and types are Kafka's; what a member brought and got is shown only
//! while its group is stable. Hallway: step 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Registry, Tally};
use crate::group::engine::{Snapshot, State};

/// The kind of every group coordinated here so far.
pub(crate) const CLASSIC: &str = "Classic";

/// One line of a list of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedGroup {
    pub(crate) id: Arc<str>,
    /// Empty for a group that only holds offsets.
    pub(crate) protocol_type: Arc<str>,
    pub(crate) state: State,
}

/// One group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedGroup {
    pub(crate) state: State,
    /// Its members' metadata and assignments count only while `state` is stable.
    pub(crate) group: Snapshot,
}

impl Registry {
    /// All groups in the order of their ids.
    pub(crate) fn list(&self) -> Vec<ListedGroup> {
        let mut groups: Vec<ListedGroup> = self
            .groups
            .iter()
            .map(|(id, entry)| ListedGroup {
                id: id.clone(),
                protocol_type: entry
                    .group
                    .protocol_type()
                    .cloned()
                    .unwrap_or_else(|| "".into()),
                state: entry.group.state(),
            })
            .collect();
        groups.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        groups
    }

    /// One group; `None` when there is no such group.
    pub(crate) fn describe(&self, group_id: &str) -> Option<DescribedGroup> {
        let group = &self.groups.get(group_id)?.group;
        Some(DescribedGroup {
            state: group.state(),
            group: group.snapshot(),
        })
    }

    /// Groups by the name of their state, all offsets, and what happened so far.
    pub(crate) fn counts(&self) -> (BTreeMap<&'static str, usize>, usize, Tally) {
        let mut by_state = BTreeMap::new();
        for entry in self.groups.values() {
            *by_state.entry(entry.group.state().name()).or_default() += 1;
        }
        let offsets = self.groups.values().map(|entry| entry.offsets.len()).sum();
        (by_state, offsets, self.tally)
    }
}
