//! A connection whose answer need not come at once.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::{Message, Request};

use super::told::Told;

/// How one look at a connection may wait.
const GLANCE: Duration = Duration::from_millis(1);

type Reader = Box<dyn FnOnce(Bytes) -> Told + Send>;

/// A connection, and what is asked on it.
pub(super) struct Line {
    stream: TcpStream,
    asked: i32,
    buffer: Vec<u8>,
    reader: Option<Reader>,
}

impl Line {
    pub(super) fn open(address: &str) -> Line {
        let stream = TcpStream::connect(address).expect("the broker listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(GLANCE)).expect("a deadline");
        Line {
            stream,
            asked: 0,
            buffer: Vec::new(),
            reader: None,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.reader.is_some()
    }

    /// Sends a request; `told` makes of its answer what is compared.
    pub(super) fn send<R: Request>(
        &mut self,
        v: i16,
        request: &R,
        told: impl FnOnce(R::Response) -> Told + Send + 'static,
    ) {
        self.asked += 1;
        let frame = encode_request(self.asked, Some("raw"), v, request);
        let frame = frame.unwrap_or_else(|source| panic!("{v}: {source}"));
        // A broker that has closed the connection is noticed when its answer is read.
        drop(self.stream.write_all(&frame));
        self.reader = Some(Box::new(move |frame| {
            let (_, body) = decode_response_header(R::KEY, v, frame).expect("a header");
            told(R::Response::decode_version(body, v).expect("decodes"))
        }));
    }

    /// Looks once whether the answer is there.
    pub(super) fn look(&mut self) -> Option<Told> {
        self.reader.as_ref()?;
        let mut chunk = [0; 65_536];
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let end = 4 + u32::from_be_bytes(*length) as usize;
                if self.buffer.len() >= end {
                    let rest = self.buffer.split_off(end);
                    let frame = std::mem::replace(&mut self.buffer, rest).split_off(4);
                    return self.reader.take().map(|reader| reader(frame.into()));
                }
            }
            match self.stream.read(&mut chunk) {
                Ok(count) if count > 0 => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Ok(_) | Err(_) => {
                    self.reader = None;
                    return Some(Told::closed());
                }
            }
        }
    }
}
