//! Kafka's bytes: messages, record batches, compression. Pure functions over buffers.
//!
//! Every other room stands on this one; it knows no files, sockets or clocks. Modules in the
//! order in which a frame is read: header, message, then the record batches inside it.
//!
//! **Invariant:** every length is checked against the bytes that remain before anything is
//! allocated, and what a frame holds comes out as slices of it.

#[macro_use]
mod description;

pub mod api_key;
pub mod codec;
pub mod error_code;
pub mod header;
pub mod message;
#[cfg(test)]
mod random;
pub mod text;
pub mod uuid;
pub mod wire;

pub mod batch;
pub mod batch_builder;
pub mod compression;
pub mod control;
pub mod crc;
mod input;
pub mod record;
pub mod records_field;
pub mod rewrite;
mod usual;
mod varint;
pub mod walk;
mod xxhash;

pub use api_key::ApiKey;
pub use codec::{DecodeError, EncodeError};
pub use error_code::ErrorCode;
pub use message::{Message, Request};
pub use records_field::RecordsField;
pub use text::Text;
pub use uuid::Uuid;
