//! Both assignors against Kafka's documented examples and against the rule of exactly one owner.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::{Member, Shares, assign};
use crate::config::Assignor;
use crate::topic::TopicPartition;

fn member(id: &str, topics: &[&str]) -> Member {
    let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
    Member {
        id: id.into(),
        instance_id: None,
        topics,
    }
}

fn counts(counts: &[(&str, usize)]) -> BTreeMap<Arc<str>, usize> {
    counts
        .iter()
        .map(|(topic, count)| (Arc::from(*topic), *count))
        .collect()
}

fn of(shares: &Shares, member: &str) -> Vec<String> {
    shares[member]
        .iter()
        .map(TopicPartition::to_string)
        .collect()
}

/// The example in the documentation of Kafka's RangeAssignor.
#[test]
fn range_gives_the_first_members_more() {
    let members = [member("C0", &["t0", "t1"]), member("C1", &["t0", "t1"])];
    let shares = assign(Assignor::Range, &members, &counts(&[("t0", 3), ("t1", 3)]));
    assert_eq!(of(&shares, "C0"), ["t0-0", "t0-1", "t1-0", "t1-1"]);
    assert_eq!(of(&shares, "C1"), ["t0-2", "t1-2"]);
}

/// The examples in the documentation of Kafka's RoundRobinAssignor.
#[test]
fn round_robin_deals_out_in_turn() {
    let members = [member("C0", &["t0", "t1"]), member("C1", &["t0", "t1"])];
    let shares = assign(
        Assignor::RoundRobin,
        &members,
        &counts(&[("t0", 3), ("t1", 3)]),
    );
    assert_eq!(of(&shares, "C0"), ["t0-0", "t0-2", "t1-1"]);
    assert_eq!(of(&shares, "C1"), ["t0-1", "t1-0", "t1-2"]);

    let members = [
        member("C0", &["t0"]),
        member("C1", &["t0", "t1"]),
        member("C2", &["t0", "t1", "t2"]),
    ];
    let topics = counts(&[("t0", 1), ("t1", 2), ("t2", 3)]);
    let shares = assign(Assignor::RoundRobin, &members, &topics);
    assert_eq!(of(&shares, "C0"), ["t0-0"]);
    assert_eq!(of(&shares, "C1"), ["t1-0"]);
    assert_eq!(of(&shares, "C2"), ["t1-1", "t2-0", "t2-1", "t2-2"]);
}

#[test]
fn more_members_than_partitions_leave_some_idle() {
    let members: Vec<_> = ["a", "b", "c", "d", "e"]
        .map(|id| member(id, &["t"]))
        .into();
    let shares = assign(Assignor::Range, &members, &counts(&[("t", 4)]));
    assert_eq!(shares.values().filter(|share| share.is_empty()).count(), 1);
    assert_eq!(of(&shares, "e"), Vec::<String>::new());
}

#[test]
fn static_members_keep_their_place() {
    let mut last = member("aaa", &["t"]);
    last.instance_id = Some("2".into());
    let mut first = member("zzz", &["t"]);
    first.instance_id = Some("1".into());
    let shares = assign(
        Assignor::Range,
        &[last, first, member("b", &["t"])],
        &counts(&[("t", 3)]),
    );
    assert_eq!(
        [of(&shares, "zzz"), of(&shares, "aaa"), of(&shares, "b")],
        [["t-0"], ["t-1"], ["t-2"]]
    );
}

fn groups() -> impl Strategy<Value = (Vec<BTreeSet<usize>>, Vec<usize>)> {
    let topics = proptest::collection::vec(0_usize..12, 1..5);
    topics.prop_flat_map(|topics| {
        let subscription = proptest::collection::btree_set(0..topics.len(), 0..=topics.len());
        (proptest::collection::vec(subscription, 1..8), Just(topics))
    })
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_who_wants_it((members, topics) in groups()) {
        let name = |topic: usize| -> Arc<str> { format!("t{topic}").into() };
        let counts: BTreeMap<_, _> =
            topics.iter().enumerate().map(|(topic, count)| (name(topic), *count)).collect();
        let members: Vec<Member> = members
            .iter()
            .enumerate()
            .map(|(at, wants)| Member {
                id: format!("m{at}").into(),
                instance_id: None,
                topics: wants.iter().map(|topic| name(*topic)).collect(),
            })
            .collect();
        for assignor in [Assignor::Range, Assignor::RoundRobin] {
            let shares = assign(assignor, &members, &counts);
            let mut owned = BTreeSet::new();
            for member in &members {
                for partition in &shares[&member.id] {
                    prop_assert!(member.topics.contains(&partition.topic));
                    prop_assert!(owned.insert(partition.clone()), "{} twice", partition);
                }
            }
            let wanted: usize = counts
                .iter()
                .filter(|(topic, _)| members.iter().any(|m| m.topics.contains(*topic)))
                .map(|(_, count)| count)
                .sum();
            prop_assert_eq!(owned.len(), wanted);
            let mut reversed = members.clone();
            reversed.reverse();
            prop_assert_eq!(assign(assignor, &reversed, &counts), shares);
        }
    }
}
