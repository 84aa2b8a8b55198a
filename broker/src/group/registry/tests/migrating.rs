//! A group on its way between the protocols: what memory holds is what the records say, at each
//! stage, and a group that was stored half comes back whole.

use std::collections::BTreeSet;

use super::*;
use crate::group::consumer::{Beat, ConsumerView, Partitions};
use crate::group::engine::Leaving;

fn beat(waiter: Waiter, epoch: i32) -> Beat {
    Beat {
        waiter,
        member_id: Arc::from("n"),
        epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: Some(1_000),
        topics: Some(std::iter::once(Arc::from("in-use")).collect()),
        regex_fault: None,
        regex: None,
        assignor: None,
        holds: Some(Partitions::new()),
        client: ClientInfo {
            id: Arc::from("c"),
            host: Arc::from("/h"),
        },
    }
}

fn shown(registry: &Registry) -> ConsumerView {
    match registry.describe_consumer("g") {
        Found::Group(view) => view,
        other => panic!("{other:?}"),
    }
}

/// Members and epochs; timers are the process's own.
fn outline(view: &ConsumerView) -> String {
    let members = view.members.iter();
    let members: Vec<String> = members
        .map(|of| {
            let member = &of.member;
            format!(
                "{} {:?} {:?} {:?}",
                member.id, member.topics, member.classic, member.current
            )
        })
        .collect();
    format!(
        "{:?} {} {} {members:?}",
        view.state, view.epoch, view.target_epoch
    )
}

#[test]
fn a_live_group_goes_to_the_consumer_protocol_and_back() {
    let (mut registry, mut records, now) = (registry(), Records::default(), at(0));
    stable(&mut registry, &mut records, "g", now);
    let put = vec![commit("in-use", 0, 5, now)];
    let stored = registry.commit(now, "g", &claim("m", 1), put);
    assert!(stored.is_ok());
    records.store(&mut registry, now);

    let joined = registry.beat(now, "g", true, |waiter| beat(waiter, 0));
    let mut joined = joined.expect("upgraded");
    assert!(
        joined.try_recv().is_err(),
        "nothing is told before it is stored"
    );
    records.store(&mut registry, now);
    assert!(matches!(joined.try_recv(), Ok(Reply::Beat(reply)) if reply.epoch == 2));
    assert_eq!(described(&registry, "g"), None);
    let again = records.rebuild(now);
    assert_eq!(outline(&shown(&again)), outline(&shown(&registry)));
    assert_eq!(offset(&again, "g", "in-use"), Some(5), "offsets stay");

    // The classic member is called, and a commit in its generation is still good.
    let call = |waiter| Event::Heartbeat {
        waiter,
        claim: claim("m", 1),
    };
    let mut called = registry.request(now, "g", call).expect("the group exists");
    assert!(matches!(
        called.try_recv(),
        Ok(Reply::Heartbeat(ErrorCode::RebalanceInProgress))
    ));
    assert!(
        registry
            .commit(now, "g", &claim("m", 1), Vec::new())
            .is_ok()
    );
    assert_eq!(
        registry.commit(now, "g", &claim("m", 0), Vec::new()).err(),
        Some(ErrorCode::IllegalGeneration)
    );
    records.store(&mut registry, now);

    let leaving = Leaving {
        member_id: Arc::from("n"),
        instance_id: None,
    };
    let mut left = registry.leave(now, "g", &leaving, -1).expect("a member");
    records.store(&mut registry, now);
    assert!(matches!(left.try_recv(), Ok(Reply::Beat(reply)) if reply.epoch == -1));
    assert_eq!(registry.describe_consumer("g"), Found::OtherKind);
    let classic = described(&registry, "g").expect("a classic group");
    assert!(matches!(classic.state, State::PreparingRebalance { .. }));
    let again = described(&records.rebuild(now), "g").expect("a classic group");
    assert_eq!(again.group.members, classic.group.members);
}

#[test]
fn an_empty_group_takes_the_protocol_of_whoever_comes() {
    let (mut registry, mut records, now) = (registry(), Records::default(), at(0));
    let joined = registry.beat(now, "g", true, |waiter| beat(waiter, 0));
    assert!(joined.is_ok());
    records.store(&mut registry, now);
    let leaving = Leaving {
        member_id: Arc::from("n"),
        instance_id: None,
    };
    assert!(registry.leave(now, "g", &leaving, -1).is_ok());
    records.store(&mut registry, now);
    stable(&mut registry, &mut records, "g", now);
    let again = records.rebuild(now);
    assert_eq!(described(&again, "g"), described(&registry, "g"));
    let mut done = registry.delete_group("g", &BTreeSet::new()).err();
    assert_eq!(done.take(), Some(ErrorCode::NonEmptyGroup));
}

#[test]
fn what_could_not_be_stored_is_not_told_and_goes_with_the_next_write() {
    let (mut registry, mut records, now) = (registry(), Records::default(), at(0));
    let joined = registry.beat(now, "g", true, |waiter| beat(waiter, 0));
    let mut joined = joined.expect("a new group");
    for write in registry.take_writes() {
        registry.finish(now, write, Err(ErrorCode::KafkaStorageError));
    }
    let refused = joined.try_recv();
    assert!(matches!(refused, Ok(Reply::Beat(reply)) if reply.error == ErrorCode::NotCoordinator));
    let joined = registry.beat(now, "g", true, |waiter| beat(waiter, 0));
    let mut joined = joined.expect("it is there");
    records.store(&mut registry, now);
    assert!(matches!(joined.try_recv(), Ok(Reply::Beat(reply)) if reply.error == ErrorCode::None));
    let again = records.rebuild(now);
    assert_eq!(outline(&shown(&again)), outline(&shown(&registry)));
}

#[test]
fn deleting_takes_offsets_and_group_and_leaves_nothing_in_the_log() {
    let (mut registry, mut records, now) = (registry(), Records::default(), at(0));
    assert!(
        registry
            .beat(now, "g", true, |waiter| beat(waiter, 0))
            .is_ok()
    );
    records.store(&mut registry, now);
    let used = registry.delete_offsets("g", &[(Arc::from("in-use"), 0)], &BTreeSet::new());
    assert!(
        matches!(used, Ok((verdicts, None)) if verdicts == [ErrorCode::GroupSubscribedToTopic])
    );
    let leaving = Leaving {
        member_id: Arc::from("n"),
        instance_id: None,
    };
    assert!(registry.leave(now, "g", &leaving, -1).is_ok());
    assert!(
        registry
            .commit(now, "g", &nobody(), vec![commit("t", 0, 5, now)])
            .is_ok()
    );
    records.store(&mut registry, now);
    let mut done = registry.delete_group("g", &BTreeSet::new()).expect("empty");
    records.store(&mut registry, now);
    assert!(matches!(done.try_recv(), Ok(Ok(()))));
    assert_eq!(registry.describe_consumer("g"), Found::Nothing);
    let again = records.rebuild(now);
    assert!(again.list().is_empty());
    assert_eq!(again.offsets("g"), None);
}
