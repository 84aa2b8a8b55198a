//! How each primitive of Kafka's protocol stands on the wire.

use bytes::{Buf, BufMut, Bytes};

use crate::codec::{DecodeError, Decoder, EncodeError, Encoder};
use crate::text::Text;
use crate::uuid::Uuid;

/// A value with a place on the wire: a primitive, an array or a structure.
pub trait Wire: Sized {
    /// Appends the value.
    ///
    /// # Errors
    /// The value has no place in the encoder's version, or is too long.
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError>;

    /// Takes the value from the front of `input`.
    ///
    /// # Errors
    /// The bytes are not such a value.
    fn decode(input: &mut Decoder) -> Result<Self, DecodeError>;

    /// Whether this is the null of a nullable type.
    fn is_null(&self) -> bool {
        false
    }

    /// Tells the client to be silent for that long, where the value has a place for it: a response
    /// with a field `throttle_time_ms`. Whether it has.
    fn set_throttle_time_ms(&mut self, _throttle_time_ms: i32) -> bool {
        false
    }
}

/// Marks structures, of which arrays and nullable fields may be made.
pub trait Structure: Wire {}

macro_rules! fixed {
    ($($ty:ty, $size:literal, $get:ident, $put:ident;)*) => {$(
        impl Wire for $ty {
            fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
                out.buf().$put(*self);
                Ok(())
            }

            fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
                Ok(input.need($size)?.$get())
            }
        }
    )*};
}

fixed! {
    i8, 1, get_i8, put_i8;
    i16, 2, get_i16, put_i16;
    u16, 2, get_u16, put_u16;
    i32, 4, get_i32, put_i32;
    u32, 4, get_u32, put_u32;
    i64, 8, get_i64, put_i64;
    f64, 8, get_f64, put_f64;
}

impl Wire for bool {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.buf().put_u8(u8::from(*self));
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(input.need(1)?.get_u8() != 0)
    }
}

impl Wire for Uuid {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        out.buf().put_slice(self.as_bytes());
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Self::from_bytes(input.need(16)?.get_u128().to_be_bytes()))
    }
}

fn encode_text(text: Option<&Text>, out: &mut Encoder) -> Result<(), EncodeError> {
    out.put_text_length(text.map(|text| text.as_bytes().len()))?;
    out.buf().put_slice(text.map_or(&[], Text::as_bytes));
    Ok(())
}

fn decode_text(input: &mut Decoder) -> Result<Option<Text>, DecodeError> {
    let Some(length) = input.get_text_length()? else {
        return Ok(None);
    };
    let text = Text::from_utf8(input.take(length)?).map_err(|_| DecodeError::Utf8)?;
    Ok(Some(text))
}

const NULL: DecodeError = DecodeError::Length {
    length: -1,
    remaining: 0,
};

impl Wire for Text {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_text(Some(self), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_text(input)?.ok_or(NULL)
    }
}

impl Wire for Option<Text> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_text(self.as_ref(), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_text(input)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

fn encode_bytes(bytes: Option<&Bytes>, out: &mut Encoder) -> Result<(), EncodeError> {
    out.put_length(bytes.map(Bytes::len))?;
    out.buf().put_slice(bytes.map_or(&[], |bytes| bytes));
    Ok(())
}

fn decode_bytes(input: &mut Decoder) -> Result<Option<Bytes>, DecodeError> {
    match input.get_length()? {
        None => Ok(None),
        Some(length) => input.take(length).map(Some),
    }
}

impl Wire for Bytes {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_bytes(Some(self), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_bytes(input)?.ok_or(NULL)
    }
}

impl Wire for Option<Bytes> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_bytes(self.as_ref(), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_bytes(input)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

fn encode_array<T: Wire>(items: Option<&Vec<T>>, out: &mut Encoder) -> Result<(), EncodeError> {
    out.put_length(items.map(Vec::len))?;
    items
        .into_iter()
        .flatten()
        .try_for_each(|item| item.encode(out))
}

/// Elements reserved ahead of their bytes: an announced count alone allocates no more than this.
const RESERVE_MAX: usize = 64;

fn decode_array<T: Wire>(input: &mut Decoder) -> Result<Option<Vec<T>>, DecodeError> {
    let Some(count) = input.get_length()? else {
        return Ok(None);
    };
    let mut items = Vec::with_capacity(count.min(RESERVE_MAX));
    for _ in 0..count {
        items.push(T::decode(input)?);
    }
    Ok(Some(items))
}

impl<T: Wire> Wire for Vec<T> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_array(Some(self), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_array(input)?.ok_or(NULL)
    }
}

impl<T: Wire> Wire for Option<Vec<T>> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        encode_array(self.as_ref(), out)
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        decode_array(input)
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

impl<T: Structure> Wire for Option<T> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        match self {
            None => out.buf().put_i8(-1),
            Some(value) => {
                out.buf().put_i8(1);
                value.encode(out)?;
            }
        }
        Ok(())
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        match i8::decode(input)? {
            marker if marker < 0 => Ok(None),
            _ => T::decode(input).map(Some),
        }
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}
