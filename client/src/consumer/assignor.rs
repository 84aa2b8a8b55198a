//! How the leader of a group shares out partitions: range, round robin, sticky and cooperative
//! sticky, under Kafka's names.
//!
//! Invariant: every partition of a topic that someone subscribes to goes to exactly one member
//! that subscribes to it, or, under the cooperative assignor, to nobody for one generation while
//! its owner gives it up; the result depends on the set of members only. Step 10 of the hallway.

mod sticky;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::config::Assignor;
use crate::topic::TopicPartition;

/// A member as the assignors see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) id: Arc<str>,
    /// Name of a static member; static members keep their place in the order.
    pub(crate) instance_id: Option<Arc<str>>,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// What it had in its last generation, for the sticky assignors.
    pub(crate) owned: Vec<TopicPartition>,
    /// That generation, -1 where it is not known.
    pub(crate) generation: i32,
}

/// The partitions of each member, by member id.
pub(crate) type Shares = HashMap<Arc<str>, Vec<TopicPartition>>;

/// Shares out the partitions of all topics; `counts` are those of the topics that exist.
pub(crate) fn assign(
    assignor: Assignor,
    members: &[Member],
    counts: &BTreeMap<Arc<str>, usize>,
) -> Shares {
    let mut members: Vec<&Member> = members.iter().collect();
    // Static members first, by instance id; the others by member id.
    members.sort_by(|a, b| {
        let key = |m: &Member| (m.instance_id.is_none(), m.instance_id.clone(), m.id.clone());
        key(a).cmp(&key(b))
    });
    let mut shares: Shares = members
        .iter()
        .map(|member| (member.id.clone(), Vec::new()))
        .collect();
    match assignor {
        Assignor::Range => range(&members, counts, &mut shares),
        Assignor::RoundRobin => round_robin(&members, counts, &mut shares),
        Assignor::Sticky => sticky::assign(&members, counts, &mut shares),
        Assignor::CooperativeSticky => {
            sticky::assign(&members, counts, &mut shares);
            sticky::hold_back(&members, &mut shares);
        }
    }
    shares
}
fn range(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>, shares: &mut Shares) {
    for (topic, count) in counts {
        let subscribers: Vec<_> = members
            .iter()
            .filter(|member| member.topics.contains(topic))
            .collect();
        let Some(each) = count.checked_div(subscribers.len()) else {
            continue;
        };
        let larger = count % subscribers.len();
        let mut next = 0;
        for (at, member) in subscribers.iter().enumerate() {
            let end = next + each + usize::from(at < larger);
            give(
                shares,
                member,
                (next..end).map(|partition| (topic, partition)),
            );
            next = end;
        }
    }
}

fn round_robin(members: &[&Member], counts: &BTreeMap<Arc<str>, usize>, shares: &mut Shares) {
    let mut turn = members.iter().cycle();
    for (topic, count) in counts {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for partition in 0..*count {
            let next = turn.find(|member| member.topics.contains(topic));
            if let Some(member) = next {
                give(shares, member, [(topic, partition)]);
            }
        }
    }
}

fn give<'a>(
    shares: &mut Shares,
    member: &Member,
    partitions: impl IntoIterator<Item = (&'a Arc<str>, usize)>,
) {
    let share = shares.entry(member.id.clone()).or_default();
    share.extend(partitions.into_iter().filter_map(|(topic, partition)| {
        Some(TopicPartition::new(
            topic.clone(),
            i32::try_from(partition).ok()?,
        ))
    }));
}

#[cfg(test)]
mod tests;
