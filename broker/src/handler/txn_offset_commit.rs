//! TxnOffsetCommit 0-5: a group's offsets, valid once the transaction commits. v3 names the member and
//! its generation (KIP-447); from v5 the group's partition joins the transaction by itself (KIP-890),
//! before it must be in. Step 7 of the hallway.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};

use super::Header;
use super::error::Code;
use crate::clock::now_ms;
use crate::context::Context;
use crate::group::engine::Claim;
use crate::group::{Commit, Committed, OFFSETS_TOPIC, Placed};
use crate::partition::{Appended, Membership, Origin, Partition, Verification};

/// Version from which the group's partition joins by itself.
const JOINS_FROM: i16 = 5;
/// Version from which clients know TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 4;

/// How often the coordinator is asked at most: the second time nothing is left to wait for.
const ROUNDS: usize = 3;

impl Placed for Appended {
    fn base_offset(&self) -> i64 {
        self.base_offset
    }
}

/// Stores what can be stored and answers for each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let (mut response, commits) = sort_out(context, &request);
    if !commits.is_empty()
        && let Err(error) = store(context, header, (&request, commits)).await
    {
        let partitions = response.topics.iter_mut();
        for partition in partitions.flat_map(|topic| &mut topic.partitions) {
            if partition.error_code == ErrorCode::None.code() {
                partition.error_code = error.code();
            }
        }
    }
    response
}

async fn store(
    context: &Arc<Context>,
    header: &Header,
    (request, commits): (&TxnOffsetCommitRequest, Vec<Commit>),
) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::InvalidGroupId);
    }
    context.groups.ready()?;
    let index = context.groups.partition_of(&request.group_id).await?;
    let found = context.partitions.find(OFFSETS_TOPIC, index);
    let partition = found.ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let verification = ask(context, header, (request, &partition)).await?;
    let outcome = commit(context, (request, commits), (&partition, verification));
    if let (Err(_), Some(verification)) = (&outcome, verification) {
        partition.drop_verification(verification);
    }
    let end = outcome?;
    if context.settings.flush.on_acks_all {
        context.partitions.flusher().request(&partition);
        let durable = partition.durable(end).await;
        durable.map_err(|error| storage_error(error.code()))?;
    }
    Ok(())
}

/// Asks the transaction's coordinator whether the group's partition is in; nothing if the transaction
/// is open there.
async fn ask(
    context: &Arc<Context>,
    header: &Header,
    (request, partition): (&TxnOffsetCommitRequest, &Arc<Partition>),
) -> Result<Option<Verification>, ErrorCode> {
    let producer = (request.producer_id, request.producer_epoch);
    let places = BTreeSet::from([(Arc::from(OFFSETS_TOPIC), partition.index())]);
    let (id, transactions) = (&request.transactional_id, &context.transactions);
    if id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let mut asked = None;
    for _ in 0..ROUNDS {
        asked = partition.begin_verification(producer.0, producer.1);
        let Some(verification) = asked else {
            return Ok(None);
        };
        let settings = &context.live.get().settings;
        let verdict = if header.version >= JOINS_FROM {
            transactions.add(id, (producer, 2), places.clone()).await
        } else if !settings.transaction_partition_verification_enable {
            // As with Kafka, an older client is believed then.
            Ok(())
        } else {
            let verdicts = transactions.verify(id, producer, &places);
            verdicts.and_then(|verdicts| {
                let refused = verdicts.iter().find(|(_, error)| *error != ErrorCode::None);
                refused.map_or(Ok(()), |(_, error)| Err(*error))
            })
        };
        if let Err(error) = verdict {
            partition.drop_verification(verification);
            return Err(verification_error(error, header.version));
        }
        if partition.is_asked(verification) {
            break;
        }
        // A marker of the transaction before, for which the coordinator waited, made it void.
    }
    Ok(asked)
}

/// Puts the offsets into the log; gives the offset behind them.
fn commit(
    context: &Context,
    (request, commits): (&TxnOffsetCommitRequest, Vec<Commit>),
    (partition, verification): (&Partition, Option<Verification>),
) -> Result<i64, ErrorCode> {
    let producer = (request.producer_id, request.producer_epoch);
    let claim = Claim {
        member_id: Arc::from(&*request.member_id),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id,
    };
    let membership = Membership {
        verified: verification,
        origin: Origin::Coordinator,
    };
    let appended = context.groups.commit_in_transaction(
        (&request.group_id, &claim),
        producer,
        commits,
        |header, batch| {
            let now = (now_ms(), membership);
            let appended = partition.append_in_transaction(header, batch, now);
            appended.map_err(|error| storage_error(error.code()))
        },
    )?;
    Ok(appended.last_offset + 1)
}

/// What the transaction coordinator's refusal means here; Kafka's translation.
fn verification_error(error: ErrorCode, version: i16) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if version < ABORTABLE_FROM => ErrorCode::InvalidTxnState,
        other => other,
    }
}

/// What a failed append means to the one who commits; Kafka's translation.
fn storage_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
            ErrorCode::InvalidCommitOffsetSize
        }
        other => other,
    }
}

/// Splits the request into what can be stored and an answer that names what cannot.
fn sort_out(
    context: &Context,
    request: &TxnOffsetCommitRequest,
) -> (TxnOffsetCommitResponse, Vec<Commit>) {
    let image = context.metadata.image();
    let now_ms = now_ms();
    let mut commits = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let name: Arc<str> = Arc::from(&*topic.name);
        let count = image.topic(&topic.name).map_or(0, |of| of.partitions.len());
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let partition_index = asked.partition_index;
            let exists = usize::try_from(partition_index).is_ok_and(|index| index < count);
            let error = refusal(context, asked, exists);
            if error == ErrorCode::None {
                commits.push(Commit {
                    topic: name.clone(),
                    partition: partition_index,
                    committed: Committed {
                        offset: asked.committed_offset,
                        leader_epoch: asked.committed_leader_epoch,
                        metadata: Box::from(
                            asked.committed_metadata.as_deref().unwrap_or_default(),
                        ),
                        committed_ms: now_ms,
                        expires_ms: None,
                        record_offset: -1,
                    },
                });
            }
            partitions.push(TxnOffsetCommitResponsePartition {
                partition_index,
                error_code: error.code(),
            });
        }
        topics.push(TxnOffsetCommitResponseTopic {
            name: topic.name.clone(),
            partitions,
        });
    }
    let response = TxnOffsetCommitResponse {
        topics,
        ..TxnOffsetCommitResponse::default()
    };
    (response, commits)
}

fn refusal(context: &Context, asked: &TxnOffsetCommitRequestPartition, exists: bool) -> ErrorCode {
    let metadata = asked.committed_metadata.as_deref().unwrap_or_default();
    let metadata_max = usize::try_from(context.settings.offset_metadata_max_bytes).unwrap_or(0);
    if !exists {
        ErrorCode::UnknownTopicOrPartition
    } else if metadata.len() > metadata_max {
        ErrorCode::OffsetMetadataTooLarge
    } else {
        ErrorCode::None
    }
}
