//! What a member of a KIP-848 group tells its coordinator, and what the answers ask of it.
//!
//! Invariant: no I/O, no clock. A partition is reported as owned from the moment the caller may
//! read it until the caller had its last say about it: the coordinator gives it to nobody else
//! meanwhile. After a failure everything is told again, since nobody knows what arrived; and once
//! something was reported as not owned, no older assignment brings it back.

use std::collections::BTreeSet;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::uuid::Uuid;

use super::super::subscribe::Wanted;

/// A partition as the protocol names it.
pub(crate) type Place = (Uuid, i32);

/// What one heartbeat says beside who sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) epoch: i32,
    /// The first of a membership, or the first after a failure: everything is said.
    pub(crate) full: bool,
    /// The subscription, where it has to be said.
    pub(crate) wanted: Option<Wanted>,
    /// The partitions owned, where they have to be said.
    pub(crate) owned: Option<BTreeSet<Place>>,
}

/// What an error of a heartbeat asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same again after a pause.
    Again,
    /// The membership is gone: give everything up and join anew.
    Rejoin,
    /// The group refuses this member for good.
    Refused,
}

/// One member.
#[derive(Debug)]
pub(crate) struct Engine {
    epoch: i32,
    wanted: Wanted,
    /// What the coordinator gave last.
    target: Option<BTreeSet<Place>>,
    owned: BTreeSet<Place>,
    /// What the last answered heartbeat said; nothing if everything has to be said.
    told: Option<(Wanted, BTreeSet<Place>)>,
    /// What the heartbeat under way says.
    telling: Option<(Wanted, BTreeSet<Place>)>,
    /// It says what is owned, so that the coordinator may give the rest to others.
    reporting: bool,
    /// What was received last, and whether it changed without a report since: the coordinator
    /// waits to hear that what it took back is not owned, even if it never was.
    received: (BTreeSet<Place>, bool),
}

impl Engine {
    /// A member that is about to join.
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            epoch: 0,
            wanted,
            target: None,
            owned: BTreeSet::new(),
            told: None,
            telling: None,
            reporting: false,
            received: (BTreeSet::new(), false),
        }
    }

    pub(crate) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Whether the coordinator may know of this member.
    pub(crate) fn may_be_known(&self) -> bool {
        self.epoch > 0 || self.telling.is_some()
    }

    /// The caller wants other topics.
    pub(crate) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
    }

    /// Whether there is something that the coordinator should hear at once.
    pub(crate) fn has_news(&self) -> bool {
        match &self.told {
            Some((wanted, owned)) => {
                let waits = self.received.1 && self.due().is_none();
                *wanted != self.wanted || *owned != self.owned || waits
            }
            None => true,
        }
    }

    /// The next heartbeat; one at a time.
    pub(crate) fn report(&mut self) -> Report {
        let full = self.told.is_none();
        let (wanted, owned) = match &self.told {
            Some((wanted, owned)) => {
                let waits = self.received.1 && self.due().is_none();
                (*wanted != self.wanted, *owned != self.owned || waits)
            }
            None => (true, true),
        };
        self.telling = Some((self.wanted.clone(), self.owned.clone()));
        self.reporting = owned;
        if full {
            // The answer brings it anew.
            self.target = None;
        }
        Report {
            epoch: self.epoch,
            full,
            wanted: wanted.then(|| self.wanted.clone()),
            owned: owned.then(|| self.owned.clone()),
        }
    }

    /// The heartbeat was answered: with the member's epoch, and its partitions where they changed.
    pub(crate) fn answered(&mut self, epoch: i32, target: Option<BTreeSet<Place>>) {
        self.epoch = epoch;
        self.told = self.telling.take();
        let reported = std::mem::take(&mut self.reporting);
        if reported {
            self.received.1 = false;
        }
        if let Some(target) = target {
            self.received.1 |= self.received.0 != target;
            self.received.0.clone_from(&target);
            self.target = Some(target);
        }
    }

    /// The heartbeat failed.
    pub(crate) fn failed(&mut self, code: ErrorCode) -> Verdict {
        self.unanswered();
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::FencedMemberEpoch => Verdict::Rejoin,
            code if code.is_retriable() => Verdict::Again,
            _ => Verdict::Refused,
        }
    }

    /// The heartbeat, or its answer, was lost.
    pub(crate) fn unanswered(&mut self) {
        self.telling = None;
        self.told = None;
        self.target = None;
        self.reporting = false;
    }

    /// The partitions that this member should have, if it has others.
    pub(crate) fn due(&self) -> Option<&BTreeSet<Place>> {
        let target = self.target.as_ref().filter(|_| !self.reporting)?;
        (*target != self.owned).then_some(target)
    }

    /// The caller has exactly these partitions now.
    pub(crate) fn own(&mut self, owned: BTreeSet<Place>) {
        self.owned = owned;
    }
}

#[cfg(test)]
mod tests;
