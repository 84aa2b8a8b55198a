//! The five compressions of record batches: whole buffers in and out, or a bounded stream.
//!
//! Invariant: decompression stops at the caller's limit; what a frame announces is never allocated
//! before it is compared with that limit and with the bytes that carry it.
//! Hallway: step 4 compresses, steps 7 (validation) and 10 (records) decompress.
#![warn(clippy::indexing_slicing)]

use std::fmt;
use std::io;
use std::str::FromStr;

/// How the records of a batch are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None = 0,
    /// gzip (RFC 1952).
    Gzip = 1,
    /// Snappy in Xerial's chunk framing; raw snappy blocks are read too.
    Snappy = 2,
    /// LZ4 frames of independent blocks.
    Lz4 = 3,
    /// Zstandard (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// Every compression, in the order of the codes.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The code in the lowest three bits of a batch's attributes.
    #[must_use]
    pub fn code(self) -> i16 {
        self as i16
    }

    /// The compression with `code`, if Kafka defines one.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Compression> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.code() == code)
    }

    /// Kafka's name, as in `compression.type`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text is no name of a compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression {0:?}: use none, gzip, snappy, lz4 or zstd")]
pub struct UnknownCompressionName(pub String);

impl FromStr for Compression {
    type Err = UnknownCompressionName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.name() == name)
            .ok_or_else(|| UnknownCompressionName(name.to_owned()))
    }
}

/// Why bytes cannot be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// The content is larger than the caller allows.
    #[error("{compression} data holds more than the allowed {limit} bytes")]
    LimitExceeded {
        /// The codec.
        compression: Compression,
        /// The caller's limit on decompressed bytes.
        limit: usize,
    },
    /// The bytes are not what the codec writes.
    #[error("{compression} data is corrupt")]
    Corrupt {
        /// The codec.
        compression: Compression,
        /// The codec's own words.
        #[source]
        source: io::Error,
    },
    /// The codec failed to compress.
    #[error("{compression} cannot compress the data")]
    Compress {
        /// The codec.
        compression: Compression,
        /// The codec's own words.
        #[source]
        source: io::Error,
    },
}
