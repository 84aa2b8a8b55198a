//! Produce 3-13: one append per partition, then the acknowledgement that was asked for.
//! Invariant: everything up to the first wait happens in the first poll, so requests of one
//! connection append in their order; each partition gets its own verdict. Step 7 of the hallway.
//!
//! Versions: 8 record errors (KIP-467), 10 current leader, 12 transactions that partitions join by
//! themselves (KIP-890), 13 topic ids (KIP-516). The answers to odd
//! batches are Kafka 4.3.1's, held in `tests/odd`. On purpose otherwise:
//! - `acks=all` on this only replica is answered after an fsync (`flush.on_acks_all`).
//! - A refusal always has a message; Kafka has one for few.
//! - Where Kafka's own code fails on a batch (UNKNOWN_SERVER_ERROR, or no answer at all to null
//!   records) the fault is named: INVALID_RECORD, or UNSUPPORTED_COMPRESSION_TYPE.
//! - Offset deltas that are not 0, 1, 2, … are refused: Kafka stores them, and then two records have
//!   one offset, or one is never read. So are a negative length of a header's value and bytes behind
//!   a gzip or snappy stream, at which other readers than Java's stop.
//! - Records that unpack to more than `decompressed_max_bytes` and `decompressed_max_ratio` allow
//!   are refused with MESSAGE_TOO_LARGE: the producer makes smaller batches.
//! - A batch that is not framed well leaves the other partitions of its request alone; a partition
//!   that is named twice gets both batches. Kafka drops the request, and the first of the two.

use std::sync::Arc;
use std::time::Duration;

use logway_protocol::batch::BatchHeader;
use logway_protocol::message::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use logway_protocol::walk::Missed;
use logway_protocol::{ErrorCode, Text};

use super::error::Code;
use super::{Header, Refusal, Reply, frame};
use crate::clock::now_ms;
use crate::context::Context;
use crate::metadata::TopicConfig;
use crate::partition::{
    AppendError, Appended, BatchRefusal, Membership, Partition, client_batch, sole_batch,
};

mod admission;

use admission::Admission;

/// `acks=all`.
const ACKS_ALL: i16 = -1;
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
    let (mut response, unsynced) = match &request.transactional_id {
        None => append_all(context, header, (&request, &Admission::default())),
        // In a box: the future of every other request would else be as large.
        Some(id) => Box::pin(append_in_transaction(context, header, (id, &request))).await,
    };
    let silence = context.quotas.produced(header.client(), header.bytes);
    if request.acks == 0 {
        let failed = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        let failed = failed
            .into_iter()
            .any(|partition| partition.error_code != 0);
        header.silence(context, silence);
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
    response.throttle_time_ms = header.silence(context, silence);
    frame(header, &response)
}

async fn append_in_transaction(
    context: &Arc<Context>,
    header: &Header,
    (id, request): (&str, &ProduceRequest),
) -> (ProduceResponse, Vec<Unsynced>) {
    let gate = context.transactions.gate(id);
    let _in_order = match gate {
        Some(gate) => Some(gate.lock().await),
        None => None,
    };
    let admission = Admission::ask(context, header, (id, request)).await;
    append_all(context, header, (request, &admission))
}

