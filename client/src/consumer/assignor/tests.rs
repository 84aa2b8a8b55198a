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
        owned: Vec::new(),
        generation: -1,
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

fn name(topic: usize) -> Arc<str> {
    format!("t{topic}").into()
}

fn named(topics: &[usize]) -> BTreeMap<Arc<str>, usize> {
    let topics = topics.iter().enumerate();
    topics.map(|(topic, count)| (name(topic), *count)).collect()
}

fn wanting(members: &[BTreeSet<usize>]) -> Vec<Member> {
    let members = members.iter().enumerate();
    members
        .map(|(at, wants)| Member {
            id: format!("m{at}").into(),
            instance_id: None,
            topics: wants.iter().map(|topic| name(*topic)).collect(),
            owned: Vec::new(),
            generation: -1,
        })
        .collect()
}

/// One owner for each partition that someone wants, who wants it; but for `missing`.
fn check(
    members: &[Member],
    counts: &BTreeMap<Arc<str>, usize>,
    (shares, missing): (&Shares, usize),
) -> Result<(), TestCaseError> {
    let mut owned = BTreeSet::new();
    for member in members {
        for partition in &shares[&member.id] {
            prop_assert!(member.topics.contains(&partition.topic));
            let number = usize::try_from(partition.partition).unwrap();
            prop_assert!(number < counts[&partition.topic]);
            prop_assert!(owned.insert(partition.clone()), "{} twice", partition);
        }
    }
    let wanted: usize = counts
        .iter()
        .filter(|(topic, _)| members.iter().any(|m| m.topics.contains(*topic)))
        .map(|(_, count)| count)
        .sum();
    prop_assert_eq!(owned.len() + missing, wanted);
    Ok(())
}

/// No partition could go to someone with at least two less.
fn check_balance(members: &[Member], shares: &Shares) -> Result<(), TestCaseError> {
    for owner in members {
        for partition in &shares[&owner.id] {
            for other in members
                .iter()
                .filter(|m| m.topics.contains(&partition.topic))
            {
                let (has, other) = (shares[&owner.id].len(), shares[&other.id].len());
                prop_assert!(has < other + 2, "{} of {} beside {}", partition, has, other);
            }
        }
    }
    Ok(())
}

fn moved(before: &Shares, after: &Shares) -> usize {
    let kept = after.iter().flat_map(|(member, share)| {
        let had = before.get(member).map_or(&[][..], Vec::as_slice);
        share
            .iter()
            .filter(move |partition| had.contains(partition))
    });
    after.values().map(Vec::len).sum::<usize>() - kept.count()
}

proptest! {
    #[test]
    fn every_partition_has_one_owner_who_wants_it((members, topics) in groups()) {
        let (counts, members) = (named(&topics), wanting(&members));
        for assignor in [
            Assignor::Range,
            Assignor::RoundRobin,
            Assignor::Sticky,
            Assignor::CooperativeSticky,
        ] {
            let shares = assign(assignor, &members, &counts);
            check(&members, &counts, (&shares, 0))?;
            let mut reversed = members.clone();
            reversed.reverse();
            prop_assert_eq!(assign(assignor, &reversed, &counts), shares);
        }
    }

    /// Members claim what they like, true or not.
    #[test]
    fn claims_of_any_kind_give_a_balanced_assignment(
        (members, topics) in groups(),
        claims in proptest::collection::vec((0..8_usize, 0..5_usize, 0..14_i32, -1..3_i32), 0..40),
    ) {
        let (counts, mut members) = (named(&topics), wanting(&members));
        let number = members.len();
        for (member, topic, partition, generation) in claims {
            let member = &mut members[member % number];
            member.owned.push(TopicPartition::new(name(topic), partition));
            member.generation = generation;
        }
        let shares = assign(Assignor::Sticky, &members, &counts);
        check(&members, &counts, (&shares, 0))?;
        check_balance(&members, &shares)?;
        // Nobody gets, in one generation, what another one has.
        let shares = assign(Assignor::CooperativeSticky, &members, &counts);
        for member in &members {
            for partition in &shares[&member.id] {
                let others = members.iter().filter(|other| other.id != member.id);
                let mut others = others.filter(|other| other.owned.contains(partition));
                prop_assert!(others.next().is_none(), "{} is owned", partition);
            }
        }
    }

    /// A group of equal members that loses and gains some: balanced within one, nobody loses more
    /// than balance asks for, and two cooperative generations are enough.
    #[test]
    fn members_keep_what_balance_lets_them_keep(
        topics in proptest::collection::vec(0_usize..12, 1..4),
        before in 1..8_usize,
        gone in proptest::collection::btree_set(0..8_usize, 0..4),
        joined in 0..4_usize,
    ) {
        let counts = named(&topics);
        let all: BTreeSet<usize> = (0..topics.len()).collect();
        let members = wanting(&vec![all.clone(); before]);
        let first = assign(Assignor::Sticky, &members, &counts);
        let mut later: Vec<Member> = wanting(&vec![all; before + joined])
            .into_iter()
            .enumerate()
            .filter(|(at, _)| !gone.contains(at))
            .map(|(_, member)| member)
            .collect();
        if later.is_empty() {
            return Ok(());
        }
        let with_owned = |members: &mut Vec<Member>, shares: &Shares, generation| {
            for member in members {
                member.owned = shares.get(&member.id).cloned().unwrap_or_default();
                member.generation = generation;
            }
        };
        with_owned(&mut later, &first, 1);
        let total: usize = topics.iter().sum();
        let (least, larger) = (total / later.len(), total % later.len());
        let second = assign(Assignor::Sticky, &later, &counts);
        let loads: Vec<usize> = second.values().map(Vec::len).collect();
        prop_assert!(loads.iter().all(|load| (least..=least + 1).contains(load)), "{:?}", loads);
        // The best anyone can do: the largest shares stay as large as they may.
        let mut had: Vec<usize> = later.iter().map(|member| member.owned.len()).collect();
        had.sort_unstable_by(|a, b| b.cmp(a));
        let kept = had.iter().enumerate();
        let kept = kept.map(|(at, had)| (*had).min(least + usize::from(at < larger)));
        prop_assert_eq!(moved(&first, &second), total - kept.sum::<usize>());

        let one = assign(Assignor::CooperativeSticky, &later, &counts);
        with_owned(&mut later, &one, 2);
        let two = assign(Assignor::CooperativeSticky, &later, &counts);
        check(&later, &counts, (&two, 0))?;
        check_balance(&later, &two)?;
        with_owned(&mut later, &two, 3);
        prop_assert_eq!(moved(&two, &assign(Assignor::CooperativeSticky, &later, &counts)), 0);
    }
}
