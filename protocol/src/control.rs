//! Control records: the markers that end a transaction.
//!
//! Key: version and type, 2 bytes each. Value of a marker: version (2 bytes) and the epoch of the
//! transaction coordinator (4 bytes). Newer versions may only append fields (KIP-98).
//! Invariant: a control batch holds exactly one record and has no sequence number.
//! Hallway: written by the transaction coordinator, skipped at step 10.
#![warn(clippy::indexing_slicing)]

use bytes::Bytes;

use crate::batch::{BatchError, NO_SEQUENCE};
use crate::batch_builder::BatchBuilder;
use crate::compression::Compression;
use crate::record::Record;

/// Version of keys and values that are written here.
const VERSION: i16 = 0;

/// What a control record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The producer's transaction is aborted.
    Abort,
    /// The producer's transaction is committed.
    Commit,
    /// One of the metadata quorum's own, or a later one.
    Other(i16),
}

impl ControlType {
    /// Kafka's number of the type.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::Other(code) => code,
        }
    }

    /// The type with this number.
    #[must_use]
    pub fn from_code(code: i16) -> ControlType {
        match code {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            other => ControlType::Other(other),
        }
    }

    /// The type of a record of a control batch, by its key.
    pub fn of(record: &Record) -> Result<ControlType, BatchError> {
        ControlType::of_key(record.key.as_deref().unwrap_or_default())
    }

    /// The type that the key of a control record says.
    pub fn of_key(mut key: &[u8]) -> Result<ControlType, BatchError> {
        let version = take(&mut key).map(i16::from_be_bytes);
        let code = take(&mut key).map(i16::from_be_bytes);
        match (version, code) {
            (Some(VERSION..), Some(code)) => Ok(ControlType::from_code(code)),
            _ => Err(BatchError::InvalidControlRecord),
        }
    }
}

/// The end of a producer's transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndTransaction {
    /// Committed, or else aborted.
    pub committed: bool,
    /// Epoch of the coordinator that decided.
    pub coordinator_epoch: i32,
}

impl EndTransaction {
    /// Reads a marker; `None` for a control record of another type.
    pub fn of(record: &Record) -> Result<Option<EndTransaction>, BatchError> {
        let committed = match ControlType::of(record)? {
            ControlType::Commit => true,
            ControlType::Abort => false,
            ControlType::Other(_) => return Ok(None),
        };
        let mut value = record.value.as_deref().unwrap_or_default();
        let version = take(&mut value).map(i16::from_be_bytes);
        let epoch = take(&mut value).map(i32::from_be_bytes);
        match (version, epoch) {
            (Some(VERSION..), Some(coordinator_epoch)) => Ok(Some(EndTransaction {
                committed,
                coordinator_epoch,
            })),
            _ => Err(BatchError::InvalidControlRecord),
        }
    }
}

/// Builds the control batch that ends the transaction of `producer` (id and epoch).
///
/// `timestamp` is in milliseconds since 1970.
pub fn control_batch(
    marker: EndTransaction,
    producer: (i64, i16),
    timestamp: i64,
) -> Result<Bytes, BatchError> {
    let kind = if marker.committed {
        ControlType::Commit
    } else {
        ControlType::Abort
    };
    let [version_high, version_low] = VERSION.to_be_bytes();
    let [kind_high, kind_low] = kind.code().to_be_bytes();
    let [a, b, c, d] = marker.coordinator_epoch.to_be_bytes();
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(
        timestamp,
        Some(&[version_high, version_low, kind_high, kind_low]),
        Some(&[version_high, version_low, a, b, c, d]),
        &[],
    )?;
    let (id, epoch) = producer;
    builder
        .set_producer(id, epoch, NO_SEQUENCE)
        .set_transactional(true)
        .set_control(true)
        .build()
}

/// The next `N` bytes of `input`, which moves on.
fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = input.split_first_chunk::<N>()?;
    *input = rest;
    Some(*head)
}
