//! The five compressions of record batches: whole buffers in and out, or a bounded stream.
//!
//! Invariant: decompression stops at the caller's limit; what a frame announces is never allocated
//! before it is compared with that limit and with the bytes that carry it.
//! Hallway: step 4 compresses, steps 7 (validation) and 10 (records) decompress.
#![warn(clippy::indexing_slicing)]

mod lz4;
mod snappy;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::bufread::{GzEncoder, MultiGzDecoder};

/// Kafka's default level.
const ZSTD_LEVEL: i32 = 3;
/// The best that gzip can do; the codec panics on more.
const GZIP_LEVEL_MAX: u32 = 9;
/// Windows up to 8 MiB are always read, as RFC 8878 recommends.
const ZSTD_WINDOW_LOG_MIN: u32 = 23;
/// The largest window that Zstandard's own tools read unasked: 128 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

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

impl CompressionError {
    pub(crate) fn reading(compression: Compression, limit: usize, source: io::Error) -> Self {
        if source
            .get_ref()
            .is_some_and(|inner| inner.downcast_ref::<LimitExceeded>().is_some())
        {
            CompressionError::LimitExceeded { compression, limit }
        } else {
            CompressionError::Corrupt {
                compression,
                source,
            }
        }
    }
}

/// Marks an `io::Error` of a codec that saw the limit by itself.
#[derive(Debug, thiserror::Error)]
#[error("the limit is exceeded")]
struct LimitExceeded;

fn limit_exceeded() -> io::Error {
    io::Error::other(LimitExceeded)
}

fn corrupt(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Compresses `input` with Kafka's default level of the codec.
pub fn compress(compression: Compression, input: &[u8]) -> Result<Bytes, CompressionError> {
    let mut out = BytesMut::new();
    compress_into(compression, None, input, &mut out)?;
    Ok(out.freeze())
}

/// Appends the compressed `input` to `out`. Without a level it is the codec's default; snappy and
/// lz4 have only one here.
pub(crate) fn compress_into(
    compression: Compression,
    level: Option<i32>,
    input: &[u8],
    out: &mut BytesMut,
) -> Result<(), CompressionError> {
    let done = match compression {
        Compression::None => {
            out.put_slice(input);
            Ok(())
        }
        Compression::Gzip => gzip(level, input, out),
        Compression::Snappy => snappy::compress(input, out),
        Compression::Lz4 => lz4::compress(input, out),
        Compression::Zstd => zstd_frame(level, input, out),
    };
    done.map_err(|source| CompressionError::Compress {
        compression,
        source,
    })
}

fn gzip(level: Option<i32>, input: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let level = level.and_then(|level| u32::try_from(level).ok());
    let level = level.map_or_else(flate2::Compression::default, |level| {
        flate2::Compression::new(level.min(GZIP_LEVEL_MAX))
    });
    let mut encoder = GzEncoder::new(input, level);
    io::copy(&mut encoder, &mut out.writer())?;
    Ok(())
}

fn zstd_frame(level: Option<i32>, input: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let frame = zstd::bulk::compress(input, level.unwrap_or(ZSTD_LEVEL))?;
    out.put_slice(&frame);
    Ok(())
}

/// Decompresses `input`, at most `limit` bytes of content.
///
/// # Errors
/// [`CompressionError::LimitExceeded`] as soon as the content is longer than `limit`; memory stays
/// within about twice the limit plus the codec's own window.
pub fn decompress(
    compression: Compression,
    input: &[u8],
    limit: usize,
) -> Result<Bytes, CompressionError> {
    if compression == Compression::None {
        return if input.len() > limit {
            Err(CompressionError::LimitExceeded { compression, limit })
        } else {
            Ok(Bytes::copy_from_slice(input))
        };
    }
    let reader = Decompressor::new(compression, input, limit)?;
    let mut content = Vec::with_capacity(input.len().saturating_mul(3).min(limit));
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(one_more)
        .read_to_end(&mut content)
        .map_err(|source| CompressionError::reading(compression, limit, source))?;
    if content.len() > limit {
        return Err(CompressionError::LimitExceeded { compression, limit });
    }
    Ok(Bytes::from(content))
}

/// A stream of the content of one compressed buffer.
pub(crate) enum Decompressor<'a> {
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Snappy(snappy::SnappyReader<'a>),
    Lz4(lz4::Lz4Reader<'a>),
    Zstd(zstd::stream::read::Decoder<'static, &'a [u8]>),
    Stored(&'a [u8]),
}

impl<'a> Decompressor<'a> {
    /// Opens `input`. `limit` bounds the codec's own buffers; the caller bounds what it reads.
    pub(crate) fn new(
        compression: Compression,
        input: &'a [u8],
        limit: usize,
    ) -> Result<Self, CompressionError> {
        let opened = match compression {
            Compression::None => Ok(Decompressor::Stored(input)),
            Compression::Gzip => Ok(Decompressor::Gzip(Box::new(MultiGzDecoder::new(input)))),
            Compression::Snappy => Ok(Decompressor::Snappy(snappy::SnappyReader::new(
                input, limit,
            ))),
            Compression::Lz4 => lz4::Lz4Reader::new(input, limit).map(Decompressor::Lz4),
            Compression::Zstd => open_zstd(input, limit).map(Decompressor::Zstd),
        };
        opened.map_err(|source| CompressionError::reading(compression, limit, source))
    }
}

fn open_zstd(
    input: &[u8],
    limit: usize,
) -> io::Result<zstd::stream::read::Decoder<'static, &[u8]>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
    let window_log = usize::BITS - limit.leading_zeros();
    decoder.window_log_max(window_log.clamp(ZSTD_WINDOW_LOG_MIN, ZSTD_WINDOW_LOG_MAX))?;
    Ok(decoder)
}

impl Read for Decompressor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decompressor::Gzip(reader) => reader.read(buffer),
            Decompressor::Snappy(reader) => reader.read(buffer),
            Decompressor::Lz4(reader) => reader.read(buffer),
            Decompressor::Zstd(reader) => reader.read(buffer),
            Decompressor::Stored(bytes) => bytes.read(buffer),
        }
    }
}
