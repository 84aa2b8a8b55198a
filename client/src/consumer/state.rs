//! What a consumer reads, how far it is, and what waits to be handed out.
//!
//! Invariant: plain data under one lock, no I/O. A partition's `epoch` changes with every seek, so
//! that answers to older questions are recognised and dropped; positions move only by records
//! handed out or by the caller. Step 10 of the hallway.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::commit::OffsetAndMetadata;
use super::fetched::{Chunk, Position};
use super::record::{GroupMetadata, Polled, Start, Watermarks};
use crate::config::AutoOffsetReset;
use crate::error::ConsumeError;
use crate::topic::TopicPartition;

/// Who decides what is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// Nobody yet.
    #[default]
    Idle,
    /// The caller.
    Manual,
    /// The group.
    Group,
}

/// Everything a consumer knows about its partitions.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) mode: Mode,
    pub(crate) partitions: HashMap<TopicPartition, Partition>,
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks`.
    pub(crate) buffered: usize,
    events: VecDeque<Event>,
    /// Answers the group task once the caller polled after a revocation.
    revoked: Option<oneshot::Sender<()>>,
    pub(crate) membership: Option<GroupMetadata>,
    /// The group refuses this consumer.
    pub(crate) fatal: Option<ConsumeError>,
    next_epoch: u64,
}

/// One partition that is read.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) place: Place,
    pub(crate) position: Option<Position>,
    pub(crate) epoch: u64,
    /// Number of the assignment that gave it; unlike the epoch it outlives a seek.
    pub(crate) assigned: u64,
    pub(crate) paused: bool,
    pub(crate) hold: Hold,
    pub(crate) watermarks: Option<Watermarks>,
    /// A lookup or fetch is under way.
    pub(crate) busy: bool,
    pub(crate) failures: u32,
    pub(crate) not_before: Option<Instant>,
}

/// Where the next fetch begins.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// To be looked up.
    Unknown(Start),
    /// At this offset.
    At(i64),
    /// Nowhere, until the caller seeks; whether it was told.
    Failed(ConsumeError, bool),
}

/// Whether a partition waits for the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is read.
    None,
    /// The caller does not know it yet, or may still seek.
    New,
    /// It is about to go to another member.
    Revoking,
}

/// What an incremental assignment changed.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Partitions go.
    pub(crate) revokes: bool,
    /// Tells that the caller has had its say about them; nothing if there is nothing to say.
    pub(crate) told: Option<oneshot::Receiver<()>>,
}

#[derive(Debug)]
enum Event {
    Assigned(Vec<TopicPartition>),
    Revoked(Vec<TopicPartition>, oneshot::Sender<()>),
    Lost(Vec<TopicPartition>),
}

impl State {
    fn fresh(&mut self, start: Start, hold: Hold) -> Partition {
        self.next_epoch += 1;
        let (place, position) = begin(start);
        Partition {
            place,
            position,
            epoch: self.next_epoch,
            assigned: self.next_epoch,
            paused: false,
            hold,
            watermarks: None,
            busy: false,
            failures: 0,
            not_before: None,
        }
    }

    /// Reads exactly these from now on.
    pub(crate) fn assign(&mut self, partitions: Vec<(TopicPartition, Start)>, hold: Hold) {
        self.drop_all();
        for (partition, start) in partitions {
            let fresh = self.fresh(start, hold);
            self.partitions.insert(partition, fresh);
        }
    }

    /// Reads nothing any more.
    pub(crate) fn drop_all(&mut self) -> Vec<TopicPartition> {
        self.chunks.clear();
        self.buffered = 0;
        self.partitions
            .drain()
            .map(|(partition, _)| partition)
            .collect()
    }

    /// Reads `partition` from `start` on; false if it is not assigned.
    pub(crate) fn seek(&mut self, partition: &TopicPartition, start: Start) -> bool {
        self.next_epoch += 1;
        let epoch = self.next_epoch;
        let Some(state) = self.partitions.get_mut(partition) else {
            return false;
        };
        (state.place, state.position) = begin(start);
        state.epoch = epoch;
        state.busy = false;
        state.failures = 0;
        state.not_before = None;
        self.drop_chunks(partition);
        true
    }

    /// Hands out nothing of `partition` until it is resumed. What is buffered of it is dropped, so
    /// that it holds up nothing.
    pub(crate) fn pause(&mut self, partition: &TopicPartition) {
        let Some(state) = self.partitions.get_mut(partition) else {
            return;
        };
        state.paused = true;
        if let Some(position) = state
            .position
            .filter(|_| matches!(state.place, Place::At(_)))
        {
            self.seek(partition, Start::Offset(position.offset));
            if let Some(state) = self.partitions.get_mut(partition) {
                state.position = Some(position);
            }
        }
    }

    pub(crate) fn resume(&mut self, partition: &TopicPartition) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.paused = false;
        }
    }

    fn drop_chunks(&mut self, partition: &TopicPartition) {
        self.chunks.retain(|chunk| chunk.partition != *partition);
        self.buffered = self.chunks.iter().map(|chunk| chunk.bytes).sum();
    }

    /// The partition, if `epoch` is still its own.
    pub(crate) fn current(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
    ) -> Option<&mut Partition> {
        self.partitions
            .get_mut(partition)
            .filter(|state| state.epoch == epoch)
    }

    /// Keeps batches for `poll`.
    pub(crate) fn buffer(&mut self, chunk: Chunk) {
        self.buffered += chunk.bytes;
        self.chunks.push_back(chunk);
    }

    /// The next batches that may be handed out.
    pub(crate) fn take_chunk(&mut self) -> Option<Chunk> {
        let at = self.chunks.iter().position(|chunk| {
            self.partitions
                .get(&chunk.partition)
                .is_some_and(|state| state.hold == Hold::None && !state.paused)
        })?;
        let chunk = self.chunks.remove(at)?;
        self.buffered = self.buffered.saturating_sub(chunk.bytes);
        Some(chunk)
    }

    /// Puts batches back that are not used up.
    pub(crate) fn return_chunk(&mut self, chunk: Chunk) {
        let (partition, epoch) = (chunk.partition.clone(), chunk.epoch);
        if self.current(&partition, epoch).is_some() {
            self.buffered += chunk.bytes;
            self.chunks.push_front(chunk);
        }
    }

    /// Records were handed out up to `position`; false if nobody may see them any more.
    pub(crate) fn advance(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        position: Position,
    ) -> bool {
        match self.current(partition, epoch) {
            Some(state) if state.hold == Hold::None => {
                // A chunk that brought nothing knows no epoch.
                if state.position.map(|known| known.offset) != Some(position.offset) {
                    state.position = Some(position);
                }
                true
            }
            _ => false,
        }
    }

    /// The partition can be read no further without the caller.
    pub(crate) fn fail(&mut self, partition: &TopicPartition, epoch: u64, error: ConsumeError) {
        if let Some(state) = self.current(partition, epoch) {
            state.place = Place::Failed(error, false);
        }
    }

    /// A batch cannot be read: the position stays before it, and what was fetched behind it goes.
    pub(crate) fn corrupt(&mut self, partition: &TopicPartition, epoch: u64, error: ConsumeError) {
        self.drop_chunks(partition);
        self.fail(partition, epoch, error);
    }

    /// An error the caller does not know yet, or any if `again`.
    pub(crate) fn failure(&mut self, again: bool) -> Option<ConsumeError> {
        self.partitions
            .values_mut()
            .find_map(|state| match &mut state.place {
                Place::Failed(error, told) if again || !*told => {
                    *told = true;
                    Some(error.clone())
                }
                _ => None,
            })
    }

    /// Applies `auto.offset.reset` to a position that does not exist.
    pub(crate) fn reset(
        &mut self,
        partition: &TopicPartition,
        epoch: u64,
        (policy, error): (AutoOffsetReset, ConsumeError),
    ) {
        let Some(state) = self.current(partition, epoch) else {
            return;
        };
        state.place = match policy {
            AutoOffsetReset::Earliest => Place::Unknown(Start::Beginning),
            AutoOffsetReset::Latest => Place::Unknown(Start::End),
            AutoOffsetReset::None => Place::Failed(error, false),
        };
    }

    /// The caller polls: what it was told of an assignment or revocation takes effect.
    pub(crate) fn acknowledge(&mut self) {
        let announced = self
            .events
            .iter()
            .any(|event| matches!(event, Event::Assigned(_)));
        if !announced {
            for state in self.partitions.values_mut() {
                if state.hold == Hold::New {
                    state.hold = Hold::None;
                }
            }
        }
        if let Some(revoked) = self.revoked.take() {
            // The group task may have lost its membership meanwhile.
            let _known = revoked.send(());
        }
    }

    /// Whether the caller was told of a revocation and has not polled since.
    pub(crate) fn is_revoking(&self) -> bool {
        self.revoked.is_some()
    }

    /// The next event for the caller.
    pub(crate) fn next_event(&mut self) -> Option<Polled> {
        Some(match self.events.pop_front()? {
            Event::Assigned(partitions) => Polled::Assigned(partitions),
            Event::Revoked(partitions, revoked) => {
                self.revoked = Some(revoked);
                Polled::Revoked(partitions)
            }
            Event::Lost(partitions) => Polled::Lost(partitions),
        })
    }

    /// The group's new assignment.
    pub(crate) fn install(&mut self, partitions: Vec<TopicPartition>, membership: GroupMetadata) {
        let starts = partitions
            .iter()
            .map(|tp| (tp.clone(), Start::Committed))
            .collect();
        self.assign(starts, Hold::New);
        self.membership = Some(membership);
        self.events.push_back(Event::Assigned(partitions));
    }

    /// The group's new assignment, of which only the difference takes effect (KIP-429, KIP-848).
    /// Partitions that go stay until the caller had its say.
    pub(crate) fn install_difference(
        &mut self,
        target: &[TopicPartition],
        membership: GroupMetadata,
    ) -> Difference {
        let gone: Vec<_> = self
            .partitions
            .keys()
            .filter(|partition| !target.contains(partition))
            .cloned()
            .collect();
        let added: Vec<_> = target
            .iter()
            .filter(|partition| !self.partitions.contains_key(*partition))
            .cloned()
            .collect();
        let told = self.begin_revoke_of(&gone);
        if told.is_none() {
            self.end_revoke_of();
        }
        for partition in &added {
            let fresh = self.fresh(Start::Committed, Hold::New);
            self.partitions.insert(partition.clone(), fresh);
        }
        self.membership = Some(membership);
        if !added.is_empty() {
            self.events.push_back(Event::Assigned(added));
        }
        let revokes = !gone.is_empty();
        Difference { revokes, told }
    }

    /// The group is about to share out anew. Returns what tells that the caller has had its say;
    /// nothing if there is nothing to say.
    pub(crate) fn begin_revoke(&mut self) -> Option<oneshot::Receiver<()>> {
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        self.begin_revoke_of(&all)
    }

    fn begin_revoke_of(&mut self, gone: &[TopicPartition]) -> Option<oneshot::Receiver<()>> {
        let known = self.withdraw(gone);
        for partition in gone {
            self.drop_chunks(partition);
            if let Some(state) = self.partitions.get_mut(partition) {
                state.hold = Hold::Revoking;
            }
        }
        if known.is_empty() {
            return None;
        }
        let (told, heard) = oneshot::channel();
        self.events.push_back(Event::Revoked(known, told));
        Some(heard)
    }

    /// The end of a generation that the caller knows to be over.
    pub(crate) fn end_revoke(&mut self) {
        self.drop_all();
        self.membership = None;
        self.revoked = None;
    }

    /// The caller knows that these partitions go; the others stay.
    pub(crate) fn end_revoke_of(&mut self) {
        self.partitions
            .retain(|_, state| state.hold != Hold::Revoking);
        self.revoked = None;
    }

    /// The partitions are gone already.
    pub(crate) fn lose(&mut self) {
        self.membership = None;
        let all: Vec<_> = self.partitions.keys().cloned().collect();
        let known = self.withdraw(&all);
        self.revoked = None;
        self.events
            .retain(|event| !matches!(event, Event::Revoked(..)));
        self.drop_all();
        if !known.is_empty() {
            self.events.push_back(Event::Lost(known));
        }
    }

    /// Whether partitions are gone that the caller still believes to have.
    pub(crate) fn has_losses(&self) -> bool {
        let mut events = self.events.iter();
        events.any(|event| matches!(event, Event::Lost(_)))
    }

    /// Takes back what the caller never heard of; returns those of `gone` that it knows.
    fn withdraw(&mut self, gone: &[TopicPartition]) -> Vec<TopicPartition> {
        let mut known = gone.to_vec();
        for event in &mut self.events {
            if let Event::Assigned(announced) = event {
                known.retain(|partition| !announced.contains(partition));
                announced.retain(|partition| !gone.contains(partition));
            }
        }
        self.events
            .retain(|event| !matches!(event, Event::Assigned(announced) if announced.is_empty()));
        known.sort_unstable();
        known
    }

    /// Who gave these partitions to this consumer, to notice that they were given away meanwhile.
    pub(crate) fn assigned<O>(&self, offsets: &[(TopicPartition, O)]) -> Vec<Option<u64>> {
        let number = |partition| self.partitions.get(partition).map(|state| state.assigned);
        offsets
            .iter()
            .map(|(partition, _)| number(partition))
            .collect()
    }

    /// The offsets of next records, as far as known.
    pub(crate) fn positions(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let known = |(partition, state): (&TopicPartition, &Partition)| {
            Some((partition.clone(), state.position?.into()))
        };
        self.partitions.iter().filter_map(known).collect()
    }

    /// Everything about the group goes.
    pub(crate) fn reset_all(&mut self, mode: Mode) {
        self.drop_all();
        self.events.clear();
        self.revoked = None;
        self.membership = None;
        self.fatal = None;
        self.mode = mode;
    }
}

fn begin(start: Start) -> (Place, Option<Position>) {
    match start {
        Start::Offset(offset) => (Place::At(offset), Some(Position::at(offset))),
        start => (Place::Unknown(start), None),
    }
}

/// The topics of these partitions, each once.
pub(crate) fn topics_of<'a>(
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> Vec<Arc<str>> {
    let mut topics: Vec<_> = partitions.into_iter().map(|p| p.topic.clone()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
}

#[cfg(test)]
mod tests;
