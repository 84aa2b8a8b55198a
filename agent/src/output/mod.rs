//! Where batches go: the seam between the agent and the cluster. Step 4 to 5 of the hallway.
//!
//! **Invariant:** the files' reader never waits in here; what cannot be taken now is given back.

mod partitions;
mod producer;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use producer::Cluster;

/// A record batch, encoded, with what is needed to hear of its fate.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Chosen by the sender; comes back in [`Outcome`].
    pub(crate) ticket: u64,
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) bytes: Bytes,
    pub(crate) records: i32,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ticket: u64,
    pub(crate) result: Result<(), Refusal>,
}

/// Why a batch was not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The broker takes no batch of this size (MESSAGE_TOO_LARGE); sending it again is useless.
    TooLarge,
    /// Anything else; it may go better later.
    Failed(String),
}

/// Takes batches for a cluster and reports later what became of each.
pub(crate) trait Output: Send {
    /// Number of partitions of `topic`; `None` while it is not known, asking goes on in the background.
    fn partitions(&mut self, topic: &Arc<str>) -> Option<i32>;

    /// Takes a batch, or gives it back when there is no memory for it now.
    fn send(&mut self, batch: Batch) -> Result<(), Batch>;

    /// The outcomes since the last call.
    fn outcomes(&mut self) -> Vec<Outcome>;
}
