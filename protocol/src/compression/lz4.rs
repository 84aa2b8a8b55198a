//! LZ4 frames as Kafka uses them: independent blocks.
//!
//! Invariant: at most one block is in memory; a frame whose blocks depend on each other is refused,
//! as the Java client and broker refuse it.
//! Hallway: steps 4, 7 and 10.
#![warn(clippy::indexing_slicing)]

use std::io::{self, Read};

use bytes::{BufMut, BytesMut};
use lz4_flex::block::{
    CompressTable, DecompressError, compress_into_with_table, decompress_into,
    get_maximum_output_size,
};

use super::corrupt;
use crate::xxhash::xxh32;

const MAGIC: u32 = 0x184D_2204;
const VERSION_MASK: u8 = 0b1100_0000;
const VERSION: u8 = 0b0100_0000;
const INDEPENDENT: u8 = 0b0010_0000;
const BLOCK_CHECKSUM: u8 = 0b0001_0000;
const CONTENT_SIZE: u8 = 0b0000_1000;
const FLAGS_RESERVED: u8 = 0b0000_0010;
const DICTIONARY_ID: u8 = 0b0000_0001;
/// The high bit of a block's size: the block is stored, not compressed.
const STORED: u32 = 0x8000_0000;
/// Block size code 4 of the descriptor, the one that the Java client writes.
const BLOCK_64K_CODE: u8 = 4;
const BLOCK_64K: usize = 64 * 1024;
/// No byte of LZ4 expands to more bytes than this.
const MAX_RATIO: usize = 255;

/// Appends `input` to `out` as one frame of independent 64 KiB blocks.
pub(super) fn compress(input: &[u8], out: &mut BytesMut) -> io::Result<()> {
    let descriptor = [VERSION | INDEPENDENT, BLOCK_64K_CODE << 4];
    out.put_u32_le(MAGIC);
    out.put_slice(&descriptor);
    out.put_u8(header_checksum(&descriptor));
    let mut table = CompressTable::default();
    for block in input.chunks(BLOCK_64K) {
        put_block(block, out, &mut table)?;
    }
    out.put_u32_le(0);
    Ok(())
}

fn put_block(block: &[u8], out: &mut BytesMut, table: &mut CompressTable) -> io::Result<()> {
    let start = out.len();
    out.put_bytes(0, 4 + get_maximum_output_size(block.len()));
    let (length, target) = out
        .get_mut(start..)
        .and_then(<[u8]>::split_first_chunk_mut::<4>)
        .ok_or_else(|| io::Error::other("no room for a block"))?;
    let compressed = compress_into_with_table(block, target, table).map_err(io::Error::other)?;
    if compressed < block.len() {
        *length = (compressed as u32).to_le_bytes();
        out.truncate(start + 4 + compressed);
    } else {
        *length = (block.len() as u32 | STORED).to_le_bytes();
        out.truncate(start + 4);
        out.put_slice(block);
    }
    Ok(())
}

fn header_checksum(descriptor: &[u8]) -> u8 {
    (xxh32(descriptor) >> 8) as u8
}

/// Decompresses one frame, block by block.
#[derive(Debug)]
pub(crate) struct Lz4Reader<'a> {
    input: &'a [u8],
    block_checksum: bool,
    finished: bool,
    /// Whether `block` is smaller than the frame's block size because of the limit.
    capped: bool,
    block: Vec<u8>,
    read: usize,
    filled: usize,
}

impl<'a> Lz4Reader<'a> {
    /// Reads the frame's header. No block is larger than `limit` or what `input` can expand to.
    pub(super) fn new(input: &'a [u8], limit: usize) -> io::Result<Self> {
        let mut rest = input;
        let magic = u32::from_le_bytes(take(&mut rest)?);
        if magic != MAGIC {
            return Err(corrupt("no LZ4 frame"));
        }
        let descriptor = rest;
        let [flags, sizes] = take(&mut rest)?;
        if flags & VERSION_MASK != VERSION || flags & FLAGS_RESERVED != 0 {
            return Err(corrupt("unknown version of the LZ4 frame"));
        }
        if flags & INDEPENDENT == 0 {
            return Err(corrupt("the blocks of the LZ4 frame depend on each other"));
        }
        if flags & DICTIONARY_ID != 0 {
            return Err(corrupt("the LZ4 frame needs a dictionary"));
        }
        if flags & CONTENT_SIZE != 0 {
            let _content_size: [u8; 8] = take(&mut rest)?;
        }
        let described = descriptor.len() - rest.len();
        let [checksum] = take(&mut rest)?;
        if checksum != header_checksum(descriptor.get(..described).unwrap_or_default()) {
            return Err(corrupt("header checksum of the LZ4 frame"));
        }
        let block_max = match sizes >> 4 {
            code @ 4..=7 if sizes & 0x0F == 0 => BLOCK_64K << (2 * (code - 4)),
            _ => return Err(corrupt("unknown block size of the LZ4 frame")),
        };
        let reachable = rest.len().saturating_mul(MAX_RATIO);
        let capacity = block_max.min(limit).min(reachable);
        Ok(Lz4Reader {
            input: rest,
            block_checksum: flags & BLOCK_CHECKSUM != 0,
            finished: false,
            capped: limit < block_max,
            block: vec![0; capacity],
            read: 0,
            filled: 0,
        })
    }

    /// Decompresses the next block, or finds the end of the frame.
    fn next_block(&mut self) -> io::Result<()> {
        let size = u32::from_le_bytes(take(&mut self.input)?);
        if size == 0 {
            // A content checksum may follow: the batch's CRC covers the same bytes.
            self.finished = true;
            return Ok(());
        }
        let length = (size & !STORED) as usize;
        let Some((data, rest)) = self.input.split_at_checked(length) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        self.input = rest;
        if self.block_checksum && u32::from_le_bytes(take(&mut self.input)?) != xxh32(data) {
            return Err(corrupt("block checksum of the LZ4 frame"));
        }
        self.read = 0;
        self.filled = if size & STORED == 0 {
            match decompress_into(data, &mut self.block) {
                Err(DecompressError::OutputTooSmall { .. }) => return Err(self.too_large()),
                done => done.map_err(io::Error::other)?,
            }
        } else {
            let Some(target) = self.block.get_mut(..length) else {
                return Err(self.too_large());
            };
            target.copy_from_slice(data);
            length
        };
        Ok(())
    }

    fn too_large(&self) -> io::Error {
        if self.capped {
            super::limit_exceeded()
        } else {
            corrupt("a block of the LZ4 frame is larger than the frame's header says")
        }
    }
}

impl Read for Lz4Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.read == self.filled && !self.finished {
            self.next_block()?;
        }
        let mut unread = self.block.get(self.read..self.filled).unwrap_or_default();
        let count = unread.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

/// The next `N` bytes of `input`, which moves on.
fn take<const N: usize>(input: &mut &[u8]) -> io::Result<[u8; N]> {
    let (head, rest) = input
        .split_first_chunk::<N>()
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    *input = rest;
    Ok(*head)
}
