//! Members that lie, come late or go missing; writes that fail; groups that are full.

use super::*;

#[test]
fn wrong_ids_and_generations_are_named_as_what_they_are() {
    let mut group = stable(&["a"]);
    let now = at(4_000);
    assert_eq!(
        group.step(now, heartbeat(1, "x", 1)),
        [beat(1, ErrorCode::UnknownMemberId)]
    );
    assert_eq!(
        group.step(now, heartbeat(2, "a", 0)),
        [beat(2, ErrorCode::IllegalGeneration)]
    );
    assert_eq!(
        group.step(now, sync(3, "x", 1, &[])),
        [sync_refused(3, ErrorCode::UnknownMemberId)]
    );
    assert_eq!(
        group.step(now, sync(4, "a", 9, &[])),
        [sync_refused(4, ErrorCode::IllegalGeneration)]
    );
    assert_eq!(
        group.step(now, join(ask(5, Some("x")))),
        [refused(5, "x", ErrorCode::UnknownMemberId)]
    );
    assert_eq!(
        group.step(now, leave(6, "x")),
        [left(6, "x", ErrorCode::UnknownMemberId)]
    );
    assert_eq!(
        group.state(),
        State::Stable,
        "none of it disturbed the group"
    );
}

#[test]
fn a_protocol_that_the_others_do_not_speak_is_refused() {
    let mut group = stable(&["a"]);
    let foreign = Join {
        protocols: vec![offer("cooperative", "")],
        ..old_ask(1, "b")
    };
    assert_eq!(
        group.step(at(4_000), join(foreign)),
        [refused(1, "", ErrorCode::InconsistentGroupProtocol)]
    );
    let connect = Join {
        protocol_type: id("connect"),
        ..old_ask(2, "b")
    };
    assert_eq!(
        group.step(at(4_000), join(connect)),
        [refused(2, "", ErrorCode::InconsistentGroupProtocol)]
    );
    let mut empty = Group::new(limits(), at(0));
    let nothing = Join {
        protocols: Vec::new(),
        ..old_ask(3, "b")
    };
    assert_eq!(
        empty.step(at(0), join(nothing)),
        [refused(3, "", ErrorCode::InconsistentGroupProtocol)]
    );
}

#[test]
fn a_sync_that_names_another_protocol_is_refused() {
    let mut group = stable(&["a"]);
    let Event::Sync(mut wrong) = sync(1, "a", 1, &[]) else {
        panic!("a sync")
    };
    wrong.protocol_name = Some(id("sticky"));
    assert_eq!(
        group.step(at(4_000), Event::Sync(wrong)),
        [sync_refused(1, ErrorCode::InconsistentGroupProtocol)]
    );
}

#[test]
fn an_assignment_overtaken_by_a_new_round_is_dropped() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(3_000), Event::Wake);
    let effects = group.step(at(3_100), sync(2, "a", 1, &[("a", "p0")]));
    let (ticket, _) = written(&effects);
    assert_eq!(
        seen(group.step(at(3_200), join(old_ask(3, "b")))),
        [
            rebalancing(Reason::MemberJoined),
            sync_refused(2, ErrorCode::RebalanceInProgress)
        ]
    );
    assert_eq!(
        group.step(at(3_300), persisted(ticket)),
        [],
        "nobody hears of it"
    );
    assert_eq!(
        seen(group.step(at(3_400), join(ask(4, Some("a"))))),
        [
            joined(4, "a", 2, "a", &["a", "b"]),
            joined(3, "b", 2, "a", &[])
        ]
    );
}

#[test]
fn an_assignment_that_cannot_be_stored_is_told_to_all_and_shared_out_anew() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(0), join(old_ask(2, "b")));
    group.step(at(3_000), Event::Wake);
    group.step(at(6_000), Event::Wake);
    group.step(at(6_000), sync(3, "b", 1, &[]));
    let (ticket, _) = written(&group.step(at(6_000), sync(4, "a", 1, &[])));
    let outcome = Err(ErrorCode::CoordinatorNotAvailable);
    assert_eq!(
        seen(group.step(at(6_100), Event::Persisted { ticket, outcome })),
        [
            sync_refused(4, ErrorCode::CoordinatorNotAvailable),
            sync_refused(3, ErrorCode::CoordinatorNotAvailable),
            rebalancing(Reason::PersistFailed),
        ]
    );
    assert_eq!(group.state(), State::PreparingRebalance { initial: false });
}

#[test]
fn a_leader_that_syncs_twice_cannot_change_what_is_being_stored() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(3_000), Event::Wake);
    let (ticket, _) = written(&group.step(at(3_100), sync(2, "a", 1, &[("a", "p0")])));
    assert_eq!(
        group.step(at(3_101), sync(3, "a", 1, &[("a", "p9")])),
        [sync_refused(2, ErrorCode::RebalanceInProgress)],
        "the first question was given up; the second waits for the first's answer"
    );
    assert_eq!(group.step(at(3_200), persisted(ticket)), [share(3, "p0")]);
}

