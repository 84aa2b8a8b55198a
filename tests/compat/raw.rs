//! A client that sends exactly what it is told, to Logway and to Kafka alike.

use std::io::{Read, Write};
use std::net::TcpStream;

use harness::{DEADLINE, eventually};
use logway_protocol::batch::{BatchHeader, split_batches};
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::record::{Record, decode_records};
use logway_protocol::{ErrorCode, Message, Request};

use crate::requests::{create_request, fetch_request, produce_request};

/// A connection that asks one thing at a time. Partition 0 of each topic is meant.
pub(crate) struct Raw {
    stream: TcpStream,
    correlation_id: i32,
}

impl Raw {
    pub(crate) fn connect(address: &str) -> Raw {
        Raw::try_connect(address).expect("the broker listens")
    }

    pub(crate) fn try_connect(address: &str) -> std::io::Result<Raw> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Raw {
            stream,
            correlation_id: 0,
        })
    }

    pub(crate) fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.correlation_id += 1;
        let frame = encode_request(self.correlation_id, Some("raw"), version, request);
        let frame = frame.expect("encodes");
        self.stream.write_all(&frame).expect("sends");
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).expect("a whole answer");
        let (_, body) = decode_response_header(R::KEY, version, answer.into()).expect("a header");
        R::Response::decode_version(body, version).expect("decodes")
    }

    pub(crate) fn create(&mut self, topic: &str, configs: &[(&str, &str)]) {
        let answer = self.ask(7, &create_request(topic, 1, configs));
        assert_eq!(answer.topics[0].error_code, 0, "{answer:?}");
    }

    /// Sends one batch; Kafka may need a moment until it serves a new topic.
    pub(crate) fn produce(&mut self, topic: &str, batch: &[u8]) -> (ErrorCode, i64) {
        eventually("a topic that is served", || {
            let request = produce_request(topic, -1, batch.to_vec().into());
            let answer = self.ask(9, &request);
            let answer = &answer.responses[0].partition_responses[0];
            match ErrorCode::from_code(answer.error_code) {
                error @ (ErrorCode::UnknownTopicOrPartition | ErrorCode::NotLeaderOrFollower) => {
                    Err(error)
                }
                error => Ok((error, answer.base_offset)),
            }
        })
    }

    /// Every batch from `offset` on, as it is stored.
    pub(crate) fn batches(&mut self, topic: &str, offset: i64) -> Vec<(BatchHeader, Vec<Record>)> {
        let mut all = Vec::new();
        let mut next = offset;
        loop {
            let answer = self.ask(12, &fetch_request(topic, next, 0));
            let data = answer.responses[0].partitions[0].clone();
            assert_eq!(data.error_code, 0, "{topic} at {next}");
            let before = next;
            // The last batch may be cut off.
            for (header, bytes) in split_batches(&data.records.expect("never null")).flatten() {
                if header.last_offset() >= next {
                    next = header.next_offset();
                    all.push((header, decode_records(&bytes, 1 << 24).expect("decodes")));
                }
            }
            if next == before {
                return all;
            }
        }
    }
}
