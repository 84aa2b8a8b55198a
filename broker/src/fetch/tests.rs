//! Random histories: what incremental answers add up to is what full answers would say, nobody
//! starves, and the cache keeps Kafka's rules.

use std::collections::HashMap;

use logway_protocol::{ErrorCode, Text};
use proptest::prelude::*;

use super::{Asked, Kept, Seen, Session, SessionCache, TopicKey, next_epoch};

const PARTITIONS: i32 = 6;

/// A partition as the broker has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Log {
    start: i64,
    stable: i64,
    end: i64,
    gone: bool,
}

impl Log {
    fn seen(self, asked: Asked) -> (Seen, i64) {
        if self.gone || !(self.start..=self.end).contains(&asked.fetch_offset) {
            return (Seen::nothing(), 0);
        }
        let records = (self.end - asked.fetch_offset).min(i64::from(asked.max_bytes));
        let seen = Seen {
            high_watermark: self.end,
            last_stable_offset: self.stable,
            log_start_offset: self.start,
            records: records > 0,
            failed: false,
        };
        (seen, records)
    }
}

/// What a client knows of a partition, and where it reads.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    position: i64,
    told: Option<(i64, i64, i64)>,
    failed: bool,
}

#[derive(Default)]
struct World {
    logs: HashMap<i32, Log>,
    known: HashMap<i32, Known>,
    session: Option<Session<()>>,
}

fn topic() -> TopicKey {
    TopicKey::Name(Text::from("t"))
}

impl World {
    fn session(&mut self) -> &mut Session<()> {
        self.session
            .get_or_insert_with(|| Session::with_capacity(0))
    }

