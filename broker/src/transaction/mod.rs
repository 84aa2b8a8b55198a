//! Transactions over partitions: who may write under a transactional id, what belongs to its
//! transaction, and how that ends (KIP-98, KIP-890). Beside steps 7 and 8 of the hallway.
//!
//! `engine` decides without I/O, `coordinator` is the door for handlers and does what the engine
//! wants, `records` is the form of `__transaction_state`, `log` what both need of the broker.
//! Invariant: under read_committed a transaction is there as a whole or not at all: its end is stored
//! before the first marker is written, and after a kill at any moment the stored end is carried out.

mod coordinator;
mod engine;
mod loading;
mod log;
mod records;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use coordinator::TransactionCoordinator;
pub(crate) use engine::{Filter, Markers};
pub(crate) use log::{Appended, Participants, TransactionLog};
pub(crate) use state::{Producer, State, TopicPartition, Transaction};
