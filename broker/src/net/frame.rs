//! Cuts a connection's byte stream into request frames (4-byte length, then that many bytes).
//! Invariant: memory grows with the bytes that arrive, never with the length that is announced, and
//! a frame's body is one contiguous slice that handlers pass on without copying. Step 6.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::budget::{ByteBudget, BytePermit};

/// Smallest read: small requests and their length prefix arrive in one system call.
const READ_BYTES: usize = 8 * 1024;
/// Largest step by which a buffer grows ahead of the bytes that arrived.
const GROW_BYTES: usize = 1024 * 1024;
/// Shortest possible request: api key, version and correlation id.
const FRAME_BYTES_MIN: usize = 8;

/// Why a connection's bytes are not a request.
#[derive(Debug, Error)]
pub(crate) enum FrameError {
    #[error("request announces {announced} bytes, more than socket.request.max.bytes {limit}")]
    TooLarge { announced: i64, limit: usize },
    #[error("request announces {announced} bytes, too few for a header")]
    TooSmall { announced: i64 },
    #[error("connection closed in the middle of a request, {missing} bytes missing")]
    Truncated { missing: usize },
    #[error("read from connection: {0}")]
    Io(#[source] std::io::Error),
}

/// One request's bytes without the length prefix, and the memory they were charged to.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) body: Bytes,
    pub(crate) permit: BytePermit,
}

/// What came of waiting for bytes.
#[derive(Debug)]
pub(crate) enum Received {
    /// A whole frame.
    Frame(Frame),
    /// Some bytes of a frame that is not complete: its sender has made progress, and from now on has
    /// to make more.
    Part,
    /// The peer closed between two frames.
    End,
}

/// Reads frames. Cancel-safe: all progress lives in the reader.
#[derive(Debug)]
pub(crate) struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    /// Length of the frame under way, its prefix already taken off the buffer.
    announced: Option<usize>,
    permit: Option<BytePermit>,
    limit: usize,
    budget: ByteBudget,
    received: u64,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(stream: R, limit: usize, budget: ByteBudget) -> FrameReader<R> {
        FrameReader {
            stream,
            buffer: BytesMut::new(),
            announced: None,
            permit: None,
            limit,
            budget,
            received: 0,
        }
    }

    /// True while a frame has begun and is not complete: such a sender must keep sending.
    pub(crate) fn is_partial(&self) -> bool {
        match self.announced {
            // A frame that waits for the budget is our delay, not the sender's.
            Some(_) => self.permit.is_some(),
            None => !self.buffer.is_empty(),
        }
    }

    /// Bytes received so far: moves exactly when the sender makes progress.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes of memory held for what has not become a frame yet.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Waits until bytes have come, or for the next frame if its bytes are here already.
    pub(crate) async fn next(&mut self) -> Result<Received, FrameError> {
        let received = self.received;
        loop {
            if self.announced.is_none() && self.buffer.len() >= 4 {
                self.announced = Some(self.take_length()?);
            }
            if let Some(length) = self.announced {
                if self.permit.is_none() {
                    self.permit = match self.budget.try_take(length) {
                        Some(permit) => Some(permit),
                        None => Some(self.budget.take(length).await),
                    };
                }
                if self.buffer.len() >= length {
                    return Ok(self.take_frame(length));
                }
            }
            if self.received != received {
                return Ok(Received::Part);
            }
            if !self.fill().await? {
                return self.end();
            }
        }
    }

    fn take_length(&mut self) -> Result<usize, FrameError> {
        let announced = i64::from(self.buffer.get_i32());
        let length = usize::try_from(announced).map_err(|_| FrameError::TooSmall { announced })?;
        if length < FRAME_BYTES_MIN {
            return Err(FrameError::TooSmall { announced });
        }
        if length > self.limit {
            return Err(FrameError::TooLarge {
                announced,
                limit: self.limit,
            });
        }
        Ok(length)
    }

    fn take_frame(&mut self, length: usize) -> Received {
        self.announced = None;
        let permit = self.permit.take();
        let permit = permit.expect("taken before the frame's bytes are waited for");
        Received::Frame(Frame {
            body: self.buffer.split_to(length).freeze(),
            permit,
        })
    }

    /// Reads once. False at the end of the stream.
    async fn fill(&mut self) -> Result<bool, FrameError> {
        let missing = match self.announced {
            Some(length) => length - self.buffer.len(),
            None => READ_BYTES,
        };
        let room = self.buffer.capacity() - self.buffer.len();
        if room < missing.min(READ_BYTES) {
            self.buffer
                .reserve(missing.min(GROW_BYTES.max(self.buffer.len())));
        }
        let count = self
            .stream
            .read_buf(&mut self.buffer)
            .await
            .map_err(FrameError::Io)?;
        self.received += count as u64;
        Ok(count > 0)
    }

    fn end(&self) -> Result<Received, FrameError> {
        match self.announced {
            Some(length) => Err(FrameError::Truncated {
                missing: length - self.buffer.len(),
            }),
            None if self.buffer.is_empty() => Ok(Received::End),
            None => Err(FrameError::Truncated {
                missing: 4 - self.buffer.len(),
            }),
        }
    }
}
