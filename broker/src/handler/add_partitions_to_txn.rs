//! AddPartitionsToTxn 0-5: partitions join a transaction. Clients of the first protocol send it up to
//! v3, one transaction a request; from v4 brokers ask for several, and whether partitions are in
//! (KIP-890). v2 knows PRODUCER_FENCED. Step 7 of the hallway.
//!
//! If one partition does not exist nothing is added, as in Kafka.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
};

use super::Header;
use super::end_txn::before_fencing;
use crate::context::Context;
use crate::transaction::TopicPartition;

/// Version from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// Version from which a request has several transactions.
const BATCH_FROM: i16 = 4;

/// Adds and answers each partition.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    if header.version >= BATCH_FROM {
        let mut results = Vec::with_capacity(request.transactions.len());
        for transaction in &request.transactions {
            results.push(AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id.clone(),
                topic_results: one(context, header, transaction).await,
            });
        }
        return AddPartitionsToTxnResponse {
            results_by_transaction: results,
            ..AddPartitionsToTxnResponse::default()
        };
    }
    let transaction = AddPartitionsToTxnTransaction {
        transactional_id: request.v3_and_below_transactional_id,
        producer_id: request.v3_and_below_producer_id,
        producer_epoch: request.v3_and_below_producer_epoch,
        verify_only: false,
        topics: request.v3_and_below_topics,
    };
    AddPartitionsToTxnResponse {
        results_by_topic_v3_and_below: one(context, header, &transaction).await,
        ..AddPartitionsToTxnResponse::default()
    }
}

async fn one(
    context: &Arc<Context>,
    header: &Header,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let topics = &transaction.topics;
    let image = context.metadata.image();
    let exists = |topic: &str, index: i32| {
        let count = image.topic(topic).map_or(0, |of| of.partitions.len());
        usize::try_from(index).is_ok_and(|index| index < count)
    };
    let mut asked: BTreeSet<TopicPartition> = BTreeSet::new();
    for topic in topics {
        let name: Arc<str> = Arc::from(&*topic.name);
        asked.extend(topic.partitions.iter().map(|at| (name.clone(), *at)));
    }
    if asked.iter().any(|(topic, at)| !exists(topic, *at)) {
        return results(topics, |topic, at| match exists(topic, at) {
            true => ErrorCode::OperationNotAttempted,
            false => ErrorCode::UnknownTopicOrPartition,
        });
    }
    if transaction.transactional_id.is_empty() {
        return results(topics, |_, _| ErrorCode::InvalidRequest);
    }
    let id = &transaction.transactional_id;
    let producer = (transaction.producer_id, transaction.producer_epoch);
    if transaction.verify_only {
        return match context.transactions.verify(id, producer, &asked) {
            Ok(verdicts) => results(topics, |topic, at| {
                let verdict = verdicts
                    .iter()
                    .find(|((of, index), _)| &**of == topic && *index == at);
                verdict.map_or(ErrorCode::UnknownServerError, |(_, error)| *error)
            }),
            Err(error) => results(topics, |_, _| error),
        };
    }
    let version = match header.version {
        BATCH_FROM.. => 2,
        _ => 0,
    };
    let added = context
        .transactions
        .add(id, (producer, version), asked)
        .await;
    let error = added.err().unwrap_or(ErrorCode::None);
    let error = before_fencing(error, header.version < FENCED_FROM);
    results(topics, |_, _| error)
}

fn results(
    topics: &[AddPartitionsToTxnTopic],
    verdict: impl Fn(&str, i32) -> ErrorCode,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let of_topic = |topic: &AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name.clone(),
        results_by_partition: topic
            .partitions
            .iter()
            .map(|at| AddPartitionsToTxnPartitionResult {
                partition_index: *at,
                partition_error_code: verdict(&topic.name, *at).code(),
            })
            .collect(),
    };
    topics.iter().map(of_topic).collect()
}
