//! What can go wrong, one enum per operation.
//!
//! Invariant: an error names what was tried, where, and what would help; all are `Clone`, since one
//! failed batch answers for many records. Serves steps 5 and 10 of the hallway.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use logway_protocol::batch::BatchError;
use logway_protocol::codec::{DecodeError, EncodeError};
use logway_protocol::error_code::ErrorCode;
use thiserror::Error;

use crate::serialize::SerializeError;
use crate::topic::TopicPartition;

mod transaction;

pub use transaction::TransactionError;

/// A request to a broker that got no usable answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No connection could be made.
    #[error("connect to {address}")]
    Connect {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The system's reason.
        #[source]
        source: Arc<io::Error>,
    },
    /// The connection ended before the answer came; the request may have been carried out.
    #[error("connection to {address} ended before the answer to {api}")]
    Disconnected {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The request's name.
        api: &'static str,
    },
    /// No answer in time; the connection is given up, the request may have been carried out.
    #[error("{address} did not answer {api} within {after:?}")]
    TimedOut {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The request's name.
        api: &'static str,
        /// The time waited.
        after: Duration,
    },
    /// Client and broker have no version of the request in common.
    #[error("{address} speaks no version of {api} that this client speaks")]
    Unsupported {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The request's name.
        api: &'static str,
    },
    /// The answer could not be read.
    #[error("answer of {address} to {api} is malformed")]
    Malformed {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The request's name.
        api: &'static str,
        /// What was wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The request could not be written in the version that the broker speaks.
    #[error("write {api} for {address}")]
    Unwritable {
        /// `host:port` of the broker.
        address: Arc<str>,
        /// The request's name.
        api: &'static str,
        /// What could not be written.
        #[source]
        source: EncodeError,
    },
    /// The broker that should answer is not in the cluster's metadata.
    #[error("broker {node} is not in the metadata of the cluster")]
    UnknownBroker {
        /// Its node id.
        node: i32,
    },
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl RequestError {
    /// Whether asking again, perhaps another broker, can help.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Disconnected { .. }
            | Self::TimedOut { .. }
            | Self::Malformed { .. }
            | Self::UnknownBroker { .. } => true,
            Self::Unsupported { .. } | Self::Unwritable { .. } | Self::Closed => false,
        }
    }
}

