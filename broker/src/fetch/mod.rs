//! Incremental fetch sessions (KIP-227): what a client fetches is remembered, so that its requests
//! name only what changed and its answers hold only what is new.
//! Invariant: state machines without I/O: nothing here knows logs, sockets or clocks. Step 10 of
//! the hallway.

mod cache;
mod session;

pub(crate) use cache::{FINAL_EPOCH, INITIAL_EPOCH, Kept, SessionCache, next_epoch};
pub(crate) use session::{Asked, Seen, Session, TopicKey};

#[cfg(test)]
mod tests;
