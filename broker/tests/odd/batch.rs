//! Record batches with any field set to anything: what a broken or hostile client sends.

use bytes::Bytes;
use logway_protocol::batch::{Attributes, BATCH_OVERHEAD, BatchHeader, set_producer};
use logway_protocol::compression::{Compression, compress};

/// Timestamp of the first record; the topics keep records of any age.
pub(crate) const TIMESTAMP: i64 = 1_700_000_000_000;

/// A batch in the making. `bytes` fills in length and checksum where no lie was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Odd {
    pub(crate) header: BatchHeader,
    records: Vec<u8>,
    length: Option<i32>,
    crc: Option<u32>,
    magic: Option<u8>,
    codec: Option<Compression>,
    /// Bytes behind the records, outside of the compressed stream.
    tail: Vec<u8>,
    /// Bytes cut off the end of the (compressed) records.
    cut: usize,
}

/// `count` good records.
pub(crate) fn good(count: i32) -> Odd {
    let records = (0..count).flat_map(|number| record(number, Some(b"key"), b"value"));
    of(count, records.collect())
}

/// `count` records, as these bytes say.
pub(crate) fn of(count: i32, records: Vec<u8>) -> Odd {
    Odd {
        header: BatchHeader {
            base_offset: 0,
            batch_length: 0,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: count - 1,
            base_timestamp: TIMESTAMP,
            max_timestamp: TIMESTAMP,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            record_count: count,
        },
        records,
        length: None,
        crc: None,
        magic: None,
        codec: None,
        tail: Vec::new(),
        cut: 0,
    }
}

impl Odd {
    pub(crate) fn set(mut self, change: impl FnOnce(&mut BatchHeader)) -> Odd {
        change(&mut self.header);
        self
    }

    pub(crate) fn attributes(self, bits: i16) -> Odd {
        self.set(|header| header.attributes.0 |= bits)
    }

    pub(crate) fn count(self, count: i32, last_offset_delta: i32) -> Odd {
        self.set(|header| {
            header.record_count = count;
            header.last_offset_delta = last_offset_delta;
        })
    }

    pub(crate) fn producer(self, id: i64, epoch: i16, sequence: i32) -> Odd {
        self.set(|header| {
            header.producer_id = id;
            header.producer_epoch = epoch;
            header.base_sequence = sequence;
        })
    }

    pub(crate) fn at(self, base_timestamp: i64) -> Odd {
        self.set(|header| {
            header.base_timestamp = base_timestamp;
            header.max_timestamp = base_timestamp;
        })
    }

    /// The batch announces this length.
    pub(crate) fn length(mut self, length: i32) -> Odd {
        self.length = Some(length);
        self
    }

    pub(crate) fn crc(mut self, crc: u32) -> Odd {
        self.crc = Some(crc);
        self
    }

    pub(crate) fn magic(mut self, magic: u8) -> Odd {
        self.magic = Some(magic);
        self
    }

    pub(crate) fn compressed(mut self, codec: Compression) -> Odd {
        self.codec = Some(codec);
        self.attributes(codec.code())
    }

    pub(crate) fn tail(mut self, bytes: &[u8]) -> Odd {
        self.tail = bytes.to_vec();
        self
    }

    pub(crate) fn cut(mut self, bytes: usize) -> Odd {
        self.cut = bytes;
        self
    }

    pub(crate) fn bytes(mut self) -> Bytes {
        let mut records = match self.codec {
            Some(codec) => compress(codec, &self.records).unwrap().to_vec(),
            None => self.records,
        };
        records.truncate(records.len() - self.cut);
        records.extend_from_slice(&self.tail);
        let mut bytes = self.header.encode().to_vec();
        bytes.extend_from_slice(&records);
        let length = i32::try_from(bytes.len() - BATCH_OVERHEAD).unwrap();
        self.header.batch_length = self.length.unwrap_or(length);
        bytes[8..12].copy_from_slice(&self.header.batch_length.to_be_bytes());
        let header = self.header;
        // Computes the checksum as well.
        let (id, epoch, sequence) = (
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        );
        set_producer(&mut bytes, id, epoch, sequence).unwrap();
        if let Some(crc) = self.crc {
            bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        }
        if let Some(magic) = self.magic {
            bytes[16] = magic;
        }
        Bytes::from(bytes)
    }
}

/// One record without headers.
pub(crate) fn record(offset_delta: i32, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    framed(&body(0, offset_delta, key, value))
}

/// One record with its own timestamp.
pub(crate) fn timed(offset_delta: i32, timestamp_delta: i64) -> Vec<u8> {
    framed(&body(timestamp_delta, offset_delta, Some(b"key"), b"value"))
}

/// A record's fields without its length.
pub(crate) fn body(
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: &[u8],
) -> Vec<u8> {
    let mut out = vec![0];
    put(&mut out, timestamp_delta);
    put(&mut out, i64::from(offset_delta));
    match key {
        Some(key) => {
            put(&mut out, key.len() as i64);
            out.extend_from_slice(key);
        }
        None => put(&mut out, -1),
    }
    put(&mut out, value.len() as i64);
    out.extend_from_slice(value);
    put(&mut out, 0);
    out
}

/// The fields behind a length that is true.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    with_length(body.len() as i64, body)
}

/// The fields behind any length.
pub(crate) fn with_length(length: i64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, length);
    out.extend_from_slice(body);
    out
}

/// Appends a zigzag varint.
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
