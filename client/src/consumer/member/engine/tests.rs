//! Members against a model of the coordinator: it gives a partition to nobody before its owner
//! reported that it gave it up, loses what it is told, and fences at will.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn wanted(topic: &str) -> Wanted {
    Wanted {
        topics: vec![Arc::from(topic)],
        pattern: None,
    }
}

fn place(partition: i32) -> Place {
    (Uuid::from_bytes([7; 16]), partition)
}

#[derive(Debug, Clone)]
enum Step {
    /// A member's heartbeat: lost on the way, answered, or answered with the answer lost.
    Beat(usize, Fate),
    /// A member's caller answers what it was asked to give up, and takes what is new.
    Reconcile(usize),
    /// The coordinator wants another distribution: owner of each partition.
    Target(Vec<usize>),
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    RequestLost,
    AnswerLost,
    Fenced,
}

/// What the coordinator knows of a member.
#[derive(Debug, Default, Clone)]
struct Known {
    epoch: i32,
    /// What it may own, as far as the coordinator knows: given and not reported as given up.
    held: BTreeSet<Place>,
}

struct Model {
    members: Vec<Known>,
    target: Vec<usize>,
    epoch: i32,
}

impl Model {
    fn wants(&self, member: usize) -> BTreeSet<Place> {
        let all = self.target.iter().zip(0..);
        all.filter(|(owner, _)| **owner == member)
            .map(|(_, p)| place(p))
            .collect()
    }

    /// Answers a report: the epoch, and the partitions this member may have now.
    fn heartbeat(&mut self, member: usize, report: &Report) -> Option<(i32, BTreeSet<Place>)> {
        let known = &self.members[member];
        if report.epoch == 0 {
            assert!(report.full && report.owned.as_ref().unwrap().is_empty());
            self.members[member] = Known::default();
        } else if known.epoch == 0 {
            return None;
        }
        if let Some(owned) = &report.owned {
            let known = &mut self.members[member];
            assert!(
                owned.is_subset(&known.held),
                "{owned:?} of {:?}",
                known.held
            );
            known.held.clone_from(owned);
        }
        let wants = self.wants(member);
        let others = self
            .members
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != member);
        let taken: BTreeSet<Place> = others.flat_map(|(_, k)| k.held.iter().copied()).collect();
        let known = &mut self.members[member];
        let given: BTreeSet<Place> = wants.difference(&taken).copied().collect();
        known.held.extend(given.iter().copied());
        known.epoch = self.epoch;
        Some((known.epoch, given))
    }
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        8 => Just(Fate::Answered),
        1 => Just(Fate::RequestLost),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::Fenced),
    ];
    prop_oneof![
        6 => (0..3_usize, fate).prop_map(|(member, fate)| Step::Beat(member, fate)),
        4 => (0..3_usize).prop_map(Step::Reconcile),
        2 => prop::collection::vec(0..3_usize, 5).prop_map(Step::Target),
    ]
}

fn reconcile(engine: &mut Engine, read: &mut BTreeSet<Place>) {
    if let Some(due) = engine.due().cloned() {
        *read = due.clone();
        engine.own(due);
    }
}

proptest! {
    #[test]
    fn no_partition_is_read_twice_and_all_are_read_in_the_end(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut engines: Vec<Engine> = (0..3).map(|_| Engine::new(wanted("t"))).collect();
        // What each caller reads.
        let mut read = vec![BTreeSet::<Place>::new(); 3];
        let mut model = Model { members: vec![Known::default(); 3], target: vec![0; 5], epoch: 1 };
        for step in steps {
            match step {
                Step::Target(target) => {
                    model.target = target;
                    model.epoch += 1;
                }
                Step::Reconcile(at) => reconcile(&mut engines[at], &mut read[at]),
                Step::Beat(at, fate) => {
                    let report = engines[at].report();
                    match fate {
                        Fate::RequestLost => engines[at].unanswered(),
                        Fate::AnswerLost => {
                            let _lost = model.heartbeat(at, &report);
                            engines[at].unanswered();
                        }
                        Fate::Answered | Fate::Fenced => {
                            let fenced = matches!(fate, Fate::Fenced);
                            match model.heartbeat(at, &report).filter(|_| !fenced) {
                                Some((epoch, given)) => engines[at].answered(epoch, Some(given)),
                                None => {
                                    // What it had is lost before anyone else gets it.
                                    let verdict = engines[at].failed(ErrorCode::FencedMemberEpoch);
                                    prop_assert_eq!(verdict, Verdict::Rejoin);
                                    model.members[at] = Known::default();
                                    engines[at] = Engine::new(wanted("t"));
                                    read[at].clear();
                                }
                            }
                        }
                    }
                }
            }
            let mut all = BTreeMap::new();
            for (member, read) in read.iter().enumerate() {
                for place in read {
                    let before = all.insert(*place, member);
                    prop_assert_eq!(before, None, "{:?} is read twice", place);
                }
            }
        }
        for _ in 0..6 {
            for at in 0..3 {
                let report = engines[at].report();
                if let Some((epoch, given)) = model.heartbeat(at, &report) {
                    engines[at].answered(epoch, Some(given));
                } else {
                    engines[at] = Engine::new(wanted("t"));
                    read[at].clear();
                }
                reconcile(&mut engines[at], &mut read[at]);
            }
        }
        for (at, read) in read.iter().enumerate() {
            prop_assert_eq!(read, &model.wants(at));
        }
    }
}

#[test]
fn only_what_changed_is_said_and_everything_after_a_failure() {
    let mut engine = Engine::new(wanted("a"));
    let first = engine.report();
    assert!(first.full && first.epoch == 0 && first.wanted.is_some());
    assert_eq!(first.owned, Some(BTreeSet::new()));
    engine.answered(3, Some([place(1)].into()));
    assert!(!engine.has_news());
    let quiet = engine.report();
    assert_eq!(
        (quiet.epoch, quiet.full, quiet.wanted, quiet.owned),
        (3, false, None, None)
    );
    engine.answered(3, None);
    engine.own([place(1)].into());
    assert!(engine.has_news());
    assert_eq!(engine.report().owned, Some([place(1)].into()));
    engine.answered(3, None);
    assert!(!engine.has_news());
    // Given and taken back before it was owned: the coordinator waits to hear of it.
    engine.report();
    engine.answered(4, Some([place(1), place(2)].into()));
    engine.report();
    engine.answered(5, Some([place(1)].into()));
    assert!(engine.has_news());
    assert_eq!(engine.report().owned, Some([place(1)].into()));
    engine.answered(5, None);
    assert!(!engine.has_news());
    engine.want(wanted("b"));
    let news = engine.report();
    assert_eq!((news.wanted, news.owned), (Some(wanted("b")), None));
    // Whether it arrived is not known.
    engine.unanswered();
    let again = engine.report();
    assert!(again.full && again.wanted.is_some() && again.owned.is_some());
    assert_eq!(
        engine.failed(ErrorCode::CoordinatorLoadInProgress),
        Verdict::Again
    );
    assert_eq!(engine.failed(ErrorCode::UnknownMemberId), Verdict::Rejoin);
    assert_eq!(
        engine.failed(ErrorCode::UnreleasedInstanceId),
        Verdict::Refused
    );
}
