//! Draws the next step: mostly what a client in this state would ask, now and then a lie.

use super::model::{Member, Model};
use super::step::{Names, Owned, Pid, Place, Seat, Step, Who, Writer};

/// A seeded stream of numbers.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).expect("small");
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % limit).expect("small")
    }

    /// True so many times out of a hundred.
    pub(super) fn often(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn version(&mut self, least: i16, most: i16) -> i16 {
        let range = usize::try_from(most - least + 1).expect("a range");
        let drawn = least + i16::try_from(self.below(range)).expect("small");
        if self.often(50) { most } else { drawn }
    }
}

/// What a sequence is about: weights of the kinds of requests.
#[derive(Debug, Clone, Copy)]
pub(super) enum About {
    Classic,
    Consumer,
    BothProtocols,
    Transactions,
    OffsetsInTransactions,
    Everything,
}

impl About {
    pub(super) fn draw(random: &mut Random) -> About {
        random.of(&[
            About::Classic,
            About::Consumer,
            About::BothProtocols,
            About::Transactions,
            About::OffsetsInTransactions,
            About::Everything,
        ])
    }

    /// Weights of classic, consumer, offsets, looking at groups, transactions, markers.
    fn weights(self) -> [usize; 6] {
        match self {
            About::Classic => [70, 0, 20, 10, 0, 0],
            About::Consumer => [2, 68, 20, 10, 0, 0],
            About::BothProtocols => [40, 40, 12, 8, 0, 0],
            About::Transactions => [0, 0, 0, 0, 90, 10],
            About::OffsetsInTransactions => [12, 8, 20, 3, 55, 2],
            About::Everything => [25, 25, 15, 10, 22, 3],
        }
    }
}

const INSTANCES: [Option<&str>; 4] = [Some("i1"), Some("i2"), None, Some("")];
const RANGE: Names = &["range"];
const BOTH: Names = &["range", "sticky"];
/// One topic with as many partitions as any number of members here can share evenly: which
/// partitions a member gets is the broker's choice.
const TOPICS: [Names; 4] = [&["pears"], &["pears"], &["missing"], &[]];
const EDGES: [i32; 8] = [-2, -1, 0, 1, 2, i32::MAX, i32::MIN, -3];
const OFFSETS: [i64; 6] = [0, 5, 42, -1, i64::MAX, i64::MIN];

/// The next step.
pub(super) fn draw(random: &mut Random, about: About, model: &Model) -> Step {
    let weights = about.weights();
    let mut at = random.below(weights.iter().sum());
    let kind = weights.iter().position(|weight| {
        let hit = at < *weight;
        at = at.saturating_sub(*weight);
        hit
    });
    match kind {
        Some(0) => classic(random, model),
        Some(1) => beat(random, model),
        Some(2) => offsets(random, model),
        Some(3) => looks(random),
        Some(4) => super::draw_transactions::draw(random, model),
        _ => super::draw_transactions::around(random, model),
    }
}

fn group(random: &mut Random) -> usize {
    match random.below(100) {
        0..90 => 0,
        90..98 => 1,
        _ => 2,
    }
}

pub(super) fn place(random: &mut Random) -> Place {
    match random.below(100) {
        0..60 => Place(0, 0),
        60..75 => Place(0, 1),
        75..90 => Place(1, 0),
        90..94 => Place(0, 2),
        94..97 => Place(1, 9),
        _ => Place(2, 0),
    }
}

/// Somebody who speaks for a group: a member as it is, or someone who lies.
pub(super) fn seat(random: &mut Random, model: &Model) -> Seat {
    let group = group(random);
    let members = model.members(group);
    let known = (!members.is_empty()).then(|| members[random.below(members.len())]);
    let stranger = Member {
        who: Who::Named("liar"),
        generation: model.number(group),
        ..Member::default()
    };
    let of = known.filter(|_| random.often(95)).unwrap_or(stranger);
    let mut seat = Seat {
        group,
        who: of.who,
        generation: of.generation,
        instance: of.instance,
    };
    if random.often(25) {
        lie(random, model, &mut seat);
    }
    seat
}

