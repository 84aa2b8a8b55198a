//! What waits to be written to one connection: encoded bytes and ranges of segment files.
//! Invariant: bytes leave in the order in which they were queued; records are in memory only while
//! a system call takes them; a file that ends early ends the connection; the thread never waits for
//! a disk. Step 6 of the hallway, on the way back.
//!
//! Records go from the page cache through one buffer of the thread that writes. `sendfile` saves
//! this copy and costs more: it hands over page by page, and each 64 KiB wakes the peer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use logway_journal::FileHandle;
use rustix::net::{SendAncillaryBuffer, SendFlags};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::budget::BytePermit;

/// Slices handed to one vectored write.
const WRITE_SLICES: usize = 16;
/// Bytes written before other tasks of the connection get a turn.
const TURN_BYTES: usize = 2 << 20;
/// File bytes read for one write: the cheapest size in the cache of a usual processor, per thread.
const BUFFER_BYTES: usize = 512 * 1024;
/// File bytes that are brought into memory at once.
const WINDOW_BYTES: usize = 1 << 20;

thread_local! {
    /// What a thread reads files into; empty until its first file.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A piece of a reply.
#[derive(Debug)]
pub(crate) enum Part {
    /// Encoded fields and small record sets.
    Bytes(Bytes),
    /// Whole batches in a segment file.
    File(FileRange),
}

/// Bytes of an open system file.
#[derive(Debug)]
pub(crate) struct FileRange {
    pub(crate) file: FileHandle,
    pub(crate) position: u64,
    pub(crate) len: usize,
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Part::Bytes(bytes) => bytes.len(),
            Part::File(range) => range.len,
        }
    }
}

/// The queue of one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    parts: VecDeque<(Part, Option<BytePermit>)>,
    bytes: usize,
    /// The range at the front is not in memory.
    cold: bool,
    /// Bytes at the start of the range at the front that were just brought into memory.
    warmed: usize,
    warming: Option<JoinHandle<io::Result<()>>>,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes that wait, those in files included.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a part of a reply; `permit` is kept until its last byte has left.
    pub(crate) fn push(&mut self, part: Part, permit: Option<BytePermit>) {
        if part.len() > 0 {
            self.bytes += part.len();
            self.parts.push_back((part, permit));
        }
    }

    /// Queues a whole reply; `permit` is kept until its last byte has left.
    pub(crate) fn push_all(&mut self, parts: Vec<Part>, mut permit: Option<BytePermit>) {
        let mut left = parts.len();
        for part in parts {
            left -= 1;
            let permit = if left == 0 { permit.take() } else { None };
            self.push(part, permit);
        }
    }

    /// Writes what the socket takes; returns how much, at least one byte. Cancelling loses nothing.
    pub(crate) async fn write(&mut self, socket: &TcpStream) -> io::Result<usize> {
        loop {
            if self.cold {
                self.warm().await?;
            }
            socket.writable().await?;
            let mut sent = 0;
            let result = socket.try_io(Interest::WRITABLE, || {
                BUFFER.with_borrow_mut(|buffer| self.send(socket, buffer, &mut sent))
            });
            match result {
                // An error after some bytes comes again with the next write.
                _ if sent > 0 => return Ok(sent),
                // The wait may be long enough for pages to be dropped.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.warmed = 0,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
    }

    /// Sends until the socket is full, the turn is over, or bytes come next that are not in memory.
    fn send(
        &mut self,
        socket: &TcpStream,
        buffer: &mut Vec<u8>,
        sent: &mut usize,
    ) -> io::Result<()> {
        while *sent < TURN_BYTES && !self.parts.is_empty() {
            let gathered = self.gather(buffer)?;
            if gathered.count == 0 {
                self.cold = true;
                return Ok(());
            }
            let count = self.send_gathered(socket, buffer, &gathered)?;
            *sent += count;
            self.advance(count);
            if count < gathered.bytes {
                // The socket is full: it will say when it is not.
                return Err(io::ErrorKind::WouldBlock.into());
            }
        }
        Ok(())
    }

    /// Reads the ranges among the next parts into the buffer as far as they are in memory.
    fn gather(&self, buffer: &mut Vec<u8>) -> io::Result<Gathered> {
        let mut gathered = Gathered::default();
        let mut filled = 0;
        for (part, _) in self.parts.iter().take(WRITE_SLICES) {
            let len = match part {
                Part::Bytes(bytes) => bytes.len(),
                Part::File(range) => {
                    buffer.resize(BUFFER_BYTES, 0);
                    let end = BUFFER_BYTES.min(filled + range.len);
                    let room = buffer.get_mut(filled..end).unwrap_or_default();
                    let warmed = if gathered.count == 0 { self.warmed } else { 0 };
                    let read = range.read(room, warmed)?;
                    filled += read;
                    read
                }
            };
            if len == 0 {
                break;
            }
            gathered.count += 1;
            gathered.bytes += len;
            if len < part.len() {
                break;
            }
        }
        Ok(gathered)
    }

    fn send_gathered(
        &self,
        socket: &TcpStream,
        buffer: &[u8],
        gathered: &Gathered,
    ) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
        let mut rest = buffer;
        let mut left = gathered.bytes;
        for (slice, (part, _)) in slices.iter_mut().zip(&self.parts).take(gathered.count) {
            let bytes = match part {
                Part::Bytes(bytes) => bytes,
                Part::File(range) => {
                    let (read, after) = rest.split_at(range.len.min(left));
                    rest = after;
                    read
                }
            };
            left -= bytes.len();
            *slice = IoSlice::new(bytes);
        }
        let slices = slices.get(..gathered.count).unwrap_or_default();
        let mut none = SendAncillaryBuffer::default();
        let sent = rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(socket, slices, &mut none, SendFlags::NOSIGNAL)
        })?;
        if sent == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(sent)
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some((front, _)) = self.parts.front_mut() {
            let taken = count.min(front.len());
            count -= taken;
            match front {
                Part::Bytes(bytes) => bytes.advance(taken),
                Part::File(range) => {
                    range.position += taken as u64;
                    range.len -= taken;
                    self.warmed = self.warmed.saturating_sub(taken);
                }
            }
            if front.len() > 0 {
                return;
            }
            self.warmed = 0;
            self.parts.pop_front();
        }
    }

    /// Brings the range at the front into memory, on a thread that may wait for the disk.
    async fn warm(&mut self) -> io::Result<()> {
        let Some((Part::File(range), _)) = self.parts.front() else {
            return Ok(());
        };
        let window = range.len.min(WINDOW_BYTES);
        let warming = self.warming.get_or_insert_with(|| {
            let (file, position) = (range.file.clone(), range.position);
            let ahead = (range.len - window).min(WINDOW_BYTES);
            tokio::task::spawn_blocking(move || file.warm(position, window, ahead))
        });
        let warmed = warming.await;
        self.warming = None;
        warmed.map_err(io::Error::other)??;
        self.warmed = window;
        self.cold = false;
        Ok(())
    }
}

/// What the next write holds: the first parts, the last of them perhaps not whole.
#[derive(Debug, Default)]
struct Gathered {
    count: usize,
    bytes: usize,
}

impl FileRange {
    /// Reads the start of the range into `room`; of bytes that are not in memory only the `warmed`,
    /// which were a moment ago.
    fn read(&self, room: &mut [u8], warmed: usize) -> io::Result<usize> {
        match room.get_mut(..warmed.min(room.len())) {
            Some(sure) if !sure.is_empty() => self.file.read_exact_at(sure, self.position),
            _ => self.file.read_resident(room, self.position),
        }
    }
}

#[cfg(test)]
mod tests;
