//! What waits to be written to one connection: encoded bytes and ranges of segment files.
//! Invariant: bytes leave in the order in which they were queued; records go from the page cache to
//! the socket without passing through this process; a file that ends early ends the connection; the
//! thread never waits for a disk. Step 6 of the hallway, on the way back.

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
/// File bytes whose presence in memory is made sure of at once.
const WINDOW_BYTES: usize = 1 << 20;

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
    /// Bytes at the start of the first range that were in memory a moment ago.
    resident: usize,
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
            self.make_resident().await?;
            socket.writable().await?;
            let mut sent = 0;
            let result = socket.try_io(Interest::WRITABLE, || self.send(socket, &mut sent));
            match result {
                // An error after some bytes comes again with the next write.
                _ if sent > 0 => return Ok(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The wait may be long enough for pages to be dropped.
                    self.resident = 0;
                }
                Err(error) => return Err(error),
                Ok(()) => {}
            }
        }
    }

    /// Sends until the socket is full, the turn is over, or bytes come next that may not be in memory.
    fn send(&mut self, socket: &TcpStream, sent: &mut usize) -> io::Result<()> {
        while *sent < TURN_BYTES {
            let count = match self.parts.front() {
                None => return Ok(()),
                Some((Part::Bytes(_), _)) => self.send_bytes(socket)?,
                Some((Part::File(range), _)) => {
                    if self.resident == 0 {
                        self.resident = resident(range);
                    }
                    if self.resident == 0 {
                        return Ok(());
                    }
                    send_file(socket, range, self.resident)?
                }
            };
            *sent += count;
            self.advance(count);
        }
        Ok(())
    }

    fn send_bytes(&self, socket: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); WRITE_SLICES];
        let mut filled = 0;
        let mut flags = SendFlags::NOSIGNAL;
        for (part, _) in &self.parts {
            match part {
                Part::Bytes(bytes) => match slices.get_mut(filled) {
                    Some(slice) => *slice = IoSlice::new(bytes),
                    None => break,
                },
                Part::File(_) => {
                    // One segment with the records instead of a small one before them.
                    flags |= SendFlags::MORE;
                    break;
                }
            }
            filled += 1;
        }
        let mut none = SendAncillaryBuffer::default();
        let slices = slices.get(..filled).unwrap_or_default();
        let sent =
            rustix::io::retry_on_intr(|| rustix::net::sendmsg(socket, slices, &mut none, flags))?;
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
                    self.resident = self.resident.saturating_sub(taken);
                }
            }
            if front.len() > 0 {
                return;
            }
            self.resident = 0;
            self.parts.pop_front();
        }
    }

    /// Makes sure that the file bytes that come next can be sent without waiting for a disk.
    async fn make_resident(&mut self) -> io::Result<()> {
        let Some((Part::File(range), _)) = self.parts.front() else {
            return Ok(());
        };
        if self.warming.is_none() {
            if self.resident == 0 {
                self.resident = resident(range);
            }
            if self.resident > 0 {
                return Ok(());
            }
            let (file, position) = (range.file.clone(), range.position);
            let window = range.len.min(WINDOW_BYTES);
            let ahead = (range.len - window).min(WINDOW_BYTES);
            self.warming = Some(tokio::task::spawn_blocking(move || {
                file.warm(position, window, ahead)
            }));
        }
        if let Some(warming) = &mut self.warming {
            let warmed = warming.await;
            self.warming = None;
            warmed.map_err(io::Error::other)??;
            self.resident = range.len.min(WINDOW_BYTES);
        }
        Ok(())
    }
}

/// Bytes at the start of a range that are in memory, up to a window of it; 0 if any of those are not.
fn resident(range: &FileRange) -> usize {
    let window = range.len.min(WINDOW_BYTES);
    if range.file.is_resident(range.position, window) {
        window
    } else {
        0
    }
}

fn send_file(socket: &TcpStream, range: &FileRange, len: usize) -> io::Result<usize> {
    let FileHandle::System(file) = &range.file else {
        // Only system files are queued; see the fetch handler.
        return Err(io::ErrorKind::Unsupported.into());
    };
    let mut position = range.position;
    let sent = rustix::io::retry_on_intr(|| {
        rustix::fs::sendfile(socket, &**file, Some(&mut position), len)
    })?;
    if sent == 0 {
        // The log was truncated after the frame's length was written.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(sent)
}

#[cfg(test)]
mod tests;
