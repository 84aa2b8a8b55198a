//! The cluster's metadata: one ordered log on disk, applied to an immutable image.
//! Invariant: a change is answered only when its records are synced and the image with them is
//! published; the image is exactly what the log says. Beside the hallway.
//!
//! One node is a quorum of one: what a quorum will decide later, the thread of `store.rs` decides
//! now, in the same order: plan, append, sync, apply, answer.

mod alter;
mod image;
mod plan;
mod producer_ids;
mod record;
mod store;
mod topic_config;
mod topic_name;
mod topics;

pub(crate) use alter::{AlterError, Operation, TopicChange};
pub(crate) use image::{Image, RESOURCE_BROKER, RESOURCE_TOPIC, Topic};
pub(crate) use plan::{CreateTopicError, NewTopic};
pub(crate) use producer_ids::ProducerIds;
pub use store::MetadataOpenError;
pub(crate) use store::{Metadata, MetadataError, Observer, OpenMetadata};
pub(crate) use topic_config::{Kind, SETTINGS, Setting, TopicConfig, broker_value, default_of};
pub(crate) use topic_name::{
    METADATA_TOPIC, TRANSACTION_TOPIC, check as check_topic_name, is_internal as is_internal_topic,
    metadata_folder,
};
pub(crate) use topics::{CreatedTopic, DeleteTopicError, TopicError, Topics};

#[cfg(test)]
mod tests;
