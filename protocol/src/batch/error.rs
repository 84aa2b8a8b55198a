//! What can be wrong with a record batch.
//!
//! Invariant: each variant has what a reader needs to find the fault.
//! Hallway: steps 4 to 10.

use crate::compression::CompressionError;
use crate::walk::RecordFault;

/// Why bytes are not a usable record batch.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("record batch is cut off: it needs {needed} bytes and {available} are there")]
    Truncated {
        /// Bytes that the header, or the batch by its own length, needs.
        needed: usize,
        /// Bytes that are there.
        available: usize,
    },
    /// Bytes follow where exactly one batch was expected.
    #[error("{extra} bytes follow the record batch where it should end")]
    TrailingBytes {
        /// Bytes behind the batch's announced end.
        extra: usize,
    },
    /// A format other than 2.
    #[error("record batch has magic {0}, only 2 is supported")]
    UnsupportedMagic(i8),
    /// The length field is smaller than a header.
    #[error("record batch announces a length of {0}, less than its own header")]
    InvalidLength(i32),
    /// The checksum does not match the content.
    #[error(
        "record batch is corrupt: its CRC is {stored:#010x}, its content gives {computed:#010x}"
    )]
    CrcMismatch {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The attributes name a compression that Kafka does not define.
    #[error("record batch has unknown compression code {0}")]
    UnknownCompression(u8),
    /// The records are compressed and cannot be read, or are larger than allowed.
    #[error("records cannot be decompressed")]
    Compression(#[from] CompressionError),
    /// The number of records is negative, or cannot be true for the bytes that are there.
    #[error("record batch announces {count} records in {available} bytes")]
    InvalidRecordCount {
        /// The announced number.
        count: i32,
        /// Bytes that are there for them.
        available: usize,
    },
    /// The header's last offset delta does not fit the number of records.
    #[error("record batch has {count} records but a last offset delta of {last_offset_delta}")]
    InvalidLastOffset {
        /// The announced number of records.
        count: i32,
        /// The header's field.
        last_offset_delta: i32,
    },
    /// Bytes follow the last record.
    #[error("bytes follow the last of {count} records of the batch")]
    TrailingRecords {
        /// The announced number of records.
        count: i32,
    },
    /// One record is malformed.
    #[error("record {index} of the batch is malformed: {fault}")]
    Record {
        /// Position of the record in its batch, from 0.
        index: i32,
        /// What is wrong.
        fault: RecordFault,
    },
    /// A batch would hold no record.
    #[error("a record batch needs at least one record")]
    Empty,
    /// A batch, or one field of a record, would exceed the format's 2 GiB.
    #[error("{0} bytes do not fit into a record batch")]
    TooLarge(usize),
    /// The record is not a control record of a known version.
    #[error("record is not a readable control record")]
    InvalidControlRecord,
}
