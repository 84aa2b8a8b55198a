//! Random values of every wire type, for the tests: small, with many empties and extremes.

use bytes::Bytes;

use crate::text::Text;
use crate::uuid::Uuid;

/// A seeded stream of random numbers (splitmix64) for one message of one version.
#[derive(Debug)]
pub(crate) struct Source {
    state: u64,
    version: i16,
}

impl Source {
    pub(crate) fn new(seed: u64, version: i16) -> Self {
        Self {
            state: seed,
            version,
        }
    }

    pub(crate) fn version(&self) -> i16 {
        self.version
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// A type of which random values can be made.
pub(crate) trait Random {
    fn random(source: &mut Source) -> Self;
}

macro_rules! integers {
    ($($ty:ty),*) => {$(
        impl Random for $ty {
            fn random(source: &mut Source) -> Self {
                match source.below(6) {
                    0 => 0,
                    1 => Self::MAX,
                    2 => Self::MIN,
                    _ => source.next() as Self,
                }
            }
        }
    )*};
}

integers!(i8, i16, u16, i32, u32, i64);

impl Random for f64 {
    fn random(source: &mut Source) -> Self {
        source.next() as f64 / 7.0
    }
}

impl Random for bool {
    fn random(source: &mut Source) -> Self {
        source.below(2) == 0
    }
}

impl Random for Uuid {
    fn random(source: &mut Source) -> Self {
        let (high, low) = (source.next(), source.next());
        Self::from_bytes(((u128::from(high) << 64) | u128::from(low)).to_be_bytes())
    }
}

impl Random for Text {
    fn random(source: &mut Source) -> Self {
        let letters = ["a", "Z", "-", "é", "🦀", "0", "\0"];
        let count = if source.below(20) == 0 {
            200
        } else {
            source.below(8)
        };
        Self::from(
            (0..count)
                .map(|_| letters[source.below(letters.len())])
                .collect::<String>(),
        )
    }
}

impl Random for Bytes {
    fn random(source: &mut Source) -> Self {
        let count = if source.below(20) == 0 {
            300
        } else {
            source.below(10)
        };
        (0..count).map(|_| source.next() as u8).collect()
    }
}

impl<T: Random> Random for Option<T> {
    fn random(source: &mut Source) -> Self {
        (source.below(4) > 0).then(|| T::random(source))
    }
}

impl<T: Random> Random for Vec<T> {
    fn random(source: &mut Source) -> Self {
        (0..source.below(4)).map(|_| T::random(source)).collect()
    }
}
