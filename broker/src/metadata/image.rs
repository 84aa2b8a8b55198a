//! The cluster as the metadata log says it is: topics, partitions, settings, quotas, features,
//! producer-id blocks.
//! Invariant: a value; it changes only by applying records in log order, so every reader that holds
//! one sees one consistent moment. Pure: no I/O, no clock. Beside steps 7 to 10.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use logway_protocol::Uuid;
use logway_protocol::message::record::cluster::{
    ConfigRecord, PartitionRecord, ProducerIdsRecord, RemoveTopicRecord, TopicRecord,
};

use super::quota::{self, ClientQuotas};
use super::record::MetadataRecord;
use super::topic_name;

/// Kafka's number of the resource type "topic".
pub(crate) const RESOURCE_TOPIC: i8 = 2;
/// Kafka's number of the resource type "broker".
pub(crate) const RESOURCE_BROKER: i8 = 4;
/// Kafka's number of the resource type "client metrics".
pub(crate) const RESOURCE_CLIENT_METRICS: i8 = 16;
/// Kafka's number of the resource type "group".
pub(crate) const RESOURCE_GROUP: i8 = 32;

/// Where one partition lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<PartitionInfo>,
    /// Settings given to this topic; everything else is the broker's default.
    pub(crate) configs: BTreeMap<String, String>,
}

impl Topic {
    pub(crate) fn is_internal(&self) -> bool {
        topic_name::is_internal(&self.name)
    }
}

/// Everything the metadata log has said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    topics: BTreeMap<Arc<str>, Arc<Topic>>,
    names: HashMap<Uuid, Arc<str>>,
    next_producer_id: i64,
    /// Settings of everything but topics, by type and name.
    configs: Arc<BTreeMap<(i8, String), BTreeMap<String, String>>>,
    quotas: Arc<ClientQuotas>,
    features: BTreeMap<String, i16>,
    /// Offset behind the last record that is in here.
    pub(super) end_offset: i64,
}

impl Image {
    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    pub(crate) fn topic_by_id(&self, id: &Uuid) -> Option<&Arc<Topic>> {
        self.names.get(id).and_then(|name| self.topics.get(name))
    }

    /// All topics in the order of their names.
    pub(crate) fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// First producer id that no block covers yet.
    pub(crate) fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// Settings of a resource that is no topic; none if none is set.
    pub(crate) fn configs(&self, kind: i8, name: &str) -> Option<&BTreeMap<String, String>> {
        self.configs.get(&(kind, name.to_owned()))
    }

    /// Names of the resources of a type, topics apart, that have settings of their own.
    pub(crate) fn configured(&self, kind: i8) -> impl Iterator<Item = &str> {
        let names = self.configs.keys();
        names
            .filter(move |(of, _)| *of == kind)
            .map(|(_, name)| name.as_str())
    }

    /// All quotas.
    pub(crate) fn quotas(&self) -> &Arc<ClientQuotas> {
        &self.quotas
    }

    /// Finalized features with their levels.
    pub(crate) fn features(&self) -> &BTreeMap<String, i16> {
        &self.features
    }

    /// Offset behind the last record of the log that this image says.
    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Applies one record. A record about a topic that does not exist changes nothing.
    pub(crate) fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Topic(record) => self.add_topic(record),
            MetadataRecord::Partition(record) => self.set_partition(record),
            MetadataRecord::Config(record) => self.set_config(record),
            MetadataRecord::RemoveTopic(RemoveTopicRecord { topic_id }) => {
                if let Some(name) = self.names.remove(topic_id) {
                    self.topics.remove(&name);
                }
            }
            MetadataRecord::ProducerIds(ProducerIdsRecord {
                next_producer_id, ..
            }) => {
                self.next_producer_id = self.next_producer_id.max(*next_producer_id);
            }
            MetadataRecord::FeatureLevel(record) => {
                match record.feature_level {
                    0 => self.features.remove(record.name.as_str()),
                    level => self.features.insert(record.name.to_string(), level),
                };
            }
            MetadataRecord::ClientQuota(record) => {
                quota::apply(Arc::make_mut(&mut self.quotas), record);
            }
        }
    }

    fn add_topic(&mut self, record: &TopicRecord) {
        let name: Arc<str> = Arc::from(record.name.as_str());
        let topic = Topic {
            name: Arc::clone(&name),
            id: record.topic_id,
            partitions: Vec::new(),
            configs: BTreeMap::new(),
        };
        self.names.insert(record.topic_id, Arc::clone(&name));
        self.topics.insert(name, Arc::new(topic));
    }

    fn topic_mut(&mut self, id: &Uuid) -> Option<&mut Topic> {
        let name = self.names.get(id)?;
        self.topics.get_mut(name).map(Arc::make_mut)
    }

    fn set_partition(&mut self, record: &PartitionRecord) {
        let Ok(index) = usize::try_from(record.partition_id) else {
            return;
        };
        let info = PartitionInfo {
            leader: record.leader,
            leader_epoch: record.leader_epoch,
            replicas: record.replicas.clone(),
            isr: record.isr.clone(),
        };
        let Some(topic) = self.topic_mut(&record.topic_id) else {
            return;
        };
        let count = topic.partitions.len();
        match topic.partitions.get_mut(index) {
            Some(present) => *present = info,
            // Records come in order; a gap would be a foreign log's mistake and is not invented here.
            None if index == count => topic.partitions.push(info),
            None => {}
        }
    }

    fn set_config(&mut self, record: &ConfigRecord) {
        if record.resource_type == RESOURCE_TOPIC {
            if let Some(topic) = self.topics.get_mut(record.resource_name.as_str()) {
                set_value(&mut Arc::make_mut(topic).configs, record);
            }
            return;
        }
        let key = (record.resource_type, record.resource_name.to_string());
        let all = Arc::make_mut(&mut self.configs);
        let configs = all.entry(key.clone()).or_default();
        set_value(configs, record);
        if configs.is_empty() {
            all.remove(&key);
        }
    }
}

fn set_value(configs: &mut BTreeMap<String, String>, record: &ConfigRecord) {
    match &record.value {
        Some(value) => configs.insert(record.name.to_string(), value.to_string()),
        None => configs.remove(record.name.as_str()),
    };
}
