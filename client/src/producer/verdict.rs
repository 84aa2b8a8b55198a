//! What a broker's answer means for a batch.
//!
//! Invariant: only what can pass or be mended is tried again; what is tried again keeps its place.
//! The numbers of a transaction are never mended: it is aborted.
//! Step 5 of the hallway.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::produce::PartitionProduceResponse;

use super::batch::Batch;
use crate::error::DeliveryError;

/// Times a batch is sent again that the broker finds corrupt: the wire may be, or the batch.
const CORRUPT_ATTEMPTS_MAX: u32 = 3;

/// What to do with a batch.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It is stored.
    Stored {
        base_offset: i64,
        log_append_time: Option<i64>,
    },
    /// Send it again after a pause.
    Retry,
    /// Send it again under a higher epoch.
    Renumber,
    /// Send it again under a new producer id.
    NewIdentity,
    /// Send its halves.
    Split,
    /// Report it.
    Fail(DeliveryError),
}

/// Judges an answer; `is_earliest` says that nothing of the partition sent before is unanswered.
pub(crate) fn judge(
    response: &PartitionProduceResponse,
    batch: &Batch,
    is_earliest: bool,
) -> Verdict {
    let code = ErrorCode::from_code(response.error_code);
    match code {
        ErrorCode::None => Verdict::Stored {
            base_offset: response.base_offset,
            log_append_time: (response.log_append_time_ms >= 0)
                .then_some(response.log_append_time_ms),
        },
        ErrorCode::DuplicateSequenceNumber => Verdict::Stored {
            base_offset: -1,
            log_append_time: None,
        },
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge if batch.is_divisible() => {
            Verdict::Split
        }
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => {
            Verdict::Fail(DeliveryError::TooLarge { size: batch.size() })
        }
        // Behind a batch that failed the number has to be wrong; it will be right in its turn.
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId if !is_earliest => {
            Verdict::Retry
        }
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId
            if batch.sequence.is_some() && !batch.transactional =>
        {
            Verdict::Renumber
        }
        ErrorCode::InvalidProducerEpoch | ErrorCode::InvalidProducerIdMapping
            if batch.sequence.is_some() && !batch.transactional =>
        {
            Verdict::NewIdentity
        }
        ErrorCode::CorruptMessage if batch.corrupt >= CORRUPT_ATTEMPTS_MAX => {
            reject(response, code)
        }
        ErrorCode::CorruptMessage => Verdict::Retry,
        code if code.is_retriable() => Verdict::Retry,
        code => reject(response, code),
    }
}

fn reject(response: &PartitionProduceResponse, code: ErrorCode) -> Verdict {
    let detail = response.error_message.as_deref().map(Arc::from);
    Verdict::Fail(DeliveryError::Rejected { code, detail })
}

#[cfg(test)]
mod tests;
