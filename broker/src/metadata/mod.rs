//! The cluster's metadata: one ordered log on disk, applied to an immutable image.
//! Invariant: a change is answered only when its records are synced and the image with them is
//! published; the image is exactly what the log says. Beside the hallway.
//!
//! One node is a quorum of one: what a quorum will decide later, the thread of `store.rs` decides
//! now, in the same order: plan, append, sync, apply, answer.

mod alter;
mod feature;
mod fixed_settings;
mod growth;
mod image;
mod in_force;
mod plan;
mod producer_ids;
mod quota;
mod record;
mod resource_config;
mod store;
mod topic_config;
mod topic_name;
mod topics;

pub(crate) use alter::{AlterError, ConfigChange, Operation};
pub(crate) use feature::{
    FeatureError, FeatureUpdate, Features, TRANSACTION_VERSION, UpgradeType,
    update as update_features,
};
pub(crate) use growth::{GrowthError, NewPartitions, Reassignment, ReassignmentError, reassign};
pub(crate) use image::{
    Image, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP, RESOURCE_TOPIC, Topic,
};
pub(crate) use in_force::{InForce, LiveSettings};
pub(crate) use plan::{CreateTopicError, NewTopic};
pub(crate) use producer_ids::ProducerIds;
pub(crate) use quota::{
    CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, ClientQuotas,
    EntityKind, PRODUCER_BYTE_RATE, QuotaChange, QuotaEntity, QuotaError, REQUEST_PERCENTAGE,
    alter as alter_quotas,
};
pub(crate) use resource_config::{
    GROUP_SETTINGS, METRICS_SETTINGS, ResourceError, ResourceSetting, dynamic_kind, is_dynamic,
};
pub(crate) use store::EPOCH as QUORUM_EPOCH;
pub use store::MetadataOpenError;
pub(crate) use store::{Metadata, MetadataError, Observer, OpenMetadata};
pub(crate) use topic_config::{Kind, SETTINGS, Setting, TopicConfig, broker_value};
pub(crate) use topic_name::{
    METADATA_TOPIC, TRANSACTION_TOPIC, check as check_topic_name, is_internal as is_internal_topic,
    metadata_folder,
};
pub(crate) use topics::{
    CreatedTopic, DeleteTopicError, INTERNAL_SEGMENT_BYTES, TopicError, Topics,
};

#[cfg(test)]
mod tests;