/// A record that the producer did not take.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum SendError {
    /// `buffer.memory` is used up; only `try_send` and `try_send_batch` say so, the others wait.
    #[error("producer buffer is full")]
    Full,
    /// The record is larger than `max.request.size` or the whole `buffer.memory`.
    #[error("record of {size} bytes is larger than the allowed {max}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        max: usize,
    },
    /// The topic's name is not one Kafka allows.
    #[error("`{0}` is not a topic name: 1 to 249 letters, digits, `.`, `_`, `-`")]
    InvalidTopic(String),
    /// The partition is negative.
    #[error("partition {0} is negative")]
    InvalidPartition(i32),
    /// The bytes are not one whole valid record batch.
    #[error("bytes are not one valid record batch")]
    InvalidBatch(#[source] Arc<BatchError>),
    /// The key or value has no form in the serializer's format.
    #[error(transparent)]
    Serialize(#[from] SerializeError),
    /// The producer has a `transactional.id` and no open transaction: begin one, or abort the one
    /// that failed.
    #[error("no transaction is open: begin one, or abort the one that failed")]
    NoTransaction,
    /// The producer was closed.
    #[error("producer is closed")]
    Closed,
}

/// A record that was taken and not delivered.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// `delivery.timeout.ms` passed; the record may have arrived if `maybe_delivered`.
    #[error("not delivered within {after:?}, last answer {last:?}")]
    TimedOut {
        /// The time since the record was taken.
        after: Duration,
        /// The last error a broker gave, if any.
        last: Option<ErrorCode>,
        /// Whether the record had been sent and its answer was lost.
        maybe_delivered: bool,
    },
    /// The broker refuses the record as too large, on its own.
    #[error("record of {size} bytes is too large for the topic, see max.message.bytes")]
    TooLarge {
        /// Size of the batch with this record in bytes.
        size: usize,
    },
    /// The broker refuses for good.
    #[error("broker refused: {code}{}", detail.as_deref().map(|text| format!(", {text}")).unwrap_or_default())]
    Rejected {
        /// Its error.
        code: ErrorCode,
        /// Its words.
        detail: Option<Arc<str>>,
    },
    /// The topic exists and has fewer partitions.
    #[error("topic {topic} has no partition {partition}")]
    UnknownPartition {
        /// The topic.
        topic: Arc<str>,
        /// The partition asked for.
        partition: i32,
    },
    /// The request cannot be made with this broker.
    #[error("request cannot be made")]
    Request(#[source] RequestError),
    /// The batch could not be encoded.
    #[error("record batch cannot be encoded")]
    Encode(#[source] Arc<BatchError>),
    /// The transaction of the record is aborted; the record may be in the log, and readers of
    /// committed records skip it.
    #[error("the transaction of the record is aborted")]
    Aborted,
    /// The producer was closed before the record was acknowledged.
    #[error("producer was closed before the record was acknowledged")]
    Closed,
}

/// A consumer that cannot go on by itself.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum ConsumeError {
    /// The position is outside the log and `auto.offset.reset` is none: seek.
    #[error("offset {offset} of {partition} is out of range and auto.offset.reset is none")]
    OffsetOutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The position.
        offset: i64,
    },
    /// There is no committed offset and `auto.offset.reset` is none: seek.
    #[error("{partition} has no committed offset and auto.offset.reset is none")]
    NoOffset {
        /// The partition.
        partition: TopicPartition,
    },
    /// A batch cannot be read: seek beyond it to go on.
    #[error("batch at offset {offset} of {partition} cannot be read")]
    Corrupt {
        /// The partition.
        partition: TopicPartition,
        /// Offset of the first record that cannot be read.
        offset: i64,
        /// What is wrong.
        #[source]
        source: Arc<BatchError>,
    },
    /// The cluster refuses this topic.
    #[error("topic {topic} is refused: {code}")]
    Topic {
        /// The topic.
        topic: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The cluster refuses this partition.
    #[error("{partition} is refused: {code}")]
    Partition {
        /// The partition.
        partition: TopicPartition,
        /// The broker's error.
        code: ErrorCode,
    },
    /// A partition that is not read at present cannot be sought in.
    #[error("{partition} is not assigned to this consumer")]
    NotAssigned {
        /// The partition.
        partition: TopicPartition,
    },
    /// The cluster refuses this group or member for good.
    #[error("group {group} refuses this member: {code}")]
    Group {
        /// The group.
        group: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The pattern is not a regular expression.
    #[error("pattern `{pattern}` cannot be read: {problem}")]
    InvalidPattern {
        /// The pattern.
        pattern: Arc<str>,
        /// What is wrong with it.
        problem: Arc<str>,
    },
    /// The operation needs a `group.id`.
    #[error("consumer has no group.id")]
    NoGroup,
    /// Neither `subscribe` nor `assign` was called.
    #[error("consumer has neither a subscription nor an assignment")]
    NotSubscribed,
    /// Broker and client have no common version of a request.
    #[error("request cannot be made")]
    Request(#[source] RequestError),
    /// The consumer was closed.
    #[error("consumer is closed")]
    Closed,
}

/// Offsets that were not committed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The consumer has no `group.id`.
    #[error("consumer has no group.id")]
    NoGroup,
    /// The group is being shared out anew: poll, then the new owner goes on.
    #[error("group is rebalancing, poll before the next commit")]
    Rebalancing,
    /// This member lost its partitions; others may work on them already.
    #[error("member is no longer part of generation {generation} of its group")]
    Lost {
        /// The generation that this member had.
        generation: i32,
    },
    /// The coordinator refuses an offset.
    #[error("offset of {partition} refused: {code}")]
    Rejected {
        /// The partition.
        partition: TopicPartition,
        /// The broker's error.
        code: ErrorCode,
    },
    /// No coordinator answered within `default.api.timeout.ms`.
    #[error("offsets not committed within {after:?}")]
    TimedOut {
        /// The time tried.
        after: Duration,
    },
    /// The request cannot be made with this broker.
    #[error("request cannot be made")]
    Request(#[source] RequestError),
    /// The consumer was closed.
    #[error("consumer is closed")]
    Closed,
}

/// A question about offsets without an answer.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum OffsetsError {
    /// The consumer has no `group.id`.
    #[error("consumer has no group.id")]
    NoGroup,
    /// The broker refuses.
    #[error("offsets of {partition} refused: {code}")]
    Partition {
        /// The partition.
        partition: TopicPartition,
        /// The broker's error.
        code: ErrorCode,
    },
    /// The coordinator refuses.
    #[error("offsets of group {group} refused: {code}")]
    Group {
        /// The group.
        group: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
    },
    /// No broker answered within `default.api.timeout.ms`.
    #[error("no offsets within {after:?}")]
    TimedOut {
        /// The time tried.
        after: Duration,
    },
    /// The request cannot be made with this broker.
    #[error("request cannot be made")]
    Request(#[source] RequestError),
}

/// An administrative call that failed.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The cluster refuses.
    #[error("{operation} {resource}: {code}{}", detail.as_deref().map(|text| format!(", {text}")).unwrap_or_default())]
    Rejected {
        /// What was tried (`create topic`).
        operation: &'static str,
        /// On what (a topic, a group).
        resource: Arc<str>,
        /// The broker's error.
        code: ErrorCode,
        /// The broker's words.
        detail: Option<Arc<str>>,
    },
    /// No broker gave a usable answer within `default.api.timeout.ms`.
    #[error("{operation}: no answer within {after:?}")]
    TimedOut {
        /// What was tried.
        operation: &'static str,
        /// The time tried.
        after: Duration,
        /// The last failure seen.
        #[source]
        last: Option<RequestError>,
    },
    /// The request cannot be made with this broker.
    #[error("{operation}: request cannot be made")]
    Request {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: RequestError,
    },
}

impl AdminError {
    /// The broker's error, where there is one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Rejected { code, .. } => Some(*code),
            _ => None,
        }
    }
}
