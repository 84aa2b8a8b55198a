//! The engine against a small world of partitions, clients and crashes: whatever happens in whatever
//! order, each transaction is there as a whole or not at all, and ends as its client was told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::ErrorCode;
use logway_protocol::record::decode_records;
use proptest::prelude::*;

use super::engine::{Add, Effect, End, Engine, Init, Markers, Reply, Rules, Waiter};
use super::records;
use super::state::{Producer, State, TopicPartition, Transaction};

const IDS: [&str; 2] = ["a", "b"];
const PARTITIONS: i32 = 3;
const TIMEOUT_MS: i32 = 1000;
const RULES: Rules = Rules {
    timeout_max_ms: 60_000,
    expiration_ms: 1_000_000,
};

/// One step of the world. Small numbers choose among what there is.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A new session for a transactional id; the sessions before live on as zombies.
    Init(usize),
    /// A session adds a partition; it may write there once that is answered.
    Add(usize, i32),
    /// A session asks whether it may write to a partition.
    Verify(usize, i32),
    /// The oldest batch whose question was answered reaches its partition.
    Append,
    End(usize, bool),
    /// The oldest change that is being stored is, or cannot be.
    Stored(bool),
    /// One marker is written.
    Mark,
    Wait(i64),
    /// The cluster agrees on another transaction version.
    Level(i16),
    /// The process dies. What was appended and not waited for may be lost.
    Crash(usize),
}

/// The newest session mostly, else one that may have been fenced.
fn session() -> impl Strategy<Value = usize> {
    prop_oneof![6 => Just(0usize), 3 => Just(1), 1 => 2..4usize]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..IDS.len()).prop_map(Step::Init),
        6 => (session(), 0..PARTITIONS).prop_map(|(of, at)| Step::Add(of, at)),
        12 => (session(), 0..PARTITIONS).prop_map(|(of, at)| Step::Verify(of, at)),
        14 => Just(Step::Append),
        5 => (session(), proptest::bool::weighted(0.7)).prop_map(|(of, commit)| Step::End(of, commit)),
        25 => proptest::bool::weighted(0.97).prop_map(Step::Stored),
        12 => Just(Step::Mark),
        1 => (1..400i64).prop_map(Step::Wait),
        1 => (0..3i16).prop_map(Step::Level),
        1 => (0..3usize).prop_map(Step::Crash),
    ]
}

/// What stands in a partition.
#[derive(Debug, Clone, Copy)]
enum Written {
    Record {
        producer: Producer,
        transaction: usize,
    },
    Marker {
        producer: Producer,
        commit: bool,
    },
}

/// A client's producer, and the number of the transaction it is in.
#[derive(Debug, Clone)]
struct Session {
    id: Arc<str>,
    producer: Producer,
    transaction: Option<usize>,
    /// It has asked for this end: all it may do is to ask again.
    ending: Option<bool>,
    second: bool,
}

#[derive(Debug)]
enum Asked {
    Init(Arc<str>),
    Add,
    /// Session, transaction, commit.
    End(usize, usize, bool),
}

#[derive(Debug)]
struct World {
    engine: Engine,
    now_ms: i64,
    second: bool,
    next_producer: i64,
    next_waiter: u64,
    next_transaction: usize,
    asked: HashMap<Waiter, Asked>,
    sessions: Vec<Session>,
    /// The state topic, and how much of it is known to be on disk.
    log: Vec<(Arc<str>, Option<Transaction>)>,
    durable: usize,
    storing: Vec<(Arc<str>, usize)>,
    marking: Vec<(Arc<str>, Markers)>,
    partitions: BTreeMap<i32, Vec<Written>>,
    /// Batches on their way: partition, what, and how many markers the producer had there.
    travelling: Vec<(i32, Written, usize)>,
    /// Records that their clients know to be written.
    acknowledged: BTreeMap<usize, usize>,
    told: BTreeMap<usize, bool>,
}

fn topic(partition: i32) -> TopicPartition {
    (Arc::from("t"), partition)
}

impl World {
    fn new(second: bool) -> World {
        World {
            engine: Engine::new(RULES),
            now_ms: 1_000_000,
            second,
            next_producer: 1,
            next_waiter: 0,
            next_transaction: 0,
            asked: HashMap::new(),
            sessions: Vec::new(),
            log: Vec::new(),
            durable: 0,
            storing: Vec::new(),
            marking: Vec::new(),
            partitions: BTreeMap::new(),
            travelling: Vec::new(),
            acknowledged: BTreeMap::new(),
            told: BTreeMap::new(),
        }
    }

