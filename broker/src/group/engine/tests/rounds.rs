//! Joining, syncing, leaving, expiring: rounds that go as they should, and no round too many.

use super::*;

#[test]
fn a_first_member_is_given_an_id_waits_the_initial_delay_and_leads() {
    let mut group = Group::new(limits(), at(0));
    assert_eq!(
        group.step(at(0), join(ask(1, None))),
        [
            wake_at(10_000),
            refused(1, "new-1", ErrorCode::MemberIdRequired)
        ],
        "KIP-394: the id first, and a time limit on coming back with it"
    );
    assert_eq!(group.state(), State::Empty);
    assert_eq!(
        group.step(at(5), join(ask(2, Some("new-1")))),
        [rebalancing(Reason::MemberJoined), wake_at(3_005)],
    );
    assert_eq!(
        group.step(at(3_005), Event::Wake),
        [joined(2, "new-1", 1, "new-1", &["new-1"]), wake_at(13_005)],
        "the session begins with the generation"
    );
    assert_eq!(group.state(), State::CompletingRebalance);
}

#[test]
fn an_assignment_is_stored_before_anyone_hears_of_it() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(0), join(old_ask(2, "b")));
    group.step(at(3_000), Event::Wake);
    let effects = group.step(at(6_000), Event::Wake);
    assert_eq!(
        seen(effects),
        [
            joined(1, "a", 1, "a", &["a", "b"]),
            joined(2, "b", 1, "a", &[])
        ],
        "the second member prolonged the delay once; only the leader sees the members"
    );
    assert_eq!(
        group.step(at(6_001), sync(3, "b", 1, &[])),
        [],
        "a follower waits"
    );
    let effects = group.step(at(6_002), sync(4, "a", 1, &[("a", "p0"), ("b", "p1")]));
    let (ticket, snapshot) = written(&effects);
    assert_eq!(effects.len(), 1, "nobody is answered yet: {effects:?}");
    assert_eq!(snapshot.generation, 1);
    assert_eq!(snapshot.leader.as_deref(), Some("a"));
    let shares: Vec<_> = snapshot
        .members
        .iter()
        .map(|member| (&*member.member_id, &member.assignment[..]))
        .collect();
    assert_eq!(shares, [("a", &b"p0"[..]), ("b", &b"p1"[..])]);
    assert_eq!(
        group.step(at(6_010), persisted(ticket)),
        [share(4, "p0"), share(3, "p1")]
    );
    assert_eq!(group.state(), State::Stable);
}

#[test]
fn the_initial_delay_grows_only_to_the_rebalance_timeout() {
    let mut group = Group::new(limits(), at(0));
    let short = |waiter, name| Join {
        rebalance_timeout_ms: 7_000,
        ..old_ask(waiter, name)
    };
    group.step(at(0), join(short(1, "a")));
    group.step(at(1_000), join(short(2, "b")));
    assert_eq!(
        group.step(at(3_000), Event::Wake),
        [wake_at(6_000)],
        "4 s remain: 3 s more"
    );
    group.step(at(4_000), join(short(3, "c")));
    assert_eq!(
        group.step(at(6_000), Event::Wake),
        [wake_at(7_000)],
        "1 s remains"
    );
    group.step(at(6_500), join(short(4, "d")));
    let effects = seen(group.step(at(7_000), Event::Wake));
    assert_eq!(
        effects.len(),
        4,
        "then the round closes with all four: {effects:?}"
    );
}

#[test]
fn a_new_member_costs_one_round_and_the_old_ones_learn_of_it_by_heartbeat() {
    let mut group = stable(&["a", "b"]);
    assert_eq!(
        seen(group.step(at(4_000), join(old_ask(10, "c")))),
        [rebalancing(Reason::MemberJoined)],
    );
    assert_eq!(
        group.step(at(4_500), heartbeat(11, "a", 1)),
        [beat(11, ErrorCode::RebalanceInProgress)]
    );
    assert_eq!(seen(group.step(at(4_600), join(ask(12, Some("a"))))), []);
    assert_eq!(
        seen(group.step(at(4_700), join(ask(13, Some("b"))))),
        [
            joined(12, "a", 2, "a", &["a", "b", "c"]),
            joined(13, "b", 2, "a", &[]),
            joined(10, "c", 2, "a", &[]),
        ],
        "the last to come closes the round at once"
    );
}

