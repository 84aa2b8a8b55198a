//! `uniform`: everyone keeps what it had as far as balance allows; what is free goes to whoever has
//! least. Invariant: members that want the same topics differ by one partition at most; otherwise no
//! partition could move to a member that has at least two fewer. Hallway: beside step 7.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use logway_protocol::Uuid;

use super::super::Partitions;
use super::Candidate;

/// A share for each candidate, in their order.
pub(super) fn assign(
    candidates: &[Candidate<'_>],
    topics: &BTreeMap<Uuid, i32>,
) -> Vec<Partitions> {
    let mut shares = Shares::keep(candidates, topics);
    let same = candidates
        .windows(2)
        .all(|pair| pair[0].topics == pair[1].topics);
    if same {
        shares.level(topics);
    } else {
        shares.spread(candidates, topics);
        shares.balance(candidates);
    }
    shares.of
}

/// The shares while they are being made.
struct Shares {
    of: Vec<Partitions>,
    sizes: Vec<usize>,
    /// Partitions that nobody has.
    free: VecDeque<(Uuid, i32)>,
}

impl Shares {
    /// What everyone had that still exists, that it still wants, and that nobody before it has.
    fn keep(candidates: &[Candidate<'_>], topics: &BTreeMap<Uuid, i32>) -> Shares {
        let mut taken: BTreeSet<(Uuid, i32)> = BTreeSet::new();
        let mut of = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let mut share = Partitions::new();
            for (topic, partitions) in candidate.before.into_iter().flatten() {
                let count = match topics.get(topic) {
                    Some(count) if candidate.topics.contains(topic) => *count,
                    _ => continue,
                };
                let valid = partitions.iter().filter(|at| (0..count).contains(*at));
                let kept: BTreeSet<i32> = valid
                    .copied()
                    .filter(|at| taken.insert((*topic, *at)))
                    .collect();
                if !kept.is_empty() {
                    share.insert(*topic, kept);
                }
            }
            of.push(share);
        }
        let all = topics
            .iter()
            .flat_map(|(topic, count)| (0..*count).map(|at| (*topic, at)));
        let free = all.filter(|place| !taken.contains(place)).collect();
        let sizes = of.iter().map(size).collect();
        Shares { of, sizes, free }
    }

    /// Brings everyone to its quota; those that have most keep the places above the average.
    fn level(&mut self, topics: &BTreeMap<Uuid, i32>) {
        if self.of.is_empty() {
            return;
        }
        let total: usize = topics
            .values()
            .map(|count| usize::try_from(*count).unwrap_or(0))
            .sum();
        let (quota, mut extra) = (total / self.of.len(), total % self.of.len());
        let mut order: Vec<usize> = (0..self.of.len()).collect();
        order.sort_by_key(|at| (std::cmp::Reverse(self.sizes[*at]), *at));
        let mut quotas = vec![quota; self.of.len()];
        for at in &order {
            if extra > 0 {
                quotas[*at] += 1;
                extra -= 1;
            }
        }
        for at in &order {
            while self.sizes[*at] > quotas[*at] {
                match self.pop(*at) {
                    Some(place) => self.free.push_back(place),
                    None => break,
                }
            }
        }
        for at in order {
            while self.sizes[at] < quotas[at] {
                match self.free.pop_front() {
                    Some(place) => self.give(at, place),
                    None => break,
                }
            }
        }
    }

    /// Gives each free partition to the one that has least among those that want it. Topics that few
    /// want go first: they leave the least choice.
    fn spread(&mut self, candidates: &[Candidate<'_>], topics: &BTreeMap<Uuid, i32>) {
        let takers: BTreeMap<Uuid, Vec<usize>> = topics
            .keys()
            .map(|topic| {
                let wants = |at: &usize| candidates[*at].topics.contains(topic);
                (*topic, (0..candidates.len()).filter(wants).collect())
            })
            .collect();
        let mut free: Vec<(Uuid, i32)> = std::mem::take(&mut self.free).into();
        free.sort_by_key(|place| (takers.get(&place.0).map_or(0, Vec::len), *place));
        for place in free {
            let takers = takers.get(&place.0).into_iter().flatten();
            if let Some(at) = takers.copied().min_by_key(|at| (self.sizes[*at], *at)) {
                self.give(at, place);
            }
        }
    }

    /// Moves single partitions downhill until none can. Each move lowers the sum of the squares of
    /// the sizes, so it ends.
    fn balance(&mut self, candidates: &[Candidate<'_>]) {
        loop {
            let mut moved = false;
            for from in 0..self.of.len() {
                moved |= self.unload(from, candidates);
            }
            if !moved {
                return;
            }
        }
    }

    /// Gives away what others that have at least two fewer could have.
    fn unload(&mut self, from: usize, candidates: &[Candidate<'_>]) -> bool {
        let mut moved = false;
        let topics: Vec<Uuid> = self.of[from].keys().copied().collect();
        for topic in topics {
            loop {
                let wants = |at: &usize| candidates[*at].topics.contains(&topic);
                let least = (0..self.of.len())
                    .filter(wants)
                    .min_by_key(|at| (self.sizes[*at], *at));
                let Some(to) = least.filter(|to| self.sizes[*to] + 1 < self.sizes[from]) else {
                    break;
                };
                let Some(at) = self.of[from].get_mut(&topic).and_then(BTreeSet::pop_last) else {
                    break;
                };
                self.sizes[from] -= 1;
                self.give(to, (topic, at));
                moved = true;
            }
            if self.of[from].get(&topic).is_some_and(BTreeSet::is_empty) {
                self.of[from].remove(&topic);
            }
        }
        moved
    }

    fn give(&mut self, to: usize, (topic, at): (Uuid, i32)) {
        if self.of[to].entry(topic).or_default().insert(at) {
            self.sizes[to] += 1;
        }
    }

    /// Takes the last partition of the topic of which it has most.
    fn pop(&mut self, from: usize) -> Option<(Uuid, i32)> {
        let share = &mut self.of[from];
        let topic = *share.iter().max_by_key(|(_, of)| of.len())?.0;
        let partitions = share.get_mut(&topic)?;
        let at = partitions.pop_last()?;
        if partitions.is_empty() {
            share.remove(&topic);
        }
        self.sizes[from] -= 1;
        Some((topic, at))
    }
}

fn size(share: &Partitions) -> usize {
    share.values().map(BTreeSet::len).sum()
}
