//! What the producer does next: which batches go to which broker now, and when to look again.
//!
//! Invariant: a look round does no I/O; it decides under the accumulator's lock and hands out
//! what it decided. A partition's batches leave in order: without idempotence one at a time, with
//! it up to five, and those sent before come first, one at a time. Step 5 of the hallway.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::accumulator::{Accumulator, PartitionQueue, TopicQueue};
use super::batch::Batch;
use super::idempotence::Identification;
use super::ledger::Ledger;
use super::transaction::Transactional;
use crate::config::{Acks, ProducerConfig};
use crate::error::DeliveryError;
use crate::metadata::Metadata;

/// Batches of one partition that a broker remembers per idempotent producer.
const IDEMPOTENT_IN_FLIGHT_MAX: usize = 5;

/// What the decision rests on.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a ProducerConfig,
    pub(crate) metadata: &'a Metadata,
    /// Whether another request may go to a broker; nothing where there is no connection.
    pub(crate) nodes: &'a HashMap<i32, bool>,
    /// Someone waits for memory: nothing lingers.
    pub(crate) pressed: bool,
    /// The transaction that batches belong to, with a `transactional.id`.
    pub(crate) transaction: Option<&'a Transactional>,
}

/// One batch for one partition.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) batch: Batch,
}

/// What was decided.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// At most one request per broker.
    pub(crate) requests: HashMap<i32, Vec<Item>>,
    /// Brokers that are needed and not connected.
    pub(crate) connect: HashSet<i32>,
    /// Batches that are not to be sent any more.
    pub(crate) failed: Vec<(Batch, DeliveryError)>,
    /// Topics in use.
    pub(crate) topics: Vec<Arc<str>>,
    /// The metadata does not suffice.
    pub(crate) wants_metadata: bool,
    /// A producer id is needed.
    pub(crate) wants_identity: bool,
    /// When to look again without being woken.
    pub(crate) next: Option<Instant>,
}

#[derive(Debug)]
struct Candidate {
    created: Instant,
    topic: Arc<str>,
    partition: i32,
    leader: i32,
}

impl Plan {
    /// Looks round.
    pub(crate) fn make(
        accumulator: &mut Accumulator,
        identity: &mut Identification,
        situation: &Situation<'_>,
    ) -> Self {
        let mut plan = Self::default();
        let mut candidates = Vec::new();
        let Accumulator { topics, ledger } = accumulator;
        for (name, topic) in topics.iter_mut() {
            if topic.is_idle() {
                continue;
            }
            plan.topics.push(name.clone());
            plan.look_at_topic(name, topic, ledger, situation);
            for (partition, queue) in &mut topic.partitions {
                let leader = plan.look_at_partition((name, *partition), queue, situation);
                renumber(queue, identity, situation.transaction.is_some());
                if let (Some(leader), Some(front)) = (leader, queue.batches.front()) {
                    let (topic, partition) = (name.clone(), *partition);
                    candidates.push(Candidate {
                        created: front.created,
                        topic,
                        partition,
                        leader,
                    });
                }
            }
        }
        // The oldest first, so that no partition starves when a request is full.
        candidates.sort_by_key(|candidate| candidate.created);
        let mut sizes = HashMap::new();
        for candidate in candidates {
            let queue = topics
                .get_mut(&candidate.topic)
                .and_then(|topic| topic.partitions.get_mut(&candidate.partition));
            if let Some(queue) = queue {
                plan.take(candidate, queue, (identity, &mut sizes), situation);
            }
        }
        plan
    }

