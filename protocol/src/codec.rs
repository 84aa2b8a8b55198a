//! The two cursors over a message's bytes, and what can be wrong with them.
//!
//! Invariants: every length is compared with the bytes that remain before anything is allocated;
//! strings, bytes and records come out as slices of the frame.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Why bytes are not the message they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The message ends before its fields do.
    #[error("message ends early: {needed} more bytes needed, {remaining} left")]
    Truncated {
        /// Bytes that the next field takes.
        needed: usize,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A length or count is negative, or larger than what is left can hold.
    #[error("length {length} is impossible with {remaining} bytes left")]
    Length {
        /// The announced length or count.
        length: i64,
        /// Bytes that are left.
        remaining: usize,
    },
    /// A field that has to be there is null.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// Structure and field.
        field: &'static str,
        /// Version of the message.
        version: i16,
    },
    /// A variable-length integer has more digits than its type.
    #[error("variable-length integer is longer than {0} bytes")]
    Varint(u8),
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
    /// Bytes are left after the last field.
    #[error("{0} bytes are left over after the last field")]
    Trailing(usize),
    /// This build does not know the version.
    #[error("{message} has no version {version}")]
    Version {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// This build does not know the API.
    #[error("unknown api key {0}")]
    ApiKey(i16),
}

/// Why a message cannot be written in the version asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field is set that this version has no place for and that must not be dropped in silence.
    #[error("{field} is set, but version {version} cannot carry it")]
    NotInVersion {
        /// Structure and field.
        field: &'static str,
        /// Version of the message.
        version: i16,
    },
    /// A field that has to be there is null.
    #[error("{field} is null, which version {version} does not allow")]
    Null {
        /// Structure and field.
        field: &'static str,
        /// Version of the message.
        version: i16,
    },
    /// A length does not fit its field.
    #[error("{0} bytes or elements are too many for one field")]
    TooLong(usize),
    /// This build does not know the version.
    #[error("{message} has no version {version}")]
    Version {
        /// Name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Some bytes are announced and not there, where all must be.
    #[error("{0} bytes of records are elsewhere")]
    Elsewhere(usize),
}

/// A place in encoded bytes where bytes from elsewhere belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Encoded bytes before the place.
    pub at: usize,
    /// Bytes that belong there.
    pub length: usize,
}

/// Writes one message in one version.
#[derive(Debug)]
pub struct Encoder {
    buf: BytesMut,
    holes: Vec<Hole>,
    version: i16,
    flexible: bool,
}

impl Encoder {
    /// Appends to `buf`; `flexible` says whether lengths are compact and tags are there (KIP-482).
    pub fn new(buf: BytesMut, version: i16, flexible: bool) -> Self {
        Self {
            buf,
            holes: Vec::new(),
            version,
            flexible,
        }
    }

    /// Version of the message being written.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message is of a flexible version.
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// The buffer, for fields of fixed size.
    pub fn buf(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// The buffer with everything written, and where bytes from elsewhere belong, in order.
    pub fn into_outline(self) -> (BytesMut, Vec<Hole>) {
        (self.buf, self.holes)
    }

    /// Leaves room for `length` bytes that are not copied through this buffer.
    pub fn leave_hole(&mut self, length: usize) {
        if length > 0 {
            let at = self.buf.len();
            self.holes.push(Hole { at, length });
        }
    }

    /// Unsigned variable-length integer, seven bits a byte, low bits first.
    pub fn put_uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.buf.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.buf.put_u8(value as u8);
    }

