//! Producer, consumer and admin for any Kafka-speaking cluster, async on tokio, pure Rust.
//!
//! Steps 5 and 10 of the hallway: batches leave an edge through [`Producer`], records arrive
//! through [`Consumer`].
//!
//! **Invariant:** no constructor touches the network, every queue is bounded in bytes or number,
//! and a broker that is away for hours costs a connection attempt now and then and nothing else.
//!
//! Settings are plain structs with Kafka's names and defaults; the name that Kafka's users know
//! stands beside each field. Errors are one enum per operation and say what the caller can do.
//!
//! # Send
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use logway_client::{ClientConfig, Producer, ProducerConfig, ProducerRecord};
//! use std::time::Duration;
//!
//! let client = ClientConfig::new(["127.0.0.1:9092"]);
//! let producer = Producer::new(ProducerConfig { client, ..Default::default() })?;
//! let record = ProducerRecord::new("GameLog", "jumps").with_key("player 7");
//! // Taken at once; the delivery tells where it is stored.
//! let stored = producer.send(record).await?.await?;
//! println!("partition {} offset {}", stored.partition, stored.offset);
//! producer.close(Duration::from_secs(10)).await;
//! # Ok(()) }
//! ```
//!
//! # Receive, as a member of a group
//!
//! What Kafka's users know as a rebalance listener are events of [`poll`](Consumer::poll) here:
//! the group waits with a revocation until the caller polls again.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use logway_client::{ClientConfig, Consumer, ConsumerConfig, GroupProtocol, Polled};
//! use std::time::Duration;
//!
//! let consumer = Consumer::new(ConsumerConfig {
//!     client: ClientConfig::new(["127.0.0.1:9092"]),
//!     group_id: Some("scores".to_owned()),
//!     group_protocol: GroupProtocol::Consumer,
//!     ..Default::default()
//! })?;
//! consumer.subscribe(["GameLog"]).await?;
//! loop {
//!     match consumer.poll(Duration::from_secs(1)).await? {
//!         Polled::Records(records) => {
//!             println!("{} records", records.len());
//!             consumer.commit_positions().await?;
//!         }
//!         Polled::Revoked(partitions) => println!("the last chance to commit {partitions:?}"),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
//!
//! # Transactions
//!
//! ```no_run
//! # async fn example(config: logway_client::ProducerConfig) -> Result<(), Box<dyn std::error::Error>> {
//! use logway_client::{Producer, ProducerConfig, ProducerRecord};
//!
//! let transactional_id = Some("scores-1".to_owned());
//! let producer = Producer::new(ProducerConfig { transactional_id, ..config })?;
//! producer.init_transactions().await?;
//! let transaction = producer.begin_transaction().await?;
//! let _delivery = transaction.send(ProducerRecord::new("scores", "120")).await?;
//! if let Err(error) = transaction.commit().await {
//!     if error.is_abortable() {
//!         transaction.abort().await?;
//!     } else {
//!         return Err(error.into());
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! The `examples` folder has whole programs: `produce`, `consume`, `transactional` (read,
//! transform, write, exactly once) and `own_type`. Keys and values are bytes; for values of a type
//! see [`Serializer`], [`Producer::with_serializers`] and [`ConsumerRecord::value_with`]. The
//! feature `json` (on by default) adds serializers for whatever serde knows.

mod admin;
mod backoff;
mod cluster;
mod config;
mod connection;
mod consumer;
mod coordinator;
mod error;
mod metadata;
mod producer;
mod serialize;
mod topic;

pub use admin::{
    Admin, Broker, ClusterDescription, ConfigEntry, ConfigResource, ConfigSource, Coordinator,
    Destination, GroupDescription, GroupListing, ListedOffset, MemberDescription, NewTopic,
    OffsetSpec, PartitionDescription, Results, TopicDescription, TopicListing,
};
pub use config::{
    Acks, Assignor, AutoOffsetReset, ClientConfig, ConfigError, ConsumerConfig, GroupProtocol,
    IsolationLevel, ProducerConfig,
};
pub use consumer::{
    Consumer, ConsumerRecord, GroupMetadata, OffsetAndMetadata, OffsetAndTimestamp, Polled, Start,
    Watermarks, next_offsets,
};
pub use error::{
    AdminError, CommitError, ConsumeError, DeliveryError, OffsetsError, RequestError, SendError,
    TransactionError,
};
pub use logway_protocol::batch::TimestampType;
pub use logway_protocol::compression::Compression;
pub use logway_protocol::error_code::ErrorCode;
pub use logway_protocol::record::RecordHeader;
pub use logway_protocol::uuid::Uuid;
pub use producer::{
    Delivery, EncodedBatch, Producer, ProducerRecord, ProducerStats, RecordMetadata, Transaction,
    WhenTooLarge,
};
pub use serialize::{
    BooleanDeserializer, BooleanSerializer, ByteArrayDeserializer, ByteArraySerializer,
    BytesDeserializer, BytesSerializer, DeserializeError, Deserializer, DoubleDeserializer,
    DoubleSerializer, FloatDeserializer, FloatSerializer, IntegerDeserializer, IntegerSerializer,
    LongDeserializer, LongSerializer, SerializeError, Serializer, ShortDeserializer,
    ShortSerializer, StringDeserializer, StringSerializer, TypedProducer, UUIDDeserializer,
    UUIDSerializer, VoidDeserializer, VoidSerializer,
};
#[cfg(feature = "json")]
pub use serialize::{JsonDeserializer, JsonSerializer};
pub use topic::TopicPartition;
