//! The state of a transactional producer: what may be sent, what the coordinator is asked next.
//!
//! Invariant: no I/O, no clock. A transaction is asked to end in one way only: once `EndTxn` with
//! commit is on its way, nothing but the coordinator's own refusal allows an abort, so that an
//! answer that is lost can tear nothing. A batch leaves only while its transaction is open and,
//! under the first protocol, only after its partition was added (KIP-98, KIP-360, KIP-890).

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use super::super::idempotence::Identity;
use super::ask::{Answer, Ask, Offsets};
use crate::error::TransactionError;
use crate::topic::TopicPartition;

/// What the producer is at.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Nothing was asked for.
    New,
    /// A producer id and epoch are asked for.
    Initializing,
    /// Between two transactions.
    Ready,
    /// Records and offsets are taken.
    Open,
    /// Only an abort is possible.
    Failed(TransactionError),
    /// It ends: first every batch is answered for, then the coordinator is asked.
    Ending { commit: bool, drained: bool },
    /// Nothing is possible.
    Fatal(TransactionError),
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Committed,
    Aborted,
}

/// The state machine.
#[derive(Debug)]
pub(crate) struct Engine {
    state: State,
    identity: Option<Identity>,
    /// Transactions begun so far, which numbers them.
    number: u64,
    ended: Option<(u64, Ended)>,
    /// Whether the present transaction follows KIP-890's protocol.
    v2: bool,
    /// Whether the cluster allows it, as last seen.
    v2_allowed: bool,
    /// The coordinator may know of the present transaction.
    started: bool,
    /// The epoch has to be raised by the client before the next transaction.
    bump: bool,
    added: HashSet<TopicPartition>,
    to_add: BTreeSet<TopicPartition>,
    groups: HashSet<Arc<str>>,
    /// With the number that each got when it was given.
    offsets: VecDeque<(u64, Arc<Offsets>)>,
    given: u64,
    /// Number of the offsets taken last.
    taken: u64,
    /// The end was asked for and the answer was lost: it may have taken place.
    unsure: bool,
    /// A request is on its way.
    asked: Option<Ask>,
}