    /// Length of a string: `None` is null.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] past 32,767 bytes (past `u32` in flexible versions).
    pub fn put_text_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        if self.flexible {
            return self.put_compact_length(length);
        }
        match length {
            None => self.buf.put_i16(-1),
            Some(n) => self
                .buf
                .put_i16(i16::try_from(n).map_err(|_| EncodeError::TooLong(n))?),
        }
        Ok(())
    }

    /// Length of bytes or of an array: `None` is null.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`] past `i32::MAX`.
    pub fn put_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        if self.flexible {
            return self.put_compact_length(length);
        }
        match length {
            None => self.buf.put_i32(-1),
            Some(n) => self
                .buf
                .put_i32(i32::try_from(n).map_err(|_| EncodeError::TooLong(n))?),
        }
        Ok(())
    }

    fn put_compact_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        match length {
            None => self.put_uvarint(0),
            Some(n) => {
                let shifted = n.checked_add(1).and_then(|n| u32::try_from(n).ok());
                self.put_uvarint(shifted.ok_or(EncodeError::TooLong(n))?);
            }
        }
        Ok(())
    }

    /// One tagged field: tag, size, content.
    ///
    /// # Errors
    /// What `content` returns, or [`EncodeError::TooLong`].
    pub fn put_tagged(
        &mut self,
        tag: u32,
        content: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut inner = Self::new(BytesMut::new(), self.version, self.flexible);
        content(&mut inner)?;
        let size = inner.buf.len() + bytes_of(&inner.holes);
        self.put_uvarint(tag);
        self.put_uvarint(u32::try_from(size).map_err(|_| EncodeError::TooLong(size))?);
        let before = self.buf.len();
        self.buf.unsplit(inner.buf);
        self.holes.extend(inner.holes.iter().map(|hole| Hole {
            at: before + hole.at,
            ..*hole
        }));
        Ok(())
    }
}

/// Bytes that belong into `holes`.
pub(crate) fn bytes_of(holes: &[Hole]) -> usize {
    holes.iter().map(|hole| hole.length).sum()
}

/// Reads one message in one version.
#[derive(Debug)]
pub struct Decoder {
    buf: Bytes,
    version: i16,
    flexible: bool,
}

impl Decoder {
    /// Reads from the front of `buf`; see [`Encoder::new`] for `flexible`.
    pub fn new(buf: Bytes, version: i16, flexible: bool) -> Self {
        Self {
            buf,
            version,
            flexible,
        }
    }

    /// Version of the message being read.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message is of a flexible version.
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes that are left.
    pub fn remaining(&self) -> usize {
        self.buf.len()
    }

    /// What is left, as it is.
    pub fn into_rest(self) -> Bytes {
        self.buf
    }

    /// The buffer, after checking that it still holds `needed` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn need(&mut self, needed: usize) -> Result<&mut Bytes, DecodeError> {
        if self.buf.len() < needed {
            return Err(DecodeError::Truncated {
                needed,
                remaining: self.buf.len(),
            });
        }
        Ok(&mut self.buf)
    }

    /// The next `length` bytes, shared with the frame.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        Ok(self.need(length)?.split_to(length))
    }

    /// Unsigned variable-length integer of at most five bytes.
    ///
    /// # Errors
    /// [`DecodeError::Varint`] or [`DecodeError::Truncated`].
    pub fn get_uvarint(&mut self) -> Result<u32, DecodeError> {
        let mut value: u32 = 0;
        for shift in [0u32, 7, 14, 21, 28] {
            let byte = self.need(1)?.get_u8();
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(DecodeError::Varint(5));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint(5))
    }

    /// Length of a string; `None` is null.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it exceeds what is left.
    pub fn get_text_length(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return self.get_compact_length();
        }
        let length = self.need(2)?.get_i16();
        self.check_length(i64::from(length))
    }

    /// Length of bytes or count of an array (whose elements take at least a byte each); `None` is null.
    ///
    /// # Errors
    /// [`DecodeError::Length`] when it exceeds what is left.
    pub fn get_length(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return self.get_compact_length();
        }
        let length = self.need(4)?.get_i32();
        self.check_length(i64::from(length))
    }

    fn get_compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        let length = self.get_uvarint()?;
        self.check_length(i64::from(length) - 1)
    }

    fn check_length(&self, length: i64) -> Result<Option<usize>, DecodeError> {
        let remaining = self.buf.len();
        match usize::try_from(length) {
            Ok(n) if n <= remaining => Ok(Some(n)),
            Err(_) if length == -1 => Ok(None),
            _ => Err(DecodeError::Length { length, remaining }),
        }
    }

    /// Reads the tagged fields of a structure; `known` decodes those it knows and returns whether
    /// it did. What it does not know is skipped (KIP-482).
    ///
    /// # Errors
    /// What `known` returns, or that the section is damaged.
    pub fn get_tagged(
        &mut self,
        mut known: impl FnMut(u32, &mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        for _ in 0..self.get_uvarint()? {
            let tag = self.get_uvarint()?;
            let size = self.get_uvarint()? as usize;
            let mut content = Self::new(self.take(size)?, self.version, self.flexible);
            if known(tag, &mut content)? && content.remaining() > 0 {
                return Err(DecodeError::Trailing(content.remaining()));
            }
        }
        Ok(())
    }
}