fn append_all(
    context: &Context,
    header: &Header,
    (request, admission): (&ProduceRequest, &Admission),
) -> (ProduceResponse, Vec<Unsynced>) {
    let now = now_ms();
    let refused = lacks_transactional_id(request);
    let mut unsynced = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mut partition_responses = Vec::with_capacity(topic.partition_data.len());
        for data in &topic.partition_data {
            let outcome = match refused {
                true => Err(Failure::of(ErrorCode::TransactionalIdAuthorizationFailed)),
                false => {
                    let place = (responses.len(), partition_responses.len());
                    let member = admission.of(place);
                    append_one(context, (header, request), (topic, data), (now, member))
                }
            };
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
    (now, member): (i64, Option<Result<Membership, ErrorCode>>),
) -> Result<Done, Failure> {
    // In Kafka's order, which decides what a request with several faults is answered.
    let partition = find(context, header, topic, data.index)?;
    let member = member.transpose().map_err(|code| Failure {
        message: Some(format!(
            "Partition is not part of the producer's transaction: {code}"
        )),
        ..Failure::of(code)
    })?;
    let config = partition.config();
    let appended = checked(
        context,
        (header, request),
        (&partition, &config, data),
        (now, member),
    );
    if let (Err(_), Some(verified)) = (&appended, member.and_then(|member| member.verified)) {
        partition.drop_verification(verified);
    }
    let (appended, bytes, records) = appended?;
    if appended.duplicate {
        context.metrics.duplicate_batches.inc();
    } else {
        context.metrics.produced_bytes.inc_by(bytes);
        context.metrics.produced_records.inc_by(records);
    }
    let answer = PartitionProduceResponse {
        index: data.index,
        base_offset: appended.base_offset,
        // Of a duplicate Kafka tells the time in any case.
        log_append_time_ms: if config.log_append_time || appended.duplicate {
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

/// Checks the batch and appends it; gives its bytes and records, too.
fn checked(
    context: &Context,
    (header, request): (&Header, &ProduceRequest),
    (partition, config, data): (&Partition, &TopicConfig, &PartitionProduceData),
    (now, member): (i64, Option<Membership>),
) -> Result<(Appended, u64, u64), Failure> {
    let sole = sole_batch(data.records.as_ref(), header.version)?;
    if !(-1..=1).contains(&request.acks) {
        return Err(Failure::of(ErrorCode::InvalidRequiredAcks));
    }
    if context.partitions.is_reserved(partition.topic()) {
        // Groups would lose their offsets to a stray producer; Kafka refuses it likewise.
        return Err(Failure::of(ErrorCode::InvalidTopicException));
    }
    let failed = |failure: Failure| failure.in_log(partition);
    let (batch_header, batch) = client_batch(sole, config, &context.settings, now)
        .map_err(|refusal| failed(refusal.into()))?;
    let appended = match member {
        Some(member) => partition.append_in_transaction(&batch_header, &batch, (now, member)),
        None => partition.append(&batch_header, &batch, now),
    };
    let appended = appended.map_err(|error| failed(error.into()))?;
    let records = u64::from(batch_header.record_count.unsigned_abs());
    Ok((appended, batch.len() as u64, records))
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
    found.ok_or(Failure::of(unknown))
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

/// Whether the request has transactional batches but names no transaction: Kafka refuses all of it.
fn lacks_transactional_id(request: &ProduceRequest) -> bool {
    let transactional = |data: &PartitionProduceData| {
        let header = data.records.as_deref().map(BatchHeader::decode);
        header.is_some_and(|header| header.is_ok_and(|header| header.is_transactional()))
    };
    request.transactional_id.is_none()
        && (request.topic_data.iter()).any(|topic| topic.partition_data.iter().any(transactional))
}

/// Why one partition's batch is refused.
#[derive(Debug)]
struct Failure {
    code: ErrorCode,
    message: Option<String>,
    records: Vec<BatchIndexAndErrorMessage>,
    log_start_offset: i64,
}

impl Failure {
    fn of(code: ErrorCode) -> Failure {
        Failure {
            code,
            message: None,
            records: Vec::new(),
            log_start_offset: -1,
        }
    }

    /// Tells where the log starts, in the cases in which Kafka does.
    fn in_log(self, partition: &Partition) -> Failure {
        let silent = [
            ErrorCode::MessageTooLarge,
            ErrorCode::RecordListTooLarge,
            ErrorCode::CorruptMessage,
            ErrorCode::KafkaStorageError,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::NotLeaderOrFollower,
        ];
        if silent.contains(&self.code) {
            return self;
        }
        Failure {
            log_start_offset: partition.log_start_offset(),
            ..self
        }
    }

    fn answer(self, index: i32) -> PartitionProduceResponse {
        PartitionProduceResponse {
            index,
            error_code: self.code.code(),
            base_offset: -1,
            log_start_offset: self.log_start_offset,
            record_errors: self.records,
            error_message: self.message.map(Text::from),
            ..PartitionProduceResponse::default()
        }
    }
}

impl From<BatchRefusal> for Failure {
    fn from(refusal: BatchRefusal) -> Failure {
        let missed = match &refusal {
            BatchRefusal::Rejected(missed) => missed.as_slice(),
            _ => &[],
        };
        let records = missed.iter().map(|(index, missed)| {
            let message = match missed {
                Missed::Key => "Compacted topic cannot accept message without key".to_owned(),
                Missed::Timestamp(timestamp) => {
                    format!("Timestamp {timestamp} is not one that the topic takes")
                }
            };
            BatchIndexAndErrorMessage {
                batch_index: *index,
                batch_index_error_message: Some(Text::from(message)),
            }
        });
        Failure {
            records: records.collect(),
            message: Some(refusal.to_string()),
            ..Failure::of(refusal.code())
        }
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Failure {
        Failure {
            message: Some(error.to_string()),
            ..Failure::of(error.code())
        }
    }
}
