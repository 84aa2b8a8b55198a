//! The short way over a record: most have lengths of one or two bytes and no headers.
//!
//! Invariant: what is taken here the long way (`walk`) takes too, and sees the same in it. Anything
//! else, malformed or only rare, is left to the long way, which names what is wrong.
//! Hallway: step 7; a broker passes here over each record that is produced without compression.
#![warn(clippy::indexing_slicing)]

use crate::varint::unzigzag32;

/// What is of interest in a record that was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UsualRecord {
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) has_key: bool,
}

/// The record at the start of `bytes`, and its size; none if any of its integers has more than two
/// bytes (its timestamp: three), if it has headers, or if it is malformed.
#[inline]
pub(crate) fn record(bytes: &[u8]) -> Option<(UsualRecord, usize)> {
    let (length, start) = short(bytes, 0)?;
    let end = start + usize::try_from(length).ok()?;
    let body = bytes.get(start..end)?;
    let (timestamp_delta, at) = timestamp(body)?;
    let (offset_delta, at) = short(body, at)?;
    let (has_key, at) = field(body, at)?;
    let (_, at) = field(body, at)?;
    // No headers, and nothing behind them.
    if body.get(at..) != Some(&[0]) {
        return None;
    }
    let record = UsualRecord {
        timestamp_delta: i64::from(timestamp_delta),
        offset_delta,
        has_key,
    };
    Some((record, end))
}

/// A zigzag integer of one or two bytes, and what follows it.
#[inline]
fn short(bytes: &[u8], at: usize) -> Option<(i32, usize)> {
    let first = u32::from(*bytes.get(at)?);
    if first < 0x80 {
        return Some((unzigzag32(first), at + 1));
    }
    let second = u32::from(*bytes.get(at + 1)?);
    (second < 0x80).then(|| (unzigzag32(first & 0x7F | second << 7), at + 2))
}

/// The timestamp's delta behind the attributes, up to a quarter of an hour in milliseconds.
#[inline]
fn timestamp(body: &[u8]) -> Option<(i32, usize)> {
    if let Some(found) = short(body, 1) {
        return Some(found);
    }
    let [_, first, second, third, ..] = body else {
        return None;
    };
    let low = u32::from(first & 0x7F) | u32::from(second & 0x7F) << 7;
    (*third < 0x80).then(|| (unzigzag32(low | u32::from(*third) << 14), 4))
}

/// Passes over a nullable field; tells whether it is there.
#[inline]
fn field(body: &[u8], at: usize) -> Option<(bool, usize)> {
    let (length, at) = short(body, at)?;
    match usize::try_from(length) {
        // Whether it ends within the record shows at the record's end.
        Ok(length) => Some((true, at + length)),
        Err(_) => (length == -1).then_some((false, at)),
    }
}
