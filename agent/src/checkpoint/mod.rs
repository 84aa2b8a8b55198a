//! What the agent remembers of its files across restarts: identity, evidence and acknowledged position.
//! Beside steps 2 and 5 of the hallway.
//!
//! A log of changes (`changes.<n>`) on top of a snapshot (`snapshot`): a change costs one small append
//! whatever the number of files. Both are sequences of frames with CRC32C (see `frame.rs`). When the log
//! outgrows the snapshot, a new snapshot is written aside, synced, renamed, and the next log begins.
//!
//! **Invariant:** records are whole states, never differences: whatever is lost of them makes the agent
//! repeat lines, and never skip one. A damaged store is read as far as it is sound, and rewritten.

mod frame;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use record::{FileId, FileRecord};
pub(crate) use store::Store;
