//! What the cluster looks like, as far as this client needs to know.
//!
//! Invariant: a snapshot never changes; a newer one keeps what it knows of a partition if an older
//! leader epoch arrives late (KIP-320).

use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::metadata::{
    MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
};
use logway_protocol::uuid::Uuid;
use tokio::time::Instant;

/// A snapshot of the cluster.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) controller: Option<i32>,
    pub(crate) nodes: HashMap<i32, Node>,
    pub(crate) topics: HashMap<Arc<str>, Result<Arc<Topic>, ErrorCode>>,
    /// When it was asked for; `None` before the first answer.
    pub(crate) asked_at: Option<Instant>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: i32,
    pub(crate) host: Arc<str>,
    pub(crate) port: i32,
    pub(crate) rack: Option<Arc<str>>,
    /// `host:port`, as a connection takes it.
    pub(crate) address: Arc<str>,
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) internal: bool,
    /// By partition number, without gaps.
    pub(crate) partitions: Vec<Partition>,
}

/// A partition that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Node id, or -1.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) offline: Vec<i32>,
}

impl Metadata {
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name).and_then(|topic| topic.as_ref().ok())
    }

    pub(crate) fn topic_error(&self, name: &str) -> Option<ErrorCode> {
        self.topics
            .get(name)
            .and_then(|topic| topic.as_ref().err())
            .copied()
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<&Partition> {
        let index = usize::try_from(partition).ok()?;
        self.topic(topic)?.partitions.get(index)
    }

    /// The leader of a partition, if it is known and alive.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        let leader = self.partition(topic, partition)?.leader;
        self.nodes.contains_key(&leader).then_some(leader)
    }

    pub(crate) fn partition_count(&self, topic: &str) -> Option<usize> {
        self.topic(topic)
            .map(|topic| topic.partitions.len())
            .filter(|count| *count > 0)
    }

    /// The snapshot after this one: what `response` says, about the topics it speaks of only.
    pub(crate) fn next(&self, response: &MetadataResponse, asked_at: Instant) -> Self {
        let nodes = response.brokers.iter().map(|broker| {
            let (id, port) = (broker.node_id, broker.port);
            let host: Arc<str> = (*broker.host).into();
            let address = address_of(&host, port);
            let rack = broker.rack.as_ref().map(|rack| (**rack).into());
            (
                id,
                Node {
                    id,
                    host,
                    port,
                    rack,
                    address,
                },
            )
        });
        let topics = response.topics.iter().filter_map(|topic| {
            let name: Arc<str> = topic.name.as_deref()?.into();
            let merged = self.merge(&name, topic);
            Some((name, merged))
        });
        Self {
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            nodes: nodes.collect(),
            topics: topics.collect(),
            asked_at: Some(asked_at),
        }
    }

    fn merge(&self, name: &str, topic: &MetadataResponseTopic) -> Result<Arc<Topic>, ErrorCode> {
        ErrorCode::check(topic.error_code)?;
        let known = self.topic(name).filter(|known| known.id == topic.topic_id);
        let mut partitions: Vec<Partition> = Vec::new();
        let mut answered: Vec<&MetadataResponsePartition> = topic.partitions.iter().collect();
        answered.sort_by_key(|partition| partition.partition_index);
        for partition in answered {
            let Ok(index) = usize::try_from(partition.partition_index) else {
                continue;
            };
            // A gap is not worth the memory that a false number could ask for.
            if index != partitions.len() {
                continue;
            }
            let fresh = Partition {
                leader: partition.leader_id,
                leader_epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
                offline: partition.offline_replicas.clone(),
            };
            let newer = known
                .and_then(|known| known.partitions.get(index))
                .filter(|known| known.leader_epoch > fresh.leader_epoch && fresh.leader_epoch >= 0);
            partitions.push(newer.cloned().unwrap_or(fresh));
        }
        Ok(Arc::new(Topic {
            id: topic.topic_id,
            internal: topic.is_internal,
            partitions,
        }))
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn address_of(host: &str, port: i32) -> Arc<str> {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
    .into()
}

#[cfg(test)]
mod tests;
