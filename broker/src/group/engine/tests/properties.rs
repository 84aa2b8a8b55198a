//! Random members against one group: whatever they do, in whatever order writes end, the promises
//! of the classic protocol hold. A model of the members checks every answer they get.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const CLIENTS: usize = 5;

#[derive(Debug, Clone)]
enum Act {
    Join {
        client: usize,
        changed: bool,
    },
    Sync {
        client: usize,
    },
    Heartbeat {
        client: usize,
    },
    Leave {
        client: usize,
    },
    Commit {
        client: usize,
    },
    /// The client loses what it knew: a crash and a new start.
    Forget {
        client: usize,
    },
    /// The oldest write under way ends.
    WriteEnds {
        well: bool,
    },
    Pass {
        ms: u64,
    },
    /// The clock is watched on time.
    Wake,
}

fn act() -> impl Strategy<Value = Act> {
    let client = 0..CLIENTS;
    prop_oneof![
        4 => (client.clone(), any::<bool>()).prop_map(|(client, odd)| Act::Join { client, changed: odd && client == 4 }),
        4 => client.clone().prop_map(|client| Act::Sync { client }),
        2 => client.clone().prop_map(|client| Act::Heartbeat { client }),
        1 => client.clone().prop_map(|client| Act::Leave { client }),
        1 => client.clone().prop_map(|client| Act::Commit { client }),
        1 => client.prop_map(|client| Act::Forget { client }),
        3 => (0..10u8).prop_map(|dice| Act::WriteEnds { well: dice != 0 }),
        2 => prop_oneof![0..50u64, 50..5_000u64, 5_000..70_000u64].prop_map(|ms| Act::Pass { ms }),
        3 => Just(Act::Wake),
    ]
}

/// What a member knows of itself.
#[derive(Debug, Clone, Default)]
struct Client {
    member_id: Option<Arc<str>>,
    generation: i32,
    /// Everyone in its generation, when it leads.
    leads: Option<Vec<Arc<str>>>,
    /// The highest generation it was ever given.
    highest: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Join,
    Sync { generation: i32 },
    Other,
}

#[derive(Debug)]
struct World {
    group: Group,
    tick_ms: u64,
    clients: Vec<Client>,
    /// Who stands behind a member id, for ever.
    owners: BTreeMap<Arc<str>, usize>,
    waiting: BTreeMap<u64, (usize, Kind)>,
    answered: BTreeSet<u64>,
    writes: Vec<Ticket>,
    wakeups: BTreeSet<u64>,
    next_waiter: u64,
    generation: i32,
}

impl World {
    fn new() -> World {
        World {
            group: Group::new(
                Limits {
                    max_size: 4,
                    ..limits()
                },
                at(0),
            ),
            tick_ms: 0,
            clients: vec![Client::default(); CLIENTS],
            owners: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answered: BTreeSet::new(),
            writes: Vec::new(),
            wakeups: BTreeSet::new(),
            next_waiter: 0,
            generation: 0,
        }
    }

    /// Clients 0 and 1 are static members, 3 is older than KIP-394.
    fn instance(client: usize) -> Option<Arc<str>> {
        (client < 2).then(|| id(&format!("i{client}")))
    }

    fn wait(&mut self, client: usize, kind: Kind) -> Waiter {
        self.next_waiter += 1;
        self.waiting.insert(self.next_waiter, (client, kind));
        Waiter(self.next_waiter)
    }

    fn claim(&self, client: usize) -> Claim {
        let known = &self.clients[client];
        Claim {
            member_id: known.member_id.clone().unwrap_or_else(|| id("")),
            instance_id: World::instance(client),
            generation: known.generation,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Join { client, changed } => self.join(*client, *changed),
            Act::Sync { client } => self.sync(*client),
            Act::Heartbeat { client } => {
                let waiter = self.wait(*client, Kind::Other);
                let claim = self.claim(*client);
                self.step(Event::Heartbeat { waiter, claim });
            }
            Act::Leave { client } => {
                let waiter = self.wait(*client, Kind::Other);
                let Claim {
                    member_id,
                    instance_id,
                    ..
                } = self.claim(*client);
                let members = vec![Leaving {
                    member_id,
                    instance_id,
                }];
                self.step(Event::Leave { waiter, members });
                self.clients[*client].member_id = None;
            }
            Act::Commit { client } => {
                let claim = self.claim(*client);
                let admitted = self.group.admit_commit(at(self.tick_ms), &claim);
                if admitted.is_ok() && claim.generation >= 0 {
                    assert_eq!(claim.generation, self.group.generation(), "an old commit");
                }
            }
            Act::Forget { client } => self.clients[*client].member_id = None,
            Act::WriteEnds { well } => self.end_write(*well),
            Act::Pass { ms } => self.tick_ms += ms,
            Act::Wake => self.wake(),
        }
    }

    fn join(&mut self, client: usize, changed: bool) {
        let waiter = self.wait(client, Kind::Join);
        let new_member_id = id(&format!("c{client}-{}", waiter.0));
        self.owners.insert(new_member_id.clone(), client);
        let metadata = if changed {
            format!("meta{}", waiter.0)
        } else {
            String::from("meta")
        };
        let ask = Join {
            waiter,
            member_id: self.clients[client].member_id.clone(),
            new_member_id,
            instance_id: World::instance(client),
            protocols: vec![offer("range", &metadata)],
            needs_known_id: client != 3,
            can_skip_assignment: client == 0,
            ..ask(0, None)
        };
        self.step(Event::Join(Box::new(ask)));
    }

