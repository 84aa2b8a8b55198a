//! One client connection: reads requests, runs them, writes replies in request order.
//! Invariant: requests are started in the order they arrived, and only produce requests overlap, so
//! appends keep their order; a peer that neither reads nor sends is cut off. Step 6.

use std::collections::VecDeque;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFuture;
use tracing::{debug, info};

use super::budget::BytePermit;
use super::frame::{Frame, FrameError, FrameReader, Received};
use super::output::{Output, Part};
use crate::context::Context;
use crate::handler::{self, Refusal, Reply, Request};
use crate::quota::Silence;

/// Requests of one connection under way at once; more stay in the socket.
const IN_FLIGHT_MAX: usize = 64;
/// Reply bytes waiting for the socket above which no further reply is collected.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A started request: its future, or the reply when the first poll finished it.
struct InFlight {
    state: InFlightState,
    pipelined: bool,
    /// Memory of the request's bytes, given back when the reply is handed to the socket.
    permit: BytePermit,
}

enum InFlightState {
    Running(Running),
    Done(Reply),
}

/// The task of one connection.
pub(crate) struct Connection {
    context: Arc<Context>,
    peer: SocketAddr,
    frames: FrameReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    in_flight: VecDeque<InFlight>,
    /// A decoded request that must wait until what is in flight has been answered.
    next: Option<(Request, BytePermit)>,
    output: Output,
    timer: Pin<Box<Sleep>>,
    progress_at: Instant,
    received_seen: u64,
    /// Quotas want the peer to be silent: nothing is read until then.
    silence: Arc<Silence>,
    /// No more requests are read: the broker stops, or the peer has closed its side.
    closing: bool,
}

/// What woke the connection.
enum Event {
    Stop,
    Frame(Result<Received, FrameError>),
    Reply(Reply, BytePermit),
    Written(std::io::Result<usize>),
    Timer,
}

impl Connection {
    pub(crate) fn new(context: Arc<Context>, stream: TcpStream, peer: SocketAddr) -> Connection {
        let (reader, writer) = stream.into_split();
        let limit = context.settings.socket_request_max_bytes as usize;
        let frames = FrameReader::new(reader, limit, context.request_budget.clone());
        let now = Instant::now();
        Connection {
            timer: Box::pin(sleep_until(now + context.idle_max)),
            context,
            peer,
            frames,
            writer,
            in_flight: VecDeque::new(),
            next: None,
            output: Output::default(),
            progress_at: now,
            received_seen: 0,
            silence: Arc::default(),
            closing: false,
        }
    }

    /// Serves until the peer leaves, misbehaves, or the broker stops; counts and logs a refusal.
    pub(crate) async fn run(mut self) {
        let cutting = self.context.cutting.clone();
        let served = tokio::select! {
            biased;
            () = cutting.cancelled() => Ok(()),
            served = self.serve() => served,
        };
        match served {
            Ok(()) => debug!(peer = %self.peer, "connection closed"),
            Err(refusal) => {
                self.context.metrics.refused(refusal.reason());
                info!(peer = %self.peer, reason = refusal.reason(), "connection closed: {refusal}");
            }
        }
    }

