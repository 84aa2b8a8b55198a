//! A group, its log, and clients that do what they are told, or what the history has them do. What
//! they were told is compared with what the group says, after every step.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::client::{Client, read_share, subscription};
use super::properties::{Act, CLIENTS};
use super::*;
use crate::group::consumer::beat::without_epochs;
use crate::group::consumer::member::MemberTimers;
use crate::group::engine::{Claim, Event, Join, Leaving, Reply, Sync};
use crate::group::records::{self, KeyValue, Stored};

#[derive(Debug)]
pub(super) struct World {
    group: ConsumerGroup,
    topics: FixedTopics,
    revision: u64,
    now: Now,
    wake: Option<u64>,
    clients: Vec<Client>,
    pub(super) waiters: BTreeMap<Waiter, (usize, u32)>,
    next_waiter: u64,
    /// The interval in force when a heartbeat was sent.
    intervals: BTreeMap<Waiter, i32>,
    own: OwnSettings,
    writes: VecDeque<(Ticket, Vec<KeyValue>)>,
    log: BTreeMap<Bytes, Option<Bytes>>,
    highest: (i32, i32),
    epochs: BTreeMap<Arc<str>, i32>,
    pub(super) ended: bool,
}

fn rules() -> ConsumerRules {
    ConsumerRules {
        session_timeout_ms: 45_000,
        heartbeat_interval_ms: 5_000,
        assignment_interval_ms: 200,
        max_size: 4,
        upgrade: true,
        downgrade: true,
        classic_max_size: 10,
        assignor: Assignor::Uniform,
        bounds: BOUNDS,
    }
}

impl World {
    pub(super) fn new() -> World {
        World {
            group: ConsumerGroup::new(rules(), Ticket(0)),
            topics: FixedTopics::of(&[("a", 4), ("b", 3), ("c", 1)]),
            revision: 1,
            now: Now {
                tick_ms: 0,
                wall_ms: 1_000_000,
            },
            wake: None,
            clients: (0..CLIENTS)
                .map(|number| Client {
                    number,
                    ..Client::default()
                })
                .collect(),
            waiters: BTreeMap::new(),
            next_waiter: 0,
            intervals: BTreeMap::new(),
            own: OwnSettings::default(),
            writes: VecDeque::new(),
            log: BTreeMap::new(),
            highest: (0, 0),
            epochs: BTreeMap::new(),
            ended: false,
        }
    }

