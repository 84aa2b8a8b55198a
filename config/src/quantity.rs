//! Values with a unit: byte sizes and durations as plain integers or as text such as "64MiB" and "10s".
//!
//! **Invariant:** an integer means exactly the unit in the key's name; text is converted without rounding.

use std::{fmt, marker::PhantomData, net::SocketAddr};

use serde::{Deserialize, Deserializer, de};

const BYTE_UNITS: &[(&str, i64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

const MS_UNITS: &[(&str, i64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A byte size: an integer, or text with one of the units of `BYTE_UNITS`.
pub(crate) fn bytes<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let example = "a number of bytes such as 1048576 or \"1MiB\"";
    input.deserialize_any(Quantity {
        units: BYTE_UNITS,
        example,
        target: PhantomData,
    })
}

/// Like [`bytes`], for a setting that may be left out.
pub(crate) fn bytes_option<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    bytes(input).map(Some)
}

/// Milliseconds: an integer, or text with one of the units of `MS_UNITS`.
pub(crate) fn ms<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    let example = "a number of milliseconds such as 10000 or \"10s\"";
    input.deserialize_any(Quantity {
        units: MS_UNITS,
        example,
        target: PhantomData,
    })
}

/// Like [`ms`], for a setting that may be left out.
pub(crate) fn ms_option<'de, D, T>(input: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i64>,
{
    ms(input).map(Some)
}

/// An address to listen on: `IP:PORT`; port 0 lets the system choose.
pub(crate) fn address<'de, D: Deserializer<'de>>(input: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!(
            "\"{text}\" is not an address to listen on; write IP:PORT, such as \"127.0.0.1:9092\""
        ))
    })
}

/// Like [`address`], for a setting that may be left out.
pub(crate) fn address_option<'de, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<SocketAddr>, D::Error> {
    address(input).map(Some)
}

struct Quantity<T> {
    units: &'static [(&'static str, i64)],
    example: &'static str,
    target: PhantomData<T>,
}

impl<T: TryFrom<i64>> Quantity<T> {
    fn fit<E: de::Error>(&self, value: i64) -> Result<T, E> {
        T::try_from(value).map_err(|_| {
            E::custom(format!(
                "{value} is out of range; expected {}",
                self.example
            ))
        })
    }
}

impl<T: TryFrom<i64>> de::Visitor<'_> for Quantity<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.example)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        self.fit(value)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        let value = i64::try_from(value).map_err(|_| E::custom("the number is out of range"))?;
        self.fit(value)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let factor = self
            .units
            .iter()
            .find(|(name, _)| *name == unit.trim_start());
        let value = number
            .parse::<i64>()
            .ok()
            .zip(factor)
            .and_then(|(number, (_, factor))| number.checked_mul(*factor));
        let Some(value) = value else {
            let units: Vec<&str> = self.units.iter().map(|(name, _)| *name).collect();
            return Err(E::custom(format!(
                "\"{text}\" is not {}; the units are {}",
                self.example,
                units.join(", ")
            )));
        };
        self.fit(value)
    }
}
