//! A member's way from what it has to what it is to have (KIP-848, "member epoch").
//! Invariant: a member gets an epoch only when it holds nothing that the epoch's target denies it;
//! a partition is given to it only when no one else has it or has still to give it up.
//! Hallway: beside step 7.

use std::sync::Arc;

use super::member::{Current, MemberState};
use super::storing::Part;
use super::timers::positive_ms;
use super::{ConsumerGroup, Now, Owned, Partitions};

impl ConsumerGroup {
    /// Moves a member on. `holds`: what it says it has; `None` when it did not say.
    pub(super) fn reconcile(&mut self, now: Now, id: &Arc<str>, holds: Option<&Partitions>) {
        let Some(member) = self.members.get(id) else {
            return;
        };
        if member.is_reconciled_to(self.target_epoch) {
            return;
        }
        let next = match self.next_step(id, &member.current, holds) {
            Some(next) if next != member.current => next,
            _ => return,
        };
        let watched = next.state == MemberState::UnrevokedPartitions && member.classic.is_none();
        let ends = now
            .tick_ms
            .saturating_add(positive_ms(member.rebalance_timeout_ms));
        let rebalance = watched.then_some(ends);
        self.set_current(id, next);
        self.mark(Part::Current(id.clone()));
        if let Some(member) = self.members.get_mut(id) {
            member.timers.rebalance = rebalance;
        }
        self.arm_some(rebalance);
    }

    /// Puts `next` in the place of what the member has, and the owners in order.
    pub(super) fn set_current(&mut self, id: &Arc<str>, next: Current) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut member.current, next);
        let now: Vec<_> = places(&member.current).collect();
        for place in places(&before) {
            if self.owners.get(&place).is_some_and(|owner| owner == id) {
                self.owners.remove(&place);
            }
        }
        for place in now {
            self.owners.insert(place, id.clone());
        }
    }

    /// Frees everything that a member that is gone had.
    pub(super) fn release(&mut self, id: &Arc<str>, current: &Current) {
        for place in places(current) {
            if self.owners.get(&place).is_some_and(|owner| owner == id) {
                self.owners.remove(&place);
            }
        }
    }

    fn next_step(
        &self,
        id: &Arc<str>,
        now: &Current,
        holds: Option<&Partitions>,
    ) -> Option<Current> {
        match now.state {
            MemberState::UnrevokedPartitions if still_holds(&now.revoking, holds) => None,
            MemberState::UnrevokedPartitions => {
                Some(self.compute(id, now, now.epoch.saturating_add(1), holds))
            }
            MemberState::Stable | MemberState::UnreleasedPartitions => {
                Some(self.compute(id, now, now.epoch, holds))
            }
        }
    }

    /// `epoch`: the one the member is in while it still has to give something up.
    fn compute(
        &self,
        id: &Arc<str>,
        now: &Current,
        epoch: i32,
        holds: Option<&Partitions>,
    ) -> Current {
        let empty = Partitions::new();
        let target = self.target.get(id).unwrap_or(&empty);
        let is_target = |topic: &_, at: &i32| target.get(topic).is_some_and(|of| of.contains(at));
        let (mut assigned, mut revoking) = (Owned::new(), Owned::new());
        for (topic, partitions) in &now.assigned {
            for (at, since) in partitions {
                let side = if is_target(topic, at) {
                    &mut assigned
                } else {
                    &mut revoking
                };
                side.entry(*topic).or_default().insert(*at, *since);
            }
        }
        if !revoking.is_empty() && still_holds(&revoking, holds) {
            return Current {
                epoch,
                previous_epoch: now.epoch,
                state: MemberState::UnrevokedPartitions,
                assigned,
                revoking,
            };
        }
        let mut state = MemberState::Stable;
        for (topic, partitions) in target {
            for at in partitions {
                if assigned.get(topic).is_some_and(|of| of.contains_key(at)) {
                    continue;
                }
                if self
                    .owners
                    .get(&(*topic, *at))
                    .is_some_and(|owner| owner != id)
                {
                    state = MemberState::UnreleasedPartitions;
                } else {
                    assigned
                        .entry(*topic)
                        .or_default()
                        .insert(*at, self.target_epoch);
                }
            }
        }
        Current {
            epoch: self.target_epoch,
            previous_epoch: now.epoch,
            state,
            assigned,
            revoking: Owned::new(),
        }
    }

    /// Whether a partition that the member waits for is still someone else's.
    pub(super) fn waits_for_others(&self, id: &Arc<str>) -> bool {
        let Some(target) = self.target.get(id) else {
            return false;
        };
        target.iter().any(|(topic, partitions)| {
            let owner = |at: &i32| self.owners.get(&(*topic, *at));
            partitions
                .iter()
                .any(|at| owner(at).is_some_and(|owner| owner != id))
        })
    }
}

/// Whether a member has not let go of all it has to; silence means that it has not.
fn still_holds(revoking: &Owned, holds: Option<&Partitions>) -> bool {
    let Some(holds) = holds else {
        return true;
    };
    holds.iter().any(|(topic, partitions)| {
        let of = revoking.get(topic);
        of.is_some_and(|of| partitions.iter().any(|at| of.contains_key(at)))
    })
}

/// Everything a member has or has still to give up.
fn places(current: &Current) -> impl Iterator<Item = (logway_protocol::Uuid, i32)> + '_ {
    let sides = current.assigned.iter().chain(&current.revoking);
    sides.flat_map(|(topic, partitions)| partitions.keys().map(|at| (*topic, *at)))
}
