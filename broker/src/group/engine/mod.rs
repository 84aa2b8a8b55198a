//! One consumer group of the classic protocol as a state machine: `step(now, event) -> effects`.
//!
//! ```text
//!            join                    all joined, or time is up
//!   Empty ─────────▶ PreparingRebalance ─────────▶ CompletingRebalance
//!     ▲                 ▲  │  nobody left                │ the leader's assignment is stored
//!     └─────────────────┼──┘                             ▼
//!                       └───── join, leave, expiry ─── Stable
//! ```
//!
//! Invariant: no I/O, no clock, no randomness, no runtime. Every waiter is answered exactly once; a
//! generation only grows; members learn an assignment only after it was stored.
//! Hallway: beside step 7 (a consumer's side of the road).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::error_code::ErrorCode;

mod adopt;
pub(crate) mod effect;
pub(crate) mod event;
mod join;
mod member;
mod rebalance;
mod session;
mod static_member;
mod subscribed;
mod sync;
#[cfg(test)]
mod tests;

pub(crate) use effect::{
    Effect, JoinReply, JoinedMember, Left, MemberSnapshot, Reason, Reply, Snapshot, SyncReply,
};
pub(crate) use event::{
    Claim, ClientInfo, Event, Join, Leaving, Now, Protocol, Sync, Ticket, Waiter,
};
use member::{Member, Members, Terms};

/// The protocol type of Kafka's consumers.
pub(crate) const CONSUMER_PROTOCOL_TYPE: &str = "consumer";

/// What the owner allows a group; Kafka's settings of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// `group.max.size`: members, and callers that were given an id but have not come back.
    pub(crate) max_size: usize,
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay_ms: u64,
    /// How long a new member may wait for its first generation before it counts as gone.
    pub(crate) new_member_join_timeout_ms: u64,
}

/// Where a group stands; the names and their spelling are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// No members; offsets may remain.
    Empty,
    /// Members are being collected. `initial`: the first round of an empty group, which lasts
    /// its whole delay.
    PreparingRebalance { initial: bool },
    /// The leader is deciding the assignment, or it is being stored.
    CompletingRebalance,
    /// Every member may have its assignment.
    Stable,
    /// No longer coordinated here.
    Dead,
}

impl State {
    /// Kafka's name of the state.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
            State::Dead => "Dead",
        }
    }
}

/// A classic consumer group.
#[derive(Debug)]
pub(crate) struct Group {
    limits: Limits,
    state: State,
    state_since_ms: i64,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol_name: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: Members,
    /// The topics that the present generation reads; unknown where the members cannot be understood.
    subscribed: Option<BTreeSet<Arc<str>>>,
    /// Ids given out by KIP-394 whose owners have not come back, with the tick they lapse at.
    pending_joins: BTreeMap<Arc<str>, u64>,
    /// Members that were given the present generation and have not sent SyncGroup.
    pending_syncs: BTreeSet<Arc<str>>,
    join_phase: Option<JoinPhase>,
    /// The tick by which all members must have sent SyncGroup.
    sync_deadline: Option<u64>,
    /// A new member came during the initial round, which may prolong it.
    joined_in_initial: bool,
    writes: BTreeMap<Ticket, Write>,
    next_ticket: u64,
    /// The earliest tick for which a wake-up was asked.
    armed: Option<u64>,
    effects: Vec<Effect>,
}

/// How the collection of members ends when not all of them come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JoinPhase {
    /// The round of an empty group: waits `delay_ms` at a time while new members keep coming.
    Initial {
        ends: u64,
        delay_ms: u64,
        remaining_ms: u64,
    },
    Rebalance {
        ends: u64,
    },
}

impl JoinPhase {
    fn ends(self) -> u64 {
        match self {
            JoinPhase::Initial { ends, .. } | JoinPhase::Rebalance { ends } => ends,
        }
    }
}

/// A write under way, and what its end means.
#[derive(Debug)]
enum Write {
    /// The group became empty; nobody waits.
    Emptied,
    /// The leader's assignment of `generation`.
    Assignment {
        generation: i32,
        assignments: BTreeMap<Arc<str>, Bytes>,
    },
    /// A static member that took the place of an earlier one without a new round.
    StaticMember(Box<static_member::Replacement>),
}

impl Group {
    /// A group without members, as the first JoinGroup or a simple commit creates it.
    pub(crate) fn new(limits: Limits, now: Now) -> Group {
        Group {
            limits,
            state: State::Empty,
            state_since_ms: now.wall_ms,
            generation: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: Members::default(),
            subscribed: None,
            pending_joins: BTreeMap::new(),
            pending_syncs: BTreeSet::new(),
            join_phase: None,
            sync_deadline: None,
            joined_in_initial: false,
            writes: BTreeMap::new(),
            next_ticket: 0,
            armed: None,
            effects: Vec::new(),
        }
    }

