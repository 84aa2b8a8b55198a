//! The assignors against random groups: nothing is forgotten, nothing given twice or to one that does
//! not want it; shares are even, and who may keep something keeps it.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Case {
    /// Partitions of each topic.
    sizes: Vec<i32>,
    /// For each member a bit set of the topics it wants.
    wants: Vec<u8>,
}

fn case(same: bool) -> impl Strategy<Value = Case> {
    let sizes = prop::collection::vec(1..9i32, 1..5);
    let wants = prop::collection::vec(1..32u8, 1..8);
    (sizes, wants).prop_map(move |(sizes, mut wants)| {
        if same {
            wants.fill(0xff);
        }
        Case { sizes, wants }
    })
}

fn id(at: usize) -> Uuid {
    Uuid::from_bytes([u8::try_from(at).expect("few topics"); 16])
}

impl Case {
    fn names(&self) -> Vec<Arc<str>> {
        (0..self.wants.len())
            .map(|at| Arc::from(format!("m{at}")))
            .collect()
    }

    /// The shares, given what everyone had before.
    fn assign(
        &self,
        how: Assignor,
        before: &BTreeMap<Arc<str>, Partitions>,
    ) -> BTreeMap<Arc<str>, Partitions> {
        let names = self.names();
        let candidates: Vec<Candidate<'_>> = names
            .iter()
            .zip(&self.wants)
            .map(|(name, wants)| Candidate {
                id: name,
                instance_id: None,
                topics: (0..self.sizes.len())
                    .filter(|at| wants & (1 << at) != 0)
                    .map(id)
                    .collect(),
                before: before.get(name),
            })
            .collect();
        let wanted: BTreeSet<Uuid> = candidates
            .iter()
            .flat_map(|of| of.topics.iter().copied())
            .collect();
        let all = self
            .sizes
            .iter()
            .enumerate()
            .map(|(at, size)| (id(at), *size));
        let topics = all.filter(|(topic, _)| wanted.contains(topic)).collect();
        let shares = assign(how, &candidates, &topics);
        let mut given = BTreeSet::new();
        for candidate in &candidates {
            for (topic, of) in &shares[candidate.id] {
                assert!(candidate.topics.contains(topic), "it does not want this");
                assert!(!of.is_empty(), "an empty topic in a share");
                for at in of {
                    assert!((0..topics[topic]).contains(at), "no such partition");
                    assert!(given.insert((*topic, *at)), "given twice");
                }
            }
        }
        let total: i32 = topics.values().sum();
        assert_eq!(
            given.len(),
            usize::try_from(total).expect("positive"),
            "something is left"
        );
        shares
    }
}

fn size(share: &Partitions) -> usize {
    share.values().map(BTreeSet::len).sum()
}

fn moved(before: &BTreeMap<Arc<str>, Partitions>, after: &BTreeMap<Arc<str>, Partitions>) -> usize {
    let each = after
        .iter()
        .flat_map(|(name, share)| share.iter().map(move |(topic, of)| (name, topic, of)));
    each.map(|(name, topic, of)| {
        let had = before.get(name).and_then(|share| share.get(topic));
        of.iter()
            .filter(|at| had.is_none_or(|had| !had.contains(at)))
            .count()
    })
    .sum()
}

proptest! {
    #[test]
    fn uniform_is_even_where_all_want_the_same(case in case(true)) {
        let shares = case.assign(Assignor::Uniform, &BTreeMap::new());
        let sizes: Vec<usize> = shares.values().map(size).collect();
        let (least, most) = (sizes.iter().min(), sizes.iter().max());
        prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{sizes:?}");
        // Nothing changed: nothing moves.
        prop_assert_eq!(case.assign(Assignor::Uniform, &shares), shares);
    }

    #[test]
    fn uniform_moves_no_more_than_a_new_member_needs(case in case(true)) {
        let before = case.assign(Assignor::Uniform, &BTreeMap::new());
        let mut more = case.clone();
        more.wants.push(0xff);
        let after = more.assign(Assignor::Uniform, &before);
        let newcomer = size(&after[&*format!("m{}", case.wants.len())]);
        prop_assert_eq!(moved(&before, &after), newcomer);
        // It goes again: only what it had moves.
        let again = case.assign(Assignor::Uniform, &after);
        prop_assert_eq!(moved(&after, &again), newcomer);
    }

    #[test]
    fn uniform_leaves_no_move_that_would_help(case in case(false)) {
        let shares = case.assign(Assignor::Uniform, &BTreeMap::new());
        let names = case.names();
        for (rich, wants) in names.iter().zip(&case.wants) {
            prop_assert!(shares[rich].keys().all(|topic| wants & (1 << topic.as_bytes()[0]) != 0));
            for (poor, wants) in names.iter().zip(&case.wants) {
                let could = shares[rich].keys().any(|topic| wants & (1 << topic.as_bytes()[0]) != 0);
                prop_assert!(!could || size(&shares[rich]) <= size(&shares[poor]) + 1);
            }
        }
        prop_assert_eq!(case.assign(Assignor::Uniform, &shares), shares);
    }

    #[test]
    fn range_gives_runs(case in case(false)) {
        let shares = case.assign(Assignor::Range, &BTreeMap::new());
        for topic in 0..case.sizes.len() {
            let wants = case.names().into_iter().zip(&case.wants).filter(|(_, wants)| *wants & (1 << topic) != 0);
            let runs: Vec<BTreeSet<i32>> = wants
                .map(|(name, _)| shares[&name].get(&id(topic)).cloned().unwrap_or_default())
                .collect();
            let order: Vec<i32> = runs.iter().flatten().copied().collect();
            prop_assert!(order.is_sorted(), "runs in the order of the members: {runs:?}");
            let sizes: Vec<usize> = runs.iter().map(BTreeSet::len).collect();
            prop_assert!(sizes.iter().rev().is_sorted() && sizes.iter().max().zip(sizes.iter().min()).is_none_or(|(most, least)| most - least <= 1));
        }
    }
}
