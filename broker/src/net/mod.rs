//! Sockets: accepts connections, cuts frames, keeps replies in request order.
//! Invariant: nothing here knows topics or partitions; nothing elsewhere names `tokio::net`
//! except the HTTP page. Step 6 of the hallway.

mod admission;
mod budget;
mod connection;
mod frame;
mod listener;
mod output;

pub(crate) use admission::Admission;
pub(crate) use budget::{ByteBudget, BytePermit};
pub(crate) use frame::FrameError;
pub(crate) use listener::Listener;
pub(crate) use output::{FileRange, Part};

#[cfg(test)]
mod tests;