    fn look_again(&mut self, at: Instant) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Binds what has no partition yet, and gives up what waited too long for one.
    fn look_at_topic(
        &mut self,
        name: &Arc<str>,
        topic: &mut TopicQueue,
        ledger: &mut Ledger,
        situation: &Situation<'_>,
    ) {
        let refused = situation
            .metadata
            .topic_error(name)
            .filter(|code| !code.is_retriable());
        if let Some(code) = refused {
            let error = DeliveryError::Rejected { code, detail: None };
            self.fail_topic(topic, ledger, &error);
            self.wants_metadata = true;
            return;
        }
        match situation.metadata.partition_count(name) {
            Some(count) => {
                topic.place(count, ledger, situation.config);
                self.bind(name, topic, situation);
            }
            None => self.wants_metadata = true,
        }
        let Some(timeout) = situation.config.delivery_timeout else {
            return;
        };
        while topic
            .unplaced
            .front()
            .is_some_and(|w| w.created + timeout <= situation.now)
        {
            if let Some(waiting) = topic.unplaced.pop_front() {
                ledger.end(waiting.serial);
                ledger.records -= 1;
                let error = DeliveryError::TimedOut {
                    after: timeout,
                    last: None,
                    maybe_delivered: false,
                };
                waiting.part.answer(super::delivery::Answer::Failed(error));
            }
        }
        let waiting = topic
            .unplaced
            .front()
            .map(|waiting| waiting.created + timeout);
        while topic
            .unbound
            .front()
            .is_some_and(|b| b.created + timeout <= situation.now)
        {
            self.failed.extend(
                topic
                    .unbound
                    .pop_front()
                    .map(|batch| timed_out(batch, timeout)),
            );
        }
        let unbound = topic.unbound.front().map(|batch| batch.created + timeout);
        for at in waiting.into_iter().chain(unbound) {
            self.look_again(at);
        }
    }

    /// Fails everything that waits for a topic.
    pub(crate) fn fail_topic(
        &mut self,
        topic: &mut TopicQueue,
        ledger: &mut Ledger,
        error: &DeliveryError,
    ) {
        for waiting in topic.unplaced.drain(..) {
            ledger.end(waiting.serial);
            ledger.records -= 1;
            waiting
                .part
                .answer(super::delivery::Answer::Failed(error.clone()));
        }
        self.failed
            .extend(topic.unbound.drain(..).map(|batch| (batch, error.clone())));
        for queue in topic.partitions.values_mut() {
            for batch in queue.batches.drain(..) {
                queue.numbering.broken |= batch.sequence.is_some();
                self.failed.push((batch, error.clone()));
            }
        }
    }

    fn bind(&mut self, name: &Arc<str>, topic: &mut TopicQueue, situation: &Situation<'_>) {
        let mut available: Option<Vec<(i32, usize)>> = None;
        while let Some(front) = topic.unbound.front() {
            if let Some(at) = not_ready_before(front, situation) {
                self.look_again(at);
                return;
            }
            let available = available.get_or_insert_with(|| {
                let count = situation.metadata.partition_count(name).unwrap_or_default();
                let all = 0..i32::try_from(count).unwrap_or(i32::MAX);
                let led = all.filter(|p| situation.metadata.leader(name, *p).is_some());
                led.map(|p| {
                    (
                        p,
                        topic
                            .partitions
                            .get(&p)
                            .map_or(0, PartitionQueue::waiting_bytes),
                    )
                })
                .collect()
            });
            let size = front.size();
            let chosen = topic
                .sticky
                .choose(available, size, situation.config.batch_size);
            let (Some(chosen), Some(batch)) = (chosen, chosen.and(topic.unbound.pop_front()))
            else {
                self.wants_metadata = true;
                return;
            };
            if let Some((_, waiting)) = available.iter_mut().find(|(p, _)| *p == chosen) {
                *waiting += size;
            }
            topic.partitions.entry(chosen).or_default().push(batch);
        }
    }

    /// Gives up what waited too long; returns the leader if the first batch may go now.
    fn look_at_partition(
        &mut self,
        (name, partition): (&Arc<str>, i32),
        queue: &mut PartitionQueue,
        situation: &Situation<'_>,
    ) -> Option<i32> {
        if let Some(timeout) = situation.config.delivery_timeout {
            while queue
                .batches
                .front()
                .is_some_and(|b| b.created + timeout <= situation.now)
            {
                if let Some(batch) = queue.batches.pop_front() {
                    queue.numbering.broken |= batch.sequence.is_some();
                    self.failed.push(timed_out(batch, timeout));
                }
            }
            if let Some(front) = queue.batches.front() {
                self.look_again(front.created + timeout);
            }
        }
        let front = queue.batches.front()?;
        let Some(leader) = situation.metadata.leader(name, partition) else {
            let count = situation.metadata.partition_count(name);
            let is_beyond = count.is_some_and(|count| partition.unsigned_abs() as usize >= count);
            if is_beyond && situation.metadata.asked_at > Some(front.created) {
                let topic = name.clone();
                let error = DeliveryError::UnknownPartition { topic, partition };
                let batches = queue.batches.drain(..);
                self.failed
                    .extend(batches.map(|batch| (batch, error.clone())));
            } else {
                self.wants_metadata = true;
            }
            return None;
        };
        if let Some(at) = not_ready_before(front, situation) {
            self.look_again(at);
            return None;
        }
        Some(leader)
    }

