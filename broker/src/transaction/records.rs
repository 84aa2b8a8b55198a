//! The records of `__transaction_state`, in Kafka's own form: key and value begin with their version
//! as an i16. Invariant: what is written here Kafka 4 writes for transaction.version 2 (value version
//! 1, whose newer fields are tagged), and both versions are read. Pure. Beside step 8.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use logway_protocol::batch::BatchError;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::record::transaction::{
    PartitionsSchema, TransactionLogKey, TransactionLogValue,
};
use logway_protocol::{DecodeError, EncodeError, Message, Text};
use thiserror::Error;

use super::state::{NO_EPOCH, State, Transaction};

const KEY: i16 = 0;
const VALUE: i16 = 1;

/// Why a transaction cannot be written as a record.
#[derive(Debug, Error)]
pub(crate) enum RecordError {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    Batch(#[from] BatchError),
}

/// A transactional id and what its last record says: nothing after a tombstone.
pub(crate) type Stored = (Arc<str>, Option<Transaction>);

/// The partition of the topic that holds a transactional id: Java's `String.hashCode`, made positive,
/// modulo the number of partitions.
pub(crate) fn partition_for(id: &str, partitions: i32) -> i32 {
    let hash = id.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    // The one number without a positive twin becomes 0, as Kafka has it.
    hash.checked_abs().unwrap_or(0) % partitions.max(1)
}

/// A batch with the one record that says what `id` has become; without a transaction it is forgotten.
pub(crate) fn batch(
    id: &str,
    transaction: Option<&Transaction>,
    now_ms: i64,
) -> Result<Bytes, RecordError> {
    let key = TransactionLogKey {
        transactional_id: Text::from(id),
    };
    let key = versioned(&key, KEY)?;
    let value = transaction
        .map(|transaction| versioned(&value(transaction), VALUE))
        .transpose()?;
    let mut batch = BatchBuilder::new(Compression::None);
    batch.append(now_ms, Some(&key), value.as_deref(), &[])?;
    Ok(batch.build()?)
}

fn value(transaction: &Transaction) -> TransactionLogValue {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &transaction.partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let partitions = topics
        .into_iter()
        .map(|(topic, partition_ids)| PartitionsSchema {
            topic: Text::from(topic),
            partition_ids,
        })
        .collect();
    TransactionLogValue {
        producer_id: transaction.producer_id,
        previous_producer_id: transaction.previous_producer_id,
        next_producer_id: transaction.next_producer_id,
        producer_epoch: transaction.epoch,
        transaction_timeout_ms: transaction.timeout_ms,
        transaction_status: transaction.state.id(),
        // A transaction that never began has none, which Kafka writes as null.
        transaction_partitions: (transaction.state != State::Empty).then_some(partitions),
        transaction_last_update_timestamp_ms: transaction.updated_ms,
        transaction_start_timestamp_ms: transaction.started_ms,
        client_transaction_version: transaction.client_version,
        ..TransactionLogValue::default()
    }
}

/// What a record says; none if it is of a kind or state that is not kept.
pub(crate) fn read(key: &Bytes, value: Option<&Bytes>) -> Result<Option<Stored>, DecodeError> {
    let mut input = key.clone();
    match input.try_get_i16() {
        Ok(KEY) => {}
        _ => return Ok(None),
    }
    let key = TransactionLogKey::decode_version(input, KEY)?;
    let id: Arc<str> = Arc::from(&*key.transactional_id);
    let Some(value) = value else {
        return Ok(Some((id, None)));
    };
    let mut input = value.clone();
    let Ok(version) = input.try_get_i16() else {
        return Ok(None);
    };
    if !(0..=VALUE).contains(&version) {
        return Ok(None);
    }
    let value = TransactionLogValue::decode_version(input, version)?;
    Ok(restored(&value).map(|transaction| (id, Some(transaction))))
}

fn restored(value: &TransactionLogValue) -> Option<Transaction> {
    let mut partitions = BTreeSet::new();
    for of in value.transaction_partitions.iter().flatten() {
        let topic: Arc<str> = Arc::from(&*of.topic);
        partitions.extend(of.partition_ids.iter().map(|at| (topic.clone(), *at)));
    }
    Some(Transaction {
        producer_id: value.producer_id,
        previous_producer_id: value.previous_producer_id,
        next_producer_id: value.next_producer_id,
        epoch: value.producer_epoch,
        last_epoch: NO_EPOCH,
        timeout_ms: value.transaction_timeout_ms,
        state: State::from_id(value.transaction_status)?,
        partitions,
        started_ms: value.transaction_start_timestamp_ms,
        updated_ms: value.transaction_last_update_timestamp_ms,
        client_version: value.client_transaction_version,
    })
}

fn versioned<M: Message>(message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    out.put_i16(version);
    let mut body = out.split_off(out.len());
    message.write(&mut body, version)?;
    out.unsplit(body);
    Ok(out.freeze())
}
