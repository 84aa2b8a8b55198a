//! What coordinators are asked in a transaction, and what can come of it.
//!
//! Invariant: plain data between the engine, which decides, and the task, which asks. Step 5 of the
//! hallway.

use std::sync::Arc;

use super::super::idempotence::Identity;
use crate::consumer::{GroupMetadata, OffsetAndMetadata};
use crate::error::TransactionError;
use crate::topic::TopicPartition;

/// Offsets that a group gets if the transaction commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offsets {
    pub(crate) group: GroupMetadata,
    pub(crate) offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
}

/// A request to a coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `InitProducerId`; with the identity to be raised, or without.
    Init(Option<Identity>),
    /// `AddPartitionsToTxn`.
    AddPartitions(Identity, Vec<TopicPartition>),
    /// `AddOffsetsToTxn`.
    AddGroup(Identity, Arc<str>),
    /// `TxnOffsetCommit`.
    Commit(Identity, Arc<Offsets>),
    /// `EndTxn`.
    End(Identity, bool),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Initialized(Identity),
    /// These partitions belong to the transaction now; the others are asked for again.
    Added(Vec<TopicPartition>),
    GroupAdded,
    OffsetsTaken,
    /// The transaction ended; under the second protocol with the identity of the next.
    Ended(Option<Identity>),
    /// No answer, or one that passes: the same again after a pause.
    Again,
    /// The transaction has to be aborted.
    Abort(TransactionError),
    /// The producer can do nothing any more.
    Fatal(TransactionError),
}
