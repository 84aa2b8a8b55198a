//! Topic and cluster ids: 16 bytes, written as Kafka writes them (KIP-516).

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A 128-bit id. Its text form is URL-safe base64 without padding, 22 characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

/// The text is not 22 characters of URL-safe base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an id: expected 22 characters of URL-safe base64")]
pub struct ParseUuidError(String);

impl Uuid {
    /// The id that stands for "none".
    pub const ZERO: Self = Self([0; 16]);

    /// An id of these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = u128::from_be_bytes(self.0);
        for digit in 0..22u32 {
            // 22 digits of 6 bits hold 132 bits: the last digit carries 2 bits, left-aligned.
            let sextet = if digit == 21 {
                (value << 4) & 0x3f
            } else {
                (value >> (122 - 6 * digit)) & 0x3f
            };
            let letter = ALPHABET
                .get(usize::try_from(sextet).unwrap_or(0))
                .copied()
                .unwrap_or(b'A');
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let invalid = || ParseUuidError(text.to_owned());
        let digits = text.trim_end_matches('=').as_bytes();
        if digits.len() != 22 {
            return Err(invalid());
        }
        let mut value: u128 = 0;
        for (i, digit) in digits.iter().enumerate() {
            let sextet = ALPHABET
                .iter()
                .position(|letter| letter == digit)
                .ok_or_else(invalid)? as u128;
            value = if i == 21 {
                (value << 2) | (sextet >> 4)
            } else {
                (value << 6) | sextet
            };
        }
        Ok(Self(value.to_be_bytes()))
    }
}
