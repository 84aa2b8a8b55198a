//! Gives the transaction coordinator its topic, and the partitions in which transactions end.
//! Invariant: a marker in `__consumer_offsets` and what it means for committed offsets are one step.
//! Between steps 7 and 8 of the hallway.

use std::sync::Arc;

use bytes::Bytes;
use logway_protocol::ErrorCode;
use logway_protocol::batch::BatchHeader;
use logway_protocol::control::{EndTransaction, control_batch};
use tracing::error;

use crate::clock::now_ms;
use crate::group::{BoxFuture, GroupCoordinator, LogReadError, OFFSETS_TOPIC};
use crate::handler::error::Code;
use crate::metadata::{Metadata, TRANSACTION_TOPIC, TRANSACTION_VERSION, Topics};
use crate::partition::{Partition, Partitions};
use crate::transaction::{Appended, Markers, Participants, TopicPartition, TransactionLog};

/// The partitions of this broker, as the coordinator sees them.
#[derive(Debug)]
pub(crate) struct TransactionPartitions {
    pub(crate) topics: Topics,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) groups: Arc<GroupCoordinator>,
    /// Whether an append is answered only when it is on disk (`flush.on_acks_all`).
    pub(crate) synced: bool,
}

impl TransactionPartitions {
    fn state_partition(&self, partition: i32) -> Result<Arc<Partition>, ErrorCode> {
        let found = self.partitions.find(TRANSACTION_TOPIC, partition);
        found.ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    /// Ends when everything below `end` is on disk.
    fn on_disk(&self, partition: Arc<Partition>, end: i64) -> Appended {
        if !self.synced {
            return Box::pin(async { Ok(()) });
        }
        self.partitions.flusher().request(&partition);
        Box::pin(async move { partition.durable(end).await.map_err(|error| error.code()) })
    }

    fn participant(&self, (topic, index): &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        if let Some(partition) = self.partitions.find(topic, *index) {
            return Ok(partition);
        }
        let index = usize::try_from(*index).unwrap_or(usize::MAX);
        let image = self.metadata.image();
        let exists = image
            .topic(topic)
            .is_some_and(|topic| index < topic.partitions.len());
        Err(match exists {
            // Its log could not be opened; that is tried again.
            true => ErrorCode::KafkaStorageError,
            false => ErrorCode::UnknownTopicOrPartition,
        })
    }
}

impl TransactionLog for TransactionPartitions {
    fn partitions(&self) -> Option<i32> {
        let image = self.metadata.image();
        let topic = image.topic(TRANSACTION_TOPIC)?;
        i32::try_from(topic.partitions.len()).ok()
    }

    fn prepare(&self) -> BoxFuture<'_, Result<(), ErrorCode>> {
        Box::pin(async {
            if TransactionLog::partitions(self).is_none() {
                let created = self.topics.create_on_use(TRANSACTION_TOPIC).await;
                created.map_err(|error| error.code())?;
            }
            Ok(())
        })
    }

    fn append(&self, partition: i32, batch: &Bytes) -> Result<Appended, ErrorCode> {
        let partition = self.state_partition(partition)?;
        let header = readable(batch)?;
        let appended = partition.append(&header, batch, now_ms());
        let appended = appended.map_err(|error| error.code())?;
        Ok(self.on_disk(partition, appended.last_offset + 1))
    }

    fn read(&self, partition: i32, each: &mut dyn FnMut(Bytes)) -> Result<(), LogReadError> {
        let failed = |reason: String| LogReadError { partition, reason };
        let found = self
            .state_partition(partition)
            .map_err(|code| failed(code.to_string()))?;
        for batch in found.reader().batches(found.log_start_offset()) {
            let (_, bytes) = batch.map_err(|error| failed(error.to_string()))?;
            each(bytes);
        }
        Ok(())
    }

    fn coordinator_epoch(&self, partition: i32) -> i32 {
        let found = self.state_partition(partition);
        found.map_or(0, |partition| partition.leader_epoch())
    }

    fn level(&self) -> i16 {
        let image = self.metadata.image();
        image
            .features()
            .get(TRANSACTION_VERSION)
            .copied()
            .unwrap_or(0)
    }
}

impl Participants for TransactionPartitions {
    fn mark(
        &self,
        at: &TopicPartition,
        markers: &Markers,
        coordinator_epoch: i32,
    ) -> Result<Appended, ErrorCode> {
        let partition = self.participant(at)?;
        let end = EndTransaction {
            committed: markers.commit,
            coordinator_epoch,
        };
        let now = now_ms();
        let batch = control_batch(end, markers.producer, now).map_err(|source| {
            error!("marker of a transaction cannot be written: {source}");
            ErrorCode::UnknownServerError
        })?;
        let header = readable(&batch)?;
        let append = || {
            let appended = partition.append_marker(&header, &batch, (now, markers.version));
            appended.map_err(|error| error.code())
        };
        let appended = if partition.topic() == OFFSETS_TOPIC {
            let (producer_id, _) = markers.producer;
            let ended = (producer_id, markers.commit);
            self.groups.end_transaction(at.1, ended, append)?
        } else {
            append()?
        };
        Ok(self.on_disk(partition, appended.last_offset + 1))
    }
}

fn readable(batch: &Bytes) -> Result<BatchHeader, ErrorCode> {
    BatchHeader::decode(batch).map_err(|source| {
        error!("batch of the transaction coordinator is not readable: {source}");
        ErrorCode::UnknownServerError
    })
}
