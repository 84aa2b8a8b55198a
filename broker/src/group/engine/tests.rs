//! The engine as a table: what happens, and the literal list of effects that must follow.
//! Steps that only lead up to the point of a test go through `Play`, which answers writes itself.

use super::*;

mod faults;
mod properties;
mod rounds;
mod statics;

const SESSION_MS: i32 = 10_000;
const REBALANCE_MS: i32 = 60_000;
const DELAY_MS: u64 = 3_000;

pub(super) fn limits() -> Limits {
    Limits {
        max_size: 10,
        initial_rebalance_delay_ms: DELAY_MS,
        new_member_join_timeout_ms: 300_000,
    }
}

pub(super) fn at(tick_ms: u64) -> Now {
    Now {
        tick_ms,
        wall_ms: 1_000_000 + tick_ms as i64,
    }
}

pub(super) fn id(text: &str) -> Arc<str> {
    Arc::from(text)
}

/// A JoinGroup v9 of a dynamic member that offers `range`.
pub(super) fn ask(waiter: u64, member_id: Option<&str>) -> Join {
    Join {
        waiter: Waiter(waiter),
        member_id: member_id.map(id),
        new_member_id: id(&format!("new-{waiter}")),
        instance_id: None,
        client: ClientInfo {
            id: id("client"),
            host: id("/127.0.0.1"),
        },
        session_timeout_ms: SESSION_MS,
        rebalance_timeout_ms: REBALANCE_MS,
        protocol_type: id("consumer"),
        protocols: vec![offer("range", "meta")],
        needs_known_id: true,
        can_skip_assignment: true,
    }
}

/// The same from a client older than KIP-394: it is a member at once, under the id `name`.
pub(super) fn old_ask(waiter: u64, name: &str) -> Join {
    Join {
        new_member_id: id(name),
        needs_known_id: false,
        ..ask(waiter, None)
    }
}

/// The same from a static member.
pub(super) fn static_ask(waiter: u64, name: &str, instance_id: &str) -> Join {
    Join {
        new_member_id: id(name),
        instance_id: Some(id(instance_id)),
        ..ask(waiter, None)
    }
}

pub(super) fn offer(name: &str, metadata: &str) -> Protocol {
    Protocol {
        name: id(name),
        metadata: Bytes::copy_from_slice(metadata.as_bytes()),
    }
}

pub(super) fn join(join: Join) -> Event {
    Event::Join(Box::new(join))
}

pub(super) fn claim(member_id: &str, generation: i32) -> Claim {
    Claim {
        member_id: id(member_id),
        instance_id: None,
        generation,
    }
}

pub(super) fn sync(waiter: u64, member_id: &str, generation: i32, given: &[(&str, &str)]) -> Event {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Event::Sync(Box::new(Sync {
        waiter: Waiter(waiter),
        claim: claim(member_id, generation),
        protocol_type: Some(id("consumer")),
        protocol_name: Some(id("range")),
        assignments: given
            .iter()
            .map(|(member, share)| (id(member), bytes(share)))
            .collect(),
    }))
}

pub(super) fn heartbeat(waiter: u64, member_id: &str, generation: i32) -> Event {
    Event::Heartbeat {
        waiter: Waiter(waiter),
        claim: claim(member_id, generation),
    }
}

pub(super) fn leave(waiter: u64, member_id: &str) -> Event {
    let leaving = Leaving {
        member_id: id(member_id),
        instance_id: None,
    };
    Event::Leave {
        waiter: Waiter(waiter),
        members: vec![leaving],
    }
}

pub(super) fn beat(waiter: u64, error: ErrorCode) -> Effect {
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Heartbeat(error),
    }
}

pub(super) fn left(waiter: u64, member_id: &str, error: ErrorCode) -> Effect {
    let left = Left {
        member_id: id(member_id),
        instance_id: None,
        error,
    };
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Leave(vec![left]),
    }
}

pub(super) fn refused(waiter: u64, member_id: &str, error: ErrorCode) -> Effect {
    let reply = JoinReply::refused(id(member_id), error);
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Join(Box::new(reply)),
    }
}

pub(super) fn sync_refused(waiter: u64, error: ErrorCode) -> Effect {
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Sync(SyncReply::refused(error)),
    }
}

pub(super) fn share(waiter: u64, assignment: &str) -> Effect {
    let reply = SyncReply {
        error: ErrorCode::None,
        protocol_type: Some(id("consumer")),
        protocol_name: Some(id("range")),
        assignment: Bytes::copy_from_slice(assignment.as_bytes()),
    };
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Sync(reply),
    }
}

/// A join answered with a generation; `members` names everyone when the member leads.
pub(super) fn joined(
    waiter: u64,
    member_id: &str,
    generation: i32,
    leader: &str,
    members: &[&str],
) -> Effect {
    let reply = JoinReply {
        error: ErrorCode::None,
        generation,
        protocol_type: Some(id("consumer")),
        protocol_name: Some(id("range")),
        leader: Some(id(leader)),
        skip_assignment: false,
        member_id: id(member_id),
        members: members
            .iter()
            .map(|member| JoinedMember {
                member_id: id(member),
                instance_id: None,
                metadata: Bytes::from_static(b"meta"),
            })
            .collect(),
    };
    Effect::Reply {
        waiter: Waiter(waiter),
        reply: Reply::Join(Box::new(reply)),
    }
}

pub(super) fn wake_at(tick_ms: u64) -> Effect {
    Effect::WakeAt { tick_ms }
}

pub(super) fn rebalancing(reason: Reason) -> Effect {
    Effect::Rebalancing { reason }
}

/// The effects without wake-ups and writes: what others see of the group.
pub(super) fn seen(effects: Vec<Effect>) -> Vec<Effect> {
    let visible =
        |effect: &Effect| !matches!(effect, Effect::WakeAt { .. } | Effect::Persist { .. });
    effects.into_iter().filter(visible).collect()
}

/// The write among the effects.
pub(super) fn written(effects: &[Effect]) -> (Ticket, Snapshot) {
    effects
        .iter()
        .find_map(|effect| match effect {
            Effect::Persist { ticket, snapshot } => Some((*ticket, (**snapshot).clone())),
            _ => None,
        })
        .expect("something is written")
}

pub(super) fn persisted(ticket: Ticket) -> Event {
    Event::Persisted {
        ticket,
        outcome: Ok(()),
    }
}

/// A stable group at tick 3000, generation 1: the members given, the first of them leads.
pub(super) fn stable(members: &[&str]) -> Group {
    let mut group = Group::new(limits(), at(0));
    for (waiter, member) in members.iter().enumerate() {
        group.step(at(0), join(old_ask(waiter as u64, member)));
    }
    group.step(at(DELAY_MS), Event::Wake);
    while group.state() != State::CompletingRebalance {
        let next = group.armed.expect("a wake-up is due");
        group.step(at(next), Event::Wake);
    }
    let given: Vec<(&str, &str)> = members.iter().map(|member| (*member, *member)).collect();
    let leader = group.leader.clone().expect("a leader");
    let effects = group.step(at(DELAY_MS), sync(100, &leader, 1, &given));
    group.step(at(DELAY_MS), persisted(written(&effects).0));
    for member in members {
        group.step(at(DELAY_MS), sync(101, member, 1, &[]));
    }
    assert_eq!(group.state(), State::Stable, "the group is stable");
    group
}