    fn waiter(&mut self, asked: Asked) -> Waiter {
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.asked.insert(waiter, asked);
        waiter
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Init(which) => self.init(IDS[which]),
            Step::Add(of, at) => self.add(of, at),
            Step::Verify(of, at) => self.verify(of, at),
            Step::Append => self.append(),
            Step::End(of, commit) => self.end(of, commit),
            Step::Stored(well) => self.stored(well),
            Step::Mark => self.mark(),
            Step::Wait(ms) => {
                self.now_ms += ms;
                self.engine.tick(self.now_ms);
            }
            Step::Level(level) => self.engine.see_level(level),
            Step::Crash(lost) => self.crash(lost),
        }
        self.perform();
    }

    fn init(&mut self, id: &str) {
        let id: Arc<str> = Arc::from(id);
        let waiter = self.waiter(Asked::Init(id.clone()));
        self.next_producer += 1;
        let request = Init {
            waiter,
            timeout_ms: TIMEOUT_MS,
            expected: None,
            fresh: Some(self.next_producer),
        };
        self.engine.init(&id, self.now_ms, &request);
    }

    fn session(&self, of: usize) -> Option<usize> {
        // The newest few: one that lives, and zombies.
        self.sessions.len().checked_sub(of + 1)
    }

    fn add(&mut self, of: usize, at: i32) {
        let Some(index) = self.session(of) else {
            return;
        };
        if self.sessions[index].ending.is_some() {
            return;
        }
        if self.sessions[index].transaction.is_none() {
            self.sessions[index].transaction = Some(self.next_transaction);
            self.next_transaction += 1;
        }
        let waiter = self.waiter(Asked::Add);
        let session = self.sessions[index].clone();
        let request = Add {
            waiter,
            producer: session.producer,
            partitions: BTreeSet::from([topic(at)]),
            version: if session.second { 2 } else { 0 },
        };
        self.engine.add(&session.id, self.now_ms, request);
    }

    fn markers_of(&self, at: i32, producer_id: i64) -> usize {
        let written = self.partitions.get(&at).into_iter().flatten();
        let is_marker = |of: &&Written| matches!(of, Written::Marker { producer, .. } if producer.0 == producer_id);
        written.filter(is_marker).count()
    }

    fn is_open(&self, at: i32, of: Producer) -> bool {
        let written = self.partitions.get(&at).into_iter().flatten();
        let mut open = false;
        for one in written {
            match one {
                Written::Record { producer, .. } if producer.0 == of.0 => open = *producer == of,
                Written::Marker { producer, .. } if producer.0 == of.0 => open = false,
                _ => {}
            }
        }
        open
    }

    fn verify(&mut self, of: usize, at: i32) {
        let Some(index) = self.session(of) else {
            return;
        };
        let session = self.sessions[index].clone();
        let (Some(transaction), None) = (session.transaction, session.ending) else {
            return;
        };
        // Mostly one that may be in.
        let in_it = self.engine.describe(&session.id).map(|of| &of.partitions);
        let in_it = in_it.and_then(|of| of.iter().nth(usize::try_from(at).unwrap()));
        let at = in_it.map_or(at, |(_, at)| *at);
        let places = BTreeSet::from([topic(at)]);
        let verdicts = self.engine.verify(&session.id, session.producer, &places);
        if verdicts[0].1 == ErrorCode::None {
            let producer = session.producer;
            let record = Written::Record {
                producer,
                transaction,
            };
            let markers = self.markers_of(at, producer.0);
            self.travelling.push((at, record, markers));
        }
    }

    /// What `partition::verification` does: the answer is void once a marker was written.
    fn append(&mut self) {
        if self.travelling.is_empty() {
            return;
        }
        let (at, record, markers) = self.travelling.remove(0);
        let Written::Record {
            producer,
            transaction,
        } = record
        else {
            return;
        };
        let newer = (self.partitions.get(&at).into_iter().flatten()).any(|of| {
            let (Written::Record {
                producer: other, ..
            }
            | Written::Marker {
                producer: other, ..
            }) = of;
            other.0 == producer.0 && other.1 > producer.1
        });
        let valid = self.is_open(at, producer) || self.markers_of(at, producer.0) == markers;
        if !newer && valid {
            self.partitions.entry(at).or_default().push(record);
            *self.acknowledged.entry(transaction).or_default() += 1;
        }
    }

    fn end(&mut self, of: usize, commit: bool) {
        let Some(index) = self.session(of) else {
            return;
        };
        let session = self.sessions[index].clone();
        let Some(transaction) = session.transaction else {
            return;
        };
        // A client waits for its batches before it ends its transaction.
        let travels = |(_, of, _): &(i32, Written, usize)| matches!(of, Written::Record { transaction: other, .. } if *other == transaction);
        if commit && self.travelling.iter().any(travels) {
            return;
        }
        let commit = session.ending.unwrap_or(commit);
        self.sessions[index].ending = Some(commit);
        let waiter = self.waiter(Asked::End(index, transaction, commit));
        self.next_producer += 1;
        let request = End {
            waiter,
            producer: session.producer,
            commit,
            version: if session.second { 2 } else { 0 },
            fresh: Some(self.next_producer),
        };
        self.engine.end(&session.id, self.now_ms, &request);
    }

    fn stored(&mut self, well: bool) {
        if self.storing.is_empty() {
            return;
        }
        let (id, place) = self.storing.remove(0);
        if well {
            self.durable = self.durable.max(place + 1);
            self.engine.stored(&id, self.now_ms, Ok(()));
        } else if place + 1 == self.log.len() {
            // It never reached the log.
            self.log.pop();
            let error = Err(ErrorCode::NotCoordinator);
            self.engine.stored(&id, self.now_ms, error);
        } else {
            self.storing.insert(0, (id, place));
        }
    }

    fn mark(&mut self) {
        let Some((id, mut markers)) = self.marking.pop() else {
            return;
        };
        if let Some((topic, at)) = markers.partitions.pop_first() {
            assert_eq!(&*topic, "t");
            let marker = Written::Marker {
                producer: markers.producer,
                commit: markers.commit,
            };
            self.partitions.entry(at).or_default().push(marker);
        }
        if markers.partitions.is_empty() {
            self.engine.marked(&id, self.now_ms);
        } else {
            self.marking.push((id, markers));
        }
    }

    fn crash(&mut self, lost: usize) {
        let kept = self.log.len().saturating_sub(lost).max(self.durable);
        self.log.truncate(kept);
        self.durable = kept;
        self.storing.clear();
        self.marking.clear();
        self.asked.clear();
        self.travelling.clear();
        self.engine = Engine::new(RULES);
        let mut loaded = HashMap::new();
        for (id, transaction) in &self.log {
            match transaction {
                Some(transaction) => loaded.insert(id.clone(), restored(id, transaction)),
                None => loaded.remove(id),
            };
        }
        self.engine.load(loaded);
    }

    fn perform(&mut self) {
        loop {
            let effects = self.engine.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Reply { waiter, reply } => self.reply(waiter, reply),
                    Effect::Persist {
                        id,
                        transaction,
                        durable,
                    } => {
                        let busy = self.storing.iter().any(|(other, _)| *other == id);
                        assert!(!busy, "{id} has two changes at a time");
                        self.log.push((id.clone(), transaction));
                        if durable {
                            self.storing.push((id, self.log.len() - 1));
                        } else {
                            self.engine.stored(&id, self.now_ms, Ok(()));
                        }
                    }
                    Effect::Mark { id, markers } => {
                        let state = self.engine.describe(&id).map(|of| of.state);
                        assert!(state.is_some_and(State::is_prepared));
                        self.marking.push((id, markers));
                    }
                }
            }
        }
    }

    fn reply(&mut self, waiter: Waiter, reply: Reply) {
        let asked = self
            .asked
            .remove(&waiter)
            .expect("one answer for each question");
        match (asked, reply) {
            (Asked::Init(id), Reply::Done(producer)) => self.sessions.push(Session {
                id,
                producer,
                transaction: None,
                ending: None,
                second: self.second,
            }),
            (Asked::End(session, transaction, commit), Reply::Done(producer)) => {
                let before = self.told.insert(transaction, commit);
                assert!(before.is_none_or(|before| before == commit));
                let session = &mut self.sessions[session];
                if session.transaction == Some(transaction) {
                    session.transaction = None;
                    session.ending = None;
                    session.producer = producer;
                }
            }
            (_, Reply::NeedsProducerId) => panic!("there was one"),
            _ => {}
        }
    }

    /// Lets everything come to its end.
    fn finish(&mut self) {
        self.travelling.clear();
        for round in 0..8 {
            while !self.storing.is_empty() || !self.marking.is_empty() {
                self.take(Step::Stored(true));
                self.take(Step::Mark);
            }
            if round == 2 {
                self.take(Step::Wait(i64::from(TIMEOUT_MS) + 1));
            } else {
                self.take(Step::Wait(0));
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let mut visible: BTreeMap<usize, usize> = BTreeMap::new();
        for (at, written) in &self.partitions {
            let mut open: HashMap<i64, Vec<usize>> = HashMap::new();
            for one in written {
                match one {
                    Written::Record {
                        producer,
                        transaction,
                    } => open.entry(producer.0).or_default().push(*transaction),
                    Written::Marker { producer, commit } => {
                        let ended = open.remove(&producer.0).unwrap_or_default();
                        for transaction in ended.into_iter().filter(|_| *commit) {
                            *visible.entry(transaction).or_default() += 1;
                        }
                    }
                }
            }
            prop_assert!(open.is_empty(), "partition {at} hangs: {written:?}");
        }
        for (transaction, written) in &self.acknowledged {
            let seen = visible.get(transaction).copied().unwrap_or(0);
            prop_assert!(
                seen == 0 || seen == *written,
                "transaction {transaction} is torn: {seen} of {written}"
            );
            match self.told.get(transaction) {
                Some(true) => prop_assert_eq!(seen, *written, "committed {} is lost", transaction),
                Some(false) => prop_assert_eq!(seen, 0, "aborted {} is seen", transaction),
                None => {}
            }
        }
        Ok(())
    }
}

/// As a restart finds it: through the record.
fn restored(id: &str, transaction: &Transaction) -> Transaction {
    let batch: Bytes = records::batch(id, Some(transaction), 1).unwrap();
    let record = decode_records(&batch, 1 << 20).unwrap().remove(0);
    let read = records::read(&record.key.unwrap(), record.value.as_ref());
    let (read_id, read) = read.unwrap().unwrap();
    assert_eq!(&*read_id, id);
    read.unwrap()
}

fn run(second: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(second);
    for which in 0..IDS.len() {
        world.take(Step::Init(which));
        world.take(Step::Stored(true));
    }
    for step in steps {
        world.take(step);
    }
    world.finish();
    world.check()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn transactions_of_the_first_protocol_are_whole_or_not_there(
        steps in prop::collection::vec(step(), 1..250)
    ) {
        run(false, steps)?;
    }

    #[test]
    fn transactions_of_the_second_protocol_are_whole_or_not_there(
        steps in prop::collection::vec(step(), 1..250)
    ) {
        run(true, steps)?;
    }
}

/// A producer in its first transaction, which has reached `t-0`.
fn begun(epoch: i16) -> (Engine, Arc<str>) {
    let id: Arc<str> = Arc::from("a");
    let mut transaction = Transaction::new(7, TIMEOUT_MS, 1);
    transaction.epoch = epoch;
    let transaction = transaction.with_partitions(&BTreeSet::from([topic(0)]), 2, 1);
    let mut engine = Engine::new(RULES);
    engine.load(HashMap::from([(id.clone(), transaction)]));
    (engine, id)
}

fn replies(engine: &mut Engine) -> Vec<Reply> {
    let effects = engine.take_effects().into_iter();
    let replies = effects.filter_map(|effect| match effect {
        Effect::Reply { reply, .. } => Some(reply),
        _ => None,
    });
    replies.collect()
}

#[test]
fn the_last_epoch_is_followed_by_another_producer_id() {
    let (mut engine, id) = begun(i16::MAX - 1);
    let mut end = End {
        waiter: Waiter(1),
        producer: (7, i16::MAX - 1),
        commit: true,
        version: 2,
        fresh: None,
    };
    engine.end(&id, 2, &end);
    assert_eq!(replies(&mut engine), [Reply::NeedsProducerId]);
    end.fresh = Some(8);
    engine.end(&id, 2, &end);
    engine.stored(&id, 2, Ok(()));
    let effects = engine.take_effects();
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::Mark { markers, .. } if markers.producer == (7, i16::MAX))
    ));
    engine.marked(&id, 3);
    engine.stored(&id, 3, Ok(()));
    engine.take_effects();
    // Its answer was lost: the same request is told the new id.
    engine.end(&id, 4, &end);
    assert_eq!(replies(&mut engine), [Reply::Done((8, 0))]);
}

#[test]
fn ids_without_a_transaction_are_forgotten_in_time_and_open_ones_are_not() {
    let (mut engine, id) = begun(0);
    engine.expire(RULES.expiration_ms + 10);
    assert!(engine.take_effects().is_empty());
    let end = End {
        waiter: Waiter(1),
        producer: (7, 0),
        commit: false,
        version: 0,
        fresh: None,
    };
    engine.end(&id, 2, &end);
    engine.stored(&id, 2, Ok(()));
    engine.marked(&id, 2);
    engine.stored(&id, 2, Ok(()));
    engine.take_effects();
    engine.expire(RULES.expiration_ms + 10);
    let tombstone = Effect::Persist {
        id: id.clone(),
        transaction: None,
        durable: true,
    };
    assert_eq!(engine.take_effects(), [tombstone]);
    engine.stored(&id, 3, Ok(()));
    assert!(engine.describe(&id).is_none());
}