impl Engine {
    pub(crate) fn new() -> Self {
        Self {
            state: State::New,
            identity: None,
            number: 0,
            ended: None,
            v2: false,
            v2_allowed: false,
            started: false,
            bump: false,
            added: HashSet::new(),
            to_add: BTreeSet::new(),
            groups: HashSet::new(),
            offsets: VecDeque::new(),
            given: 0,
            taken: 0,
            unsure: false,
            asked: None,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.identity
    }

    /// Whether requests of the present transaction follow KIP-890's protocol.
    pub(crate) fn is_v2(&self) -> bool {
        self.v2
    }

    /// What the cluster's finalized features say of KIP-890's protocol; counts from the next
    /// transaction on.
    pub(crate) fn allow_v2(&mut self, allowed: bool) {
        self.v2_allowed = allowed;
    }

    /// Asks for an identity, if there is none.
    pub(crate) fn initialize(&mut self) {
        if matches!(self.state, State::New) {
            self.state = State::Initializing;
        }
    }

    /// Opens the next transaction and returns its number; nothing while another thing is under
    /// way that ends by itself.
    pub(crate) fn begin(&mut self) -> Result<Option<u64>, TransactionError> {
        let misuse = |problem| Err(TransactionError::State { problem });
        match &self.state {
            State::New => misuse("call init_transactions before the first transaction"),
            State::Open | State::Failed(_) => {
                misuse("a transaction is open, commit or abort it before the next")
            }
            State::Fatal(error) => Err(error.clone()),
            State::Initializing | State::Ending { .. } => Ok(None),
            State::Ready if self.v2 != self.v2_allowed => {
                // The epoch parts what was sent under the one protocol from the other.
                self.bump = true;
                self.state = State::Initializing;
                Ok(None)
            }
            State::Ready => {
                self.number += 1;
                self.state = State::Open;
                Ok(Some(self.number))
            }
        }
    }

    /// Whether a batch for this partition may leave now. Under the first protocol the partition
    /// is asked for.
    pub(crate) fn admits(&mut self, partition: &TopicPartition) -> bool {
        let takes = matches!(
            self.state,
            State::Open
                | State::Ending {
                    commit: true,
                    drained: false
                }
        );
        if !takes {
            return false;
        }
        if self.v2 {
            self.started = true;
            return true;
        }
        if self.added.contains(partition) {
            return true;
        }
        self.to_add.insert(partition.clone());
        false
    }

    /// Whether batches that wait are not to be sent any more.
    pub(crate) fn discards(&self) -> bool {
        matches!(
            self.state,
            State::Failed(_) | State::Fatal(_) | State::Ending { commit: false, .. }
        )
    }

    /// A batch was given up; `sequenced` says that its numbers are a gap now.
    pub(crate) fn batch_failed(&mut self, error: TransactionError, sequenced: bool) {
        self.bump |= sequenced;
        if error.is_fatal() {
            self.fail_for_good(error);
        } else if matches!(
            self.state,
            State::Open
                | State::Ending {
                    commit: true,
                    drained: false
                }
        ) {
            self.state = State::Failed(error);
        }
    }

    /// Adds a group's offsets to transaction `number`; returns their number.
    pub(crate) fn add_offsets(
        &mut self,
        number: u64,
        offsets: Offsets,
    ) -> Result<u64, TransactionError> {
        self.check_open(number)?;
        self.given += 1;
        self.offsets.push_back((self.given, Arc::new(offsets)));
        Ok(self.given)
    }

    /// Whether offsets with this number, of transaction `number`, are taken; nothing while that
    /// is open.
    pub(crate) fn offsets_taken(
        &self,
        number: u64,
        offsets: u64,
    ) -> Option<Result<(), TransactionError>> {
        if self.taken >= offsets && self.number == number {
            return Some(Ok(()));
        }
        self.check_open(number).err().map(Err)
    }

    /// Whether transaction `number` takes records and offsets.
    pub(crate) fn check_open(&self, number: u64) -> Result<(), TransactionError> {
        let problem = match &self.state {
            State::Fatal(error) => return Err(error.clone()),
            _ if self.number != number => "this transaction has ended",
            State::Open => return Ok(()),
            State::Failed(error) => return Err(error.clone()),
            State::Ending { .. } => "this transaction is being ended",
            State::New | State::Initializing | State::Ready => "this transaction has ended",
        };
        Err(TransactionError::State { problem })
    }

    /// Begins to end transaction `number`; once begun, asking again changes nothing.
    pub(crate) fn end(&mut self, number: u64, commit: bool) -> Result<(), TransactionError> {
        if let State::Fatal(error) = &self.state {
            return Err(error.clone());
        }
        let misuse = |problem| Err(TransactionError::State { problem });
        match &self.state {
            _ if self.number != number => return misuse("this transaction has ended"),
            State::Failed(error) if commit => return Err(error.clone()),
            State::Ending {
                commit: present, ..
            } if *present == commit => return Ok(()),
            State::Ending { commit: false, .. } => return misuse("an abort is under way"),
            // Nothing was asked of the coordinator yet.
            State::Open | State::Failed(_) | State::Ending { drained: false, .. } => {}
            State::Ending { .. } => {
                return misuse("a commit is under way, its outcome is the coordinator's");
            }
            _ => return misuse("this transaction has ended"),
        }
        if !commit {
            self.to_add.clear();
            self.offsets.clear();
        }
        let drained = false;
        self.state = State::Ending { commit, drained };
        Ok(())
    }

    /// Begins to abort what is open; returns the number of the transaction to wait for.
    pub(crate) fn abort_open(&mut self) -> Option<u64> {
        let number = self.number;
        if self.end(number, false).is_ok() || matches!(self.state, State::Ending { .. }) {
            return Some(number);
        }
        None
    }

    /// The producer ends.
    pub(crate) fn stop(&mut self, error: TransactionError) {
        self.fail_for_good(error);
    }

    /// How transaction `number` ended; nothing while that is open.
    pub(crate) fn outcome(&self, number: u64) -> Option<Result<Ended, TransactionError>> {
        if let Some((ended, how)) = self.ended
            && ended == number
        {
            return Some(Ok(how));
        }
        match &self.state {
            State::Fatal(error) | State::Failed(error) => Some(Err(error.clone())),
            _ if number < self.number => {
                let problem = "this transaction has ended";
                Some(Err(TransactionError::State { problem }))
            }
            _ => None,
        }
    }

    /// Whether the end waits for batches to be answered for.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.state, State::Ending { drained: false, .. })
    }

    /// Every batch of the transaction that ends is answered for.
    pub(crate) fn drained(&mut self) {
        if let State::Ending { drained, .. } = &mut self.state {
            *drained = true;
        }
    }

