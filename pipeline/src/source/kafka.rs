//! The feed that is a member of a Kafka consumer group. Step 11; the other end of step 10.
//!
//! Invariant: offsets are never reset by the client: a position out of range comes back as an
//! error, and the store decides. Records of aborted transactions are not seen.

use std::time::Duration;

use logway_client::{
    Admin, AdminError, AutoOffsetReset, ClientConfig, ConfigError, ConsumeError, Consumer,
    ConsumerConfig, ConsumerRecord, IsolationLevel, OffsetSpec, Polled, TopicPartition,
};
use thiserror::Error;

use super::feed::{Bounds, Event, Feed, FeedError, Partition};
use crate::transform::Received;

/// Records one poll hands over.
const POLL_RECORDS: usize = 5_000;
/// How long a commit or a question to the cluster may take with its retries.
const API_TIME: Duration = Duration::from_secs(15);

/// Why there is no feed.
#[derive(Debug, Error)]
pub enum KafkaFeedError {
    /// The client refuses its settings.
    #[error("settings of the consumer")]
    Config(#[from] ConfigError),
    /// The consumer refuses the topics.
    #[error("cannot subscribe to the topics")]
    Subscribe(#[source] ConsumeError),
}

/// See the module.
pub(crate) struct KafkaFeed {
    consumer: Consumer,
    admin: Admin,
}

impl KafkaFeed {
    /// Joins the group as soon as the cluster is there.
    pub(crate) async fn new(
        settings: &logway_config::pipeline::Pipeline,
    ) -> Result<KafkaFeed, KafkaFeedError> {
        let client = ClientConfig {
            client_id: settings.client_id.clone(),
            default_api_timeout: API_TIME,
            ..ClientConfig::new(settings.bootstrap.iter().cloned())
        };
        let bytes = usize::try_from(settings.fetch_max_bytes).unwrap_or(1024);
        let consumer = Consumer::new(ConsumerConfig {
            client: client.clone(),
            group_id: Some(settings.group_id.clone()),
            auto_offset_reset: AutoOffsetReset::None,
            enable_auto_commit: false,
            fetch_max_bytes: settings.fetch_max_bytes,
            max_partition_fetch_bytes: settings.fetch_max_bytes.min(1 << 20),
            max_poll_records: POLL_RECORDS,
            queued_max_bytes: bytes,
            session_timeout: Duration::from_millis(settings.session_timeout_ms),
            heartbeat_interval: Duration::from_millis((settings.session_timeout_ms / 3).min(3000)),
            isolation_level: IsolationLevel::ReadCommitted,
            allow_auto_create_topics: false,
            ..ConsumerConfig::default()
        })?;
        let topics = settings.topics.logs.iter().chain(&settings.topics.metrics);
        consumer
            .subscribe(topics.map(String::as_str))
            .await
            .map_err(KafkaFeedError::Subscribe)?;
        Ok(KafkaFeed {
            consumer,
            admin: Admin::new(client)?,
        })
    }
}

impl Feed for KafkaFeed {
    async fn poll(&self, timeout: Duration) -> Result<Event, FeedError> {
        match self.consumer.poll(timeout).await {
            Ok(Polled::Records(records)) => {
                Ok(Event::Records(records.into_iter().map(received).collect()))
            }
            Ok(Polled::Assigned(partitions)) => Ok(Event::Assigned(ours(partitions))),
            Ok(Polled::Revoked(partitions)) => Ok(Event::Revoked(ours(partitions))),
            Ok(Polled::Lost(partitions)) => Ok(Event::Lost(ours(partitions))),
            // Kinds that later versions of the client may add ask nothing of us.
            Ok(_) => Ok(Event::Idle),
            Err(
                ConsumeError::OffsetOutOfRange { partition, .. }
                | ConsumeError::NoOffset { partition },
            ) => Err(FeedError::OutOfRange(our(partition))),
            Err(error) => Err(FeedError::Other(Box::new(error))),
        }
    }

    fn seek(&self, partition: &Partition, offset: i64) -> Result<(), FeedError> {
        self.consumer
            .seek(&theirs(partition), offset)
            .map_err(other)
    }

    async fn bounds(&self, partitions: &[Partition]) -> Result<Vec<Bounds>, FeedError> {
        let list = |spec: OffsetSpec| -> Vec<_> {
            partitions
                .iter()
                .map(|partition| (theirs(partition), spec))
                .collect()
        };
        let starts = self
            .admin
            .list_offsets(&list(OffsetSpec::Earliest))
            .await
            .map_err(other)?;
        let ends = self
            .admin
            .list_offsets(&list(OffsetSpec::Latest))
            .await
            .map_err(other)?;
        let mut topics: Vec<&str> = partitions.iter().map(|one| one.topic.as_ref()).collect();
        topics.sort_unstable();
        topics.dedup();
        let described = self.admin.describe_topics(&topics).await.map_err(other)?;
        let mut bounds = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let wanted = theirs(partition);
            let offset =
                |answers: &[(TopicPartition, Result<_, AdminError>)]| offset_of(answers, &wanted);
            let topic_id = described
                .iter()
                .find(|(topic, _)| *topic == partition.topic)
                .and_then(|(_, topic)| topic.as_ref().ok())
                .filter(|topic| !topic.id.is_zero())
                .map(|topic| topic.id.to_string())
                .unwrap_or_default();
            bounds.push(Bounds {
                partition: partition.clone(),
                log_start: offset(&starts)?,
                log_end: offset(&ends)?,
                topic_id,
            });
        }
        Ok(bounds)
    }

    fn end_offset(&self, partition: &Partition) -> Option<i64> {
        self.consumer
            .watermarks(&theirs(partition))
            .map(|marks| marks.last_stable.max(marks.low))
    }

    async fn commit(&self, offsets: Vec<(Partition, i64)>) -> Result<(), FeedError> {
        let offsets: Vec<_> = offsets
            .iter()
            .map(|(partition, offset)| (theirs(partition), *offset))
            .collect();
        self.consumer.commit(&offsets).await.map_err(other)
    }

    async fn close(&self) {
        self.consumer.close().await;
    }
}

fn offset_of(
    answers: &[(
        TopicPartition,
        Result<logway_client::ListedOffset, AdminError>,
    )],
    wanted: &TopicPartition,
) -> Result<i64, FeedError> {
    let missing = || {
        let text = format!("the cluster gave no offset of {wanted}");
        FeedError::Other(text.into())
    };
    match answers.iter().find(|(partition, _)| partition == wanted) {
        Some((_, Ok(listed))) => listed.offset.ok_or_else(missing),
        Some((_, Err(error))) => Err(FeedError::Other(error.to_string().into())),
        None => Err(missing()),
    }
}

fn received(record: ConsumerRecord) -> Received {
    let mut received = Received {
        topic: record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp,
        value: record.value,
        origin: None,
        position: None,
        host: None,
        path: None,
    };
    for header in record.headers {
        let slot = match &*header.key {
            "logway.origin" => &mut received.origin,
            "logway.position" => &mut received.position,
            "host.name" => &mut received.host,
            "log.file.path" => &mut received.path,
            _ => continue,
        };
        *slot = header.value;
    }
    received
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> FeedError {
    FeedError::Other(Box::new(error))
}

fn our(partition: TopicPartition) -> Partition {
    Partition {
        topic: partition.topic,
        index: partition.partition,
    }
}

fn ours(partitions: Vec<TopicPartition>) -> Vec<Partition> {
    partitions.into_iter().map(our).collect()
}

fn theirs(partition: &Partition) -> TopicPartition {
    TopicPartition::new(std::sync::Arc::clone(&partition.topic), partition.index)
}
