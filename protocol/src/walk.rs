//! Checks the records of a batch without decoding them.
//!
//! Invariant: no allocation per record; compressed records pass through one buffer of fixed size.
//! Hallway: step 7, before a batch is appended.
#![warn(clippy::indexing_slicing)]

/// What is wrong with one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The bytes end inside the record.
    #[error("its bytes end early")]
    Truncated,
    /// A variable-length integer does not end within 5 bytes (32 bit) or 10 bytes (64 bit).
    #[error("a variable-length integer is too long")]
    VarintTooLong,
    /// A length is negative where that does not mean null.
    #[error("{field} has length {length}")]
    NegativeLength {
        /// Which length.
        field: &'static str,
        /// Its value.
        length: i32,
    },
    /// The fields do not fill exactly the announced length.
    #[error("its fields do not fill its announced length of {announced} bytes")]
    LengthMismatch {
        /// The record's own length field.
        announced: i32,
    },
    /// The offset delta is not the record's position in the batch.
    #[error("its offset delta is {actual}")]
    OffsetDelta {
        /// The record's field.
        actual: i32,
    },
    /// The number of headers cannot be true for the bytes that are there.
    #[error("it announces {count} headers")]
    HeaderCount {
        /// The announced number.
        count: i32,
    },
    /// The record has no key although its topic is compacted.
    #[error("it has no key, but the topic is compacted")]
    MissingKey,
}