#[test]
fn who_does_not_rejoin_in_time_is_out_and_the_lead_passes_on() {
    let mut group = stable(&["a", "b"]);
    group.step(at(4_000), join(old_ask(10, "c")));
    for tick in [
        8_000, 16_000, 24_000, 32_000, 40_000, 48_000, 56_000, 63_000,
    ] {
        assert_eq!(
            seen(group.step(at(tick), heartbeat(1, "b", 1))),
            [beat(1, ErrorCode::RebalanceInProgress)]
        );
        assert_eq!(
            seen(group.step(at(tick), heartbeat(2, "a", 1))),
            [beat(2, ErrorCode::RebalanceInProgress)]
        );
    }
    let effects = seen(group.step(at(64_000), Event::Wake));
    assert_eq!(
        effects,
        [Effect::Reply {
            waiter: Waiter(10),
            reply: Reply::Join(Box::new(JoinReply {
                members: vec![JoinedMember {
                    member_id: id("c"),
                    instance_id: None,
                    metadata: Bytes::from_static(b"meta"),
                }],
                ..match joined(10, "c", 2, "c", &[]) {
                    Effect::Reply {
                        reply: Reply::Join(reply),
                        ..
                    } => *reply,
                    other => panic!("{other:?}"),
                }
            })),
        }],
        "the rebalance timeout of 60 s ends the wait; a and b are out"
    );
    assert_eq!(
        group.step(at(64_001), heartbeat(3, "a", 1)),
        [beat(3, ErrorCode::UnknownMemberId)]
    );
}

#[test]
fn a_silent_member_is_removed_when_its_session_ends_and_the_rest_share_out_anew() {
    let mut group = stable(&["a", "b"]);
    group.step(at(9_000), heartbeat(1, "a", 1));
    assert_eq!(
        seen(group.step(at(13_000), Event::Wake)),
        [rebalancing(Reason::SessionExpired)],
        "b was last heard at 3000"
    );
    assert_eq!(
        seen(group.step(at(13_500), join(ask(2, Some("a"))))),
        [joined(2, "a", 2, "a", &["a"])]
    );
}

#[test]
fn the_last_to_leave_empties_the_group_which_is_stored() {
    let mut group = stable(&["a"]);
    let effects = group.step(at(5_000), leave(7, "a"));
    let (ticket, snapshot) = written(&effects);
    assert_eq!(
        seen(effects),
        [
            left(7, "a", ErrorCode::None),
            rebalancing(Reason::MemberLeft)
        ]
    );
    assert_eq!(group.state(), State::Empty);
    assert_eq!(
        snapshot,
        Snapshot {
            generation: 2,
            protocol_type: Some(id("consumer")),
            protocol_name: None,
            leader: None,
            state_since_ms: 1_005_000,
            members: Vec::new(),
        }
    );
    assert!(!group.is_unused(), "its write is under way");
    group.step(at(5_001), persisted(ticket));
    assert!(group.is_unused());
}

#[test]
fn a_follower_that_rejoins_unchanged_keeps_its_generation_a_leader_starts_a_round() {
    let mut group = stable(&["a", "b"]);
    assert_eq!(
        group.step(at(4_000), join(ask(1, Some("b")))),
        [joined(1, "b", 1, "a", &[])]
    );
    assert_eq!(group.step(at(4_001), sync(2, "b", 1, &[])), [share(2, "b")]);
    assert_eq!(
        seen(group.step(at(4_100), join(ask(3, Some("a"))))),
        [rebalancing(Reason::LeaderRejoined)]
    );
}

#[test]
fn changed_metadata_starts_a_round() {
    let mut group = stable(&["a", "b"]);
    let changed = Join {
        protocols: vec![offer("range", "other")],
        ..ask(1, Some("b"))
    };
    assert_eq!(
        seen(group.step(at(4_000), join(changed))),
        [rebalancing(Reason::MetadataChanged)]
    );
}

