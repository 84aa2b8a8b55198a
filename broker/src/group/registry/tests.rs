//! The registry with a log that is only a list of records: what memory holds is what the records
//! say; what has lapsed is forgotten, and nothing else.

mod migrating;

use proptest::prelude::*;
use std::collections::BTreeSet;

use super::*;
use crate::group::consumer::tests::{BOUNDS, FixedTopics};
use crate::group::consumer::{Assignor, ConsumerRules};
use crate::group::engine::{Claim, ClientInfo, Join, Leaving, Protocol, State, Sync};
use bytes::Bytes;

const HOUR_MS: i64 = 3_600_000;

fn registry() -> Registry {
    let limits = Limits {
        max_size: 10,
        initial_rebalance_delay_ms: 0,
        new_member_join_timeout_ms: 300_000,
    };
    let rules = Rules {
        limits,
        consumer: ConsumerRules {
            session_timeout_ms: 45_000,
            heartbeat_interval_ms: 5_000,
            assignment_interval_ms: 0,
            max_size: 10,
            upgrade: true,
            downgrade: true,
            classic_max_size: 10,
            assignor: Assignor::Uniform,
            bounds: BOUNDS,
        },
        offsets_retention_ms: HOUR_MS,
    };
    Registry::new(rules, Arc::new(FixedTopics::default()))
}

fn at(ms: i64) -> Now {
    Now {
        tick_ms: u64::try_from(ms).expect("positive"),
        wall_ms: 1_000_000_000 + ms,
    }
}

/// Records in order; a write's records get the places that follow.
#[derive(Debug, Default)]
struct Records(Vec<KeyValue>);

impl Records {
    /// Stores everything that waits.
    fn store(&mut self, registry: &mut Registry, now: Now) {
        loop {
            let writes = registry.take_writes();
            if writes.is_empty() {
                return;
            }
            for write in writes {
                let offset = self.0.len() as i64;
                self.0.extend(write.records.iter().cloned());
                registry.finish(now, write, Ok(offset));
            }
        }
    }

    fn rebuild(&self, now: Now) -> Registry {
        let mut loading = Loading::default();
        for (offset, record) in self.0.iter().enumerate() {
            loading.record(&record.key, record.value.as_ref(), offset as i64);
        }
        assert_eq!(loading.unreadable, 0);
        let mut registry = registry();
        registry.load(now, loading);
        registry
    }
}

fn commit(topic: &str, partition: i32, offset: i64, now: Now) -> Commit {
    let committed = Committed {
        offset,
        leader_epoch: -1,
        metadata: Box::from(""),
        committed_ms: now.wall_ms,
        expires_ms: None,
        record_offset: -1,
    };
    Commit {
        topic: Arc::from(topic),
        partition,
        committed,
    }
}

fn described(registry: &Registry, group: &str) -> Option<DescribedGroup> {
    match registry.describe(group) {
        Found::Group(group) => Some(group),
        Found::Nothing | Found::OtherKind => None,
    }
}

fn nobody() -> Claim {
    claim("", -1)
}

fn claim(member: &str, generation: i32) -> Claim {
    Claim {
        member_id: Arc::from(member),
        instance_id: None,
        generation,
    }
}

/// What a consumer says of itself: version 1, the topics, no user data, nothing owned.
fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.extend(0i32.to_be_bytes());
    Bytes::from(bytes)
}

fn join(registry: &mut Registry, group: &str, member: &str, now: Now) {
    join_with(registry, group, (member, subscription(&["in-use"])), now);
}

fn join_with(registry: &mut Registry, group: &str, (member, metadata): (&str, Bytes), now: Now) {
    registry.ensure_group(now, group).expect("room");
    let ask = |waiter| {
        Event::Join(Box::new(Join {
            waiter,
            member_id: None,
            new_member_id: Arc::from(member),
            instance_id: None,
            client: ClientInfo {
                id: Arc::from("c"),
                host: Arc::from("/h"),
            },
            session_timeout_ms: 2 * HOUR_MS as i32,
            rebalance_timeout_ms: 1_000,
            protocol_type: Arc::from("consumer"),
            protocols: vec![Protocol {
                name: Arc::from("range"),
                metadata: metadata.clone(),
            }],
            needs_known_id: false,
            can_skip_assignment: false,
        }))
    };
    registry.request(now, group, ask).expect("the group exists");
    registry.wake_due(now);
}

/// A stable group of one member in generation 1.
fn stable(registry: &mut Registry, records: &mut Records, group: &str, now: Now) {
    join(registry, group, "m", now);
    sync(registry, group, now);
    records.store(registry, now);
    assert_eq!(
        described(registry, group).map(|group| group.state),
        Some(State::Stable)
    );
}

/// The leader `m` of generation 1 has its say.
fn sync(registry: &mut Registry, group: &str, now: Now) {
    let sync = |waiter| {
        Event::Sync(Box::new(Sync {
            waiter,
            claim: claim("m", 1),
            protocol_type: None,
            protocol_name: None,
            assignments: Vec::new(),
        }))
    };
    registry
        .request(now, group, sync)
        .expect("the group exists");
}

