//! What can go wrong in a transaction, and what it asks of the caller.
//!
//! Invariant: an error is exactly one of fatal, to be aborted, to be tried again, or a mistake of
//! the caller. Serves step 5 of the hallway.

use std::time::Duration;

use logway_protocol::error_code::ErrorCode;
use thiserror::Error;

use super::{DeliveryError, RequestError};

/// A transaction that cannot go on as asked (KIP-98, KIP-890).
///
/// | [`is_fatal`](Self::is_fatal) | close the producer; another one took over, or it may not write |
/// | [`is_abortable`](Self::is_abortable) | abort the transaction, then begin the next |
/// | [`is_retriable`](Self::is_retriable) | call the same method again |
/// | none of them | the call does not fit here; nothing was changed |
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum TransactionError {
    /// The producer has no `transactional.id`.
    #[error("producer has no transactional.id")]
    NotTransactional,
    /// The call does not fit the state of the producer.
    #[error("{problem}")]
    State {
        /// What does not fit and what would.
        problem: &'static str,
    },
    /// Another producer with the same `transactional.id` took over, or the transaction timed out
    /// and the coordinator fenced this one: fatal.
    #[error("producer is fenced by a newer one with its transactional.id: {code}")]
    Fenced {
        /// The broker's error.
        code: ErrorCode,
    },
    /// A broker refuses for good: fatal.
    #[error("{operation} refused: {code}")]
    Refused {
        /// The request.
        operation: &'static str,
        /// The broker's error.
        code: ErrorCode,
    },
    /// A broker refuses a part of this transaction: abort it.
    #[error("{operation} refused: {code}, abort the transaction")]
    Abort {
        /// The request.
        operation: &'static str,
        /// The broker's error.
        code: ErrorCode,
    },
    /// A record of this transaction was not delivered: abort it.
    #[error("a record was not delivered, abort the transaction")]
    Delivery(#[source] DeliveryError),
    /// Not decided within `max.block.ms`; it is tried on, call again to wait on.
    #[error("{operation} not answered within {after:?}, call again to wait on")]
    TimedOut {
        /// What is under way.
        operation: &'static str,
        /// The time waited.
        after: Duration,
    },
    /// The request cannot be made with this broker: fatal.
    #[error("request cannot be made")]
    Request(#[source] RequestError),
    /// The producer was closed. A commit under way may still take place.
    #[error("producer is closed")]
    Closed,
}

impl TransactionError {
    /// Whether this producer can do nothing any more.
    pub fn is_fatal(&self) -> bool {
        matches!(
            self,
            Self::Fenced { .. } | Self::Refused { .. } | Self::Request(_) | Self::Closed
        )
    }

    /// Whether the transaction has to be aborted, after which the next can begin.
    pub fn is_abortable(&self) -> bool {
        matches!(self, Self::Abort { .. } | Self::Delivery(_))
    }

    /// Whether calling the same method again can help.
    pub fn is_retriable(&self) -> bool {
        matches!(self, Self::TimedOut { .. })
    }
}