    /// Takes the partition's first batch into its broker's request, if nothing stands against it.
    fn take(
        &mut self,
        candidate: Candidate,
        queue: &mut PartitionQueue,
        (identity, sizes): (&Identification, &mut HashMap<i32, usize>),
        situation: &Situation<'_>,
    ) {
        let Candidate {
            topic,
            partition,
            leader,
            ..
        } = candidate;
        let Some(front) = queue.batches.front_mut() else {
            return;
        };
        match situation.nodes.get(&leader) {
            None => {
                self.connect.insert(leader);
                return;
            }
            Some(false) => return,
            Some(true) => {}
        }
        let used = sizes.entry(leader).or_insert(0);
        if *used > 0 && *used + front.size() > situation.config.max_request_size {
            return;
        }
        if situation.config.enable_idempotence {
            let Some(identity) = identity.known() else {
                self.wants_identity = true;
                return;
            };
            if !may_go(queue, leader, identity) {
                return;
            }
            if let Some(transaction) = situation.transaction
                && !transaction.admits(&topic, partition)
            {
                return;
            }
        } else if situation.config.acks != Acks::None && !queue.in_flight.is_empty() {
            return;
        }
        let Some(mut batch) = queue.batches.pop_front() else {
            return;
        };
        if situation.config.enable_idempotence && batch.sequence.is_none() {
            batch.sequence = queue.numbering.take(batch.records);
        }
        let order = *batch.order.get_or_insert(queue.sent);
        queue.sent = queue.sent.max(order + u64::from(batch.records));
        queue.in_flight.push(order);
        queue.in_flight_node = leader;
        *used += batch.size();
        batch.closed = true;
        batch.transactional = situation.transaction.is_some();
        self.requests.entry(leader).or_default().push(Item {
            topic,
            partition,
            batch,
        });
    }
}

/// Whether the first batch of an idempotent partition may go.
fn may_go(queue: &mut PartitionQueue, leader: i32, identity: super::idempotence::Identity) -> bool {
    let Some(front) = queue.batches.front() else {
        return false;
    };
    if queue.numbering.broken {
        return false;
    }
    if front.sequence.is_some() {
        let order = front.order.unwrap_or(u64::MAX);
        return queue.in_flight.iter().all(|other| *other > order);
    }
    if queue.in_flight.is_empty() {
        if queue.numbering.producer != Some(identity) {
            queue.numbering.restart(identity);
        }
        return true;
    }
    queue.numbering.producer == Some(identity)
        && queue.numbering.confirmed
        && queue.in_flight_node == leader
        && queue.in_flight.len() < IDEMPOTENT_IN_FLIGHT_MAX
}

/// Numbers a partition's batches anew after a gap, once none is in flight (KIP-360).
///
/// In a transaction the abort brings the next epoch.
fn renumber(queue: &mut PartitionQueue, identity: &mut Identification, transactional: bool) {
    if !queue.numbering.broken || !queue.in_flight.is_empty() {
        return;
    }
    let used = queue.numbering.producer;
    if let Some(used) = used.filter(|_| !transactional) {
        identity.bump(used);
    }
    let Some(identity) = identity.known() else {
        return;
    };
    if transactional && used == Some(identity) {
        return;
    }
    queue.numbering.restart(identity);
    for batch in &mut queue.batches {
        if batch.sequence.is_some() {
            batch.sequence = queue.numbering.take(batch.records);
        }
    }
}

/// When a batch may be sent, if not now.
fn not_ready_before(batch: &Batch, situation: &Situation<'_>) -> Option<Instant> {
    if let Some(at) = batch.not_before.filter(|at| *at > situation.now) {
        return Some(at);
    }
    let full = batch.closed || situation.pressed || batch.size() >= situation.config.batch_size;
    let linger_ends = batch.created + situation.config.linger;
    (!full && linger_ends > situation.now).then_some(linger_ends)
}

fn timed_out(batch: Batch, after: Duration) -> (Batch, DeliveryError) {
    let error = DeliveryError::TimedOut {
        after,
        last: batch.last_error,
        maybe_delivered: batch.maybe_stored,
    };
    (batch, error)
}

#[cfg(test)]
mod tests;
