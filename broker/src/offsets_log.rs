//! Gives the group coordinator its topic: `__consumer_offsets` as partitions of this broker.
//! Invariant: only the coordinator writes there this way; what it is told is stored, is on disk.
//! Between steps 7 and 8 of the hallway.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_protocol::batch::BatchHeader;
use logway_protocol::{ErrorCode, Uuid};
use tracing::error;

use crate::clock::now_ms;
use crate::group::consumer::{OwnSettings, Topics as TopicsView};
use crate::group::{BoxFuture, LogReadError, OFFSETS_TOPIC, OffsetsLog};
use crate::handler::error::Code;
use crate::metadata::{Image, Metadata, RESOURCE_BROKER, RESOURCE_GROUP, Topics};
use crate::partition::{Partition, Partitions};

/// The partitions of `__consumer_offsets` on this broker.
#[derive(Debug)]
pub(crate) struct OffsetsPartitions {
    topics: Topics,
    metadata: Arc<Metadata>,
    partitions: Arc<Partitions>,
    /// Whether an append is answered only when it is on disk (`flush.on_acks_all`).
    synced: bool,
    /// What groups were shown last: they take the same view for the same state of the cluster.
    seen: ArcSwap<Seen>,
}

impl OffsetsPartitions {
    pub(crate) fn new(
        settings: &Settings,
        topics: Topics,
        metadata: Arc<Metadata>,
        partitions: Arc<Partitions>,
    ) -> OffsetsPartitions {
        OffsetsPartitions {
            seen: ArcSwap::from_pointee(Seen {
                image: metadata.image(),
                node: Arc::from(settings.node_id.to_string()),
            }),
            topics,
            metadata,
            partitions,
            synced: settings.flush.on_acks_all,
        }
    }

    fn partition(&self, partition: i32) -> Result<Arc<Partition>, ErrorCode> {
        let found = self.partitions.find(OFFSETS_TOPIC, partition);
        found.ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    fn append_now(
        &self,
        partition: &Arc<Partition>,
        batch: &Bytes,
    ) -> Result<(i64, i64), ErrorCode> {
        let header = BatchHeader::decode(batch).map_err(|source| {
            error!(
                topic = OFFSETS_TOPIC,
                "batch of the coordinator is not readable: {source}"
            );
            ErrorCode::UnknownServerError
        })?;
        let appended = partition
            .append(&header, batch, now_ms())
            .map_err(|error| error.code())?;
        Ok((appended.base_offset, appended.last_offset + 1))
    }
}

/// The cluster as groups see it.
#[derive(Debug)]
struct Seen {
    image: Arc<Image>,
    /// The number of this broker, by which its settings are found.
    node: Arc<str>,
}

impl TopicsView for Seen {
    fn find(&self, name: &str) -> Option<(Uuid, i32)> {
        let topic = self.image.topic(name)?;
        Some((
            topic.id,
            i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        ))
    }

    fn name(&self, id: &Uuid) -> Option<Arc<str>> {
        let topic = self.image.topic_by_id(id);
        topic.map(|topic| Arc::clone(&topic.name))
    }

    fn names(&self) -> Vec<Arc<str>> {
        let topics = self.image.topics();
        topics.map(|topic| Arc::clone(&topic.name)).collect()
    }

    fn settings_of(&self, group: &str) -> OwnSettings {
        // Values were checked when they were set.
        let number = |kind: i8, resource: &str, name: &str| {
            let value = self.image.configs(kind, resource)?.get(name);
            value.and_then(|value| value.trim().parse().ok())
        };
        let own = |name: &str| number(RESOURCE_GROUP, group, name);
        // What was set for the broker while it runs, as with Kafka before what its file says.
        let of_broker = |name: &str| {
            let of_this = number(RESOURCE_BROKER, &self.node, name);
            of_this.or_else(|| number(RESOURCE_BROKER, "", name))
        };
        OwnSettings {
            session_timeout_ms: own("consumer.session.timeout.ms"),
            heartbeat_interval_ms: own("consumer.heartbeat.interval.ms"),
            assignment_interval_ms: own("consumer.assignment.interval.ms")
                .or_else(|| of_broker("group.consumer.assignment.interval.ms")),
        }
    }
}

impl OffsetsLog for OffsetsPartitions {
    fn partitions(&self) -> Option<i32> {
        let image = self.metadata.image();
        let topic = image.topic(OFFSETS_TOPIC)?;
        i32::try_from(topic.partitions.len()).ok()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<i32, ErrorCode>> {
        Box::pin(async {
            if self.partitions().is_none() {
                let created = self.topics.create_on_use(OFFSETS_TOPIC).await;
                created.map_err(|error| error.code())?;
            }
            self.partitions().ok_or(ErrorCode::CoordinatorNotAvailable)
        })
    }

    fn append(&self, partition: i32, batch: Bytes) -> BoxFuture<'_, Result<i64, ErrorCode>> {
        // The append itself happens now, not at the first poll: order is the order of calls.
        let appended = self.partition(partition).and_then(|partition| {
            let (base_offset, end) = self.append_now(&partition, &batch)?;
            Ok((partition, base_offset, end))
        });
        Box::pin(async move {
            let (partition, base_offset, end) = appended?;
            if self.synced {
                self.partitions.flusher().request(&partition);
                partition.durable(end).await.map_err(|error| error.code())?;
            }
            Ok(base_offset)
        })
    }

    fn topics(&self) -> Arc<dyn TopicsView> {
        let image = self.metadata.image();
        let seen = self.seen.load_full();
        if Arc::ptr_eq(&seen.image, &image) {
            return seen;
        }
        let node = Arc::clone(&seen.node);
        let seen = Arc::new(Seen { image, node });
        self.seen.store(Arc::clone(&seen));
        seen
    }

    fn read(&self, partition: i32, each: &mut dyn FnMut(Bytes)) -> Result<(), LogReadError> {
        let failed = |reason: String| LogReadError { partition, reason };
        let found = self
            .partition(partition)
            .map_err(|code| failed(code.to_string()))?;
        for batch in found.reader().batches(found.log_start_offset()) {
            let (_, bytes) = batch.map_err(|error| failed(error.to_string()))?;
            each(bytes);
        }
        Ok(())
    }
}
