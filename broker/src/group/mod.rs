//! Consumer groups: who is a member, in which generation, and how far each group has read.
//!
//! `engine` (classic groups) and `consumer` (KIP-848) decide without I/O, `registry` holds all groups and what they wait for, `coordinator`
//! is the door for handlers, `writer` stores decisions in `__consumer_offsets`, `records` is that
//! topic's format.
//! Invariant: whatever a client was told (an assignment, a commit) is stored and survives SIGKILL;
//! the topic alone rebuilds everything. Hallway: beside steps 7, 8 and 10.

pub(crate) mod consumer;
mod coordinator;
mod door;
pub(crate) mod engine;
mod log;
mod offsets;
mod pending;
mod records;
mod registry;
mod rules;
#[cfg(test)]
mod tests;
mod transactional;
mod writer;

pub(crate) use coordinator::{GroupCoordinator, Missing};
pub(crate) use log::{BoxFuture, LogReadError, OFFSETS_TOPIC, OffsetsLog};
pub(crate) use offsets::{Committed, GroupOffsets};
pub(crate) use registry::{Commit, DescribedGroup, Found, ListedGroup};
pub(crate) use transactional::Placed;
