//! Static members (KIP-345): they come back without a round, and their earlier selves are fenced.

use super::*;

fn stable_static(members: &[(&str, &str)]) -> Group {
    let mut group = Group::new(limits(), at(0));
    for (waiter, (name, instance)) in members.iter().enumerate() {
        group.step(at(0), join(static_ask(waiter as u64, name, instance)));
    }
    group.step(at(DELAY_MS), Event::Wake);
    group.step(at(2 * DELAY_MS), Event::Wake);
    let leader = members[0].0;
    let given: Vec<(&str, &str)> = members.iter().map(|(name, _)| (*name, *name)).collect();
    let (ticket, _) = written(&group.step(at(6_000), sync(50, leader, 1, &given)));
    group.step(at(6_000), persisted(ticket));
    for (name, _) in members {
        group.step(at(6_000), sync(51, name, 1, &[]));
    }
    assert_eq!(group.state(), State::Stable, "the group is stable");
    group
}

fn reply_of(effects: &[Effect], waiter: u64) -> JoinReply {
    effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Reply {
                waiter: to,
                reply: Reply::Join(reply),
            } if *to == Waiter(waiter) => Some((**reply).clone()),
            _ => None,
        })
        .expect("the join is answered")
}

#[test]
fn a_static_follower_comes_back_with_its_assignment_and_without_a_round() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let effects = group.step(at(7_000), join(static_ask(1, "b2", "ib")));
    let (ticket, snapshot) = written(&effects);
    assert_eq!(
        seen(effects),
        [],
        "no round, and no answer before the new id is stored"
    );
    assert_eq!(snapshot.generation, 1);
    assert_eq!(&*snapshot.members[1].member_id, "b2");
    assert_eq!(snapshot.members[1].assignment, "b");
    assert_eq!(
        seen(group.step(at(7_001), persisted(ticket))),
        [joined(1, "b2", 1, "a", &[])]
    );
    assert_eq!(
        group.step(at(7_002), sync(2, "b2", 1, &[])),
        [share(2, "b")]
    );
}

#[test]
fn the_earlier_holder_of_an_instance_id_is_fenced() {
    let mut group = stable_static(&[("a", "ia")]);
    let (ticket, _) = written(&group.step(at(7_000), join(static_ask(1, "a2", "ia"))));
    group.step(at(7_001), persisted(ticket));
    let fenced = Claim {
        instance_id: Some(id("ia")),
        ..claim("a", 1)
    };
    assert_eq!(
        group.step(
            at(7_002),
            Event::Heartbeat {
                waiter: Waiter(2),
                claim: fenced.clone()
            }
        ),
        [beat(2, ErrorCode::FencedInstanceId)]
    );
    assert_eq!(
        group.admit_commit(at(7_002), &fenced),
        Err(ErrorCode::FencedInstanceId)
    );
    let again = Join {
        instance_id: Some(id("ia")),
        ..ask(3, Some("a"))
    };
    assert_eq!(
        group.step(at(7_003), join(again)),
        [refused(3, "a", ErrorCode::FencedInstanceId)]
    );
}

#[test]
fn a_static_leader_keeps_the_assignment_when_its_client_can() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let (ticket, snapshot) = written(&group.step(at(7_000), join(static_ask(1, "a2", "ia"))));
    assert_eq!(snapshot.leader.as_deref(), Some("a2"));
    let reply = reply_of(&group.step(at(7_001), persisted(ticket)), 1);
    assert!(
        reply.skip_assignment,
        "KIP-814: it leads, sees everyone, assigns nothing"
    );
    assert_eq!(reply.leader.as_deref(), Some("a2"));
    assert_eq!(reply.members.len(), 2);
}

#[test]
fn an_older_static_leader_is_told_of_its_earlier_self_so_that_it_does_not_assign() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let old = Join {
        can_skip_assignment: false,
        ..static_ask(1, "a2", "ia")
    };
    let (ticket, _) = written(&group.step(at(7_000), join(old)));
    let reply = reply_of(&group.step(at(7_001), persisted(ticket)), 1);
    assert_eq!(reply.leader.as_deref(), Some("a"));
    assert!(reply.members.is_empty() && !reply.skip_assignment);
}

