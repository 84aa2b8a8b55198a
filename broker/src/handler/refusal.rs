//! Why a connection is closed by the broker. Invariant: each reason has a fixed label for the
//! metrics, and its text tells the operator what the peer did. Step 6 of the hallway.

use logway_protocol::{DecodeError, EncodeError};
use thiserror::Error;

use crate::net::FrameError;

/// The broker's reason for ending a connection.
#[derive(Debug, Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Frame(#[source] FrameError),
    #[error("request header: {0}")]
    Header(#[source] DecodeError),
    #[error("api key {key} is not served")]
    UnknownApi { key: i16 },
    #[error("{api} version {version} is not served")]
    UnsupportedVersion { api: &'static str, version: i16 },
    #[error("{api} request: {source}")]
    Body {
        api: &'static str,
        #[source]
        source: DecodeError,
    },
    #[error("{api} response: {source}")]
    Response {
        api: &'static str,
        #[source]
        source: EncodeError,
    },
    #[error("produce request without acknowledgement failed, the producer must look again")]
    UnacknowledgedProduce,
    #[error("peer takes no bytes of its replies, {waiting} bytes wait")]
    SlowReader { waiting: usize },
    #[error("peer stopped in the middle of a request")]
    SlowSender,
    #[error("the log was truncated while its records were sent")]
    RecordsGone,
    #[error("no request for connections.max.idle.ms")]
    Idle,
}

impl Refusal {
    /// Label value of the `refused` counter.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Refusal::Frame(FrameError::TooLarge { .. }) => "request_too_large",
            Refusal::Frame(FrameError::TooSmall { .. }) => "request_too_small",
            Refusal::Frame(FrameError::Truncated { .. }) => "request_truncated",
            Refusal::Frame(FrameError::Io(_)) => "connection_error",
            Refusal::Header(_) => "bad_request_header",
            Refusal::UnknownApi { .. } => "unknown_api",
            Refusal::UnsupportedVersion { .. } => "unsupported_version",
            Refusal::Body { .. } => "bad_request_body",
            Refusal::Response { .. } => "unwritable_response",
            Refusal::UnacknowledgedProduce => "produce_without_acks_failed",
            Refusal::SlowReader { .. } => "slow_reader",
            Refusal::SlowSender => "slow_sender",
            Refusal::RecordsGone => "records_gone",
            Refusal::Idle => "idle",
        }
    }
}
