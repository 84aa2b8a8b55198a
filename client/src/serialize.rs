//! From values to the bytes of keys and values, and back, in the formats of Kafka's own
//! (de)serializers.
//!
//! Invariant: `null` is no value: a serializer may make one, a deserializer never sees one. Who
//! sends and reads bytes pays nothing for any of this. Steps 5 and 10 of the hallway.

#[cfg(feature = "json")]
mod json;
mod typed;

use std::error::Error;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

#[cfg(feature = "json")]
pub use json::{JsonDeserializer, JsonSerializer};
pub use typed::TypedProducer;

/// Turns values into the bytes of a key or value.
///
/// For types of your own implement it on a type that names the format:
///
/// ```
/// use bytes::Bytes;
/// use logway_client::{Deserializer, DeserializeError, SerializeError, Serializer};
///
/// struct Celsius(f32);
/// struct Tenths;
///
/// impl Serializer<Celsius> for Tenths {
///     fn serialize(&self, _: &str, data: &Celsius) -> Result<Option<Bytes>, SerializeError> {
///         Ok(Some(format!("{:.0}", data.0 * 10.0).into()))
///     }
/// }
///
/// impl Deserializer<Celsius> for Tenths {
///     fn deserialize(&self, _: &str, data: &Bytes) -> Result<Celsius, DeserializeError> {
///         let text = std::str::from_utf8(data).map_err(DeserializeError::new)?;
///         Ok(Celsius(text.parse::<f32>().map_err(DeserializeError::new)? / 10.0))
///     }
/// }
///
/// let bytes = Tenths.serialize("weather", &Celsius(21.5)).unwrap().unwrap();
/// assert_eq!(Tenths.deserialize("weather", &bytes).unwrap().0, 21.5);
/// ```
pub trait Serializer<T: ?Sized> {
    /// The bytes of `data` for a record of `topic`; `None` is null.
    ///
    /// # Errors
    /// The value has no form in this format.
    fn serialize(&self, topic: &str, data: &T) -> Result<Option<Bytes>, SerializeError>;
}

/// Turns the bytes of a key or value into a value; see [`Serializer`] for types of your own.
pub trait Deserializer<T> {
    /// The value behind `data` from a record of `topic`.
    ///
    /// # Errors
    /// The bytes are not of this format.
    fn deserialize(&self, topic: &str, data: &Bytes) -> Result<T, DeserializeError>;
}

/// A value without a form in the format asked for.
#[derive(Debug, Clone, Error)]
#[error("value cannot be serialized")]
pub struct SerializeError(#[source] Arc<dyn Error + Send + Sync>);

impl SerializeError {
    /// With its reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into().into())
    }
}

/// Bytes that are not of the format asked for.
#[derive(Debug, Clone, Error)]
#[error("bytes cannot be deserialized")]
pub struct DeserializeError(#[source] Arc<dyn Error + Send + Sync>);

impl DeserializeError {
    /// With its reason.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(reason.into().into())
    }
}

/// Numbers as big-endian bytes.
macro_rules! numbers {
    ($($number:ty, $serializer:ident, $deserializer:ident;)*) => {$(
        #[doc = concat!("`", stringify!($number), "` as big-endian bytes, as Kafka's `",
            stringify!($serializer), "` writes it.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $serializer;

        #[doc = concat!("`", stringify!($number), "` from big-endian bytes, as Kafka's `",
            stringify!($deserializer), "` reads it.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $deserializer;

        impl Serializer<$number> for $serializer {
            fn serialize(&self, _: &str, data: &$number) -> Result<Option<Bytes>, SerializeError> {
                Ok(Some(Bytes::copy_from_slice(&data.to_be_bytes())))
            }
        }

        impl Deserializer<$number> for $deserializer {
            fn deserialize(&self, _: &str, data: &Bytes) -> Result<$number, DeserializeError> {
                let bytes = <[u8; size_of::<$number>()]>::try_from(&**data);
                let bytes = bytes.map_err(|_| length(data, size_of::<$number>()))?;
                Ok(<$number>::from_be_bytes(bytes))
            }
        }
    )*};
}

numbers! {
    i16, ShortSerializer, ShortDeserializer;
    i32, IntegerSerializer, IntegerDeserializer;
    i64, LongSerializer, LongDeserializer;
    f32, FloatSerializer, FloatDeserializer;
    f64, DoubleSerializer, DoubleDeserializer;
}