fn offset(registry: &Registry, group: &str, topic: &str) -> Option<i64> {
    registry
        .offsets(group)?
        .get(topic, 0)
        .map(|kept| kept.offset)
}

#[test]
fn a_simple_groups_offsets_lapse_by_their_own_age_and_the_group_goes_with_the_last() {
    let (mut registry, mut records) = (registry(), Records::default());
    registry
        .commit(at(0), "g", &nobody(), vec![commit("old", 0, 1, at(0))])
        .expect("admitted");
    let later = at(HOUR_MS / 2);
    registry
        .commit(later, "g", &nobody(), vec![commit("new", 0, 2, later)])
        .expect("admitted");
    records.store(&mut registry, later);

    registry.expire(at(HOUR_MS - 1), |_| false);
    assert!(!registry.has_writes(), "not yet");
    registry.expire(at(HOUR_MS), |_| false);
    assert_eq!(
        offset(&registry, "g", "old"),
        Some(1),
        "memory waits for the tombstone"
    );
    records.store(&mut registry, at(HOUR_MS));
    assert_eq!(
        (offset(&registry, "g", "old"), offset(&registry, "g", "new")),
        (None, Some(2))
    );

    registry.expire(at(2 * HOUR_MS), |_| false);
    records.store(&mut registry, at(2 * HOUR_MS));
    assert_eq!(registry.describe("g"), Found::Nothing);
    assert_eq!(records.rebuild(at(0)).list(), []);
}

#[test]
fn an_empty_groups_offsets_count_from_when_it_became_empty() {
    let (mut registry, mut records) = (registry(), Records::default());
    stable(&mut registry, &mut records, "g", at(0));
    registry
        .commit(
            at(0),
            "g",
            &claim("m", 1),
            vec![commit("in-use", 0, 1, at(0))],
        )
        .expect("in");
    let gone = at(HOUR_MS);
    let members = vec![Leaving {
        member_id: Arc::from("m"),
        instance_id: None,
    }];
    registry
        .request(gone, "g", |waiter| Event::Leave { waiter, members })
        .expect("exists");
    records.store(&mut registry, gone);

    registry.expire(at(2 * HOUR_MS - 1), |_| false);
    assert!(
        !registry.has_writes(),
        "an hour after the last member, not after the commit"
    );
    registry.expire(at(2 * HOUR_MS), |_| false);
    records.store(&mut registry, at(2 * HOUR_MS));
    assert_eq!(registry.describe("g"), Found::Nothing);
    assert_eq!(records.rebuild(at(0)).list(), []);
}

#[test]
fn a_live_group_loses_only_offsets_of_topics_it_has_turned_away_from() {
    let (mut registry, mut records) = (registry(), Records::default());
    stable(&mut registry, &mut records, "g", at(0));
    let commits = vec![commit("in-use", 0, 1, at(0)), commit("left", 0, 2, at(0))];
    registry
        .commit(at(0), "g", &claim("m", 1), commits)
        .expect("admitted");
    records.store(&mut registry, at(0));
    registry.expire(at(HOUR_MS), |_| false);
    records.store(&mut registry, at(HOUR_MS));
    assert_eq!(
        (
            offset(&registry, "g", "in-use"),
            offset(&registry, "g", "left")
        ),
        (Some(1), None)
    );
}

#[test]
fn offsets_that_members_may_read_on_from_are_not_deleted() {
    let whole = subscription(&["in-use"]);
    let cut = whole.slice(..whole.len() - 4);
    let (kept, gone) = (ErrorCode::GroupSubscribedToTopic, ErrorCode::None);
    let cases = [
        (whole, [kept, gone]),
        // Says version 1 and leaves out what that added, as kafka-go does.
        (cut, [kept, gone]),
        // Nobody can tell what it reads.
        (Bytes::from_static(&[0]), [kept, kept]),
    ];
    let places = ["in-use", "left"].map(|topic| (Arc::from(topic), 0));
    for (metadata, wanted) in cases {
        let (mut registry, mut records, now) = (registry(), Records::default(), at(0));
        registry.ensure_group(now, "g").expect("room");
        let nobodys = vec![commit("in-use", 0, 1, now), commit("left", 0, 2, now)];
        let committed = registry.commit(now, "g", &nobody(), nobodys);
        committed.expect("admitted");
        records.store(&mut registry, now);
        join_with(&mut registry, "g", ("m", metadata.clone()), now);
        let again = {
            let (mut other, mut stored) = (self::registry(), Records::default());
            join_with(&mut other, "g", ("m", metadata), now);
            sync(&mut other, "g", now);
            stored.store(&mut other, now);
            stored.rebuild(now)
        };
        for (when, mut registry) in [("while it is led", registry), ("read from the log", again)] {
            let found = registry.delete_offsets("g", &places, &BTreeSet::new());
            assert_eq!(found.expect("consumers").0, wanted, "{when}");
        }
    }
}