fn lie(random: &mut Random, model: &Model, seat: &mut Seat) {
    if random.often(50) {
        let near = [
            seat.generation.wrapping_add(1),
            seat.generation.wrapping_sub(1),
        ];
        seat.generation = if random.often(50) {
            random.of(&near)
        } else {
            random.of(&EDGES)
        };
    }
    if random.often(35) {
        seat.who = match random.below(4) {
            0 => Who::Named(""),
            1 => Who::Named("liar"),
            _ => Who::Nth(random.below(model.drawn.max(1))),
        };
    }
    if random.often(35) {
        seat.instance = random.of(&INSTANCES);
    }
}

fn classic(random: &mut Random, model: &Model) -> Step {
    let of = seat(random, model);
    if let Some(member) = model.joined(of.group).filter(|_| random.often(45)) {
        return sync(random, model, of.group, member);
    }
    match random.below(100) {
        0..55 => join(random, model, of),
        55..67 => {
            let member = Member {
                who: of.who,
                generation: of.generation,
                instance: of.instance,
                leads: random.often(50),
                ..Member::default()
            };
            sync(random, model, of.group, member)
        }
        67..88 => Step::Heartbeat {
            v: random.version(0, 4),
            seat: of,
        },
        _ => {
            let mut members = vec![(of.who, of.instance)];
            if random.often(25) {
                let other = seat(random, model);
                members.push((other.who, other.instance));
            }
            if random.often(20) {
                members[0] = (Who::Named(""), random.of(&INSTANCES));
            }
            Step::Leave {
                v: random.version(0, 5),
                group: of.group,
                members,
            }
        }
    }
}

fn join(random: &mut Random, model: &Model, mut of: Seat) -> Step {
    if model.members(of.group).len() < 3 && random.often(30) {
        of.who = Who::Named("");
        of.instance = if random.often(40) {
            random.of(&INSTANCES)
        } else {
            None
        };
    }
    let (mut kind, mut session_ms, mut rebalance_ms) = ("consumer", 600_000, 600_000);
    let mut protocols = random.of(&[RANGE, RANGE, RANGE, BOTH]);
    if random.often(6) {
        kind = random.of(&["", "connect"]);
    }
    if random.often(5) {
        session_ms = random.of(&[-1, 0, 1, 5_999, 1_800_001, i32::MAX, i32::MIN]);
    }
    if random.often(3) {
        rebalance_ms = random.of(&[i32::MAX, 1_800_001]);
    }
    if random.often(6) {
        protocols = random.of(&[&[] as Names, &["sticky"], &["sticky", "range"], &[""]]);
    }
    Step::Join {
        v: random.version(0, 9),
        seat: of,
        kind,
        protocols,
        topics: random.of(&TOPICS),
        session_ms,
        rebalance_ms,
    }
}

fn sync(random: &mut Random, model: &Model, group: usize, member: Member) -> Step {
    let mut assignments = Vec::new();
    if member.leads || random.often(5) {
        for of in model.members(group) {
            assignments.push((of.who, random.of(&["part", "other", ""])));
        }
    }
    if random.often(4) {
        assignments.push((Who::Named("liar"), "part"));
    }
    let mut seat = Seat {
        group,
        who: member.who,
        generation: member.generation,
        instance: member.instance,
    };
    if random.often(10) {
        lie(random, model, &mut seat);
    }
    let named = random.often(85);
    Step::Sync {
        v: random.version(0, 5),
        seat,
        kind: if named {
            Some("consumer")
        } else {
            random.of(&[None, Some("connect"), Some("")])
        },
        protocol: if random.often(85) {
            member.protocol
        } else {
            random.of(&[None, Some("sticky"), Some("")])
        },
        assignments,
    }
}

