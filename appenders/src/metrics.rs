//! Figures of an appender.
//!
//! **Invariant:** every event that reached the appender is in exactly one of `sent`, `failed`,
//! `buffered` and `dropped`.

use crate::loss::{Cause, Loss};

/// Figures of an appender since it was built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Events taken into the buffer.
    pub enqueued: u64,
    /// Events acknowledged by the broker.
    pub sent: u64,
    /// Events that the broker refused, or the client gave up.
    pub failed: u64,
    /// Events taken into the buffer and neither sent, failed nor given up: the depth of the queue.
    pub buffered: u64,
    /// Events dropped, by reason.
    pub dropped: Dropped,
    /// Record batches acknowledged by the broker.
    pub batches_sent: u64,
    /// Bytes of the record batches acknowledged, as they went over the wire.
    pub bytes_sent: u64,
    /// Bytes of the buffer in use.
    pub bytes_buffered: usize,
    /// Reports of lost events that have arrived in the stream.
    pub loss_reports: u64,
}

/// Dropped events by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// The buffer was full.
    pub full: u64,
    /// Larger than an event may be.
    pub too_large: u64,
    /// Logged by code that itself ran while several other events were being formatted.
    pub nested: u64,
    /// Logged after the guard was dropped.
    pub closed: u64,
    /// Still buffered when the time for the shutdown was over.
    pub unsent: u64,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.full + self.too_large + self.nested + self.closed + self.unsent
    }

    pub(crate) fn of(loss: &Loss) -> Dropped {
        Dropped {
            full: loss.of(Cause::Full),
            too_large: loss.of(Cause::TooLarge),
            nested: loss.of(Cause::Nested),
            closed: loss.of(Cause::Closed),
            unsent: loss.of(Cause::Unsent),
        }
    }
}

/// Sums that the worker keeps.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) enqueued: u64,
    pub(crate) sent: u64,
    pub(crate) batches_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) loss_reports: u64,
    /// Everything that was ever lost, refused events included.
    pub(crate) loss: Loss,
}
