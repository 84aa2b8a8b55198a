//! The engine against a model of the coordinator that loses requests and answers, refuses and
//! fences at will.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::consumer::GroupMetadata;
use logway_protocol::error_code::ErrorCode;

fn partition(n: u8) -> TopicPartition {
    TopicPartition::new("t", i32::from(n))
}

fn abortable() -> TransactionError {
    TransactionError::Abort {
        operation: "test",
        code: ErrorCode::TransactionAbortable,
    }
}

fn fenced() -> TransactionError {
    TransactionError::Fenced {
        code: ErrorCode::ProducerFenced,
    }
}

fn offsets() -> Offsets {
    Offsets {
        group: GroupMetadata {
            group_id: "g".into(),
            generation: 1,
            member_id: "m".into(),
            instance_id: None,
        },
        offsets: vec![(partition(0), 7.into())],
    }
}

/// What the caller, the brokers and the network do next.
#[derive(Debug, Clone)]
enum Step {
    Initialize,
    Begin,
    /// A batch for a partition wants to leave; whether it is stored.
    Batch(u8, bool),
    Offsets,
    End(bool),
    /// The request that is due reaches the coordinator, or not; its answer comes back, or not.
    Coordinator(Fate),
    /// The cluster's features change.
    Allow(bool),
}

#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    RequestLost,
    AnswerLost,
    Refused,
    Fenced,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        8 => Just(Fate::Answered),
        2 => Just(Fate::RequestLost),
        3 => Just(Fate::AnswerLost),
        1 => Just(Fate::Refused),
    ];
    let step = prop_oneof![
        1 => Just(Step::Initialize),
        3 => Just(Step::Begin),
        5 => (0..3_u8, prop::bool::weighted(0.9)).prop_map(|(p, stored)| Step::Batch(p, stored)),
        2 => Just(Step::Offsets),
        4 => any::<bool>().prop_map(Step::End),
        12 => fate.prop_map(Step::Coordinator),
        1 => any::<bool>().prop_map(Step::Allow),
    ];
    let fence = prop_oneof![
        30 => Just(None),
        1 => Just(Some(Step::Coordinator(Fate::Fenced))),
    ];
    prop::collection::vec((step, fence), 0..150).prop_map(|steps| {
        let both = steps.into_iter().map(|(step, fence)| fence.unwrap_or(step));
        both.collect()
    })
}

/// The coordinator, and the logs as readers of committed records see them.
#[derive(Debug, Default)]
struct Model {
    epoch: i16,
    has_id: bool,
    added: HashSet<TopicPartition>,
    group: bool,
    ongoing: bool,
    /// The end that was written last, and the epoch that asked for it.
    last: Option<(i16, bool)>,
    /// How each transaction ended, by its number.
    ended: BTreeMap<u64, bool>,
}

impl Model {
    /// Carries a request out.
    fn serve(&mut self, ask: &Ask, number: u64, v2: bool) -> Answer {
        match ask {
            Ask::Init(known) => {
                // A repeat whose answer was lost finds the epoch raised already.
                let repeated = known.is_some_and(|known| known.epoch + 1 == self.epoch);
                if let Some(known) = known {
                    assert!(
                        repeated || known.epoch == self.epoch,
                        "an epoch out of nowhere"
                    );
                }
                assert!(
                    !self.ongoing,
                    "an epoch is raised between transactions only"
                );
                if !repeated && self.has_id {
                    self.epoch += 1;
                }
                self.has_id = true;
                Answer::Initialized(Identity {
                    id: 5,
                    epoch: self.epoch,
                })
            }
            Ask::AddPartitions(identity, partitions) => {
                assert!(!v2, "under the second protocol brokers add partitions");
                assert_eq!(identity.epoch, self.epoch);
                self.added.extend(partitions.iter().cloned());
                self.ongoing = true;
                Answer::Added(partitions.clone())
            }
            Ask::AddGroup(identity, _) => {
                assert!(!v2);
                assert_eq!(identity.epoch, self.epoch);
                (self.group, self.ongoing) = (true, true);
                Answer::GroupAdded
            }
            Ask::Commit(identity, _) => {
                assert_eq!(identity.epoch, self.epoch);
                assert!(v2 || self.group, "offsets before their group was added");
                self.ongoing = true;
                Answer::OffsetsTaken
            }
            Ask::End(identity, commit) => self.end(identity.epoch, *commit, (number, v2)),
        }
    }

    fn end(&mut self, epoch: i16, commit: bool, (number, v2): (u64, bool)) -> Answer {
        let next = |epoch| v2.then_some(Identity { id: 5, epoch });
        let is_repeat = !self.ongoing && self.last.is_some_and(|(by, _)| by == epoch);
        if is_repeat && self.ended.contains_key(&number) {
            let (_, how) = self.last.unwrap();
            assert_eq!(
                how, commit,
                "a transaction that ended one way is ended the other"
            );
            return Answer::Ended(next(self.epoch));
        }
        assert_eq!(epoch, self.epoch);
        assert!(self.ongoing || !commit, "a commit of nothing");
        let before = self.ended.insert(number, commit);
        assert_eq!(before, None, "a transaction ended twice");
        self.ongoing = false;
        self.group = false;
        self.added.clear();
        self.last = Some((epoch, commit));
        if v2 {
            self.epoch += 1;
        }
        Answer::Ended(next(self.epoch))
    }
}