#[test]
fn a_replacement_that_cannot_be_stored_is_undone() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let before = group.snapshot();
    let (ticket, _) = written(&group.step(at(7_000), join(static_ask(1, "b2", "ib"))));
    let outcome = Err(ErrorCode::NotCoordinator);
    assert_eq!(
        seen(group.step(at(7_001), Event::Persisted { ticket, outcome })),
        [refused(1, "", ErrorCode::NotCoordinator)]
    );
    assert_eq!(group.snapshot(), before);
}

#[test]
fn two_that_claim_one_instance_id_the_later_wins() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(static_ask(1, "one", "i")));
    assert_eq!(
        seen(group.step(at(100), join(static_ask(2, "two", "i")))),
        [refused(1, "one", ErrorCode::FencedInstanceId)]
    );
    let effects = seen(group.step(at(3_000), Event::Wake));
    assert_eq!(reply_of(&effects, 2).leader.as_deref(), Some("two"));
    assert_eq!(effects.len(), 1);
}

#[test]
fn a_static_member_back_while_the_leader_decides_starts_the_round_anew() {
    let mut group = Group::new(limits(), at(0));
    group.step(at(0), join(static_ask(1, "a", "ia")));
    group.step(at(0), join(static_ask(2, "b", "ib")));
    group.step(at(3_000), Event::Wake);
    group.step(at(6_000), Event::Wake);
    group.step(at(6_001), sync(3, "b", 1, &[]));
    assert_eq!(
        seen(group.step(at(6_002), join(static_ask(4, "b2", "ib")))),
        [
            sync_refused(3, ErrorCode::FencedInstanceId),
            rebalancing(Reason::StaticMemberReplaced),
        ],
        "the leader may be assigning to the id that is gone"
    );
    assert_eq!(group.state(), State::PreparingRebalance { initial: false });
}

#[test]
fn an_absent_static_member_keeps_its_place_in_the_next_generation() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let back = Join {
        instance_id: Some(id("ia")),
        ..ask(1, Some("a"))
    };
    let changed = Join {
        protocols: vec![offer("range", "more")],
        ..back
    };
    group.step(at(7_000), join(changed));
    let mut tick = 7_000;
    while tick < 67_000 {
        tick += 6_000;
        let alive = Claim {
            instance_id: Some(id("ib")),
            ..claim("b", 1)
        };
        group.step(
            at(tick - 1),
            Event::Heartbeat {
                waiter: Waiter(2),
                claim: alive,
            },
        );
    }
    let effects = seen(group.step(at(67_000), Event::Wake));
    assert_eq!(
        reply_of(&effects, 1).generation,
        2,
        "the rebalance timeout closes the round"
    );
    assert_eq!(
        reply_of(&effects, 1).members.len(),
        2,
        "b is still counted in"
    );
}

#[test]
fn an_administrator_removes_a_static_member_by_its_instance_id() {
    let mut group = stable_static(&[("a", "ia"), ("b", "ib")]);
    let by_instance = |instance: &str| Leaving {
        member_id: id(""),
        instance_id: Some(id(instance)),
    };
    let members = vec![by_instance("ib"), by_instance("nobody")];
    let answered = |instance: &str, error| Left {
        member_id: id(""),
        instance_id: Some(id(instance)),
        error,
    };
    assert_eq!(
        seen(group.step(
            at(7_000),
            Event::Leave {
                waiter: Waiter(1),
                members
            }
        )),
        [
            Effect::Reply {
                waiter: Waiter(1),
                reply: Reply::Leave(vec![
                    answered("ib", ErrorCode::None),
                    answered("nobody", ErrorCode::UnknownMemberId),
                ]),
            },
            rebalancing(Reason::MemberLeft),
        ]
    );
}