    async fn serve(&mut self) -> Result<(), Refusal> {
        let stopping = self.context.stopping.clone();
        let mut stop = pin!(stopping.cancelled());
        loop {
            self.start_next().await;
            self.collect_finished()?;
            // What is here already is started before anything is written: requests that came
            // together are answered together. What is wrong with it can wait until then.
            if self.reads()
                && let Ok(Some(frame)) = self.frames.buffered()
            {
                self.received(frame)?;
                continue;
            }
            if self.closing && self.in_flight.is_empty() && self.output.is_empty() {
                return Ok(());
            }
            self.arm_timer();
            match self.wait(stop.as_mut()).await {
                Event::Stop => self.closing = true,
                Event::Frame(Ok(Received::Frame(frame))) => self.received(frame)?,
                // The timer is set to the sender's next progress above.
                Event::Frame(Ok(Received::Part)) => {}
                Event::Frame(Ok(Received::End)) => self.peer_closed(),
                Event::Frame(Err(FrameError::Io(error))) => {
                    debug!(peer = %self.peer, "read from connection: {error}");
                    return Ok(());
                }
                Event::Frame(Err(error)) => return Err(Refusal::Frame(error)),
                Event::Reply(reply, permit) => self.queue(reply, permit)?,
                Event::Written(Ok(count)) => {
                    self.context.metrics.reply_bytes.inc_by(count as u64);
                    self.progress_at = Instant::now();
                }
                Event::Written(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Refusal::RecordsGone);
                }
                Event::Written(Err(error)) => {
                    debug!(peer = %self.peer, "write to connection: {error}");
                    return Ok(());
                }
                Event::Timer => self.check_deadline()?,
            }
        }
    }

    /// Whether another request may be read.
    fn reads(&self) -> bool {
        !self.closing
            && self.next.is_none()
            && self.in_flight.len() < IN_FLIGHT_MAX
            && self.silence.until().is_none()
    }

    fn received(&mut self, frame: Frame) -> Result<(), Refusal> {
        let bytes = frame.body.len() as u64;
        self.context.metrics.request_bytes.inc_by(bytes);
        self.progress_at = Instant::now();
        let request = handler::decode(&self.context, frame.body, (self.peer, &self.silence))?;
        self.next = Some((request, frame.permit));
        Ok(())
    }

    /// Queues the replies that are there, oldest first, as far as there is room for them.
    fn collect_finished(&mut self) -> Result<(), Refusal> {
        while self.output.bytes() < OUTPUT_BYTES_MAX {
            let finished = self
                .in_flight
                .pop_front_if(|front| matches!(front.state, InFlightState::Done(_)));
            let Some(InFlight {
                state: InFlightState::Done(reply),
                permit,
                ..
            }) = finished
            else {
                break;
            };
            self.queue(reply, permit)?;
        }
        Ok(())
    }

    /// Waits for whatever happens first. Every branch is cancel-safe.
    async fn wait(&mut self, stop: Pin<&mut WaitForCancellationFuture<'_>>) -> Event {
        let read = self.reads();
        let collect = !self.in_flight.is_empty() && self.output.bytes() < OUTPUT_BYTES_MAX;
        let write = !self.output.is_empty();
        tokio::select! {
            biased;
            () = stop, if !self.closing => Event::Stop,
            (reply, permit) = front_reply(&mut self.in_flight), if collect => Event::Reply(reply, permit),
            written = self.output.write(self.writer.as_ref()), if write => Event::Written(written),
            frame = self.frames.next(), if read => Event::Frame(frame),
            () = &mut self.timer => Event::Timer,
        }
    }

    /// Starts the waiting request if order allows. Its first poll happens here, in arrival order:
    /// a produce request appends in it and only its acknowledgement is waited for later.
    async fn start_next(&mut self) {
        let Some((request, _)) = &self.next else {
            return;
        };
        if self.silence.until().is_some() {
            return;
        }
        let pipelined = request.is_pipelined();
        let free = self.in_flight.is_empty()
            || (pipelined && self.in_flight.iter().all(|running| running.pipelined));
        if !free || self.in_flight.len() >= IN_FLIGHT_MAX {
            return;
        }
        let Some((request, permit)) = self.next.take() else {
            return;
        };
        let mut running: Running = Box::pin(handler::run(Arc::clone(&self.context), request));
        let first = std::future::poll_fn(|task| Poll::Ready(running.as_mut().poll(task))).await;
        let state = match first {
            Poll::Ready(reply) => InFlightState::Done(reply),
            Poll::Pending => InFlightState::Running(running),
        };
        self.in_flight.push_back(InFlight {
            state,
            pipelined,
            permit,
        });
    }

    fn queue(&mut self, reply: Reply, permit: BytePermit) -> Result<(), Refusal> {
        drop(permit);
        match reply {
            Reply::Silent => {}
            Reply::Close(refusal) => return Err(refusal),
            Reply::Frame(bytes) => {
                self.start_output();
                self.output.push(Part::Bytes(bytes), None);
            }
            Reply::Parts { parts, permit } => {
                self.start_output();
                self.output.push_all(parts, permit);
            }
        }
        Ok(())
    }

    fn start_output(&mut self) {
        if self.output.is_empty() {
            self.progress_at = Instant::now();
        }
    }

    /// The peer has closed its sending side. Appends under way are finished; whoever waits for
    /// something else (a long poll, a join) has nobody left to answer.
    fn peer_closed(&mut self) {
        self.closing = true;
        self.in_flight.retain(|running| running.pipelined);
    }

    fn deadline(&self) -> Instant {
        let silent_until = self.silence.until().map(Instant::from_std);
        if let Some(until) = silent_until.filter(|_| self.output.is_empty()) {
            // Then there may be something to read; what the peer sent meanwhile is not late.
            return until.max(self.progress_at + Duration::from_millis(1));
        }
        if !self.output.is_empty() || (self.reads() && self.frames.is_partial()) {
            self.progress_at + self.context.stall_max
        } else if self.in_flight.is_empty() && self.next.is_none() {
            self.progress_at + self.context.idle_max
        } else {
            // Handlers end by their own limits; look again after a while.
            Instant::now() + self.context.idle_max
        }
    }

    fn arm_timer(&mut self) {
        let received = self.frames.received();
        if received != self.received_seen {
            self.received_seen = received;
            self.progress_at = Instant::now();
        }
        let deadline = self.deadline();
        if deadline < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(deadline);
        }
    }

    fn check_deadline(&mut self) -> Result<(), Refusal> {
        let now = Instant::now();
        if self.deadline() > now {
            return Ok(());
        }
        if self.silence.until().is_some() {
            return Ok(());
        }
        if !self.output.is_empty() {
            return Err(Refusal::SlowReader {
                waiting: self.output.bytes(),
            });
        }
        if self.frames.is_partial() {
            return Err(Refusal::SlowSender);
        }
        if self.in_flight.is_empty() && self.next.is_none() {
            return Err(Refusal::Idle);
        }
        Ok(())
    }
}

/// The reply of the oldest request; requests behind it wait for it even when they are done.
async fn front_reply(in_flight: &mut VecDeque<InFlight>) -> (Reply, BytePermit) {
    if let Some(front) = in_flight.front_mut()
        && let InFlightState::Running(running) = &mut front.state
    {
        let reply = running.as_mut().await;
        front.state = InFlightState::Done(reply);
    }
    match in_flight.pop_front() {
        Some(InFlight {
            state: InFlightState::Done(reply),
            permit,
            ..
        }) => (reply, permit),
        // Only called while something is in flight, and the front was just finished.
        _ => std::future::pending().await,
    }
}
