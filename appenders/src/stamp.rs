//! The headers that make a repeat of a record recognisable: origin, position, host.
//!
//! **Invariant:** no two records of a process have the same position under one origin; positions of
//! one thread's records rise.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Header with the random id of this appender in this run of the process.
pub const ORIGIN_HEADER: &str = "logway.origin";
/// Header with the record's number under its origin, from 0.
pub const POSITION_HEADER: &str = "logway.position";
/// Header with the host's name.
pub const HOST_HEADER: &str = "host.name";

/// Where this process's records come from, and the number of the next one.
#[derive(Debug)]
pub(crate) struct Stamp {
    origin: String,
    host: String,
    next: AtomicU64,
}

impl Stamp {
    pub(crate) fn new(host: String) -> Stamp {
        // The standard library seeds its hasher from the system's random numbers.
        let origin = RandomState::new().hash_one((std::process::id(), &host));
        Stamp {
            origin: format!("{origin:016x}"),
            host,
            next: AtomicU64::new(0),
        }
    }

    /// Upper bound of the headers' size in a record, in bytes.
    pub(crate) fn size_max(&self) -> usize {
        // Two lengths per header, the longer one up to five bytes.
        let lengths = 3 * 6;
        ORIGIN_HEADER.len()
            + POSITION_HEADER.len()
            + HOST_HEADER.len()
            + self.origin.len()
            + POSITION_DIGITS
            + self.host.len()
            + lengths
    }

    /// Gives the next position to `write` as record headers.
    pub(crate) fn next<R>(&self, write: impl FnOnce(&[(&str, Option<&[u8]>)]) -> R) -> R {
        let mut digits = [0; POSITION_DIGITS];
        let position = decimal(self.next.fetch_add(1, Ordering::Relaxed), &mut digits);
        write(&[
            (ORIGIN_HEADER, Some(self.origin.as_bytes())),
            (POSITION_HEADER, Some(position)),
            (HOST_HEADER, Some(self.host.as_bytes())),
        ])
    }
}

/// Digits of the largest position.
const POSITION_DIGITS: usize = 20;

fn decimal(number: u64, digits: &mut [u8; POSITION_DIGITS]) -> &[u8] {
    let mut rest = number;
    let mut start = POSITION_DIGITS;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[start..];
        }
    }
}
