//! The task that owns a connection's socket.
//!
//! Invariant: each turn of its loop does one synchronous step; what arrives never makes it
//! allocate more than a frame announces and carries.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::error::RequestError;

/// Frames taken from the queue before the socket took the first of them.
const OUTBOX_MAX: usize = 8;
/// Room for the start of a frame; more is reserved once its length is known.
const INBOX_BYTES: usize = 4 << 10;
/// Room added at a time while a large frame arrives.
const INBOX_STEP: usize = 1 << 20;

/// A request on its way out.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) frame: Bytes,
    pub(super) correlation_id: i32,
    pub(super) api: &'static str,
    pub(super) timeout: Duration,
    pub(super) deadline: Instant,
    /// Whether the broker answers; otherwise the reply means that the frame was written.
    pub(super) answered: bool,
    pub(super) reply: oneshot::Sender<Result<Bytes, RequestError>>,
}

#[derive(Debug)]
struct Waiting {
    api: &'static str,
    timeout: Duration,
    deadline: Instant,
    reply: oneshot::Sender<Result<Bytes, RequestError>>,
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// Its client is gone.
    Closed,
    /// An answer did not come in time; it is the answer to this request.
    Late(i32),
    /// The socket failed, or ended.
    Socket(io::Error),
    /// The broker broke the protocol.
    Protocol(&'static str),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("no longer used"),
            Self::Late(id) => write!(f, "no answer to request {id} in time"),
            Self::Socket(error) => write!(f, "socket: {error}"),
            Self::Protocol(what) => write!(f, "broker broke the protocol: {what}"),
        }
    }
}

/// Owner of one socket.
#[derive(Debug)]
pub(super) struct Task {
    address: Arc<str>,
    stream: TcpStream,
    queue: mpsc::Receiver<Outgoing>,
    response_max_bytes: usize,
    outbox: VecDeque<Outgoing>,
    waiting: HashMap<i32, Waiting>,
    inbox: BytesMut,
}

impl Task {
    pub(super) fn new(
        address: Arc<str>,
        stream: TcpStream,
        queue: mpsc::Receiver<Outgoing>,
        response_max_bytes: usize,
    ) -> Self {
        Self {
            address,
            stream,
            queue,
            response_max_bytes,
            outbox: VecDeque::new(),
            waiting: HashMap::new(),
            inbox: BytesMut::new(),
        }
    }

    /// Serves until the handles are gone, the socket fails or `cancel` says so.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
        let end = tokio::select! {
            end = self.serve() => end,
            () = cancel.cancelled() => End::Closed,
        };
        debug!(target: "logway_client", address = %self.address, %end, "connection ended");
        self.queue.close();
        let late = if let End::Late(id) = end {
            Some(id)
        } else {
            None
        };
        while let Ok(outgoing) = self.queue.try_recv() {
            self.outbox.push_back(outgoing);
        }
        for outgoing in std::mem::take(&mut self.outbox) {
            self.wait_for(outgoing);
        }
        for (id, waiting) in self.waiting.drain() {
            let (address, api) = (self.address.clone(), waiting.api);
            let error = match (late, &end) {
                (_, End::Closed) => RequestError::Closed,
                (Some(late), _) if late == id => RequestError::TimedOut {
                    address,
                    api,
                    after: waiting.timeout,
                },
                _ => RequestError::Disconnected { address, api },
            };
            // Nobody may be waiting any more.
            drop(waiting.reply.send(Err(error)));
        }
    }

    async fn serve(&mut self) -> End {
        let mut open = true;
        loop {
            if !open && self.waiting.is_empty() && self.outbox.is_empty() {
                return End::Closed;
            }
            let late = self.next_late();
            let deadline = late.map_or_else(Instant::now, |(deadline, _)| deadline);
            self.make_room();
            let (mut reader, mut writer) = self.stream.split();
            let takes_more = open && self.outbox.len() < OUTBOX_MAX;
            let first = self.outbox.front_mut().map(|outgoing| &mut outgoing.frame);
            let has_first = first.is_some();
            let mut nothing = Bytes::new();
            tokio::select! {
                outgoing = self.queue.recv(), if takes_more => {
                    match outgoing {
                        Some(outgoing) => self.outbox.push_back(outgoing),
                        None => open = false,
                    }
                }
                written = writer.write_buf(first.unwrap_or(&mut nothing)), if has_first => {
                    match written {
                        Ok(0) => return End::Socket(io::ErrorKind::WriteZero.into()),
                        Ok(_) => self.finish_written(),
                        Err(error) => return End::Socket(error),
                    }
                }
                read = reader.read_buf(&mut self.inbox) => match read {
                    Ok(0) => return End::Socket(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {
                        if let Err(what) = self.take_frames() {
                            return End::Protocol(what);
                        }
                    }
                    Err(error) => return End::Socket(error),
                },
                () = tokio::time::sleep_until(deadline), if late.is_some() => {
                    return End::Late(late.map_or(0, |(_, id)| id));
                }
            }
        }
    }

    fn next_late(&self) -> Option<(Instant, i32)> {
        let waiting = self
            .waiting
            .iter()
            .map(|(id, waiting)| (waiting.deadline, *id));
        let outgoing = self
            .outbox
            .iter()
            .map(|out| (out.deadline, out.correlation_id));
        waiting.chain(outgoing).min()
    }

    fn make_room(&mut self) {
        let missing = match self.announced() {
            Some(length) => (length + 4)
                .saturating_sub(self.inbox.len())
                .min(INBOX_STEP),
            None => INBOX_BYTES,
        };
        if self.inbox.capacity() - self.inbox.len() < missing.min(INBOX_BYTES) {
            self.inbox.reserve(missing.max(INBOX_BYTES));
        }
    }

    fn announced(&self) -> Option<usize> {
        self.inbox
            .first_chunk::<4>()
            .map(|length| u32::from_be_bytes(*length) as usize)
    }

    fn finish_written(&mut self) {
        if self
            .outbox
            .front()
            .is_some_and(|outgoing| outgoing.frame.is_empty())
            && let Some(outgoing) = self.outbox.pop_front()
        {
            if outgoing.answered {
                self.wait_for(outgoing);
            } else {
                drop(outgoing.reply.send(Ok(Bytes::new())));
            }
        }
    }

    fn wait_for(&mut self, outgoing: Outgoing) {
        let Outgoing {
            correlation_id,
            api,
            timeout,
            deadline,
            reply,
            ..
        } = outgoing;
        self.waiting.insert(
            correlation_id,
            Waiting {
                api,
                timeout,
                deadline,
                reply,
            },
        );
    }

    fn take_frames(&mut self) -> Result<(), &'static str> {
        while let Some(length) = self.announced() {
            if length < 4 || length > self.response_max_bytes {
                return Err("answer of impossible length");
            }
            if self.inbox.len() < length + 4 {
                break;
            }
            self.inbox.advance(4);
            let frame = self.inbox.split_to(length).freeze();
            let id = frame.first_chunk::<4>().map(|id| i32::from_be_bytes(*id));
            let waiting = id.and_then(|id| self.waiting.remove(&id));
            let Some(waiting) = waiting else {
                return Err("answer to a request that was not sent");
            };
            // Nobody may be waiting any more.
            drop(waiting.reply.send(Ok(frame)));
        }
        Ok(())
    }
}
