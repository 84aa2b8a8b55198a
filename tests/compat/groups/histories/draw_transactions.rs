//! Draws what writers of transactions ask.

use super::draw::{Random, STRANGER, place as any_place, seat, version};
use super::model::Model;
use super::step::{Names, Pid, Place, Seat, Step, Who, Writer};

const EPOCHS: [i16; 6] = [-1, 0, 1, i16::MAX, i16::MIN, i16::MAX - 1];

/// Somebody who writes: an id with its producer, or someone who lies.
fn writer(random: &mut Random, model: &Model) -> Writer {
    let id = match random.below(100) {
        0..80 => 0,
        80..98 => 1,
        _ => 2,
    };
    let mut of = model.writer(id).unwrap_or(Writer {
        id: Some(id),
        ..STRANGER
    });
    if random.often(20) {
        if random.often(60) {
            let near = [of.epoch.wrapping_add(1), of.epoch.wrapping_sub(1)];
            of.epoch = if random.often(70) {
                random.of(&near)
            } else {
                random.of(&EPOCHS)
            };
        }
        if random.often(40) {
            of.pid = match random.below(3) {
                0 => Pid::Lie(random.of(&[-1, 1 << 40, i64::MIN, i64::MAX])),
                _ => Pid::Nth(random.below(model.pids.max(1))),
            };
        }
    }
    of
}

/// A place of this sequence alone: offsets in a log are compared.
fn place(random: &mut Random) -> Place {
    match any_place(random) {
        Place(1, partition) => Place(0, partition),
        other => other,
    }
}

fn places(random: &mut Random) -> Vec<Place> {
    let mut places = vec![place(random)];
    while random.often(35) {
        let next = place(random);
        if !places.contains(&next) {
            places.push(next);
        }
    }
    places
}

/// A request of a transaction.
pub(super) fn draw(random: &mut Random, model: &Model) -> Step {
    let by = writer(random, model);
    if model.writer(by.id.unwrap_or(2)).is_none() && random.often(85) {
        return init(random, by, true);
    }
    match random.below(100) {
        0..10 => {
            let anew = random.often(60);
            init(random, by, anew)
        }
        10..24 => Step::Add {
            v: random.of(&[0, 1, 2, 3, 3, 3, 4, 5]),
            by,
            places: places(random),
            verify: random.often(35),
        },
        24..32 => Step::AddOffsets {
            v: version(random, 0, 4),
            by,
            group: seat(random, model).group,
        },
        32..46 => txn_commit(random, model, by),
        46..76 => produce(random, model, by),
        _ => Step::End {
            v: random.of(&[0, 1, 2, 3, 4, 4, 5, 5, 5, 5]),
            by,
            commit: random.often(60),
        },
    }
}

fn init(random: &mut Random, by: Writer, anew: bool) -> Step {
    let mut by = by;
    if anew {
        (by.pid, by.epoch) = (Pid::Lie(-1), -1);
    }
    let mut timeout_ms = 600_000;
    if random.often(6) {
        timeout_ms = random.of(&[-1, 0, 1, 900_000, 900_001, i32::MAX, i32::MIN]);
        // One that would end within the sequence would be a race.
        if timeout_ms == 1 {
            timeout_ms = 500_000;
        }
    }
    if random.often(4) {
        by.id = None;
    }
    Step::Init {
        v: version(random, 0, 5),
        by,
        timeout_ms,
    }
}

fn txn_commit(random: &mut Random, model: &Model, by: Writer) -> Step {
    let of = seat(random, model);
    let nobody = Seat {
        who: Who::Named(""),
        generation: -1,
        instance: None,
        ..of
    };
    Step::TxnCommit {
        v: version(random, 0, 5),
        by,
        seat: if random.often(50) { nobody } else { of },
        place: place(random),
        offset: random.of(&[0, 5, 42, 43, -1, i64::MAX]),
    }
}

fn produce(random: &mut Random, model: &Model, by: Writer) -> Step {
    let to = place(random);
    let mut sequence = model.sequence(by, to);
    if random.often(12) {
        let near = [
            sequence.wrapping_add(1),
            sequence.wrapping_sub(1),
            0,
            i32::MAX,
            -1,
        ];
        sequence = random.of(&near);
    }
    let mut by = by;
    let mut transactional = true;
    if random.often(8) {
        transactional = false;
    }
    if random.often(4) {
        by.id = random.of(&[None, Some(0), Some(1), Some(2)]);
    }
    Step::Produce {
        v: random.of(&[3, 7, 8, 9, 10, 11, 11, 12, 12, 12, 12, 13]),
        by,
        sequence,
        place: to,
        transactional,
    }
}

/// Markers from nobody, and looks.
pub(super) fn around(random: &mut Random, model: &Model) -> Step {
    let by = writer(random, model);
    match random.below(10) {
        0..3 => Step::Mark {
            v: version(random, 1, 2),
            by,
            commit: random.often(50),
            place: place(random),
            coordinator_epoch: random.of(&[0, 0, 1, -1, i32::MAX]),
            transaction_version: random.of(&[0, 1, 2, 3]),
        },
        3 | 4 => Step::ListTransactions {
            v: version(random, 0, 2),
            states: random.of(&[&[] as Names, &["Ongoing"], &["Empty", "Nonsense"]]),
            of: random.often(30).then_some(by.pid),
        },
        5 => Step::DescribeTransaction {
            id: by.id.unwrap_or(2),
        },
        6 | 7 => Step::Producers {
            place: place(random),
        },
        _ => Step::Read {
            place: place(random),
        },
    }
}
