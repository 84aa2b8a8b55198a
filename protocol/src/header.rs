//! Request and response headers, and whole frames: four bytes of length, header, body.
//!
//! A request's header is of version 1 (client id) or 2 (flexible: tags); a response's of 0 or 1.
//! The answer to ApiVersions always has a header of version 0 (KIP-511).

use bytes::{BufMut, Bytes, BytesMut};

use crate::api_key::ApiKey;
use crate::codec::{DecodeError, Decoder, EncodeError, Encoder, Hole, bytes_of};
use crate::message::{Message, Request};
use crate::text::Text;
use crate::wire::Wire;

/// What stands before every request's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// Number of the API; see [`ApiKey::from_code`].
    pub api_key: i16,
    /// Version of the body.
    pub api_version: i16,
    /// Echoed in the response.
    pub correlation_id: i32,
    /// The client's own name for itself.
    pub client_id: Option<Text>,
}

impl ApiKey {
    /// Version of the request header before a body of `version`.
    pub fn request_header_version(self, version: i16) -> i16 {
        if version >= self.flexible_from() {
            2
        } else {
            1
        }
    }

    /// Version of the response header before a body of `version`.
    pub fn response_header_version(self, version: i16) -> i16 {
        if self != Self::ApiVersions && version >= self.flexible_from() {
            1
        } else {
            0
        }
    }
}

/// Splits a frame (without its length) into header and body.
///
/// An API or version that this build does not know is read with a header of version 1, so that it
/// can be answered with UNSUPPORTED_VERSION; its body is then whatever follows the client id.
///
/// # Errors
/// The bytes are not a header.
pub fn decode_request_header(frame: Bytes) -> Result<(RequestHeader, Bytes), DecodeError> {
    let mut input = Decoder::new(frame, 1, false);
    let mut header = RequestHeader {
        api_key: i16::decode(&mut input)?,
        api_version: i16::decode(&mut input)?,
        correlation_id: i32::decode(&mut input)?,
        client_id: None,
    };
    // The client id keeps its 16-bit length in flexible headers too.
    header.client_id = Wire::decode(&mut input)?;
    let known = ApiKey::from_code(header.api_key).filter(|key| {
        key.versions()
            .is_some_and(|v| v.contains(&header.api_version))
    });
    if known.is_some_and(|key| key.request_header_version(header.api_version) == 2) {
        input.get_tagged(|_, _| Ok(false))?;
    }
    Ok((header, input.into_rest()))
}

/// Reads a response's header; returns the correlation id and the body.
///
/// # Errors
/// The bytes are not a header.
pub fn decode_response_header(
    api: ApiKey,
    version: i16,
    frame: Bytes,
) -> Result<(i32, Bytes), DecodeError> {
    let mut input = Decoder::new(frame, version, false);
    let correlation_id = i32::decode(&mut input)?;
    if api.response_header_version(version) == 1 {
        input.get_tagged(|_, _| Ok(false))?;
    }
    Ok((correlation_id, input.into_rest()))
}

/// A whole request frame, its length included.
///
/// # Errors
/// The version is unknown or cannot carry what is set.
pub fn encode_request<R: Request>(
    correlation_id: i32,
    client_id: Option<&str>,
    version: i16,
    body: &R,
) -> Result<Bytes, EncodeError> {
    let mut buf = BytesMut::with_capacity(64);
    buf.put_i32(0);
    buf.put_i16(R::KEY.code());
    buf.put_i16(version);
    buf.put_i32(correlation_id);
    let mut out = Encoder::new(buf, 1, false);
    client_id.map(Text::from).encode(&mut out)?;
    if R::KEY.request_header_version(version) == 2 {
        out.put_uvarint(0);
    }
    let (buf, _) = out.into_outline();
    whole(finish_frame(buf, version, body)?)
}

/// A whole response frame, its length included.
///
/// # Errors
/// The version is unknown or cannot carry what is set.
pub fn encode_response<M: Message>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Bytes, EncodeError> {
    whole(encode_response_outline(api, version, correlation_id, body)?)
}

/// A response frame whose records may be elsewhere: its length counts them.
///
/// # Errors
/// The version is unknown or cannot carry what is set.
pub fn encode_response_outline<M: Message>(
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    body: &M,
) -> Result<Outline, EncodeError> {
    let mut buf = BytesMut::with_capacity(256);
    buf.put_i32(0);
    buf.put_i32(correlation_id);
    if api.response_header_version(version) == 1 {
        buf.put_u8(0);
    }
    finish_frame(buf, version, body)
}

/// A frame without the bytes that its holes stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// What is encoded.
    pub bytes: Bytes,
    /// Where other bytes belong, in order.
    pub holes: Vec<Hole>,
}

fn finish_frame<M: Message>(
    mut buf: BytesMut,
    version: i16,
    body: &M,
) -> Result<Outline, EncodeError> {
    let holes = body.write_outline(&mut buf, version)?;
    let size = buf.len() - 4 + bytes_of(&holes);
    let length = i32::try_from(size).map_err(|_| EncodeError::TooLong(size))?;
    if let Some(prefix) = buf.get_mut(..4) {
        prefix.copy_from_slice(&length.to_be_bytes());
    }
    Ok(Outline {
        bytes: buf.freeze(),
        holes,
    })
}

fn whole(frame: Outline) -> Result<Bytes, EncodeError> {
    match bytes_of(&frame.holes) {
        0 => Ok(frame.bytes),
        elsewhere => Err(EncodeError::Elsewhere(elsewhere)),
    }
}
