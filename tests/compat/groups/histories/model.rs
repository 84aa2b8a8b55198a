//! What the drawing of steps knows of the sequence so far: enough to ask sensibly.

use std::collections::HashMap;

use super::step::{Pid, Place, Step, Who, Writer};
use super::told::Told;

/// A member as it was last told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Member {
    pub(super) who: Who,
    pub(super) generation: i32,
    pub(super) instance: Option<&'static str>,
    pub(super) leads: bool,
    /// Joined a classic generation and has not asked for its part yet.
    pub(super) joined: bool,
    pub(super) protocol: Option<&'static str>,
}

impl Default for Member {
    fn default() -> Member {
        Member {
            who: Who::Named(""),
            generation: -1,
            instance: None,
            leads: false,
            joined: false,
            protocol: Some("range"),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) drawn: usize,
    pub(super) pids: usize,
    groups: HashMap<usize, Vec<Member>>,
    numbers: HashMap<usize, i32>,
    writers: HashMap<usize, Writer>,
    sequences: HashMap<(Pid, i16, Place), i32>,
}

impl Model {
    pub(super) fn members(&self, group: usize) -> &[Member] {
        self.groups.get(&group).map_or(&[], Vec::as_slice)
    }

    pub(super) fn number(&self, group: usize) -> i32 {
        self.numbers.get(&group).copied().unwrap_or(1)
    }

    /// A member that has joined and not synchronized.
    pub(super) fn joined(&self, group: usize) -> Option<Member> {
        self.members(group).iter().find(|of| of.joined).copied()
    }

    pub(super) fn writer(&self, id: usize) -> Option<Writer> {
        self.writers.get(&id).copied()
    }

    pub(super) fn sequence(&self, by: Writer, place: Place) -> i32 {
        let next = self.sequences.get(&(by.pid, by.epoch, place));
        next.copied().unwrap_or(0)
    }

    /// Takes what was answered; `who` is the member that the answer named, `pid` the producer.
    pub(super) fn learn(&mut self, step: &Step, told: &Told, who: Option<Who>, pid: Option<Pid>) {
        match step {
            Step::Join { seat, .. } if told.error == 0 || told.error == 79 => {
                let joined = told.error == 0;
                let number = if joined { told.number } else { -1 };
                self.numbers.insert(seat.group, number);
                let protocol = match told.protocol.as_deref() {
                    Some("sticky") => Some("sticky"),
                    _ => Some("range"),
                };
                let member = Member {
                    who: who.unwrap_or(seat.who),
                    generation: number,
                    instance: seat.instance,
                    leads: told.leads,
                    joined,
                    protocol,
                };
                self.put(seat.group, member);
            }
            Step::Sync { seat, .. } => {
                for of in self.groups.entry(seat.group).or_default() {
                    of.joined &= of.who != seat.who;
                }
            }
            Step::Beat { seat, .. } if told.error == 0 => {
                let who = who.unwrap_or(seat.who);
                self.numbers.insert(seat.group, told.number);
                let member = Member {
                    who,
                    generation: told.number,
                    instance: seat.instance,
                    ..Member::default()
                };
                // One that has left is forgotten most of the time.
                if told.number == -1 {
                    let members = self.groups.entry(seat.group).or_default();
                    members.retain(|of| of.who != who);
                } else {
                    self.put(seat.group, member);
                }
            }
            Step::Leave { group, members, .. } if told.error == 0 => {
                let gone: Vec<Who> = members.iter().map(|(who, _)| *who).collect();
                let known = self.groups.entry(*group).or_default();
                known.retain(|of| !gone.contains(&of.who));
            }
            Step::Init { by, .. } | Step::End { by, .. } if told.error == 0 => {
                if let (Some(pid), Some(id)) = (pid, by.id) {
                    let epoch = i16::try_from(told.number).unwrap_or(0);
                    let writer = Writer {
                        id: Some(id),
                        pid,
                        epoch,
                    };
                    self.writers.insert(id, writer);
                }
            }
            Step::Produce {
                by,
                place,
                sequence,
                ..
            } if told.error == 0 => {
                let next = sequence.wrapping_add(1);
                self.sequences.insert((by.pid, by.epoch, *place), next);
            }
            _ => {}
        }
    }

    fn put(&mut self, group: usize, member: Member) {
        let members = self.groups.entry(group).or_default();
        match members.iter_mut().find(|of| of.who == member.who) {
            Some(of) => *of = member,
            None => members.push(member),
        }
    }
}