fn beat(random: &mut Random, model: &Model) -> Step {
    let mut of = seat(random, model);
    let fresh = model.members(of.group).len() < 3 && random.often(40);
    if fresh {
        of.who = random.of(&["m0", "m1", "m2"].map(Who::Named));
        of.generation = 0;
        of.instance = if random.often(40) {
            random.of(&INSTANCES)
        } else {
            None
        };
        if random.often(4) {
            of.who = Who::Named("");
        }
    } else if random.often(12) {
        of.generation = random.of(&[0, -1, -1, -2, -2, -3]);
    }
    let joins = of.generation == 0;
    let says = joins || random.often(30);
    let mut step = Step::Beat {
        v: random.version(0, 1),
        seat: of,
        rack: None,
        rebalance_ms: if says { 600_000 } else { -1 },
        topics: says.then(|| random.of(&TOPICS)),
        regex: None,
        assignor: None,
        owned: match (joins, random.below(100)) {
            (true, 0..93) | (_, 60..70) => Some(Owned::Nothing),
            (_, 0..35) => Some(Owned::Last),
            (_, 35..60) => Some(Owned::Less),
            (_, 70..76) => Some(random.of(&[Owned::Pear, Owned::Unknown])),
            _ => None,
        },
    };
    if let Step::Beat {
        rack,
        rebalance_ms,
        topics,
        regex,
        assignor,
        ..
    } = &mut step
    {
        match random.below(60) {
            0 | 1 => *rack = random.of(&[Some("r1"), Some("")]),
            2 => *rebalance_ms = random.of(&[0, -2, 1, i32::MAX, i32::MIN]),
            3 => *regex = random.of(&[Some(""), Some("a(b")]),
            4..10 => {
                *assignor = random.of(&[Some("range"), Some("uniform"), Some("none"), Some("")]);
            }
            10 => *topics = None,
            _ => {}
        }
    }
    step
}

fn offsets(random: &mut Random, model: &Model) -> Step {
    let mut of = seat(random, model);
    if random.often(20) {
        (of.who, of.generation, of.instance) = (Who::Named(""), -1, None);
    }
    match random.below(100) {
        0..50 => Step::Commit {
            v: random.version(2, 10),
            seat: of,
            place: place(random),
            offset: random.of(&OFFSETS),
            leader_epoch: random.of(&[-1, 0, 7, i32::MAX, -2]),
            metadata: match random.of(&[Some(0), Some(3), None, Some(4096), Some(4097)]) {
                // Kafka makes a group of this that it does not show before its next write.
                Some(4097) if of.generation < 0 => Some(4096),
                drawn => drawn,
            },
        },
        50..80 => Step::Offsets {
            v: random.version(1, 10),
            seat: if random.often(50) {
                Seat {
                    who: Who::Named(""),
                    generation: -1,
                    ..of
                }
            } else {
                of
            },
            all: random.often(50),
            stable: random.often(50),
        },
        80..90 => Step::DeleteOffsets {
            group: of.group,
            place: place(random),
        },
        _ => Step::DeleteGroups {
            v: random.version(0, 2),
            groups: random
                .of(&[&[0usize] as &[usize], &[0, 1], &[1], &[2], &[0, 0]])
                .to_vec(),
        },
    }
}

fn looks(random: &mut Random) -> Step {
    match random.below(10) {
        0..4 => Step::DescribeConsumer {
            v: random.version(0, 1),
            group: group(random),
        },
        4..8 => Step::DescribeClassic {
            v: random.version(0, 6),
            group: group(random),
        },
        8 => Step::ListGroups {
            v: random.version(0, 5),
            states: random.of(&[&[] as Names, &["Stable"], &["empty", "Nonsense"], &["Dead"]]),
            types: random.of(&[&[] as Names, &["classic"], &["Consumer"], &["nonsense"]]),
        },
        _ => Step::Coordinator {
            v: random.version(0, 6),
            key: random.of(&["some", "", "a:b:0"]),
            kind: random.of(&[0, 1, 0, 1, 2, 3, -1]),
        },
    }
}

/// Looks at everything, to be done at the end.
pub(super) fn last_looks() -> Vec<Step> {
    let nobody = |group| Seat {
        group,
        who: Who::Named(""),
        generation: -1,
        instance: None,
    };
    let mut steps = Vec::new();
    for group in [0, 1] {
        steps.push(Step::DescribeClassic { v: 6, group });
        steps.push(Step::DescribeConsumer { v: 1, group });
        for stable in [false, true] {
            steps.push(Step::Offsets {
                v: 9,
                seat: nobody(group),
                all: true,
                stable,
            });
        }
        steps.push(Step::DescribeTransaction { id: group });
        let place = Place(0, i32::try_from(group).expect("small"));
        steps.push(Step::Producers { place });
        steps.push(Step::Read { place });
    }
    steps
}

/// A writer that nobody knows.
pub(super) const STRANGER: Writer = Writer {
    id: Some(1),
    pid: Pid::Lie(1 << 40),
    epoch: 0,
};

/// A version, mostly the highest.
pub(super) fn version(random: &mut Random, least: i16, most: i16) -> i16 {
    random.version(least, most)
}
