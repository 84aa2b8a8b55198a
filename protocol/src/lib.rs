//! Logway room `protocol`.

pub mod batch;
pub mod compression;
pub mod crc;
pub mod walk;