    fn ask(&mut self, partition: i32) {
        let known = self.known.entry(partition).or_default();
        let asked = Asked {
            partition,
            fetch_offset: known.position,
            max_bytes: 5,
            current_leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let number = self.session().number_of(&topic());
        self.session().ask(number, asked, |_| ());
    }

    fn change(&mut self, partition: i32, change: impl FnOnce(&mut Log)) {
        change(self.logs.entry(partition).or_default());
        let session = self.session();
        let at = session.places().find(|at| {
            let slot = session.slot(*at);
            slot.is_some_and(|slot| slot.asked.partition == partition)
        });
        if let Some(at) = at {
            session.list(at);
        }
    }

    /// One poll for at most `limit` records; returns the partitions that were answered.
    fn poll(&mut self, limit: i64) -> Vec<i32> {
        let logs = self.logs.clone();
        let session = self.session();
        let (mut found, mut left) = (Vec::new(), limit);
        for _ in 0..session.listed() {
            if left <= 0 {
                break;
            }
            let at = session.take_listed().unwrap();
            let asked = session.slot(at).unwrap().asked;
            let log = logs.get(&asked.partition).copied().unwrap_or_default();
            let (seen, records) = log.seen(asked);
            if session.is_news(at, seen) {
                left -= records;
                found.push((at, asked, seen, records));
            } else {
                session.unlist(at);
            }
        }
        for (at, _, seen, _) in &found {
            session.told(*at, *seen);
        }
        let mut answered = Vec::new();
        for (_, asked, seen, records) in found {
            let known = self.known.get_mut(&asked.partition).unwrap();
            known.failed = seen.failed;
            known.position += records;
            known.told = Some((
                seen.high_watermark,
                seen.last_stable_offset,
                seen.log_start_offset,
            ));
            if records > 0 {
                self.ask(asked.partition);
            }
            answered.push(asked.partition);
        }
        answered
    }

    fn check(&self) {
        for (partition, known) in &self.known {
            let log = self.logs.get(partition).copied().unwrap_or_default();
            let readable = !log.gone && (log.start..=log.end).contains(&known.position);
            assert_eq!(known.failed, !readable, "{partition}: {known:?} {log:?}");
            if readable {
                assert_eq!(known.told, Some((log.end, log.stable, log.start)));
                assert_eq!(known.position, log.end);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(i32, i64),
    Decide(i32),
    Trim(i32),
    Gone(i32, bool),
    Ask(i32),
    Forget(i32),
    Poll(i64),
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = 0..PARTITIONS;
    let step = prop_oneof![
        4 => (partition.clone(), 1..12i64).prop_map(|(at, count)| Step::Append(at, count)),
        1 => partition.clone().prop_map(Step::Decide),
        1 => partition.clone().prop_map(Step::Trim),
        1 => (partition.clone(), any::<bool>()).prop_map(|(at, gone)| Step::Gone(at, gone)),
        3 => partition.clone().prop_map(Step::Ask),
        1 => partition.prop_map(Step::Forget),
        4 => (1..20i64).prop_map(Step::Poll),
        2 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn incremental_answers_add_up_to_full_ones(steps in steps()) {
        let mut world = World::default();
        for step in steps {
            match step {
                Step::Append(at, count) => world.change(at, |log| log.end += count),
                Step::Decide(at) => world.change(at, |log| log.stable = log.end),
                Step::Trim(at) => world.change(at, |log| log.start = log.end),
                Step::Gone(at, gone) => world.change(at, |log| log.gone = gone),
                Step::Ask(at) => world.ask(at),
                Step::Forget(at) => {
                    world.known.remove(&at);
                    world.session().forget(&topic(), at);
                    prop_assert_eq!(world.session().len(), world.known.len());
                }
                Step::Poll(limit) => drop(world.poll(limit)),
                Step::Settle => {
                    // Each poll brings something forward until all is told.
                    for _ in 0..400 {
                        world.poll(7);
                    }
                    world.check();
                    let listed = world.session().listed();
                    let failed = world.known.values().filter(|known| known.failed).count();
                    prop_assert_eq!(listed, failed, "what has nothing to tell is left alone");
                }
            }
        }
    }
}

#[test]
fn a_busy_partition_leaves_the_others_their_turns() {
    let mut world = World::default();
    for at in 0..PARTITIONS {
        world.ask(at);
        world.change(at, |log| log.end = 1000);
    }
    let mut turns = HashMap::new();
    for _ in 0..PARTITIONS * 10 {
        for at in world.poll(1) {
            *turns.entry(at).or_insert(0) += 1;
        }
    }
    assert!(turns.values().all(|count| *count == 10), "{turns:?}");
}

fn kept(size: usize) -> Kept {
    Kept {
        privileged: false,
        by_id: true,
        size,
    }
}

/// Numbers from 1 on.
fn counter() -> impl FnMut() -> i32 {
    let mut last = 0;
    move || {
        last += 1;
        last
    }
}

#[test]
fn only_the_next_request_of_a_session_is_taken() {
    let mut cache = SessionCache::new(2, 100);
    let id = cache.keep('a', kept(1), 0, counter()).unwrap();
    let refused = |result: Result<char, ErrorCode>| result.unwrap_err();
    assert_eq!(
        refused(cache.take_turn(id + 1, 1, true, 0)),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(
        refused(cache.take_turn(id, 2, true, 0)),
        ErrorCode::InvalidFetchSessionEpoch
    );
    assert_eq!(
        refused(cache.take_turn(id, 1, false, 0)),
        ErrorCode::FetchSessionTopicIdError
    );
    assert_eq!(cache.take_turn(id, 1, true, 0), Ok('a'));
    assert!(cache.is_due(id, 2));
    assert_eq!(
        refused(cache.take_turn(id, 1, true, 0)),
        ErrorCode::InvalidFetchSessionEpoch
    );
    assert_eq!(next_epoch(i32::MAX), 1);
    cache.remove(id);
    assert_eq!(
        refused(cache.take_turn(id, 2, true, 0)),
        ErrorCode::FetchSessionIdNotFound
    );
}

#[test]
fn a_full_cache_gives_way_by_age_then_by_size() {
    const OLD: i64 = 120_001;
    let mut ids = counter();
    let mut cache = SessionCache::new(2, 1000);
    let small = cache.keep("small", kept(1), 0, &mut ids).unwrap();
    let large = cache.keep("large", kept(5), 0, &mut ids).unwrap();
    // Young sessions stay, however large the newcomer.
    assert_eq!(cache.keep("new", kept(100), 10, &mut ids), None);
    // Both have been here for long and are in use: the smaller one goes for a larger one only.
    cache.take_turn(small, 1, true, OLD).unwrap();
    cache.take_turn(large, 1, true, OLD).unwrap();
    assert_eq!(cache.keep("tiny", kept(0), OLD, &mut ids), None);
    let middle = cache.keep("middle", kept(3), OLD, &mut ids).unwrap();
    assert!(cache.take_turn(small, 2, true, OLD).is_err());
    // A session that nobody used for two minutes goes for anyone.
    cache.take_turn(large, 2, true, 2 * OLD).unwrap();
    assert!(cache.keep("any", kept(0), 2 * OLD, &mut ids).is_some());
    assert!(cache.take_turn(middle, 1, true, 2 * OLD).is_err());
    assert_eq!((cache.len(), cache.evictions()), (2, 2));
}

#[test]
fn followers_go_last() {
    let mut ids = counter();
    let mut cache = SessionCache::new(1, 1000);
    cache.keep("consumer", kept(50), 0, &mut ids).unwrap();
    let follower = Kept {
        privileged: true,
        ..kept(1)
    };
    let id = cache.keep("follower", follower, 1, &mut ids);
    assert!(
        id.is_some(),
        "a follower needs no age to push a consumer out"
    );
    assert_eq!(cache.keep("consumer", kept(900), 2, &mut ids), None);
}

#[test]
fn partitions_of_all_sessions_are_bounded() {
    let mut ids = counter();
    let mut cache = SessionCache::new(10, 100);
    let id = cache.keep("a", kept(60), 0, &mut ids).unwrap();
    assert_eq!(cache.keep("b", kept(41), 0, &mut ids), None);
    let other = cache.keep("c", kept(40), 0, &mut ids).unwrap();
    assert!(cache.resize(id, 50) && cache.resize(other, 50));
    assert!(!cache.resize(id, 51), "a session that grows too much ends");
    assert!(cache.take_turn(id, 1, true, 0).is_err());
    assert!(cache.resize(other, 100));
}