    /// The group as its last stored metadata describes it; every member's session begins now.
    pub(crate) fn restore(limits: Limits, now: Now, snapshot: &Snapshot) -> (Group, Vec<Effect>) {
        let mut group = Group::new(limits, now);
        group.state = if snapshot.members.is_empty() {
            State::Empty
        } else {
            State::Stable
        };
        group.state_since_ms = snapshot.state_since_ms;
        group.generation = snapshot.generation;
        group.protocol_type = snapshot
            .protocol_type
            .clone()
            .filter(|name| !name.is_empty());
        group.protocol_name = snapshot.protocol_name.clone();
        group.leader = snapshot.leader.clone();
        for stored in &snapshot.members {
            let name = snapshot
                .protocol_name
                .clone()
                .unwrap_or_else(|| Arc::from(""));
            let terms = Terms {
                session_timeout_ms: stored.session_timeout_ms,
                rebalance_timeout_ms: stored.rebalance_timeout_ms,
                protocols: vec![Protocol {
                    name,
                    metadata: stored.subscription.clone(),
                }],
            };
            let client = ClientInfo {
                id: stored.client_id.clone(),
                host: stored.client_host.clone(),
            };
            let mut member = Member::new(
                stored.member_id.clone(),
                stored.instance_id.clone(),
                client,
                terms,
            );
            member.assignment = stored.assignment.clone();
            member.is_new = false;
            let ends = member.renew_session(now.tick_ms);
            group.members.insert(member);
            group.arm(ends);
        }
        group.find_topics();
        let effects = std::mem::take(&mut group.effects);
        (group, effects)
    }

    /// Takes one event and says what is to be done about it, in order.
    pub(crate) fn step(&mut self, now: Now, event: Event) -> Vec<Effect> {
        match event {
            Event::Join(join) => self.on_join(now, *join),
            Event::Sync(sync) => self.on_sync(now, *sync),
            Event::Heartbeat { waiter, claim } => {
                let error = self.heartbeat(now, &claim);
                self.reply(waiter, Reply::Heartbeat(error));
            }
            Event::Leave { waiter, members } => self.on_leave(now, waiter, members),
            Event::Persisted { ticket, outcome } => self.on_persisted(now, ticket, outcome),
            Event::Wake => self.on_wake(now),
            Event::Unload { error } => self.on_unload(now, error),
        }
        std::mem::take(&mut self.effects)
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn generation(&self) -> i32 {
        self.generation
    }

    pub(crate) fn protocol_type(&self) -> Option<&Arc<str>> {
        self.protocol_type.as_ref()
    }

    /// Wall clock of the last change of state, milliseconds since the epoch; -1 unknown.
    pub(crate) fn state_since_ms(&self) -> i64 {
        self.state_since_ms
    }

    /// The group as it would be stored now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let protocol = self.protocol_name.as_deref();
        Snapshot {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone(),
            state_since_ms: self.state_since_ms,
            members: self
                .members
                .iter()
                .map(|member| MemberSnapshot {
                    member_id: member.id.clone(),
                    instance_id: member.instance_id.clone(),
                    client_id: member.client.id.clone(),
                    client_host: member.client.host.clone(),
                    rebalance_timeout_ms: member.rebalance_timeout_ms,
                    session_timeout_ms: member.session_timeout_ms,
                    subscription: member.metadata(protocol),
                    assignment: member.assignment.clone(),
                })
                .collect(),
        }
    }

    /// Whether nothing keeps the group but its offsets.
    pub(crate) fn is_unused(&self) -> bool {
        self.state == State::Empty && self.pending_joins.is_empty() && self.writes.is_empty()
    }

    /// Forgets the ids that were given to callers who have not come back.
    pub(crate) fn forget_pending(&mut self) {
        self.pending_joins.clear();
    }

    fn enter(&mut self, now: Now, state: State) {
        self.state = state;
        self.state_since_ms = now.wall_ms;
    }

    fn reply(&mut self, waiter: Waiter, reply: Reply) {
        self.effects.push(Effect::Reply { waiter, reply });
    }

    fn reply_join(&mut self, waiter: Waiter, reply: JoinReply) {
        self.reply(waiter, Reply::Join(Box::new(reply)));
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Asks for a wake-up unless an earlier one is already on its way.
    fn arm(&mut self, tick_ms: u64) {
        if self.armed.is_none_or(|armed| tick_ms < armed) {
            self.armed = Some(tick_ms);
            self.effects.push(Effect::WakeAt { tick_ms });
        }
    }

    fn persist(&mut self, snapshot: Snapshot, write: Write) {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.writes.insert(ticket, write);
        self.effects.push(Effect::Persist {
            ticket,
            snapshot: Box::new(snapshot),
        });
    }

    /// Whether a request comes from a present member, by id and instance id.
    fn check_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.members.instance(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if &**current != member_id => {
                    return Err(ErrorCode::FencedInstanceId);
                }
                Some(_) => {}
            }
        }
        if self.members.contains(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// [`Group::check_member`], and the generation.
    fn check_claim(&self, claim: &Claim) -> Result<(), ErrorCode> {
        self.check_member(&claim.member_id, claim.instance_id.as_deref())?;
        if claim.generation == self.generation {
            Ok(())
        } else {
            Err(ErrorCode::IllegalGeneration)
        }
    }
}
