//! Zigzag variable-length integers, the numbers inside records.
//!
//! Invariant: a 32-bit integer takes at most 5 bytes and a 64-bit one at most 10; bits beyond its
//! width are an error, not cut off.
//! Hallway: steps 4, 7 and 10.
#![warn(clippy::indexing_slicing)]

/// Bytes that `value` takes.
#[inline]
pub(crate) fn varint_size(value: i32) -> usize {
    varlong_size(i64::from(value))
}

/// Bytes that `value` takes.
#[inline]
pub(crate) fn varlong_size(value: i64) -> usize {
    let significant = 64 - (zigzag(value) | 1).leading_zeros() as usize;
    significant.div_ceil(7)
}

/// Writes `value`.
#[inline]
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i32) {
    // Zigzag of a sign-extended value has the same bits in 32 as in 64.
    put_varlong(out, i64::from(value));
}

/// Writes `value`.
#[inline]
pub(crate) fn put_varlong(out: &mut Vec<u8>, value: i64) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The 32-bit integer whose zigzag form is `raw`.
pub(crate) fn unzigzag32(raw: u32) -> i32 {
    (raw >> 1) as i32 ^ -((raw & 1) as i32)
}

/// The 64-bit integer whose zigzag form is `raw`.
pub(crate) fn unzigzag64(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}