    fn step(&mut self, change: impl FnOnce(&mut ConsumerGroup, Moment<'_>) -> Vec<ConsumerEffect>) {
        let topics = self.topics.clone();
        self.group.follow(rules().with(self.own));
        let at = Moment {
            now: self.now,
            topics: &topics,
            revision: self.revision,
        };
        for effect in change(&mut self.group, at) {
            match effect {
                ConsumerEffect::Reply { waiter, reply } => self.answered(waiter, reply),
                ConsumerEffect::Store { ticket, parts } => {
                    let records = records::consumer::records("g", &self.group, &parts);
                    self.writes
                        .push_back((ticket, records.expect("short texts")));
                }
                ConsumerEffect::WakeAt { tick_ms } => {
                    self.wake = Some(self.wake.map_or(tick_ms, |wake| wake.min(tick_ms)));
                }
                ConsumerEffect::Resolve { .. } | ConsumerEffect::Rebalancing => {}
                // It is a classic group from now on: another story.
                ConsumerEffect::Downgrade { .. } => self.ended = true,
            }
        }
        self.check();
    }

    fn ask(&mut self, client: usize) -> Waiter {
        let waiter = Waiter(self.next_waiter);
        self.next_waiter += 1;
        self.waiters
            .insert(waiter, (client, self.clients[client].life));
        self.clients[client].waits = true;
        waiter
    }

    fn beat(&mut self, number: usize, wants: u8) {
        if self.clients[number].waits || self.ended {
            return;
        }
        self.clients[number].wants = wants;
        if self.clients[number].is_classic() {
            return self.classic(number);
        }
        let waiter = self.ask(number);
        let interval = rules().with(self.own).heartbeat_interval_ms;
        self.intervals.insert(waiter, interval);
        let client = &self.clients[number];
        let joins = client.epoch == 0;
        let beat = Beat {
            waiter,
            member_id: client.id(),
            epoch: client.epoch,
            instance_id: client.instance(),
            rack_id: None,
            rebalance_timeout_ms: joins.then_some(30_000),
            topics: Some(client.topics()),
            regex_fault: None,
            regex: None,
            assignor: None,
            holds: Some(if joins {
                Partitions::new()
            } else {
                client.holds.clone()
            }),
            client: ClientInfo {
                id: Arc::from("c"),
                host: Arc::from("/h"),
            },
        };
        self.step(|group, at| group.heartbeat(at, &beat));
    }

    /// A classic member: JoinGroup while it is called, else a heartbeat.
    fn classic(&mut self, number: usize) {
        let waiter = self.ask(number);
        let client = self.clients[number].clone();
        let claim = Claim {
            member_id: client.id(),
            instance_id: None,
            generation: client.epoch,
        };
        if self.group.is_empty() {
            // The registry would make a classic group of it.
            self.waiters.remove(&waiter);
            self.clients[number].waits = false;
            return;
        }
        let event = if client.epoch == 0 {
            let name = |id: &Uuid| Topics::name(&self.topics, id);
            let holds: Vec<(Arc<str>, Vec<i32>)> = client
                .holds
                .iter()
                .filter_map(|(id, of)| Some((name(id)?, of.iter().copied().collect())))
                .collect();
            let metadata = subscription(&client.topics(), &holds);
            if !self.group.members.contains(&client.id()) {
                // Its time was up and it did not hear of it: it is a new member under its old id, as
                // with Kafka. What it believed to hold has been others' since.
                self.clients[number].holds.clear();
            }
            Event::Join(Box::new(Join {
                waiter,
                member_id: Some(client.id()),
                new_member_id: client.id(),
                instance_id: None,
                client: ClientInfo {
                    id: Arc::from("c"),
                    host: Arc::from("/h"),
                },
                session_timeout_ms: 30_000,
                rebalance_timeout_ms: 30_000,
                protocol_type: Arc::from("consumer"),
                protocols: vec![Protocol {
                    name: Arc::from("range"),
                    metadata,
                }],
                needs_known_id: true,
                can_skip_assignment: false,
            }))
        } else if client.joined {
            Event::Heartbeat { waiter, claim }
        } else {
            Event::Sync(Box::new(Sync {
                waiter,
                claim,
                protocol_type: None,
                protocol_name: None,
                assignments: Vec::new(),
            }))
        };
        self.step(|group, at| group.step(at, event));
    }

    fn answered(&mut self, waiter: Waiter, reply: Reply) {
        let (number, life) = self.waiters.remove(&waiter).expect("answered once");
        if let (Reply::Beat(reply), Some(interval)) = (&reply, self.intervals.remove(&waiter)) {
            assert!(reply.error != ErrorCode::None || reply.heartbeat_interval_ms == interval);
        }
        let client = &mut self.clients[number];
        if client.life != life {
            return;
        }
        client.waits = false;
        if client.deaf {
            return;
        }
        match reply {
            Reply::Beat(reply) => match reply.error {
                ErrorCode::None if reply.epoch < 0 => client.lose(),
                ErrorCode::None => {
                    assert!(
                        client.liar || reply.epoch >= client.epoch,
                        "{reply:?} {client:?}"
                    );
                    client.epoch = reply.epoch;
                    if let Some(assignment) = reply.assignment {
                        client.holds = assignment;
                    }
                }
                ErrorCode::FencedMemberEpoch
                | ErrorCode::UnknownMemberId
                | ErrorCode::FencedInstanceId => client.lose(),
                _ => {}
            },
            Reply::Join(reply) if reply.error == ErrorCode::None => {
                (client.epoch, client.joined) = (reply.generation, false);
            }
            Reply::Sync(reply) if reply.error == ErrorCode::None => {
                client.joined = true;
                client.holds = read_share(&reply.assignment, &self.topics);
            }
            Reply::Heartbeat(ErrorCode::None) | Reply::Leave(_) => {}
            Reply::Sync(_) | Reply::Heartbeat(ErrorCode::RebalanceInProgress) => client.epoch = 0,
            Reply::Join(_) | Reply::Heartbeat(_) => client.lose(),
        }
    }

    pub(super) fn take(&mut self, act: &Act) {
        match act {
            Act::Beat { client, wants } => self.beat(*client, *wants),
            Act::Lie {
                client,
                epoch,
                holds,
            } => {
                if *client < 4 && !self.clients[*client].waits {
                    let lied = &mut self.clients[*client];
                    lied.liar = true;
                    lied.epoch = (*epoch).max(0);
                    if !holds {
                        lied.holds.clear();
                    }
                    let wants = lied.wants;
                    self.beat(*client, wants);
                }
            }
            Act::Leave { client, away } => self.leave(*client, *away),
            Act::Die { client } => self.clients[*client].lose(),
            Act::Deaf { client, deaf } => self.clients[*client].deaf = *deaf,
            Act::Topics { sizes } => {
                let named: Vec<(&str, i32)> =
                    super::client::NAMES.into_iter().zip(*sizes).collect();
                let all = FixedTopics::of(&named);
                // Without partitions there is no topic; the others never shrink.
                let grown =
                    all.0
                        .into_iter()
                        .filter(|(_, _, size)| *size > 0)
                        .map(|(name, id, size)| {
                            let before = self.topics.find(&name).map_or(0, |(_, before)| before);
                            (name, id, size.max(before))
                        });
                self.topics = FixedTopics(grown.collect());
                self.revision += 1;
            }
            Act::Settings { own } => self.own = *own,
            Act::WriteEnds { well } => self.write_ends(*well),
            Act::Pass { ms } => {
                self.now.tick_ms += ms;
                self.now.wall_ms += *ms as i64;
                if self.wake.is_some_and(|wake| wake <= self.now.tick_ms) && !self.ended {
                    self.wake = None;
                    self.step(ConsumerGroup::wake);
                }
            }
        }
    }

    fn leave(&mut self, number: usize, away: bool) {
        let client = &self.clients[number];
        if client.waits || client.epoch == 0 || client.is_classic() || self.ended {
            return;
        }
        let leaving = Leaving {
            member_id: client.id(),
            instance_id: client.instance(),
        };
        let epoch = if away && leaving.instance_id.is_some() {
            -2
        } else {
            -1
        };
        let waiter = self.ask(number);
        // It has let go of everything before it says that it goes, whether an answer comes or not.
        self.clients[number].holds.clear();
        self.step(|group, at| group.leave(at, waiter, &leaving, epoch));
    }

    fn write_ends(&mut self, well: bool) {
        let Some((ticket, records)) = self.writes.pop_front() else {
            return;
        };
        if well {
            self.log
                .extend(records.into_iter().map(|record| (record.key, record.value)));
        }
        let outcome = if well {
            Ok(())
        } else {
            Err(ErrorCode::CoordinatorNotAvailable)
        };
        self.step(|group, _| group.persisted(ticket, outcome));
    }

    /// What must hold at every moment.
    fn check(&mut self) {
        if self.ended {
            return;
        }
        let mut owners: BTreeMap<(Uuid, i32), Arc<str>> = BTreeMap::new();
        for member in self.group.members.iter() {
            let sides = member
                .current
                .assigned
                .iter()
                .chain(&member.current.revoking);
            for (topic, at) in sides.flat_map(|(topic, of)| of.keys().map(move |at| (*topic, *at)))
            {
                let other = owners.insert((topic, at), member.id.clone());
                assert_eq!(other, None, "two owners of {topic}-{at}: {}", member.id);
            }
            let longest = self.now.tick_ms + 60_000;
            assert!(member.timers.session.is_none_or(|ends| ends <= longest));
            assert!(
                member.current.epoch <= self.group.target_epoch + 1,
                "{member:?}"
            );
            let highest = self.epochs.entry(member.id.clone()).or_insert(i32::MIN);
            if member.current.epoch >= 0 {
                assert!(
                    member.current.epoch >= *highest,
                    "{member:?} was in {highest}"
                );
                *highest = member.current.epoch;
            }
        }
        assert_eq!(owners, self.group.owners);
        let mut given = BTreeSet::new();
        for (id, target) in &self.group.target {
            assert!(self.group.members.contains(id), "a target for nobody: {id}");
            for place in target
                .iter()
                .flat_map(|(topic, of)| of.iter().map(move |at| (*topic, *at)))
            {
                assert!(given.insert(place), "{place:?} is to have two owners");
            }
        }
        let epochs = (self.group.epoch, self.group.target_epoch);
        assert!(epochs.0 >= epochs.1 && epochs.0 >= self.highest.0 && epochs.1 >= self.highest.1);
        self.highest = epochs;
        self.check_clients();
    }

    /// No two honest members believe that they have the same partition.
    fn check_clients(&self) {
        let mut held: BTreeMap<(Uuid, i32), usize> = BTreeMap::new();
        for client in &self.clients {
            if client.liar || !self.group.members.contains(&client.id()) {
                continue;
            }
            for (topic, of) in &client.holds {
                for at in of {
                    let other = held.insert((*topic, *at), client.number);
                    assert_eq!(
                        other, None,
                        "{topic}-{at} is held by {} as well",
                        client.number
                    );
                }
            }
        }
    }

    /// The noise ends: honest members, writes that succeed, time that passes. Everyone gets its share.
    pub(super) fn settle(&mut self) {
        for client in &mut self.clients {
            client.deaf = false;
            if client.liar {
                client.lose();
            }
        }
        for _ in 0..40 {
            for number in 0..CLIENTS {
                if !self.clients[number].is_classic()
                    || self.group.members.contains(&self.clients[number].id())
                {
                    let wants = self.clients[number].wants;
                    self.beat(number, wants);
                }
                while !self.writes.is_empty() && !self.ended {
                    self.write_ends(true);
                }
            }
            self.take(&Act::Pass { ms: 3_000 });
        }
        if self.ended {
            return;
        }
        assert_eq!(
            self.group.state(),
            ConsumerState::Stable,
            "{:#?}",
            self.group
        );
        let mut given: Partitions = Partitions::new();
        for member in self.group.members.iter() {
            let has = without_epochs(&member.current.assigned);
            assert_eq!(Some(&has), self.group.target.get(&member.id), "{member:?}");
            has.into_iter()
                .for_each(|(topic, of)| given.entry(topic).or_default().extend(of));
        }
        let all = self.group.subscribed(&self.topics).into_iter();
        let all: Partitions = all
            .map(|(topic, size)| (topic, (0..size).collect()))
            .collect();
        assert_eq!(given, all, "every partition has its owner");
        self.check_log();
    }

    /// The log says what memory holds.
    fn check_log(&self) {
        let mut recorded = Recorded::default();
        for (key, value) in &self.log {
            match records::read(key, value.as_ref(), 0).expect("our own records") {
                Stored::Consumer { id, fact } if &*id == "g" => recorded.take(fact),
                other => panic!("{other:?}"),
            }
        }
        let (again, _) = ConsumerGroup::restore(rules(), self.now, recorded);
        assert_eq!(again.stored_epoch(), self.group.stored_epoch());
        assert_eq!(
            again.stored_target_epoch(),
            self.group.stored_target_epoch()
        );
        assert_eq!(again.target, self.group.target);
        assert_eq!(again.owners, self.group.owners);
        let plain = |group: &ConsumerGroup| -> Vec<Member> {
            let members = group.members.iter().cloned();
            members
                .map(|member| Member {
                    timers: MemberTimers::default(),
                    ..member
                })
                .collect()
        };
        assert_eq!(plain(&again), plain(&self.group));
    }
}
