//! Snappy in both framings that Kafka clients write.
//!
//! Xerial's chunk framing (the Java client): a 16-byte header, then chunks, each with its length in
//! 4 big-endian bytes. Raw (librdkafka and others): one Snappy block, nothing around it.
//! Invariant: a block is allocated only when it is within the limit and its compressed bytes can
//! expand to what it announces.
//! Hallway: steps 4, 7 and 10.
#![warn(clippy::indexing_slicing)]

use std::io::{self, Read};

use bytes::{BufMut, BytesMut};
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

use super::corrupt;

const XERIAL_MAGIC: [u8; 8] = *b"\x82SNAPPY\0";
const XERIAL_VERSION: u32 = 1;
/// Version and oldest compatible version follow the magic.
const XERIAL_VERSIONS_SIZE: usize = 8;
/// Uncompressed bytes of a chunk, as the Java client cuts them.
const CHUNK_SIZE: usize = 32 * 1024;
/// A byte of Snappy expands to at most 64 bytes in 3; this is beyond what any block can reach.
const MAX_RATIO: usize = 32;

/// Appends `input` to `out` in Xerial's chunk framing.
pub(super) fn compress(input: &[u8], out: &mut BytesMut) -> io::Result<()> {
    out.put_slice(&XERIAL_MAGIC);
    out.put_u32(XERIAL_VERSION);
    out.put_u32(XERIAL_VERSION);
    let mut encoder = Encoder::new();
    for chunk in input.chunks(CHUNK_SIZE) {
        let start = out.len();
        out.put_bytes(0, 4 + max_compress_len(chunk.len()));
        let (length, target) = out
            .get_mut(start..)
            .and_then(<[u8]>::split_first_chunk_mut::<4>)
            .ok_or_else(|| io::Error::other("no room for a chunk"))?;
        let compressed = encoder.compress(chunk, target)?;
        *length = (compressed as u32).to_be_bytes();
        out.truncate(start + 4 + compressed);
    }
    Ok(())
}

/// Decompresses either framing, chunk by chunk.
#[derive(Debug)]
pub(crate) struct SnappyReader<'a> {
    input: &'a [u8],
    raw: bool,
    limit: usize,
    chunk: Vec<u8>,
    read: usize,
    filled: usize,
}

impl<'a> SnappyReader<'a> {
    /// Recognises the framing by Xerial's magic. No chunk larger than `limit` is decompressed.
    pub(super) fn new(input: &'a [u8], limit: usize) -> Self {
        SnappyReader {
            input,
            raw: !input.starts_with(&XERIAL_MAGIC),
            limit,
            chunk: Vec::new(),
            read: 0,
            filled: 0,
        }
    }

    /// The compressed bytes of the next chunk. Streams may follow each other, header and all.
    fn next_compressed(&mut self) -> io::Result<&'a [u8]> {
        if self.raw {
            return Ok(std::mem::take(&mut self.input));
        }
        while let Some(rest) = self.input.strip_prefix(&XERIAL_MAGIC) {
            self.input = rest
                .get(XERIAL_VERSIONS_SIZE..)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
        }
        if self.input.is_empty() {
            return Ok(&[]);
        }
        let (length, rest) = self
            .input
            .split_first_chunk::<4>()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (chunk, rest) = rest
            .split_at_checked(length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.input = rest;
        Ok(chunk)
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let compressed = self.next_compressed()?;
        self.read = 0;
        self.filled = 0;
        if compressed.is_empty() {
            return Ok(());
        }
        let announced = decompress_len(compressed)?;
        if announced > compressed.len().saturating_mul(MAX_RATIO) {
            return Err(corrupt("a Snappy block announces more than it can hold"));
        }
        if announced > self.limit {
            return Err(super::limit_exceeded());
        }
        if self.chunk.len() < announced {
            self.chunk.resize(announced, 0);
        }
        self.filled = Decoder::new().decompress(compressed, &mut self.chunk)?;
        Ok(())
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.filled && !self.input.is_empty() {
            self.next_chunk()?;
        }
        let mut unread = self.chunk.get(self.read..self.filled).unwrap_or_default();
        let count = unread.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}
