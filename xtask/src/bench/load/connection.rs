//! One blocking connection with one buffer: whole answers, or their first bytes only.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::{Message, Request};
use rustix::net::RecvFlags;

/// How long an answer may take: a peer with thousands of partitions takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes read at once where answers are small.
const READ_BYTES: usize = 64 << 10;

/// One blocking connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// What was read; `begin..end` of it is not used yet.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let to: SocketAddr = address.parse().context("an address")?;
        let stream = TcpStream::connect_timeout(&to, PATIENCE)
            .with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            buffer: vec![0; READ_BYTES],
            begin: 0,
            end: 0,
        })
    }

    /// A second end of the same connection, with a buffer of its own.
    pub(crate) fn second(&self) -> anyhow::Result<Self> {
        Ok(Self {
            stream: self.stream.try_clone().context("a second end")?,
            buffer: vec![0; READ_BYTES],
            begin: 0,
            end: 0,
        })
    }

    /// Ends both ends: who still waits for an answer gets an error.
    pub(crate) fn close(&self) {
        // It may be closed already.
        drop(self.stream.shutdown(Shutdown::Both));
    }

    /// Sends whole requests.
    pub(crate) fn send(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(frame).context("send a request")
    }

    /// The next answer, without its length.
    pub(crate) fn receive(&mut self) -> anyhow::Result<&[u8]> {
        let length = self.length(usize::MAX)?;
        if self.begin + length > self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            if self.buffer.len() < length {
                self.buffer.resize(length, 0);
            }
        }
        while self.end - self.begin < length {
            self.read(usize::MAX)?;
        }
        let frame = self.begin..self.begin + length;
        self.begin += length;
        Ok(&self.buffer[frame])
    }

    /// The first bytes of the next answer, at most `head` of them; the kernel drops the others without
    /// copying them. Only for connections with one request on the way.
    pub(crate) fn receive_head(&mut self, head: usize) -> anyhow::Result<&[u8]> {
        let length = self.length(head)?;
        let head = head.min(length);
        while self.end - self.begin < head {
            self.read(head)?;
        }
        let had = self.end - self.begin;
        ensure!(had <= length, "an answer that was not asked for");
        self.discard(length - had)?;
        let frame = self.begin..self.begin + head;
        (self.begin, self.end) = (0, 0);
        Ok(&self.buffer[frame])
    }

    /// Reads the four bytes of length that begin an answer.
    fn length(&mut self, at_most: usize) -> anyhow::Result<usize> {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.buffer.len() - self.begin < 4 {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        while self.end - self.begin < 4 {
            self.read(at_most.saturating_add(4))?;
        }
        let mut length = [0; 4];
        length.copy_from_slice(&self.buffer[self.begin..self.begin + 4]);
        self.begin += 4;
        usize::try_from(i32::from_be_bytes(length)).context("a length below zero")
    }

    /// Reads what is there, at most so many bytes and what the buffer has room for.
    fn read(&mut self, at_most: usize) -> anyhow::Result<()> {
        let room = self.buffer.len().min(self.end.saturating_add(at_most));
        let read = self
            .stream
            .read(&mut self.buffer[self.end..room])
            .context("receive an answer")?;
        ensure!(read > 0, "the server closed the connection");
        self.end += read;
        Ok(())
    }

    fn discard(&mut self, bytes: usize) -> anyhow::Result<()> {
        let mut left = bytes;
        while left > 0 {
            // With TRUNC the kernel drops what it would have copied (tcp(7)); the buffer only gives the length.
            if self.buffer.len() < left {
                self.buffer.resize(left, 0);
            }
            let flags = RecvFlags::TRUNC | RecvFlags::WAITALL;
            let at = self.buffer.len() - left;
            let (_, dropped) = rustix::net::recv(&self.stream, &mut self.buffer[at..], flags)
                .context("receive an answer")?;
            ensure!(dropped > 0, "the server closed the connection");
            left -= dropped.min(left);
        }
        Ok(())
    }

    /// Asks and decodes the answer: for what is not measured.
    pub(crate) fn call<R: Request>(
        &mut self,
        version: i16,
        request: &R,
    ) -> anyhow::Result<R::Response> {
        self.send(&encode_request(1, Some("bench"), version, request)?)?;
        let frame = Bytes::copy_from_slice(self.receive()?);
        let (_, body) = decode_response_header(R::KEY, version, frame)?;
        Ok(R::Response::decode_version(body, version)?)
    }
}
