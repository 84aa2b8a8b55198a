//! What one fetch or fetch session reads: its partitions, resolved, and who tells it of changes.
//! Invariant: a partition is unlisted only while it is registered to tell of every change, and was
//! so before it was looked at. Step 10 of the hallway.

use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use parking_lot::Mutex;

use crate::context::Context;
use crate::fetch::{Asked, Session, TopicKey};
use crate::partition::{Availability, FetchWaiter, Partition, Registration};

/// A fetch's partitions, shared with the cache if they become a session.
pub(crate) type SharedReading = Arc<Mutex<Reading>>;

/// All partitions of a fetch or session, and its waiter.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(super) session: Session<Served>,
    pub(super) waiter: Arc<FetchWaiter>,
}

/// What serves one partition that is read.
#[derive(Debug)]
pub(crate) struct Served {
    pub(super) partition: Result<Arc<Partition>, ErrorCode>,
    pub(super) registration: Option<Registration>,
}

impl Reading {
    /// The partitions of a full fetch, in its order.
    pub(super) fn full(context: &Context, request: &FetchRequest, by_id: bool) -> Reading {
        let count = request.topics.iter().map(|topic| topic.partitions.len());
        let mut reading = Reading {
            session: Session::with_capacity(count.sum()),
            waiter: FetchWaiter::new(i64::MAX),
        };
        reading.ask(context, &request.topics, by_id);
        reading
    }

    /// What an incremental request changes.
    pub(super) fn update(&mut self, context: &Context, request: &FetchRequest, by_id: bool) {
        self.ask(context, &request.topics, by_id);
        for topic in &request.forgotten_topics_data {
            let key = if by_id {
                TopicKey::Id(topic.topic_id)
            } else {
                TopicKey::Name(topic.topic.clone())
            };
            for partition in &topic.partitions {
                self.session.forget(&key, *partition);
            }
        }
    }

    fn ask(&mut self, context: &Context, topics: &[FetchTopic], by_id: bool) {
        for topic in topics {
            let key = if by_id {
                TopicKey::Id(topic.topic_id)
            } else {
                TopicKey::Name(topic.topic.clone())
            };
            let number = self.session.number_of(&key);
            let found = partitions_of(context, &key);
            for asked in &topic.partitions {
                self.session.ask(number, asked.into(), |_| {
                    let at = usize::try_from(asked.partition).ok();
                    let partition = found.as_ref().map_err(|code| *code).and_then(|found| {
                        let partition = at.and_then(|at| found.get(at)).cloned().flatten();
                        partition.ok_or(ErrorCode::UnknownTopicOrPartition)
                    });
                    Served {
                        partition,
                        registration: None,
                    }
                });
            }
        }
    }

    /// The partition at a place, looked up again if it was not there or is no more.
    pub(super) fn resolve(
        &mut self,
        context: &Context,
        place: u32,
    ) -> Result<Arc<Partition>, ErrorCode> {
        let slot = self.session.slot(place);
        let slot = slot.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        if let Ok(partition) = &slot.served.partition
            && partition.availability() != Availability::Deleted
        {
            return Ok(Arc::clone(partition));
        }
        let key = self.session.topic(slot.topic);
        let key = key.ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let at = usize::try_from(slot.asked.partition).unwrap_or(usize::MAX);
        let found = partitions_of(context, key).and_then(|found| {
            let partition = found.get(at).cloned().flatten();
            partition
                .filter(|partition| partition.availability() != Availability::Deleted)
                .ok_or(ErrorCode::UnknownTopicOrPartition)
        });
        if let Some(slot) = self.session.slot_mut(place) {
            slot.served = Served {
                partition: found.clone(),
                registration: None,
            };
        }
        found
    }

    /// Has the partition at a place tell of every change from now on.
    pub(super) fn register(&mut self, place: u32) {
        let waiter = &self.waiter;
        if let Some(slot) = self.session.slot_mut(place)
            && slot.served.registration.is_none()
            && let Ok(partition) = &slot.served.partition
        {
            slot.served.registration = Some(partition.register(waiter, place));
        }
    }

    /// Whether the partition at a place tells of its changes.
    pub(super) fn is_registered(&self, place: u32) -> bool {
        self.session
            .slot(place)
            .is_some_and(|slot| slot.served.registration.is_some())
    }

    /// Lists every partition that told of a change.
    pub(super) fn list_changed(&mut self) {
        for place in self.waiter.take_changed() {
            self.session.list(place);
        }
    }
}

impl From<&FetchPartition> for Asked {
    fn from(asked: &FetchPartition) -> Asked {
        Asked {
            partition: asked.partition,
            fetch_offset: asked.fetch_offset,
            max_bytes: asked.partition_max_bytes,
            current_leader_epoch: asked.current_leader_epoch,
            last_fetched_epoch: asked.last_fetched_epoch,
        }
    }
}

fn partitions_of(
    context: &Context,
    key: &TopicKey,
) -> Result<Arc<[Option<Arc<Partition>>]>, ErrorCode> {
    match key {
        TopicKey::Name(name) => Ok(context.partitions.of_topic(name)),
        TopicKey::Id(id) => {
            let image = context.metadata.image();
            let topic = image.topic_by_id(id).ok_or(ErrorCode::UnknownTopicId)?;
            Ok(context.partitions.of_topic(&topic.name))
        }
    }
}
