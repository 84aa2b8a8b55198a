//! The `records` of a fetch response: bytes, or only their number.
//!
//! Invariant: what is decoded is bytes; a response that announces bytes from elsewhere can only be
//! encoded by [`crate::header::encode_response_outline`], which says where they belong.

use std::ops::Deref;

use bytes::{BufMut, Bytes};

use crate::codec::{DecodeError, Decoder, EncodeError, Encoder};
use crate::wire::Wire;

/// Whole record batches as a field of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordsField {
    /// The batches.
    Bytes(Bytes),
    /// So many bytes that whoever writes the frame puts in, for example from a file.
    Elsewhere(usize),
}

static NONE_HERE: Bytes = Bytes::new();

impl RecordsField {
    /// The bytes; none if they are elsewhere.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Elsewhere(_) => Bytes::new(),
        }
    }
}

impl From<Bytes> for RecordsField {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Deref for RecordsField {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Elsewhere(_) => &NONE_HERE,
        }
    }
}

impl Wire for Option<RecordsField> {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        match self {
            None => out.put_length(None),
            Some(RecordsField::Bytes(bytes)) => {
                out.put_length(Some(bytes.len()))?;
                out.buf().put_slice(bytes);
                Ok(())
            }
            Some(RecordsField::Elsewhere(length)) => {
                out.put_length(Some(*length))?;
                out.leave_hole(*length);
                Ok(())
            }
        }
    }

    fn decode(input: &mut Decoder) -> Result<Self, DecodeError> {
        Ok(Option::<Bytes>::decode(input)?.map(RecordsField::Bytes))
    }

    fn is_null(&self) -> bool {
        self.is_none()
    }
}

#[cfg(test)]
impl crate::random::Random for RecordsField {
    fn random(source: &mut crate::random::Source) -> Self {
        RecordsField::Bytes(crate::random::Random::random(source))
    }
}