#[test]
fn an_id_that_nobody_comes_back_with_lapses_and_does_not_hold_up_the_round() {
    let mut group = stable(&["a"]);
    group.step(at(4_000), join(ask(1, None)));
    group.step(at(4_000), join(ask(2, Some("a"))));
    assert_eq!(
        group.state(),
        State::PreparingRebalance { initial: false },
        "the round waits for the one who was given an id"
    );
    assert_eq!(
        seen(group.step(at(14_000), Event::Wake)),
        [joined(2, "a", 2, "a", &["a"])],
        "but no longer than its session"
    );
    assert_eq!(
        group.step(at(14_001), join(ask(3, Some("new-1")))),
        [refused(3, "new-1", ErrorCode::UnknownMemberId)]
    );
}

#[test]
fn members_that_never_sync_are_removed_after_the_rebalance_timeout() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(0), join(old_ask(2, "b")));
    group.step(at(3_000), Event::Wake);
    group.step(at(6_000), Event::Wake);
    group.step(at(6_000), sync(3, "b", 1, &[]));
    let mut tick = 6_000;
    while tick < 66_000 {
        tick += 6_000;
        group.step(at(tick - 1), heartbeat(9, "a", 1));
        group.step(at(tick - 1), heartbeat(9, "b", 1));
    }
    assert_eq!(
        seen(group.step(at(66_000), Event::Wake)),
        [
            rebalancing(Reason::SyncExpired),
            sync_refused(3, ErrorCode::RebalanceInProgress)
        ],
        "the leader heartbeats but never decides: b is freed to join again"
    );
    assert_eq!(
        seen(group.step(at(66_001), join(ask(4, Some("b"))))),
        [joined(4, "b", 2, "b", &["b"])]
    );
}

#[test]
fn a_new_member_whose_connection_is_gone_is_not_waited_for_for_ever() {
    let mut group = stable(&["a"]);
    let slow = Join {
        rebalance_timeout_ms: 900_000,
        ..old_ask(1, "ghost")
    };
    group.step(at(4_000), join(slow));
    let mut tick = 4_000;
    while tick < 299_000 {
        tick += 5_000;
        group.step(at(tick), heartbeat(2, "a", 1));
        group.step(at(tick), Event::Wake);
    }
    assert_eq!(
        seen(group.step(at(304_000), Event::Wake)),
        [refused(1, "", ErrorCode::UnknownMemberId)],
    );
    assert_eq!(
        seen(group.step(at(304_001), join(ask(3, Some("a"))))),
        [joined(3, "a", 2, "a", &["a"])]
    );
}

#[test]
fn a_full_group_turns_newcomers_away() {
    let mut group = Group::new(
        Limits {
            max_size: 2,
            ..limits()
        },
        at(0),
    );
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(0), join(old_ask(2, "b")));
    assert_eq!(
        group.step(at(0), join(old_ask(3, "c"))),
        [refused(3, "", ErrorCode::GroupMaxSizeReached)]
    );
    group.step(at(3_000), Event::Wake);
    group.step(at(6_000), Event::Wake);
    assert_eq!(
        group.step(at(6_001), join(old_ask(4, "c"))),
        [refused(4, "", ErrorCode::GroupMaxSizeReached)]
    );
    assert_eq!(
        group.step(at(6_002), join(ask(5, Some("b")))),
        [joined(5, "b", 1, "a", &[])],
        "members stay welcome"
    );
}

#[test]
fn ids_given_to_callers_that_never_come_back_are_limited() {
    let mut group = Group::new(
        Limits {
            max_size: 2,
            ..limits()
        },
        at(0),
    );
    group.step(at(0), join(ask(1, None)));
    group.step(at(0), join(ask(2, None)));
    assert_eq!(
        group.step(at(0), join(ask(3, None))),
        [refused(3, "", ErrorCode::GroupMaxSizeReached)]
    );
    group.step(at(10_000), Event::Wake);
    assert_eq!(
        seen(group.step(at(10_001), join(ask(4, None)))),
        [refused(4, "new-4", ErrorCode::MemberIdRequired)]
    );
}

#[test]
fn a_coordinator_that_stops_sends_everyone_away() {
    let mut group = stable(&["a", "b"]);
    group.step(at(4_000), join(ask(1, Some("a"))));
    let error = ErrorCode::NotCoordinator;
    assert_eq!(
        seen(group.step(at(4_001), Event::Unload { error })),
        [refused(1, "a", error)]
    );
    assert_eq!(
        group.step(at(4_002), heartbeat(2, "b", 1)),
        [beat(2, ErrorCode::CoordinatorNotAvailable)]
    );
    assert_eq!(
        group.step(at(4_003), join(ask(3, Some("b")))),
        [refused(3, "b", ErrorCode::CoordinatorNotAvailable)]
    );
}

#[test]
fn a_wake_up_that_comes_too_early_does_nothing() {
    let mut group = stable(&["a"]);
    assert_eq!(group.step(at(4_000), Event::Wake), []);
}