fn length(data: &Bytes, wanted: usize) -> DeserializeError {
    DeserializeError::new(format!("{} bytes instead of {wanted}", data.len()))
}

/// A format that is written and read under two names, as Kafka's classes are.
macro_rules! formats {
    ($($doc:literal, $serializer:ident, $deserializer:ident;)*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $serializer;

        #[doc = $doc]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct $deserializer;
    )*};
}

formats! {
    "Text in UTF-8.", StringSerializer, StringDeserializer;
    "Bytes as they are; `Bytes` go without a copy.", BytesSerializer, BytesDeserializer;
    "Bytes as they are, under the name of Kafka's class for `byte[]`.",
        ByteArraySerializer, ByteArrayDeserializer;
    "One byte, 0 or 1.", BooleanSerializer, BooleanDeserializer;
    "Nothing: null.", VoidSerializer, VoidDeserializer;
    "A UUID, its 16 bytes most significant first, as text: `0102…-…`, 36 characters.",
        UUIDSerializer, UUIDDeserializer;
}

impl<T: AsRef<str> + ?Sized> Serializer<T> for StringSerializer {
    fn serialize(&self, _: &str, data: &T) -> Result<Option<Bytes>, SerializeError> {
        Ok(Some(Bytes::copy_from_slice(data.as_ref().as_bytes())))
    }
}

impl Deserializer<String> for StringDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<String, DeserializeError> {
        let text = std::str::from_utf8(data).map_err(DeserializeError::new)?;
        Ok(text.to_owned())
    }
}

impl Serializer<Bytes> for BytesSerializer {
    fn serialize(&self, _: &str, data: &Bytes) -> Result<Option<Bytes>, SerializeError> {
        Ok(Some(data.clone()))
    }
}

impl Deserializer<Bytes> for BytesDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<Bytes, DeserializeError> {
        Ok(data.clone())
    }
}

impl<T: AsRef<[u8]> + ?Sized> Serializer<T> for ByteArraySerializer {
    fn serialize(&self, _: &str, data: &T) -> Result<Option<Bytes>, SerializeError> {
        Ok(Some(Bytes::copy_from_slice(data.as_ref())))
    }
}

impl Deserializer<Vec<u8>> for ByteArrayDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<Vec<u8>, DeserializeError> {
        Ok(data.to_vec())
    }
}

impl Serializer<bool> for BooleanSerializer {
    fn serialize(&self, _: &str, data: &bool) -> Result<Option<Bytes>, SerializeError> {
        Ok(Some(Bytes::from_static(if *data { &[1] } else { &[0] })))
    }
}

impl Deserializer<bool> for BooleanDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<bool, DeserializeError> {
        match &**data {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(DeserializeError::new(format!(
                "byte {other} is neither 0 nor 1"
            ))),
            _ => Err(length(data, 1)),
        }
    }
}

impl Serializer<()> for VoidSerializer {
    fn serialize(&self, _: &str, (): &()) -> Result<Option<Bytes>, SerializeError> {
        Ok(None)
    }
}

impl Deserializer<()> for VoidDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<(), DeserializeError> {
        Err(DeserializeError::new(format!(
            "{} bytes instead of null",
            data.len()
        )))
    }
}

impl Serializer<[u8; 16]> for UUIDSerializer {
    fn serialize(&self, _: &str, data: &[u8; 16]) -> Result<Option<Bytes>, SerializeError> {
        let mut text = String::with_capacity(36);
        for (at, byte) in data.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        Ok(Some(text.into()))
    }
}

impl Deserializer<[u8; 16]> for UUIDDeserializer {
    fn deserialize(&self, _: &str, data: &Bytes) -> Result<[u8; 16], DeserializeError> {
        let wrong = || DeserializeError::new("text is not a UUID of 36 characters");
        let dashes_fit = data.len() == 36
            && [8, 13, 18, 23]
                .iter()
                .all(|at| data.get(*at) == Some(&b'-'));
        if !dashes_fit {
            return Err(wrong());
        }
        let mut digits = data.iter().filter(|byte| **byte != b'-');
        let mut digit = || {
            let digit = digits
                .next()
                .and_then(|byte| char::from(*byte).to_digit(16));
            digit
                .and_then(|digit| u8::try_from(digit).ok())
                .ok_or_else(wrong)
        };
        let mut uuid = [0; 16];
        for byte in &mut uuid {
            *byte = digit()? << 4 | digit()?;
        }
        Ok(uuid)
    }
}

#[cfg(test)]
mod tests;
