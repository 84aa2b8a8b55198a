//! Producer and consumer against a cluster that misbehaves: order is kept, each record arrives
//! exactly once or is reported, nothing hangs, nothing is held without bound.

// What is in the modules is test code too, though not marked as such.
#![allow(clippy::unwrap_used)]

mod fake;
mod fault;
#[path = "../../tests/harness/port.rs"]
mod port;