/// What the caller was told must be what the coordinator did.
fn check(engine: &Engine, model: &Model, number: u64) -> Result<(), TestCaseError> {
    let told = engine.outcome(number);
    let done = model.ended.get(&number);
    match told {
        Some(Ok(Ended::Committed)) => {
            prop_assert!(done == Some(&true) || done.is_none() && !model.ongoing);
        }
        Some(Ok(Ended::Aborted)) => prop_assert_ne!(done, Some(&true)),
        // Abortable: nothing may be committed.
        Some(Err(error)) if error.is_abortable() => prop_assert_ne!(done, Some(&true)),
        Some(Err(_)) | None => {}
    }
    Ok(())
}

fn run(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let (mut engine, mut model) = (Engine::new(), Model::default());
    let mut number = 0;
    // What a committed transaction must hold, so that none is torn.
    let mut stored: BTreeMap<u64, bool> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Initialize => engine.initialize(),
            Step::Allow(allowed) => engine.allow_v2(allowed),
            Step::Begin => {
                if let Ok(Some(begun)) = engine.begin() {
                    prop_assert_eq!(begun, number + 1);
                    prop_assert!(!model.ongoing, "two transactions at once");
                    number = begun;
                }
            }
            Step::Batch(p, is_stored) => {
                let p = partition(p);
                if engine.admits(&p) {
                    prop_assert_eq!(engine.identity().unwrap().epoch, model.epoch);
                    prop_assert!(engine.is_v2() || model.added.contains(&p));
                    prop_assert!(!model.ended.contains_key(&number), "a batch after the end");
                    if is_stored {
                        model.ongoing = true;
                    } else {
                        stored.insert(number, false);
                        engine.batch_failed(abortable(), true);
                    }
                }
            }
            Step::Offsets => {
                let _may_be_refused = engine.add_offsets(number, offsets());
            }
            Step::End(commit) => {
                let _may_be_refused = engine.end(number, commit);
            }
            Step::Coordinator(fate) => {
                if engine.is_draining() {
                    engine.drained();
                }
                let v2 = engine.is_v2();
                let Some(ask) = engine.next() else { continue };
                let answer = match fate {
                    Fate::RequestLost => Answer::Again,
                    Fate::Refused => Answer::Abort(abortable()),
                    Fate::Fenced => Answer::Fatal(fenced()),
                    Fate::Answered => model.serve(&ask, number, v2),
                    Fate::AnswerLost => {
                        let _lost = model.serve(&ask, number, v2);
                        Answer::Again
                    }
                };
                engine.answered(answer);
            }
        }
        check(&engine, &model, number)?;
    }
    for (number, committed) in &model.ended {
        prop_assert!(
            !(*committed && stored.contains_key(number)),
            "a torn transaction"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_history_tears_a_transaction_or_ends_it_twice(steps in steps()) {
        run(steps)?;
    }
}

/// Whatever happened before, with a coordinator that answers everything ends.
#[test]
fn every_transaction_ends_once_the_coordinator_answers() {
    proptest!(|(steps in steps(), commit: bool)| {
        let (mut engine, mut model) = (Engine::new(), Model::default());
        engine.initialize();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Begin => number = engine.begin().ok().flatten().unwrap_or(number),
                Step::Batch(p, true) => model.ongoing |= engine.admits(&partition(p)),
                Step::Offsets => {
                    let _open = engine.add_offsets(number, offsets());
                }
                Step::Coordinator(Fate::Answered) => {
                    let v2 = engine.is_v2();
                    if let Some(ask) = engine.next() {
                        let answer = model.serve(&ask, number, v2);
                        engine.answered(answer);
                    }
                }
                _ => {}
            }
        }
        let ends = engine.end(number, commit).is_ok();
        for _ in 0..10 {
            engine.drained();
            let v2 = engine.is_v2();
            if let Some(ask) = engine.next() {
                let answer = model.serve(&ask, number, v2);
                engine.answered(answer);
            }
        }
        prop_assert!(matches!(engine.state(), State::Ready), "{:?}", engine.state());
        if ends {
            let how = if commit { Ended::Committed } else { Ended::Aborted };
            prop_assert_eq!(engine.outcome(number).unwrap().unwrap(), how);
        }
    });
}

#[test]
fn offsets_that_were_dropped_are_not_taken() {
    let (mut engine, mut model) = (Engine::new(), Model::default());
    engine.initialize();
    let ask = engine.next().unwrap();
    engine.answered(model.serve(&ask, 0, false));
    let number = engine.begin().unwrap().unwrap();
    let given = engine.add_offsets(number, offsets()).unwrap();
    assert!(engine.offsets_taken(number, given).is_none());
    engine.batch_failed(abortable(), false);
    assert!(engine.offsets_taken(number, given).unwrap().is_err());
    assert!(engine.end(number, true).unwrap_err().is_abortable());
    engine.end(number, false).unwrap();
    engine.drained();
    assert_eq!(
        engine.next(),
        None,
        "nobody knows of it, so nobody is asked"
    );
    assert_eq!(engine.outcome(number).unwrap().unwrap(), Ended::Aborted);
    assert!(engine.offsets_taken(number, given).unwrap().is_err());
}
