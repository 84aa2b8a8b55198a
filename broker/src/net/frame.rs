//! Cuts a connection's byte stream into request frames (4-byte length, then that many bytes).
//! Invariant: memory grows with the bytes that arrive, never with the length that is announced, and
//! a frame's body is one contiguous slice that handlers pass on without copying. Step 6.
//!
//! A sender that has more on the way than one read takes gets larger reads: its small requests then
//! share a system call, and, because the connection answers what is here before it waits, their
//! replies share one too. A connection that waits for its next request holds no buffer.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

use super::budget::{ByteBudget, BytePermit};

/// Smallest read: small requests and their length prefix arrive in one system call.
const READ_BYTES: usize = 8 * 1024;
/// Largest read beyond the frame under way: what a connection may hold without having paid for it.
const READ_AHEAD_BYTES_MAX: usize = 128 * 1024;
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
    /// Bytes worth asking for at once, learned from what came before.
    read_ahead: usize,
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
            read_ahead: READ_BYTES,
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

    /// The next frame, if all of it is here and the budget has room for it now.
    pub(crate) fn buffered(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.announced.is_none()
            && let Some(prefix) = self.buffer.first_chunk()
        {
            self.announced = Some(self.take_length(*prefix)?);
        }
        let Some(length) = self.announced else {
            return Ok(None);
        };
        if self.permit.is_none() {
            self.permit = self.budget.try_take(length);
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let Some(permit) = self.permit.take() else {
            return Ok(None);
        };
        self.announced = None;
        let body = self.buffer.split_to(length).freeze();
        Ok(Some(Frame { body, permit }))
    }

    /// Waits until bytes have come, or for the next frame if its bytes are here already.
    pub(crate) async fn next(&mut self) -> Result<Received, FrameError> {
        let received = self.received;
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Received::Frame(frame));
            }
            if let (Some(length), None) = (self.announced, &self.permit) {
                self.permit = Some(self.budget.take(length).await);
                continue;
            }
            if self.received != received {
                return Ok(Received::Part);
            }
            if !self.fill().await? {
                return self.end();
            }
        }
    }

    /// Takes the prefix off the buffer, unless it is wrong: then it stays, to be found again.
    fn take_length(&mut self, prefix: [u8; 4]) -> Result<usize, FrameError> {
        let announced = i64::from(i32::from_be_bytes(prefix));
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
        self.buffer.advance(prefix.len());
        Ok(length)
    }

    /// Reads once. False at the end of the stream.
    async fn fill(&mut self) -> Result<bool, FrameError> {
        let count = poll_fn(|task| self.poll_fill(task)).await?;
        self.received += count as u64;
        Ok(count > 0)
    }

    fn poll_fill(&mut self, task: &mut Context<'_>) -> Poll<Result<usize, FrameError>> {
        let missing = self
            .announced
            .map_or(0, |length| length - self.buffer.len());
        // Behind a frame that is large by itself nothing is read: its rest would have to move.
        let grown = GROW_BYTES.max(self.buffer.len());
        let asked = missing.max(self.read_ahead).min(grown);
        let room = self.buffer.capacity() - self.buffer.len();
        if room < missing.max(READ_BYTES).min(asked) {
            self.buffer.reserve(asked);
        }
        let mut space = (&mut self.buffer).limit(asked);
        let offered = space.remaining_mut();
        let read = poll_read_buf(Pin::new(&mut self.stream), task, &mut space);
        match read {
            Poll::Ready(Ok(count)) => {
                self.learn(count, offered);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(FrameError::Io(error))),
            Poll::Pending => {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }

    /// More was on the way than was asked for, or much less.
    fn learn(&mut self, count: usize, offered: usize) {
        if count == offered {
            self.read_ahead = (self.read_ahead * 2).min(READ_AHEAD_BYTES_MAX);
        } else if count < self.read_ahead / 4 {
            self.read_ahead = (self.read_ahead / 2).max(READ_BYTES);
        }
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