#[test]
fn a_join_repeated_while_the_leader_decides_is_answered_with_the_same_generation() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(old_ask(1, "a")));
    group.step(at(3_000), Event::Wake);
    assert_eq!(
        group.step(at(3_100), join(ask(2, Some("a")))),
        [joined(2, "a", 1, "a", &["a"])],
        "the first answer may have been lost"
    );
}

#[test]
fn the_protocol_most_members_prefer_among_the_common_ones_wins() {
    let mut group = Group::new(limits(), at(0));
    let with = |waiter, name, names: &[&str]| Join {
        protocols: names.iter().map(|name| offer(name, "meta")).collect(),
        ..old_ask(waiter, name)
    };
    group.step(
        at(0),
        join(with(1, "a", &["sticky", "range", "roundrobin"])),
    );
    group.step(at(0), join(with(2, "b", &["roundrobin", "range"])));
    group.step(at(0), join(with(3, "c", &["range", "roundrobin"])));
    group.step(at(3_000), Event::Wake);
    group.step(at(6_000), Event::Wake);
    assert_eq!(
        group.protocol_name.as_deref(),
        Some("range"),
        "sticky is not common"
    );
}

#[test]
fn a_member_waiting_for_its_answer_may_be_silent_past_its_session() {
    let mut group = stable(&["a", "b"]);
    group.step(at(4_000), join(ask(1, Some("a"))));
    group.step(at(12_000), heartbeat(2, "b", 1));
    assert_eq!(
        seen(group.step(at(14_000), Event::Wake)),
        [],
        "a waits since 4000 and stays"
    );
    group.step(at(20_000), heartbeat(3, "b", 1));
    assert_eq!(
        seen(group.step(at(20_500), join(ask(4, Some("b"))))),
        [
            joined(1, "a", 2, "a", &["a", "b"]),
            joined(4, "b", 2, "a", &[])
        ]
    );
}

#[test]
fn commits_are_admitted_by_generation_and_state() {
    let mut group = Group::new(limits(), at(0));
    assert_eq!(
        group.admit_commit(at(0), &claim("", -1)),
        Ok(()),
        "a simple commit"
    );
    let mut group = stable(&["a"]);
    assert_eq!(group.admit_commit(at(4_000), &claim("a", 1)), Ok(()));
    assert_eq!(
        group.admit_commit(at(4_000), &claim("a", 0)),
        Err(ErrorCode::IllegalGeneration)
    );
    assert_eq!(
        group.admit_commit(at(4_000), &claim("x", 1)),
        Err(ErrorCode::UnknownMemberId)
    );
    assert_eq!(
        group.admit_commit(at(4_000), &claim("", -1)),
        Err(ErrorCode::UnknownMemberId)
    );
    group.step(at(5_000), join(old_ask(1, "b")));
    assert_eq!(
        group.admit_commit(at(5_000), &claim("a", 1)),
        Ok(()),
        "before it rejoins"
    );
    group.step(at(5_001), join(ask(2, Some("a"))));
    assert_eq!(group.state(), State::CompletingRebalance);
    assert_eq!(
        group.admit_commit(at(5_002), &claim("a", 2)),
        Err(ErrorCode::RebalanceInProgress)
    );
}

#[test]
fn a_commit_keeps_the_session_alive() {
    let mut group = stable(&["a"]);
    assert_eq!(group.admit_commit(at(12_000), &claim("a", 1)), Ok(()));
    assert_eq!(group.step(at(13_000), Event::Wake), [wake_at(22_000)]);
}

#[test]
fn a_group_restored_from_its_record_is_the_group_that_was_stored() {
    let group = stable(&["a", "b"]);
    let stored = group.snapshot();
    let (mut restored, effects) = Group::restore(limits(), at(0), &stored);
    assert_eq!(effects, [wake_at(10_000)], "sessions begin anew");
    assert_eq!(restored.snapshot(), stored);
    assert_eq!(restored.state(), State::Stable);
    assert_eq!(
        restored.step(at(1), heartbeat(1, "b", 1)),
        [beat(1, ErrorCode::None)]
    );
    assert_eq!(restored.step(at(2), sync(2, "b", 1, &[])), [share(2, "b")]);
}
