//! A client that sends any request, or any bytes, and waits for what comes back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::{Message, Request};

/// One connection to a broker.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).expect("the kernel takes the connection");
        stream.set_nodelay(true).expect("a socket");
        let client = Client(stream);
        client.be_patient(harness::DEADLINE);
        client
    }

    /// Longest wait for an answer.
    pub(crate) fn be_patient(&self, patience: Duration) {
        let set = self.0.set_read_timeout(Some(patience));
        set.expect("a socket");
    }

    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) {
        let frame = encode_request(1, Some("test"), version, request).expect("it encodes");
        self.0.write_all(&frame).expect("the broker reads");
    }

    /// Whether the bytes could be written at all.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; an error when the connection ends or says nothing for too long.
    pub(crate) fn frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = usize::try_from(i32::from_be_bytes(length)).expect("a length");
        let mut frame = vec![0; length];
        self.0.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    /// Whether the other end has closed; what came before that is passed over.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.set_nonblocking(true).expect("a socket");
        let mut bytes = [0; 4096];
        loop {
            match self.0.read(&mut bytes) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
            }
        }
    }

    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let frame = self.frame().expect("an answer");
        let (_, body) = decode_response_header(R::KEY, version, frame).expect("a header");
        R::Response::decode_version(body, version).expect("an answer")
    }
}
