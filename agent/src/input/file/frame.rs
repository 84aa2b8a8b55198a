//! Cuts a file's bytes into lines, at any chunking the same. Step 2 of the hallway.
//!
//! Nothing of an unfinished line is kept in memory: it is read again when the file has grown, so a thousand
//! files cost one buffer. A line over the limit is skipped over without buffering and comes out cut.
//!
//! **Invariant:** lines come out whole, in order and without gap; `Cursor::line_start` is always the first
//! byte of a line, and every pass first proves that the bytes before it are still the ones it read.

use std::io;

use crate::input::file::evidence::{ReadAt, TAIL_BYTES_MAX, Tail, fill};

/// How far a file has been cut into lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursor {
    /// First byte of the unfinished line; all before it has come out.
    pub(crate) line_start: u64,
    /// No line feed lies between `line_start` and here.
    pub(crate) scanned: u64,
    /// The bytes before `line_start`.
    pub(crate) tail: Tail,
}

impl Cursor {
    /// A cursor at the start of a line.
    pub(crate) fn at(line_start: u64, tail: Tail) -> Cursor {
        Cursor {
            line_start,
            scanned: line_start,
            tail,
        }
    }
}

/// A line of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its bytes without the terminator; at most [`Limits::line_bytes_max`].
    pub(crate) body: &'a [u8],
    /// Byte offset of its first byte.
    pub(crate) start: u64,
    /// Byte offset after its terminator.
    pub(crate) end: u64,
    /// Length before it was cut, without terminator.
    pub(crate) full_len: u64,
    /// At most [`TAIL_BYTES_MAX`] bytes that end at `end`.
    pub(crate) tail: &'a [u8],
}

/// What bounds one pass over a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Longest line that comes out whole.
    pub(crate) line_bytes_max: usize,
    /// Fresh bytes that one pass reads.
    pub(crate) slice_bytes: usize,
    /// Whether bytes at the end of the file without a line feed are a line.
    pub(crate) end_is_line: bool,
}

/// How a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// There may be more to read.
    More,
    /// The end of the file was reached.
    End,
    /// The bytes before the cursor are not the ones it read: another content lies there now.
    Replaced,
}

/// Reads and cuts one slice of `source` at `cursor`; `buf` is working memory shared by all files.
pub(crate) fn read_lines(
    source: &impl ReadAt,
    cursor: &mut Cursor,
    buf: &mut Vec<u8>,
    limits: Limits,
    sink: &mut impl FnMut(Line<'_>),
) -> io::Result<Pass> {
    let held = (cursor.scanned - cursor.line_start) as usize;
    if held > limits.line_bytes_max.saturating_add(1) {
        return skip_long_line(source, cursor, buf, limits, sink);
    }
    let before = cursor.tail.bytes().len();
    let base = cursor.line_start - before as u64;
    let wanted = before + held + limits.slice_bytes;
    buf.resize(wanted, 0);
    let filled = fill(source, buf, base)?;
    let bytes = &buf[..filled];
    if filled < before || bytes[..before] != *cursor.tail.bytes() {
        return Ok(Pass::Replaced);
    }
    let chunk = Chunk {
        bytes,
        base,
        line_bytes_max: limits.line_bytes_max,
    };
    let mut start = before;
    for found in memchr::memchr_iter(b'\n', &bytes[(before + held).min(filled)..]) {
        let feed = (before + held).min(filled) + found;
        sink(chunk.line(start, feed, feed + 1));
        start = feed + 1;
    }
    let at_end = filled < wanted;
    let rest_fits = filled - start <= limits.line_bytes_max.saturating_add(1);
    if at_end && limits.end_is_line && start < filled && rest_fits {
        sink(chunk.line(start, filled, filled));
        start = filled;
    }
    cursor.tail = Tail::of(&bytes[..start]);
    cursor.line_start = base + start as u64;
    cursor.scanned = base + filled as u64;
    shrink(buf, limits);
    // A long last line is finished by the next pass, which skips.
    let long_end = at_end && limits.end_is_line && start < filled;
    Ok(if at_end && !long_end {
        Pass::End
    } else {
        Pass::More
    })
}

/// Bytes of a file in memory.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    bytes: &'a [u8],
    /// Where they lie in the file.
    base: u64,
    line_bytes_max: usize,
}

impl<'a> Chunk<'a> {
    /// The line from `start` to before `feed`, which ends with its terminator at `end`.
    fn line(self, start: usize, feed: usize, end: usize) -> Line<'a> {
        let mut body = &self.bytes[start..feed];
        if end > feed && body.last() == Some(&b'\r') {
            body = &body[..body.len() - 1];
        }
        Line {
            body: &body[..body.len().min(self.line_bytes_max)],
            start: self.base + start as u64,
            end: self.base + end as u64,
            full_len: body.len() as u64,
            tail: &self.bytes[end.saturating_sub(TAIL_BYTES_MAX)..end],
        }
    }
}

/// Looks for the end of a line that is over the limit, a slice at a time; then hands out its beginning.
fn skip_long_line(
    source: &impl ReadAt,
    cursor: &mut Cursor,
    buf: &mut Vec<u8>,
    limits: Limits,
    sink: &mut impl FnMut(Line<'_>),
) -> io::Result<Pass> {
    buf.resize(limits.slice_bytes, 0);
    let filled = fill(source, buf, cursor.scanned)?;
    let at_end = filled < limits.slice_bytes;
    let (end, feeds) = match memchr::memchr(b'\n', &buf[..filled]) {
        Some(feed) => (cursor.scanned + feed as u64 + 1, 1),
        None if at_end && limits.end_is_line => (cursor.scanned + filled as u64, 0),
        None => {
            cursor.scanned += filled as u64;
            return Ok(if at_end { Pass::End } else { Pass::More });
        }
    };
    let before = cursor.tail.bytes().len();
    buf.resize(before + limits.line_bytes_max, 0);
    let filled = fill(source, buf, cursor.line_start - before as u64)?;
    if filled < buf.len() || buf[..before] != *cursor.tail.bytes() {
        return Ok(Pass::Replaced);
    }
    let tail = Tail::read(source, end)?;
    let mut full_len = end - cursor.line_start - feeds;
    let ends_in_cr = feeds == 1 && tail.bytes().ends_with(b"\r\n");
    full_len -= u64::from(ends_in_cr);
    sink(Line {
        body: &buf[before..],
        start: cursor.line_start,
        end,
        full_len,
        tail: tail.bytes(),
    });
    *cursor = Cursor::at(end, tail);
    shrink(buf, limits);
    Ok(Pass::More)
}

/// Gives memory back after a long line.
fn shrink(buf: &mut Vec<u8>, limits: Limits) {
    if buf.capacity() > 4 * limits.slice_bytes.max(64 * 1024) {
        buf.clear();
        buf.shrink_to(limits.slice_bytes + TAIL_BYTES_MAX);
    }
}
