//! Records of the metadata log, as Kafka's KRaft writes them (KIP-631): topics, partitions, settings,
//! ids, features and client quotas.

use crate::text::Text;
use crate::uuid::Uuid;

data! { TopicRecord, versions 0..=0, flexible 0 }
data! { PartitionRecord, versions 0..=2, flexible 0 }
data! { ConfigRecord, versions 0..=0, flexible 0 }
data! { RemoveTopicRecord, versions 0..=0, flexible 0 }
data! { ProducerIdsRecord, versions 0..=0, flexible 0 }
data! { FeatureLevelRecord, versions 0..=0, flexible 0 }
data! { ClientQuotaRecord, versions 0..=0, flexible 0 }

fields! {
    /// A topic was created.
    pub struct TopicRecord {
        name: Text, 0..;
        topic_id: Uuid, 0..;
    }

    /// A partition was created or replaced.
    pub struct PartitionRecord {
        partition_id: i32 = -1, 0..;
        topic_id: Uuid, 0..;
        replicas: Vec<i32>, 0..;
        isr: Vec<i32>, 0..;
        removing_replicas: Vec<i32>, 0..;
        adding_replicas: Vec<i32>, 0..;
        leader: i32 = -1, 0..;
        leader_recovery_state: i8, 0.., tag(0);
        leader_epoch: i32 = -1, 0..;
        partition_epoch: i32 = -1, 0..;
        directories: Vec<Uuid>, 1..;
        eligible_leader_replicas: Option<Vec<i32>>, 2.., tag(1);
        last_known_elr: Option<Vec<i32>>, 2.., tag(2);
    }

    /// A setting was set, or removed when its value is null.
    pub struct ConfigRecord {
        resource_type: i8, 0..;
        resource_name: Text, 0..;
        name: Text, 0..;
        value: Option<Text> = Some(Text::default()), 0..;
    }

    /// A topic was deleted.
    pub struct RemoveTopicRecord {
        topic_id: Uuid, 0..;
    }

    /// A block of producer ids was given out.
    pub struct ProducerIdsRecord {
        broker_id: i32, 0..;
        broker_epoch: i64 = -1, 0..;
        next_producer_id: i64, 0..;
    }

    /// A feature's finalized level.
    pub struct FeatureLevelRecord {
        name: Text, 0..;
        feature_level: i16, 0..;
    }

    /// A quota of users, clients or addresses was set, or removed (KIP-546).
    pub struct ClientQuotaRecord {
        entity: Vec<EntityData>, 0..;
        key: Text, 0..;
        value: f64, 0..;
        remove: bool, 0..;
    }

    /// Part of [`ClientQuotaRecord`]: one kind of entity and its name; null stands for the default.
    pub struct EntityData {
        entity_type: Text, 0..;
        entity_name: Option<Text> = Some(Text::default()), 0..;
    }
}
