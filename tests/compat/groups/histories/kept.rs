//! Histories in which Logway once differed from Kafka, made small.

use super::step::{Names, Owned, Pid, Place, Seat, Step, Who, Writer};

const OWN: Place = Place(0, 0);
const RANGE: Names = &["range"];
const PEARS: Names = &["pears"];
const NOBODY: Seat = seat(Who::Named(""), -1);

const fn seat(who: Who, generation: i32) -> Seat {
    Seat {
        group: 0,
        who,
        generation,
        instance: None,
    }
}

const fn named(name: &'static str, generation: i32) -> Seat {
    seat(Who::Named(name), generation)
}

const fn nth(nth: usize, generation: i32) -> Seat {
    seat(Who::Nth(nth), generation)
}

const fn fixed(seat: Seat, instance: &'static str) -> Seat {
    Seat {
        instance: Some(instance),
        ..seat
    }
}

fn join(v: i16, seat: Seat, topics: Names) -> Step {
    Step::Join {
        v,
        seat,
        kind: "consumer",
        protocols: RANGE,
        topics,
        session_ms: 600_000,
        rebalance_ms: 600_000,
    }
}

fn sync(v: i16, seat: Seat, kind: Option<&'static str>) -> Step {
    Step::Sync {
        v,
        seat,
        kind,
        protocol: Some("range"),
        assignments: Vec::new(),
    }
}

/// A heartbeat of the consumer protocol that says all there is to say.
fn beat(v: i16, seat: Seat, topics: Names) -> Step {
    Step::Beat {
        v,
        seat,
        rack: None,
        rebalance_ms: 600_000,
        topics: Some(topics),
        regex: None,
        assignor: None,
        owned: Some(Owned::Nothing),
    }
}

fn broken(seat: Seat) -> Step {
    let mut step = beat(1, seat, PEARS);
    if let Step::Beat { regex, .. } = &mut step {
        *regex = Some("a(b");
    }
    step
}

fn commit(v: i16, seat: Seat, length: usize) -> Step {
    Step::Commit {
        v,
        seat,
        place: OWN,
        offset: 5,
        leader_epoch: -1,
        metadata: Some(length),
    }
}

const fn writer(pid: Pid, epoch: i16) -> Writer {
    Writer {
        id: Some(0),
        pid,
        epoch,
    }
}

fn init() -> Step {
    Step::Init {
        v: 5,
        by: writer(Pid::Lie(-1), -1),
        timeout_ms: 600_000,
    }
}

fn produce(v: i16, by: Writer) -> Step {
    Step::Produce {
        v,
        by,
        sequence: 0,
        place: OWN,
        transactional: true,
    }
}

fn end(v: i16, by: Writer, commit: bool) -> Step {
    Step::End { v, by, commit }
}

fn offsets() -> Step {
    Step::Offsets {
        v: 9,
        seat: NOBODY,
        all: true,
        stable: true,
    }
}

/// Each with what it is about.
pub(super) fn kept() -> Vec<(&'static str, Vec<Step>)> {
    let mut kept = groups();
    kept.extend(changing_protocols());
    kept.extend(transactions());
    kept
}

fn groups() -> Vec<(&'static str, Vec<Step>)> {
    let delete = |groups: &[usize]| Step::DeleteGroups {
        v: 2,
        groups: groups.to_vec(),
    };
    vec![
        (
            "long metadata of one who may not commit",
            vec![
                commit(10, named("liar", 1), 4097),
                commit(8, named("liar", 1), 4097),
                commit(8, NOBODY, 4097),
                commit(8, named("", 0), 5),
            ],
        ),
        (
            "a sync that does not say its protocol",
            vec![sync(5, nth(0, 5), None), sync(4, nth(0, 5), None)],
        ),
        ("a group named twice", vec![delete(&[0, 0])]),
        (
            "a deleted group forgets ids that it gave",
            vec![
                join(9, NOBODY, PEARS),
                delete(&[0]),
                join(2, nth(0, 1), PEARS),
            ],
        ),
        (
            "a reserved id with an instance",
            vec![
                join(9, NOBODY, PEARS),
                join(9, fixed(nth(0, -1), "i1"), PEARS),
            ],
        ),
    ]
}

fn changing_protocols() -> Vec<(&'static str, Vec<Step>)> {
    let look = Step::DescribeClassic { v: 6, group: 0 };
    let leave = Step::Leave {
        v: 4,
        group: 0,
        members: vec![(Who::Nth(0), Some("i2"))],
    };
    vec![
        (
            "a broken expression of a stranger",
            vec![broken(named("m2", 2)), broken(named("m2", 0))],
        ),
        (
            "away without an id",
            vec![beat(0, fixed(named("", -2), "i1"), PEARS)],
        ),
        (
            "the last consumer becomes classic and wants something else",
            vec![
                beat(1, fixed(named("m2", 0), "i2"), &[]),
                join(9, fixed(named("m2", 2), "i2"), &["missing"]),
                look.clone(),
            ],
        ),
        (
            "a consumer that wants nothing joins a classic group",
            vec![
                join(9, fixed(NOBODY, "i2"), PEARS),
                beat(1, named("m1", 0), &[]),
            ],
        ),
        (
            "a classic member leaves others who are classic by now",
            vec![
                beat(1, named("m1", 0), &["missing"]),
                join(2, named("m1", 4), PEARS),
                join(9, fixed(NOBODY, "i2"), PEARS),
                leave,
                look,
            ],
        ),
    ]
}

fn transactions() -> Vec<(&'static str, Vec<Step>)> {
    let by = writer(Pid::Nth(0), 0);
    let within = |v, by| Step::TxnCommit {
        v,
        by,
        seat: NOBODY,
        place: OWN,
        offset: 42,
    };
    let delete = Step::DeleteOffsets {
        group: 0,
        place: OWN,
    };
    let nameless = Writer { id: Some(2), ..by };
    let odd = Step::Init {
        v: 3,
        by: writer(Pid::Lie(-1), i16::MIN),
        timeout_ms: 600_000,
    };
    let marker = Step::Mark {
        v: 2,
        by: writer(Pid::Lie(-1), 0),
        commit: true,
        place: OWN,
        coordinator_epoch: 0,
        transaction_version: 1,
    };
    let look = Step::DescribeClassic { v: 6, group: 0 };
    vec![
        (
            "a transaction's offset makes its group",
            vec![init(), within(5, by), look],
        ),
        (
            "an offset that is deleted before its transaction commits",
            vec![init(), within(5, by), delete, end(5, by, true), offsets()],
        ),
        (
            "requests of a transaction without a name",
            vec![
                init(),
                produce(9, nameless),
                produce(12, nameless),
                within(4, nameless),
                within(5, nameless),
            ],
        ),
        ("an epoch without an id", vec![odd]),
        (
            "a marker of nobody",
            vec![marker, Step::Read { place: OWN }],
        ),
    ]
}
