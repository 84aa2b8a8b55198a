//! The last five batches of each producer, in memory and over a snapshot.

use logway_protocol::batch::{Attributes, BatchHeader};

use super::super::producer_state::{ProducerStates, SequenceError, Verdict};
use super::super::snapshot;

fn header(producer_id: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: 0,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: count - 1,
        base_timestamp: 5,
        max_timestamp: 5,
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        record_count: count,
    }
}

/// Appends if the judge allows; the offset, or why not.
fn offer(states: &mut ProducerStates, end: &mut i64, batch: BatchHeader) -> Result<i64, String> {
    match states.judge(&batch, None, *end) {
        Ok(Verdict::Duplicate(trace)) => Ok(trace.base_offset),
        Ok(Verdict::New) => {
            let placed = BatchHeader {
                base_offset: *end,
                ..batch
            };
            states.appended(&placed, None);
            *end = placed.next_offset();
            Ok(placed.base_offset)
        }
        Err(SequenceError::Fenced { .. }) => Err("fenced".into()),
        Err(SequenceError::OutOfOrder { .. }) => Err("out of order".into()),
        Err(SequenceError::NewEpochNotAtZero { .. }) => Err("new epoch".into()),
        Err(SequenceError::NotTransactional { .. }) => Err("not transactional".into()),
        Err(SequenceError::CoordinatorFenced { .. }) => Err("coordinator fenced".into()),
    }
}

#[test]
fn five_batches_are_remembered_and_no_more() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    for sequence in 0..7 {
        assert_eq!(
            offer(&mut states, &mut end, header(1, 0, sequence * 10, 10)),
            Ok(i64::from(sequence) * 10)
        );
    }
    for sequence in 2..7 {
        assert_eq!(
            offer(&mut states, &mut end, header(1, 0, sequence * 10, 10)),
            Ok(i64::from(sequence) * 10)
        );
    }
    assert_eq!(
        offer(&mut states, &mut end, header(1, 0, 10, 10)),
        Err("out of order".into())
    );
    // The same first sequence with another length is not the same batch.
    assert_eq!(
        offer(&mut states, &mut end, header(1, 0, 60, 9)),
        Err("out of order".into())
    );
    assert_eq!(end, 70);
}

#[test]
fn sequences_wrap_and_epochs_fence() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    let last = i32::MAX - 1;
    assert_eq!(offer(&mut states, &mut end, header(1, 3, last, 2)), Ok(0));
    assert_eq!(offer(&mut states, &mut end, header(1, 3, 0, 1)), Ok(2));
    assert_eq!(
        offer(&mut states, &mut end, header(1, 2, 1, 1)),
        Err("fenced".into())
    );
    assert_eq!(
        offer(&mut states, &mut end, header(1, 4, 1, 1)),
        Err("new epoch".into())
    );
    assert_eq!(offer(&mut states, &mut end, header(1, 4, 0, 1)), Ok(3));
    assert_eq!(
        offer(&mut states, &mut end, header(1, 3, 1, 1)),
        Err("fenced".into())
    );
    // A batch that itself wraps.
    assert_eq!(
        offer(&mut states, &mut end, header(2, 0, i32::MAX, 3)),
        Ok(4)
    );
    assert_eq!(offer(&mut states, &mut end, header(2, 0, 2, 1)), Ok(7));
    assert_eq!(
        offer(&mut states, &mut end, header(2, 0, i32::MAX, 3)),
        Ok(4)
    );
}

#[test]
fn silent_producers_are_forgotten() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    offer(&mut states, &mut end, header(1, 0, 0, 1)).unwrap();
    states.expire(4);
    assert!(!states.is_empty());
    states.expire(5);
    assert!(states.is_empty());
    assert_eq!(offer(&mut states, &mut end, header(1, 0, 44, 1)), Ok(1));
}

#[test]
fn a_producer_with_an_open_transaction_is_never_forgotten() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    let mut batch = header(1, 0, 0, 1);
    batch.attributes = Attributes(0).with_transactional(true);
    offer(&mut states, &mut end, batch).unwrap();
    states.expire(i64::MAX);
    assert_eq!(states.first_open(), Some(0));
    assert!(!states.is_empty());
}

#[test]
fn a_snapshot_brings_back_the_last_batch_of_each() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    for sequence in 0..3 {
        offer(&mut states, &mut end, header(1, 2, sequence, 1)).unwrap();
    }
    offer(&mut states, &mut end, header(9, 0, i32::MAX, 3)).unwrap();
    let mut read = snapshot::decode(&snapshot::encode(&states)).unwrap();
    assert_eq!(offer(&mut read, &mut end, header(1, 2, 2, 1)), Ok(2));
    assert_eq!(offer(&mut read, &mut end, header(9, 0, i32::MAX, 3)), Ok(3));
    assert_eq!(offer(&mut read, &mut end, header(1, 2, 3, 1)), Ok(6));
}

#[test]
fn of_a_damaged_snapshot_nothing_is_taken() {
    let (mut states, mut end) = (ProducerStates::default(), 0);
    offer(&mut states, &mut end, header(1, 2, 0, 1)).unwrap();
    let bytes = snapshot::encode(&states);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert_eq!(snapshot::decode(&damaged), None, "byte {at}");
        assert_eq!(snapshot::decode(&bytes[..at]), None, "cut at {at}");
    }
}
