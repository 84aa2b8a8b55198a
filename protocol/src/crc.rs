//! CRC-32C (Castagnoli), the checksum of record batches.
//!
//! Invariant: the polynomial is iSCSI's, never the one of zlib and gzip.
//! Hallway: step 4 computes it, steps 7 and 10 check it.

/// CRC-32C of `bytes`, with the hardware's instructions where there are any.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}
