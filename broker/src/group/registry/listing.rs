//! What ListGroups and DescribeGroups show.
//! Invariant: names of states and types are Kafka's; what a member brought and got is shown only
//! while its group is stable. Hallway: step 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::kind::Kind;
use super::{Registry, Tally};
use crate::group::consumer::ConsumerView;
use crate::group::engine::{Snapshot, State};

/// One line of a list of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedGroup {
    pub(crate) id: Arc<str>,
    /// Empty for a group that only holds offsets.
    pub(crate) protocol_type: Arc<str>,
    /// Kafka's name of the state.
    pub(crate) state: &'static str,
    /// Kafka's name of the type.
    pub(crate) kind: &'static str,
}

/// One group with its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DescribedGroup {
    pub(crate) state: State,
    /// Its members' metadata and assignments count only while `state` is stable.
    pub(crate) group: Snapshot,
}

/// What a look for a group of one kind found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found<T> {
    Nothing,
    /// A group, but of the other protocol.
    OtherKind,
    Group(T),
}

impl Registry {
    /// All groups in the order of their ids.
    pub(crate) fn list(&self) -> Vec<ListedGroup> {
        let mut groups: Vec<ListedGroup> = self
            .groups
            .iter()
            .map(|(id, entry)| ListedGroup {
                id: id.clone(),
                protocol_type: entry.group.protocol_type(),
                state: entry.group.state_name(),
                kind: entry.group.name(),
            })
            .collect();
        groups.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        groups
    }

    /// One classic group.
    pub(crate) fn describe(&self, group_id: &str) -> Found<DescribedGroup> {
        match self.groups.get(group_id).map(|entry| &entry.group) {
            None => Found::Nothing,
            Some(Kind::Consumer(_)) => Found::OtherKind,
            Some(Kind::Classic(group)) => Found::Group(DescribedGroup {
                state: group.state(),
                group: group.snapshot(),
            }),
        }
    }

    /// One group of the consumer protocol.
    pub(crate) fn describe_consumer(&self, group_id: &str) -> Found<ConsumerView> {
        match self.groups.get(group_id).map(|entry| &entry.group) {
            None => Found::Nothing,
            Some(Kind::Classic(_)) => Found::OtherKind,
            Some(Kind::Consumer(group)) => Found::Group(group.view(&*self.topics)),
        }
    }

    /// Whether this is a member that speaks the consumer protocol.
    pub(crate) fn speaks_consumer(&self, group_id: &str, member_id: &str) -> bool {
        match self.groups.get(group_id).map(|entry| &entry.group) {
            Some(Kind::Consumer(group)) => group.speaks_consumer(member_id),
            None | Some(Kind::Classic(_)) => false,
        }
    }

    /// Whether a member may fetch offsets; everyone may where there are no member epochs.
    ///
    /// # Errors
    /// It is no member, or its epoch is another.
    pub(crate) fn admit_fetch(
        &self,
        group_id: &str,
        member_id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self.groups.get(group_id).map(|entry| &entry.group) {
            Some(Kind::Consumer(group)) => group.admit_fetch(member_id, epoch),
            None | Some(Kind::Classic(_)) => Ok(()),
        }
    }

    /// Groups by the name of their state, all offsets, and what happened so far.
    pub(crate) fn counts(&self) -> (BTreeMap<&'static str, usize>, usize, Tally) {
        let mut by_state = BTreeMap::new();
        for entry in self.groups.values() {
            *by_state.entry(entry.group.state_name()).or_default() += 1;
        }
        let offsets = self.groups.values().map(|entry| entry.offsets.len()).sum();
        (by_state, offsets, self.tally)
    }
}