    fn sync(&mut self, client: usize) {
        let generation = self.clients[client].generation;
        let waiter = self.wait(client, Kind::Sync { generation });
        let members = self.clients[client].leads.clone().unwrap_or_default();
        let assignments = members
            .iter()
            .map(|member| {
                (
                    member.clone(),
                    Bytes::from(format!("{generation}/{}", self.owners[member])),
                )
            })
            .collect();
        let claim = self.claim(client);
        let sync = Sync {
            waiter,
            claim,
            protocol_type: None,
            protocol_name: None,
            assignments,
        };
        self.step(Event::Sync(Box::new(sync)));
    }

    fn end_write(&mut self, well: bool) {
        if self.writes.is_empty() {
            return;
        }
        let ticket = self.writes.remove(0);
        let outcome = if well {
            Ok(())
        } else {
            Err(ErrorCode::CoordinatorNotAvailable)
        };
        self.step(Event::Persisted { ticket, outcome });
    }

    fn wake(&mut self) {
        if self.wakeups.first().is_some_and(|due| *due <= self.tick_ms) {
            self.wakeups.pop_first();
            self.step(Event::Wake);
        }
    }

    fn step(&mut self, event: Event) {
        for effect in self.group.step(at(self.tick_ms), event) {
            match effect {
                Effect::Reply { waiter, reply } => self.answer(waiter.0, reply),
                Effect::Persist { ticket, .. } => self.writes.push(ticket),
                Effect::WakeAt { tick_ms } => {
                    self.wakeups.insert(tick_ms);
                }
                Effect::Rebalancing { .. } => {}
            }
        }
        assert!(
            self.group.generation() >= self.generation,
            "the generation fell"
        );
        self.generation = self.group.generation();
        let counted = self
            .group
            .members
            .iter()
            .filter(|member| member.is_awaiting_join())
            .count();
        assert_eq!(
            counted,
            self.group.members.awaiting_join(),
            "the count of those who wait"
        );
        if self.group.state() == State::Stable || self.group.state() == State::CompletingRebalance {
            let leader = self
                .group
                .leader
                .as_deref()
                .expect("a generation has a leader");
            assert!(
                self.group.members.contains(leader),
                "the leader is a member"
            );
            assert!(
                self.group.protocol_name.is_some(),
                "a generation has a protocol"
            );
        }
    }

    fn answer(&mut self, waiter: u64, reply: Reply) {
        assert!(
            self.answered.insert(waiter),
            "waiter {waiter} was answered twice"
        );
        let (client, kind) = self
            .waiting
            .remove(&waiter)
            .expect("only who asks is answered");
        match (reply, kind) {
            (Reply::Join(reply), Kind::Join) => self.joined(client, *reply),
            (Reply::Sync(reply), Kind::Sync { generation }) => {
                let share = std::str::from_utf8(&reply.assignment).expect("text");
                if reply.error == ErrorCode::None && !share.is_empty() {
                    assert_eq!(
                        share,
                        format!("{generation}/{client}"),
                        "another one's share"
                    );
                }
            }
            (Reply::Heartbeat(_) | Reply::Leave(_), Kind::Other) => {}
            (reply, kind) => panic!("{kind:?} was answered with {reply:?}"),
        }
    }

    fn joined(&mut self, client: usize, reply: JoinReply) {
        let known = &mut self.clients[client];
        match reply.error {
            ErrorCode::None => {
                assert!(
                    reply.generation >= known.highest,
                    "an older generation was given"
                );
                assert_eq!(
                    self.owners[&reply.member_id], client,
                    "another one's member id"
                );
                known.highest = reply.generation;
                known.generation = reply.generation;
                let leads = reply.leader.as_ref() == Some(&reply.member_id);
                let ids: Vec<_> = reply
                    .members
                    .into_iter()
                    .map(|member| member.member_id)
                    .collect();
                assert_eq!(
                    leads,
                    ids.contains(&reply.member_id),
                    "who leads sees the members"
                );
                known.leads = (leads && !reply.skip_assignment).then_some(ids);
                known.member_id = Some(reply.member_id);
            }
            ErrorCode::MemberIdRequired => known.member_id = Some(reply.member_id),
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => known.member_id = None,
            _ => {}
        }
    }

    /// Everyone falls silent; writes end and time passes.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            while !self.writes.is_empty() {
                self.end_write(true);
            }
            let Some(next) = self.wakeups.pop_first() else {
                break;
            };
            self.tick_ms = self.tick_ms.max(next);
            self.step(Event::Wake);
        }
        assert_eq!(
            self.waiting.len(),
            0,
            "someone waits for ever: {:?}",
            self.waiting
        );
        assert_eq!(
            self.group.state(),
            State::Empty,
            "silent members are all gone at last"
        );
        assert!(self.group.is_unused(), "nothing is left behind");
        assert!(self.wakeups.is_empty(), "an empty group asks for nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn random_members_never_break_the_protocol(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
        }
        world.settle();
    }

    #[test]
    fn a_stable_group_survives_its_own_record(acts in prop::collection::vec(act(), 1..120)) {
        let mut world = World::new();
        for act in &acts {
            world.act(act);
            if world.group.state() == State::Stable && world.writes.is_empty() {
                let stored = world.group.snapshot();
                let (restored, _) = Group::restore(limits(), at(world.tick_ms), &stored);
                prop_assert_eq!(restored.snapshot(), stored);
                prop_assert_eq!(restored.state(), State::Stable);
            }
        }
    }
}