    /// The next request, if there is one and none is on its way.
    pub(crate) fn next(&mut self) -> Option<Ask> {
        if self.asked.is_some() {
            return None;
        }
        let ask = match (&self.state, self.identity) {
            (State::Initializing, known) => Ask::Init(known.filter(|_| self.bump)),
            (State::Open, Some(identity)) => self.next_part(identity)?,
            (
                State::Ending {
                    commit: true,
                    drained,
                },
                Some(identity),
            ) => {
                let drained = *drained;
                match self.next_part(identity) {
                    Some(part) => part,
                    None if drained => self.next_end(identity, true)?,
                    None => return None,
                }
            }
            (
                State::Ending {
                    commit: false,
                    drained: true,
                },
                Some(identity),
            ) => self.next_end(identity, false)?,
            _ => return None,
        };
        self.asked = Some(ask.clone());
        Some(ask)
    }

    fn next_part(&mut self, identity: Identity) -> Option<Ask> {
        if !self.to_add.is_empty() {
            self.started = true;
            let partitions = self.to_add.iter().cloned().collect();
            return Some(Ask::AddPartitions(identity, partitions));
        }
        let (_, offsets) = self.offsets.front()?;
        self.started = true;
        if self.v2 || self.groups.contains(&offsets.group.group_id) {
            Some(Ask::Commit(identity, offsets.clone()))
        } else {
            Some(Ask::AddGroup(identity, offsets.group.group_id.clone()))
        }
    }

    /// The request that ends; a transaction nobody knows of ends by itself.
    fn next_end(&mut self, identity: Identity, commit: bool) -> Option<Ask> {
        if self.started {
            return Some(Ask::End(identity, commit));
        }
        self.close(commit, None);
        if matches!(self.state, State::Initializing) {
            return Some(Ask::Init(self.identity.filter(|_| self.bump)));
        }
        None
    }

    /// What came of the request that was on its way.
    pub(crate) fn answered(&mut self, answer: Answer) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        match answer {
            Answer::Again => self.unsure |= matches!(asked, Ask::End(..)),
            Answer::Initialized(identity) => {
                self.identity = Some(identity);
                self.bump = false;
                self.v2 = self.v2_allowed;
                if matches!(self.state, State::Initializing) {
                    self.state = State::Ready;
                }
            }
            Answer::Added(partitions) => {
                for partition in partitions {
                    self.to_add.remove(&partition);
                    self.added.insert(partition);
                }
            }
            Answer::GroupAdded => {
                if let Ask::AddGroup(_, group) = asked {
                    self.groups.insert(group);
                }
            }
            Answer::OffsetsTaken => {
                // An abort may have dropped them meanwhile.
                if let Some((number, _)) = self.offsets.pop_front() {
                    self.taken = number;
                }
            }
            Answer::Ended(next) => {
                if let Ask::End(_, commit) = asked {
                    self.close(commit, next);
                }
            }
            Answer::Abort(error) => match self.state {
                // An abort that cannot be done leaves nothing to try, and a commit that may have
                // taken place cannot be aborted.
                State::Ending { commit, .. }
                    if matches!(asked, Ask::End(..)) && (!commit || self.unsure) =>
                {
                    self.fail_for_good(as_fatal(error));
                }
                State::Ending { commit: false, .. } => {}
                State::Initializing => self.fail_for_good(as_fatal(error)),
                State::Open | State::Ending { .. } => {
                    self.to_add.clear();
                    self.offsets.clear();
                    self.bump |= !self.v2;
                    self.state = State::Failed(error);
                }
                _ => {}
            },
            Answer::Fatal(error) => self.fail_for_good(error),
        }
    }

    fn close(&mut self, commit: bool, next: Option<Identity>) {
        let how = if commit {
            Ended::Committed
        } else {
            Ended::Aborted
        };
        self.ended = Some((self.number, how));
        self.started = false;
        self.unsure = false;
        self.added.clear();
        self.to_add.clear();
        self.groups.clear();
        self.offsets.clear();
        if let Some(next) = next {
            self.identity = Some(next);
            self.bump = false;
        }
        self.state = if self.bump {
            State::Initializing
        } else {
            State::Ready
        };
    }

    fn fail_for_good(&mut self, error: TransactionError) {
        if !matches!(self.state, State::Fatal(_)) {
            self.state = State::Fatal(error);
        }
        self.to_add.clear();
        self.offsets.clear();
    }
}

fn as_fatal(error: TransactionError) -> TransactionError {
    match error {
        TransactionError::Abort { operation, code } => {
            TransactionError::Refused { operation, code }
        }
        error => error,
    }
}

#[cfg(test)]
mod tests;
