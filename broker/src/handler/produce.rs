//! Produce 3-13: one append per partition, then the acknowledgement that was asked for.
//! Invariant: everything up to the first wait happens in the first poll, so requests of one
//! connection append in their order; each partition gets its own verdict. Step 7 of the hallway.
//!
//! Versions: 8 record errors (KIP-467), 10 current leader, 13 topic ids (KIP-516). Deviations from
//! Kafka: `acks=all` on this only replica is answered after an fsync (`flush.on_acks_all`), and
//! transactional batches are refused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_protocol::batch::BatchError;
use logway_protocol::message::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use logway_protocol::{ErrorCode, Text};

use super::error::Code;
use super::{Header, Refusal, Reply, frame};
use crate::clock::now_ms;
use crate::context::Context;
use crate::partition::{AppendError, BatchRefusal, Partition, client_batch};

/// `acks=all`.
const ACKS_ALL: i16 = -1;
/// Replicas in sync: this one.
const IN_SYNC: i64 = 1;
/// Shortest wait for the disk: an fsync is not a replica, a client need not have reckoned with it.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// Longest wait for the disk that a client may ask for.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// An append that must still reach the disk before it is acknowledged.
struct Unsynced {
    partition: Arc<Partition>,
    /// Everything below this offset must be on disk.
    offset: i64,
    /// Where its answer stands: topic and partition in the response.
    place: (usize, usize),
}

/// Appends, waits as asked, answers.
pub(super) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: ProduceRequest,
) -> Reply {
    let (mut response, unsynced) = append_all(context, header, &request);
    if request.acks == 0 {
        let failed = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        let failed = failed
            .into_iter()
            .any(|partition| partition.error_code != 0);
        // There is no answer to carry the error: closing makes the producer look again.
        return if failed {
            Reply::Close(Refusal::UnacknowledgedProduce)
        } else {
            Reply::Silent
        };
    }
    if !unsynced.is_empty() {
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        wait_for_disk(
            &mut response,
            unsynced,
            timeout.clamp(TIMEOUT_MIN, TIMEOUT_MAX),
        )
        .await;
    }
    frame(header, &response)
}

fn append_all(
    context: &Context,
    header: &Header,
    request: &ProduceRequest,
) -> (ProduceResponse, Vec<Unsynced>) {
    let now = now_ms();
    let mut unsynced = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let outcome = append_one(context, (header, request), (topic, data), now);
            let (answer, pending) = match outcome {
                Ok(done) => done,
                Err(failure) => {
                    context.metrics.refused(failure.code.name());
                    (failure.answer(data.index), None)
                }
            };
            if let Some((partition, offset)) = pending {
                let place = (responses.len(), partition_responses.len());
                unsynced.push(Unsynced {
                    partition,
                    offset,
                    place,
                });
            }
            partition_responses.push(answer);
        }
        responses.push(TopicProduceResponse {
            name: topic.name.clone(),
            topic_id: topic.topic_id,
            partition_responses,
        });
    }
    (
        ProduceResponse {
            responses,
            ..ProduceResponse::default()
        },
        unsynced,
    )
}

type Done = (PartitionProduceResponse, Option<(Arc<Partition>, i64)>);