#[test]
fn an_expiry_of_its_own_goes_before_the_retention() {
    let (mut registry, mut records) = (registry(), Records::default());
    let mut own = commit("t", 0, 1, at(0));
    own.committed.expires_ms = Some(at(500).wall_ms);
    registry
        .commit(at(0), "g", &nobody(), vec![own])
        .expect("admitted");
    records.store(&mut registry, at(0));
    assert_eq!(
        records
            .rebuild(at(0))
            .offsets("g")
            .and_then(|all| all.get("t", 0)?.expires_ms),
        Some(at(500).wall_ms),
        "it is stored"
    );
    registry.expire(at(500), |_| false);
    records.store(&mut registry, at(500));
    assert_eq!(registry.describe("g"), Found::Nothing);
}

#[test]
fn a_commit_that_overtakes_a_tombstone_stays() {
    let (mut registry, mut records) = (registry(), Records::default());
    registry
        .commit(at(0), "g", &nobody(), vec![commit("t", 0, 1, at(0))])
        .expect("admitted");
    records.store(&mut registry, at(0));
    let now = at(HOUR_MS);
    registry.expire(now, |_| false);
    registry
        .commit(now, "g", &nobody(), vec![commit("t", 0, 2, now)])
        .expect("admitted");
    let mut writes = registry.take_writes();
    // Stored in the order of the queue, reported the other way round.
    records.0.extend(
        writes
            .iter()
            .flat_map(|write| write.records.iter().cloned()),
    );
    let second = writes.pop().expect("the commit");
    let first = writes.pop().expect("the tombstones");
    let place = 1 + first.records.len() as i64;
    registry.finish(now, second, Ok(place));
    registry.finish(now, first, Ok(1));
    assert_eq!(offset(&registry, "g", "t"), Some(2));
    assert_eq!(offset(&records.rebuild(now), "g", "t"), Some(2));
}

#[test]
fn offsets_of_deleted_topics_are_forgotten() {
    let (mut registry, mut records) = (registry(), Records::default());
    let commits = vec![commit("gone", 0, 1, at(0)), commit("kept", 0, 2, at(0))];
    registry
        .commit(at(0), "g", &nobody(), commits)
        .expect("admitted");
    records.store(&mut registry, at(0));
    registry.forget_topics(&[Arc::from("gone")].into());
    records.store(&mut registry, at(1));
    assert_eq!(
        (
            offset(&registry, "g", "gone"),
            offset(&registry, "g", "kept")
        ),
        (None, Some(2))
    );
}

#[test]
fn a_record_that_cannot_be_read_is_counted_and_passed_over() {
    let mut loading = Loading::default();
    loading.record(&Bytes::from_static(b"\0\x01\0\x05ab"), None, 0);
    loading.record(&Bytes::from_static(b"\0"), None, 1);
    loading.record(
        &Bytes::from_static(b"\0\x09future"),
        Some(&Bytes::from_static(b"?")),
        2,
    );
    assert_eq!(
        loading.unreadable, 2,
        "a kind of a later version is no error"
    );
}

#[derive(Debug, Clone)]
enum Act {
    Commit {
        group: u8,
        topic: u8,
        partition: i32,
    },
    Join {
        group: u8,
    },
    Expire,
    Wait {
        minutes: i64,
    },
    Store,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..4u8, 0..3u8, 0..3i32)
            .prop_map(|(group, topic, partition)| Act::Commit { group, topic, partition }),
        1 => (0..4u8).prop_map(|group| Act::Join { group }),
        2 => Just(Act::Expire),
        2 => (0..50i64).prop_map(|minutes| Act::Wait { minutes }),
        2 => Just(Act::Store),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_what_the_records_say(acts in prop::collection::vec(act(), 1..80)) {
        let (mut registry, mut records) = (registry(), Records::default());
        let (mut ms, mut next) = (0, 0);
        for act in acts {
            match act {
                Act::Commit { group, topic, partition } => {
                    next += 1;
                    let commits = vec![commit(&format!("t{topic}"), partition, next, at(ms))];
                    // Refused while the group has members: nobody is one of them.
                    registry.commit(at(ms), &format!("g{group}"), &nobody(), commits).ok();
                }
                Act::Join { group } => join(&mut registry, &format!("g{group}"), "m", at(ms)),
                Act::Expire => registry.expire(at(ms), |_| false),
                Act::Wait { minutes } => {
                    ms += minutes * 60_000;
                    registry.wake_due(at(ms));
                }
                Act::Store => records.store(&mut registry, at(ms)),
            }
        }
        records.store(&mut registry, at(ms));
        let rebuilt = records.rebuild(at(ms));
        for group in 0..4 {
            let id = format!("g{group}");
            let empty = GroupOffsets::default();
            let kept = |registry: &Registry| registry.offsets(&id).unwrap_or(&empty).clone();
            prop_assert_eq!(kept(&rebuilt), kept(&registry), "offsets of {}", id);
        }
    }
}
