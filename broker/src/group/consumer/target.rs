//! The target assignment: what every member is to have in a group epoch.
//! Invariant: it is computed once per group epoch, from everything at that moment; only what differs
//! is stored. Hallway: beside step 7.

use std::collections::BTreeMap;

use super::assignor::{Assignor, Candidate, assign};
use super::storing::Part;
use super::{ConsumerGroup, Moment};

impl ConsumerGroup {
    /// Assigns anew when the group epoch is ahead of the target's and the last time is long enough
    /// ago: a wave of members that join leads to few assignments.
    pub(super) fn assign_if_due(&mut self, at: Moment<'_>) {
        if self.epoch <= self.target_epoch || !self.may_assign(at) {
            return;
        }
        let topics = self.subscribed(at.topics);
        let candidates: Vec<Candidate<'_>> = self
            .members
            .iter()
            .map(|member| Candidate {
                id: &member.id,
                instance_id: member.instance_id.as_ref(),
                topics: self.ids_of(member, at.topics),
                before: self.target.get(&member.id),
            })
            .collect();
        let target = assign(self.assignor(), &candidates, &topics);
        let mut changed = Vec::new();
        for (id, partitions) in &target {
            if self.target.get(id) != Some(partitions) {
                changed.push(Part::Target(id.clone()));
            }
        }
        let gone = self.target.keys().filter(|id| !target.contains_key(*id));
        changed.extend(gone.cloned().map(Part::Target));
        changed.into_iter().for_each(|part| self.mark(part));
        self.target = target;
        self.target_epoch = self.epoch;
        self.target_ms = at.now.wall_ms;
        self.assigned_at = Some(at.now.tick_ms);
        self.mark(Part::TargetEpoch);
    }

    fn may_assign(&self, at: Moment<'_>) -> bool {
        let interval_ms = self.rules.assignment_interval_ms;
        self.assigned_at
            .is_none_or(|last| at.now.tick_ms >= last.saturating_add(interval_ms))
    }

    /// The assignor that most members name; the broker's own when none does.
    pub(super) fn assignor(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        let named = self
            .members
            .iter()
            .filter_map(|member| member.assignor.as_deref());
        for assignor in named.filter_map(Assignor::from_name) {
            *votes.entry(assignor).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|(_, count)| *count);
        most.map_or(self.rules.assignor, |(assignor, _)| assignor)
    }
}
