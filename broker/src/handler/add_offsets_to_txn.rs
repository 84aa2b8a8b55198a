//! AddOffsetsToTxn 0-4: the offsets of a group join a transaction: the partition of
//! `__consumer_offsets` that keeps the group does. v2 knows PRODUCER_FENCED. Step 7 of the hallway.

use std::collections::BTreeSet;
use std::sync::Arc;

use logway_protocol::ErrorCode;
use logway_protocol::message::add_offsets_to_txn::{
    AddOffsetsToTxnRequest, AddOffsetsToTxnResponse,
};

use super::Header;
use super::end_txn::before_fencing;
use crate::context::Context;
use crate::group::OFFSETS_TOPIC;

/// Version from which clients know PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// Clients that ask speak the first protocol.
const FIRST_PROTOCOL: i16 = 0;

/// Adds the group's partition and answers.
pub(crate) async fn handle(
    context: &Arc<Context>,
    header: &Header,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let outcome = add(context, &request).await;
    let error = outcome.err().unwrap_or(ErrorCode::None);
    AddOffsetsToTxnResponse {
        error_code: before_fencing(error, header.version < FENCED_FROM).code(),
        ..AddOffsetsToTxnResponse::default()
    }
}

async fn add(context: &Arc<Context>, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
    if request.transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    let partition = context.groups.partition_of(&request.group_id).await;
    let partition = partition.map_err(|_| ErrorCode::CoordinatorNotAvailable)?;
    let producer = (request.producer_id, request.producer_epoch);
    let partitions = BTreeSet::from([(Arc::from(OFFSETS_TOPIC), partition)]);
    let id = &request.transactional_id;
    let transactions = &context.transactions;
    transactions
        .add(id, (producer, FIRST_PROTOCOL), partitions)
        .await
}
