//! What has changed and is to be stored, and who waits for it.
//! Invariant: an answer goes out only after everything it says was stored. What could not be stored
//! stays marked and goes with the next write, always as it is then; so memory may be ahead of the
//! log, but nobody is told. Hallway: between steps 7 and 8.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use logway_protocol::ErrorCode;

use super::beat::BeatReply;
use super::{ConsumerGroup, Ticket, Waiter};
use crate::group::engine::{JoinReply, Left, Reply, SyncReply};

/// One record of a group. Its content is the group's state when it is written; what is not there
/// any more is written as a tombstone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The classic group of this id; always a tombstone.
    Classic,
    Member(Arc<str>),
    Regex(Arc<str>),
    Epoch,
    Target(Arc<str>),
    TargetEpoch,
    Current(Arc<str>),
}

/// Everything a group asks its owner to do.
#[derive(Debug)]
pub(crate) enum ConsumerEffect {
    /// Answer the caller; comes exactly once per waiter.
    Reply { waiter: Waiter, reply: Reply },
    /// Write these parts as they are now, and report with `persisted`.
    Store {
        ticket: Ticket,
        parts: BTreeSet<Part>,
    },
    /// Wake the group at this tick (milliseconds). Earlier requests still stand.
    WakeAt { tick_ms: u64 },
    /// Find out which topics these expressions match, and report with `resolved`.
    Resolve { patterns: Vec<Arc<str>> },
    /// The group epoch grew; for the log and the counters.
    Rebalancing,
    /// Turn this group into a classic one; then answer.
    Downgrade {
        answers: Vec<(Waiter, Reply)>,
        /// Call the members together: one of them is gone.
        rebalance: bool,
    },
}

/// A write under way.
#[derive(Debug)]
struct Write {
    parts: BTreeSet<Part>,
    answers: Vec<(Waiter, Reply)>,
}

/// The changes and the writes of one group.
#[derive(Debug)]
pub(super) struct Storing {
    changed: BTreeSet<Part>,
    answers: Vec<(Waiter, Reply)>,
    writes: BTreeMap<Ticket, Write>,
    next_ticket: Ticket,
}

impl Storing {
    pub(super) fn new(next_ticket: Ticket) -> Storing {
        Storing {
            changed: BTreeSet::new(),
            answers: Vec::new(),
            writes: BTreeMap::new(),
            next_ticket,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.changed.is_empty() && self.writes.is_empty()
    }
}

impl ConsumerGroup {
    pub(super) fn mark(&mut self, part: Part) {
        self.storing.changed.insert(part);
    }

    /// Answers once everything that has changed is stored.
    pub(super) fn answer(&mut self, waiter: Waiter, reply: Reply) {
        self.storing.answers.push((waiter, reply));
    }

    pub(super) fn take_answers(&mut self) -> Vec<(Waiter, Reply)> {
        std::mem::take(&mut self.storing.answers)
    }

    /// Ends a step: stores what has changed and lets the answers wait for it.
    pub(super) fn finish(&mut self) -> Vec<ConsumerEffect> {
        let answers = self.take_answers();
        if self.downgrading {
            // Its owner takes the group apart; nothing of it is stored any more.
            self.send(answers);
        } else if !self.storing.changed.is_empty() {
            let parts = std::mem::take(&mut self.storing.changed);
            let ticket = self.storing.next_ticket;
            self.storing.next_ticket = Ticket(ticket.0 + 1);
            let write = Write {
                parts: parts.clone(),
                answers,
            };
            self.storing.writes.insert(ticket, write);
            self.effects.push(ConsumerEffect::Store { ticket, parts });
        } else if let Some((_, write)) = self.storing.writes.iter_mut().next_back() {
            write.answers.extend(answers);
        } else {
            self.send(answers);
        }
        std::mem::take(&mut self.effects)
    }

    fn send(&mut self, answers: Vec<(Waiter, Reply)>) {
        let answers = answers.into_iter();
        self.effects
            .extend(answers.map(|(waiter, reply)| ConsumerEffect::Reply { waiter, reply }));
    }

    /// A write asked for by [`ConsumerEffect::Store`] ended.
    pub(crate) fn persisted(
        &mut self,
        ticket: Ticket,
        outcome: Result<(), ErrorCode>,
    ) -> Vec<ConsumerEffect> {
        let Some(write) = self.storing.writes.remove(&ticket) else {
            return Vec::new();
        };
        let outcome = match outcome {
            Err(error) => {
                self.storing.changed.extend(write.parts);
                Err(error)
            }
            // An earlier write is missing from the log: this answer would say too much.
            Ok(()) if !self.storing.changed.is_empty() => Err(ErrorCode::CoordinatorNotAvailable),
            Ok(()) => Ok(()),
        };
        let answers = write.answers.into_iter();
        let answers = answers.map(|(waiter, reply)| match outcome {
            Ok(()) => (waiter, reply),
            Err(error) => (waiter, failed(reply, error)),
        });
        let answers = answers.collect();
        self.send(answers);
        std::mem::take(&mut self.effects)
    }

    /// Sends everyone away who waits: this broker stops coordinating the group.
    pub(crate) fn unload(&mut self, error: ErrorCode) -> Vec<ConsumerEffect> {
        let writes = std::mem::take(&mut self.storing.writes);
        let answers = writes
            .into_values()
            .flat_map(|write| write.answers)
            .map(|(waiter, reply)| (waiter, failed(reply, error)))
            .collect();
        self.send(answers);
        self.storing.changed.clear();
        std::mem::take(&mut self.effects)
    }

    /// The first ticket that this group has not used.
    pub(crate) fn next_ticket(&self) -> Ticket {
        self.storing.next_ticket
    }

    /// Everyone who waits for a write, and all that has been or would be written.
    pub(crate) fn take_apart(&mut self) -> (Vec<(Waiter, Reply)>, BTreeSet<Part>) {
        let mut parts = self.all_parts();
        parts.append(&mut self.storing.changed);
        let mut answers = self.take_answers();
        for write in std::mem::take(&mut self.storing.writes).into_values() {
            answers.extend(write.answers);
            parts.extend(write.parts);
        }
        (answers, parts)
    }

    /// A part for every record that tells of the group.
    pub(crate) fn all_parts(&self) -> BTreeSet<Part> {
        let members = self.members.iter();
        let mut parts: BTreeSet<Part> = members
            .flat_map(|member| {
                let id = &member.id;
                [
                    Part::Member(id.clone()),
                    Part::Target(id.clone()),
                    Part::Current(id.clone()),
                ]
            })
            .collect();
        parts.extend(self.target.keys().cloned().map(Part::Target));
        parts.extend(self.regexes.keys().cloned().map(Part::Regex));
        parts.extend([Part::Epoch, Part::TargetEpoch]);
        parts
    }
}

/// The same answer, when what it says could not be stored.
pub(crate) fn failed(reply: Reply, error: ErrorCode) -> Reply {
    match reply {
        Reply::Join(reply) => Reply::Join(Box::new(JoinReply::refused(reply.member_id, error))),
        Reply::Sync(_) => Reply::Sync(SyncReply::refused(error)),
        Reply::Heartbeat(_) => Reply::Heartbeat(error),
        Reply::Leave(left) => {
            let left = left.into_iter();
            Reply::Leave(left.map(|member| Left { error, ..member }).collect())
        }
        Reply::Beat(_) => Reply::Beat(Box::new(BeatReply::failed(error))),
    }
}
