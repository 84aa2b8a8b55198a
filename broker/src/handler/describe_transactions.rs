//! DescribeTransactions 0: how far the transactions of some ids have come (KIP-664). Step 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_protocol::message::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::transaction::Transaction;

/// Answers each id.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let ids = request.transactional_ids.into_iter();
    DescribeTransactionsResponse {
        transaction_states: ids.map(|id| one(context, id)).collect(),
        ..DescribeTransactionsResponse::default()
    }
}

fn one(context: &Context, id: Text) -> TransactionState {
    let described = match id.is_empty() {
        true => Err(ErrorCode::InvalidRequest),
        false => context.transactions.describe(&id),
    };
    match described {
        Ok(Some(transaction)) => state(id, &transaction),
        Ok(None) => refused(id, ErrorCode::TransactionalIdNotFound),
        Err(error) => refused(id, error),
    }
}

fn refused(transactional_id: Text, error: ErrorCode) -> TransactionState {
    TransactionState {
        error_code: error.code(),
        transactional_id,
        ..TransactionState::default()
    }
}

fn state(transactional_id: Text, transaction: &Transaction) -> TransactionState {
    let mut topics: BTreeMap<&Arc<str>, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &transaction.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| TopicData {
        topic: Text::from(&**topic),
        partitions,
    });
    TransactionState {
        error_code: ErrorCode::None.code(),
        transactional_id,
        transaction_state: Text::from_static(transaction.state.name()),
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_start_time_ms: transaction.started_ms,
        producer_id: transaction.producer_id,
        producer_epoch: transaction.epoch,
        topics: topics.collect(),
    }
}
