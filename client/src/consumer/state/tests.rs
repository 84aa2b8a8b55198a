//! Events, holds and positions, as the caller sees them.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;

use super::{Hold, Mode, Place, State};
use crate::config::{AutoOffsetReset, IsolationLevel};
use crate::consumer::fetched::{Chunk, Position, Reading};
use crate::consumer::record::{GroupMetadata, Polled, Start};
use crate::error::ConsumeError;
use crate::topic::TopicPartition;

fn tp(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn membership() -> GroupMetadata {
    let (group_id, member_id): (Arc<str>, Arc<str>) = ("g".into(), "m".into());
    GroupMetadata {
        group_id,
        generation: 1,
        member_id,
        instance_id: None,
    }
}

fn chunk(partition: i32, epoch: u64) -> Chunk {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(0, None, Some(b"v"), &[]).unwrap();
    let bytes: Bytes = builder.build().unwrap();
    let reading = Reading {
        isolation: IsolationLevel::ReadUncommitted,
        limit: 1 << 20,
    };
    Chunk::new((tp(partition), epoch, 0), &bytes, None, reading)
}

fn manual(partitions: &[i32]) -> State {
    let mut state = State {
        mode: Mode::Manual,
        ..Default::default()
    };
    let starts = partitions
        .iter()
        .map(|p| (tp(*p), Start::Offset(0)))
        .collect();
    state.assign(starts, Hold::None);
    state
}

#[test]
fn an_assignment_is_held_until_the_poll_after_it_was_told() {
    let mut state = State::default();
    state.install(vec![tp(0)], membership());
    state.acknowledge();
    assert_eq!(state.partitions[&tp(0)].hold, Hold::New, "not told yet");
    assert!(matches!(state.next_event(), Some(Polled::Assigned(_))));
    assert!(state.seek(&tp(0), Start::Offset(7)));
    state.acknowledge();
    assert_eq!(state.partitions[&tp(0)].hold, Hold::None);
    assert!(matches!(state.partitions[&tp(0)].place, Place::At(7)));
}

#[test]
fn a_revocation_is_over_with_the_poll_after_it_was_told() {
    let mut state = State::default();
    state.install(vec![tp(0)], membership());
    state.next_event();
    state.acknowledge();
    let mut told = state.begin_revoke().unwrap();
    state.acknowledge();
    assert!(told.try_recv().is_err(), "not told yet");
    assert!(matches!(state.next_event(), Some(Polled::Revoked(_))));
    assert!(
        state.is_revoking() && state.membership.is_some(),
        "a last commit is possible"
    );
    state.acknowledge();
    told.try_recv().unwrap();
    state.end_revoke();
    assert!(state.partitions.is_empty() && state.membership.is_none());
}

#[test]
fn what_was_never_told_is_taken_back_in_silence() {
    let mut state = State::default();
    state.install(vec![tp(0)], membership());
    assert!(state.begin_revoke().is_none());
    assert!(state.next_event().is_none());
    state.install(vec![tp(0)], membership());
    state.lose();
    assert!(state.next_event().is_none());
}

#[test]
fn a_loss_overtakes_a_revocation() {
    let mut state = State::default();
    state.install(vec![tp(0)], membership());
    state.next_event();
    state.acknowledge();
    let mut told = state.begin_revoke().unwrap();
    state.lose();
    assert!(told.try_recv().is_err());
    assert!(matches!(state.next_event(), Some(Polled::Lost(lost)) if lost == [tp(0)]));
    assert!(state.next_event().is_none());
}

#[test]
fn a_seek_outdates_everything_before_it() {
    let mut state = manual(&[0, 1]);
    let epoch = state.partitions[&tp(0)].epoch;
    state.buffer(chunk(0, epoch));
    assert!(state.buffered > 0);
    state.seek(&tp(0), Start::Offset(5));
    assert_eq!(state.buffered, 0);
    assert!(state.take_chunk().is_none());
    assert!(state.current(&tp(0), epoch).is_none());
    assert!(!state.advance(&tp(0), epoch, Position::at(1)));
    assert_eq!(
        state
            .positions()
            .iter()
            .find(|(p, _)| *p == tp(0))
            .unwrap()
            .1,
        5.into()
    );
    assert!(!state.seek(&tp(9), Start::Beginning));
}

#[test]
fn a_paused_partition_holds_up_nobody() {
    let mut state = manual(&[0, 1]);
    for partition in [0, 1] {
        let epoch = state.partitions[&tp(partition)].epoch;
        state.buffer(chunk(partition, epoch));
    }
    let both = state.buffered;
    state.pause(&tp(0));
    assert_eq!(state.buffered, both / 2);
    assert_eq!(state.take_chunk().unwrap().partition, tp(1));
    assert!(state.take_chunk().is_none());
    state.resume(&tp(0));
    assert!(!state.partitions[&tp(0)].paused);
    assert!(matches!(state.partitions[&tp(0)].place, Place::At(0)));
}

#[test]
fn policies_for_positions_that_do_not_exist() {
    for (policy, moved) in [
        (AutoOffsetReset::Earliest, Some(Start::Beginning)),
        (AutoOffsetReset::Latest, Some(Start::End)),
        (AutoOffsetReset::None, None),
    ] {
        let mut state = manual(&[0]);
        let epoch = state.partitions[&tp(0)].epoch;
        let error = ConsumeError::NoOffset { partition: tp(0) };
        state.reset(&tp(0), epoch, (policy, error));
        match (&state.partitions[&tp(0)].place, moved) {
            (Place::Unknown(start), Some(moved)) => assert_eq!(*start, moved),
            (Place::Failed(..), None) => {
                assert!(state.failure(false).is_some());
                assert!(state.failure(false).is_none(), "told once");
                assert!(
                    state.failure(true).is_some(),
                    "and again where nothing else is told"
                );
            }
            (place, _) => panic!("{place:?}"),
        }
    }
}

#[test]
fn of_a_difference_only_what_goes_stops() {
    let mut state = State::default();
    let first = state.install_difference(&[tp(0), tp(1)], membership());
    assert!(!first.revokes && first.told.is_none());
    assert!(matches!(state.next_event(), Some(Polled::Assigned(new)) if new == [tp(0), tp(1)]));
    state.acknowledge();
    let offsets = [(tp(0), 7), (tp(1), 7)];
    let given = state.assigned(&offsets);
    state.seek(&tp(1), Start::Offset(5));
    assert_eq!(
        state.assigned(&offsets),
        given,
        "a seek is no new assignment"
    );

    let second = state.install_difference(&[tp(1), tp(2)], membership());
    let mut told = second.told.unwrap();
    assert!(second.revokes);
    let hold = |state: &State, p| state.partitions[&tp(p)].hold;
    assert_eq!(
        [0, 1, 2].map(|p| hold(&state, p)),
        [Hold::Revoking, Hold::None, Hold::New]
    );
    assert!(matches!(state.next_event(), Some(Polled::Revoked(gone)) if gone == [tp(0)]));
    assert!(matches!(state.next_event(), Some(Polled::Assigned(new)) if new == [tp(2)]));
    state.acknowledge();
    told.try_recv().unwrap();
    state.end_revoke_of();
    assert_eq!(state.partitions.len(), 2);
    assert_eq!(state.partitions[&tp(1)].position, Some(Position::at(5)));
    assert_ne!(state.assigned(&offsets), given, "one of them went");

    // What comes and goes unseen is never told; a loss tells what is known only.
    state.install_difference(&[tp(1), tp(2), tp(3)], membership());
    let third = state.install_difference(&[tp(1), tp(2)], membership());
    assert!(third.revokes && third.told.is_none());
    state.install_difference(&[tp(1), tp(2), tp(4)], membership());
    assert!(!state.has_losses());
    state.lose();
    assert!(state.has_losses() && state.partitions.is_empty());
    assert!(matches!(state.next_event(), Some(Polled::Lost(lost)) if lost == [tp(1), tp(2)]));
    assert!(state.next_event().is_none() && !state.has_losses());
}
