//! Numbers and epochs move as the brokers expect.

use super::{Identification, Identity, Numbering, Sequence, advance};

const PRODUCER: Identity = Identity { id: 7, epoch: 0 };

#[test]
fn numbers_begin_anew_after_the_largest() {
    assert_eq!(advance(0, 5), 5);
    assert_eq!(advance(i32::MAX, 1), 0);
    assert_eq!(advance(i32::MAX - 1, 3), 1);
}

#[test]
fn batches_are_numbered_without_gaps() {
    let mut numbering = Numbering::default();
    assert_eq!(numbering.take(3), None);
    numbering.restart(PRODUCER);
    let bases: Vec<_> = [3, 1, 5].map(|n| numbering.take(n).unwrap().base).into();
    assert_eq!(bases, [0, 3, 4]);
    let next = Identity {
        epoch: 1,
        ..PRODUCER
    };
    numbering.broken = true;
    numbering.restart(next);
    assert!(!numbering.broken);
    assert_eq!(
        numbering.take(1),
        Some(Sequence {
            producer: next,
            base: 0
        })
    );
}

#[test]
fn only_the_first_to_notice_moves_the_epoch() {
    let mut known = Identification::Known(PRODUCER);
    known.bump(PRODUCER);
    known.bump(PRODUCER);
    assert_eq!(known, Identification::Known(Identity { id: 7, epoch: 1 }));
    known.forget(PRODUCER);
    assert_eq!(known.known().map(|identity| identity.epoch), Some(1));
    let last = Identity {
        id: 7,
        epoch: i16::MAX,
    };
    let mut known = Identification::Known(last);
    known.bump(last);
    assert_eq!(
        known,
        Identification::Unknown,
        "past the last epoch a new id is needed"
    );
}
