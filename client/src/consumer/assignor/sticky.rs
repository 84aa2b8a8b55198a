//! Sharing out so that members keep what they have (KIP-54, KIP-429).
//!
//! Invariant: no partition could move to a member that subscribes to its topic and has at least
//! two less than its owner; a partition moves only to come closer to that. Among several members
//! that claim a partition, the one with the highest generation has it, and none where two have
//! that generation, as with Kafka's own assignor.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use super::{Member, Shares};
use crate::topic::TopicPartition;

/// Who may have what, and who has what so far.
#[derive(Debug)]
struct Board<'a> {
    /// Members that subscribe to each topic, by index.
    subscribers: BTreeMap<&'a Arc<str>, Vec<usize>>,
    /// The partitions of each member.
    shares: Vec<Vec<TopicPartition>>,
}

/// Shares out; `members` are in their order.
pub(super) fn assign(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>, shares: &mut Shares) {
    let subscribers = counts.keys().map(|topic| {
        let all = members.iter().enumerate();
        let wanting = all.filter(|(_, member)| member.topics.contains(topic));
        (topic, wanting.map(|(at, _)| at).collect())
    });
    let mut board = Board {
        subscribers: subscribers.collect(),
        shares: vec![Vec::new(); members.len()],
    };
    let kept = owners(members, counts);
    let mut free = Vec::new();
    for (topic, count) in counts {
        for partition in (0..*count).filter_map(|p| i32::try_from(p).ok()) {
            let partition = TopicPartition::new(topic.clone(), partition);
            match kept
                .get(&partition)
                .and_then(|at| board.shares.get_mut(*at))
            {
                Some(share) => share.push(partition),
                None => free.push(partition),
            }
        }
    }
    // Those with the fewest takers first, so that the others can even out the rest.
    free.sort_by_key(|partition| board.takers(&partition.topic).len());
    for partition in free {
        if let Some(to) = board.least_loaded(&partition.topic) {
            board.give(to, partition);
        }
    }
    while board.balance() {}
    for (member, share) in members.iter().zip(board.shares) {
        shares.insert(member.id.clone(), share);
    }
}

/// Takes out of each share what another member still owns: the owner gives it up in this
/// generation, and the next one hands it over (KIP-429).
pub(super) fn hold_back(members: &[&Member], shares: &mut Shares) {
    let mut owners: HashMap<&TopicPartition, HashSet<&str>> = HashMap::new();
    for member in members {
        for partition in &member.owned {
            owners.entry(partition).or_default().insert(&member.id);
        }
    }
    for (member, share) in shares.iter_mut() {
        share.retain(|partition| {
            owners
                .get(partition)
                .is_none_or(|owners| owners.iter().all(|owner| **owner == **member))
        });
    }
}

/// Who has each partition by rights, by index.
fn owners(
    members: &[&Member],
    counts: &BTreeMap<Arc<str>, usize>,
) -> HashMap<TopicPartition, usize> {
    let mut claims: HashMap<&TopicPartition, (i32, Option<usize>)> = HashMap::new();
    for (at, member) in members.iter().enumerate() {
        let claimed: HashSet<&TopicPartition> = member.owned.iter().collect();
        for partition in claimed {
            let claim = claims
                .entry(partition)
                .or_insert((member.generation, Some(at)));
            if claim.1 == Some(at) {
                continue;
            }
            if member.generation > claim.0 {
                *claim = (member.generation, Some(at));
            } else if member.generation == claim.0 {
                claim.1 = None;
            }
        }
    }
    claims
        .into_iter()
        .filter_map(|(partition, (_, at))| {
            let member = members.get(at?)?;
            let number = usize::try_from(partition.partition).ok()?;
            let exists = counts
                .get(&partition.topic)
                .is_some_and(|count| number < *count);
            (exists && member.topics.contains(&partition.topic)).then(|| (partition.clone(), at))
        })
        .filter_map(|(partition, at)| Some((partition, at?)))
        .collect()
}

impl Board<'_> {
    fn takers(&self, topic: &Arc<str>) -> &[usize] {
        self.subscribers.get(topic).map_or(&[], Vec::as_slice)
    }

    fn load(&self, member: usize) -> usize {
        self.shares.get(member).map_or(0, Vec::len)
    }

    /// The subscriber with the least, the first of several.
    fn least_loaded(&self, topic: &Arc<str>) -> Option<usize> {
        let takers = self.takers(topic).iter().copied();
        takers.min_by_key(|member| self.load(*member))
    }

    fn give(&mut self, member: usize, partition: TopicPartition) {
        if let Some(share) = self.shares.get_mut(member) {
            share.push(partition);
        }
    }

    /// Moves partitions from those with more to those with less, one at a time from the most
    /// loaded, so that nobody gives more than needed; says whether anything moved. Each move brings
    /// the sum of the squared loads down, so this ends.
    fn balance(&mut self) -> bool {
        let loads = self.shares.iter().enumerate();
        let mut heap: BinaryHeap<(usize, Reverse<usize>)> = loads
            .map(|(at, share)| (share.len(), Reverse(at)))
            .collect();
        let mut moved = false;
        while let Some((_, Reverse(member))) = heap.pop() {
            if let Some((at, to)) = self.movable(member) {
                let taken = self.shares.get_mut(member).map(|share| share.remove(at));
                if let Some(partition) = taken {
                    self.give(to, partition);
                    moved = true;
                    heap.push((self.load(member), Reverse(member)));
                }
            }
        }
        moved
    }

    /// A partition of this member that someone should have who has at least two less: the last
    /// one, since what came last goes first.
    fn movable(&self, member: usize) -> Option<(usize, usize)> {
        let share = self.shares.get(member)?;
        share.iter().enumerate().rev().find_map(|(at, partition)| {
            let to = self.least_loaded(&partition.topic)?;
            (self.load(to) + 2 <= share.len()).then_some((at, to))
        })
    }
}