fn append_one(
    context: &Context,
    (header, request): (&Header, &ProduceRequest),
    (topic, data): (&TopicProduceData, &PartitionProduceData),
    now: i64,
) -> Result<Done, Failure> {
    if !(-1..=1).contains(&request.acks) {
        return Err(Failure::of(ErrorCode::InvalidRequiredAcks));
    }
    let partition = find(context, header, topic, data.index)?;
    let records = data.records.as_ref().filter(|records| !records.is_empty());
    let records: &Bytes = records.ok_or(BatchRefusal::NotOneBatch(0))?;
    let config = partition.config();
    if request.acks == ACKS_ALL && config.min_insync_replicas > IN_SYNC {
        return Err(Failure::of(ErrorCode::NotEnoughReplicas));
    }
    let (batch_header, batch) = client_batch(records, &config, now)?;
    let appended = partition.append(&batch_header, &batch, now)?;
    if appended.duplicate {
        context.metrics.duplicate_batches.inc();
    } else {
        context.metrics.produced_bytes.inc_by(batch.len() as u64);
        context
            .metrics
            .produced_records
            .inc_by(u64::from(batch_header.record_count.unsigned_abs()));
    }
    let answer = PartitionProduceResponse {
        index: data.index,
        base_offset: appended.base_offset,
        log_append_time_ms: if config.log_append_time {
            appended.timestamp
        } else {
            -1
        },
        log_start_offset: partition.log_start_offset(),
        ..PartitionProduceResponse::default()
    };
    let must_sync = request.acks == ACKS_ALL && context.settings.flush.on_acks_all;
    if must_sync || partition.is_flush_due(&config) {
        context.partitions.flusher().request(&partition);
    }
    Ok((
        answer,
        must_sync.then_some((partition, appended.last_offset + 1)),
    ))
}

fn find(
    context: &Context,
    header: &Header,
    topic: &TopicProduceData,
    index: i32,
) -> Result<Arc<Partition>, Failure> {
    let (found, unknown) = if header.version >= 13 {
        let name = context
            .metadata
            .image()
            .topic_by_id(&topic.topic_id)
            .map(|t| Arc::clone(&t.name));
        let found = name
            .as_ref()
            .and_then(|name| context.partitions.find(name, index));
        let unknown = match name {
            Some(_) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::UnknownTopicId,
        };
        (found, unknown)
    } else {
        (
            context.partitions.find(&topic.name, index),
            ErrorCode::UnknownTopicOrPartition,
        )
    };
    let partition = found.ok_or(Failure::of(unknown))?;
    if context.partitions.is_reserved(partition.topic()) {
        // Groups would lose their offsets to a stray producer; Kafka refuses it likewise.
        return Err(Failure::of(ErrorCode::InvalidTopicException));
    }
    Ok(partition)
}

async fn wait_for_disk(response: &mut ProduceResponse, unsynced: Vec<Unsynced>, timeout: Duration) {
    let deadline = tokio::time::Instant::now() + timeout;
    for append in unsynced {
        let waited =
            tokio::time::timeout_at(deadline, append.partition.durable(append.offset)).await;
        let failure = match waited {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => Failure::from(error),
            // The record is in the log; the producer's retry will be recognised.
            Err(_) => Failure::of(ErrorCode::RequestTimedOut),
        };
        let (topic, partition) = append.place;
        let answer = response
            .responses
            .get_mut(topic)
            .and_then(|topic| topic.partition_responses.get_mut(partition));
        if let Some(answer) = answer {
            *answer = failure.answer(answer.index);
        }
    }
}

/// Why one partition's batch is refused.
#[derive(Debug)]
struct Failure {
    code: ErrorCode,
    message: Option<String>,
    records: Vec<BatchIndexAndErrorMessage>,
}

impl Failure {
    fn of(code: ErrorCode) -> Failure {
        Failure {
            code,
            message: None,
            records: Vec::new(),
        }
    }

    fn answer(self, index: i32) -> PartitionProduceResponse {
        PartitionProduceResponse {
            index,
            error_code: self.code.code(),
            base_offset: -1,
            record_errors: self.records,
            error_message: self.message.map(Text::from),
            ..PartitionProduceResponse::default()
        }
    }
}

impl From<BatchRefusal> for Failure {
    fn from(refusal: BatchRefusal) -> Failure {
        let records = match &refusal {
            BatchRefusal::Records(BatchError::Record { index, fault }) => {
                vec![BatchIndexAndErrorMessage {
                    batch_index: *index,
                    batch_index_error_message: Some(Text::from(fault.to_string())),
                }]
            }
            _ => Vec::new(),
        };
        Failure {
            code: refusal.code(),
            message: Some(refusal.to_string()),
            records,
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        Failure {
            code: error.code(),
            message: Some(error.to_string()),
            records: Vec::new(),
        }
    }
}
