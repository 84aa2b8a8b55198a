//! Producer, consumer and admin for any Kafka-speaking cluster, async on tokio, pure Rust.
//!
//! Steps 5 and 10 of the hallway: batches leave an edge through [`Producer`], records arrive
//! through [`Consumer`].
//!
//! **Invariant:** no constructor touches the network, every queue is bounded in bytes or number,
//! and a broker that is away for hours costs a connection attempt now and then and nothing else.

mod admin;
mod backoff;
mod cluster;
mod config;
mod connection;
mod consumer;
mod error;
mod metadata;
mod producer;
mod topic;

pub use admin::{
    Admin, Broker, ClusterDescription, CommittedOffset, ConfigEntry, ConfigResource, ConfigSource,
    Coordinator, Destination, GroupDescription, GroupListing, ListedOffset, MemberDescription,
    NewTopic, OffsetSpec, PartitionDescription, Results, TopicDescription, TopicListing,
};
pub use config::{
    Acks, Assignor, AutoOffsetReset, ClientConfig, ConfigError, ConsumerConfig, IsolationLevel,
    ProducerConfig,
};
pub use consumer::{Consumer, ConsumerRecord, GroupMetadata, Polled, Start, Watermarks};
pub use error::{
    AdminError, CommitError, ConsumeError, DeliveryError, OffsetsError, RequestError, SendError,
};
pub use logway_protocol::batch::TimestampType;
pub use logway_protocol::compression::Compression;
pub use logway_protocol::error_code::ErrorCode;
pub use logway_protocol::record::RecordHeader;
pub use logway_protocol::uuid::Uuid;
pub use producer::{
    Delivery, EncodedBatch, Producer, ProducerRecord, ProducerStats, RecordMetadata, WhenTooLarge,
};
pub use topic::TopicPartition;
