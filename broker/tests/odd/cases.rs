//! The table: what is sent, and what Apache Kafka 4.3.1 does with it.
//!
//! A line of expectation is the answer of each partition, then what a consumer finds in the first
//! partition afterwards. Where Logway does otherwise on purpose, `logway` says what; the reasons
//! stand in the header of `handler/produce.rs`.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use logway_protocol::compression::Compression;

use super::batch::{Odd, TIMESTAMP, body, framed, good, of, put, record, timed, with_length};

/// One odd request.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Settings of the topic it goes to.
    pub(crate) configs: &'static [(&'static str, &'static str)],
    /// Good batches that the topic holds already.
    pub(crate) before: Vec<Bytes>,
    pub(crate) shot: Shot,
    /// What Kafka does.
    pub(crate) kafka: &'static str,
    /// What Logway does, where that differs.
    pub(crate) logway: Option<&'static str>,
}

/// A produce request.
pub(crate) struct Shot {
    pub(crate) version: i16,
    pub(crate) acks: i16,
    pub(crate) transactional_id: Option<&'static str>,
    pub(crate) target: Target,
    pub(crate) data: Vec<(i32, Option<Bytes>)>,
}

/// The topic that a request names.
pub(crate) enum Target {
    Own,
    Named(&'static str),
    UnknownId,
}

/// A batch to partition 0 of a topic without settings, `acks=1`, version 12.
fn case(name: &'static str, batch: Odd, kafka: &'static str) -> Case {
    raw(name, Some(batch.bytes()), kafka)
}

fn raw(name: &'static str, records: Option<Bytes>, kafka: &'static str) -> Case {
    Case {
        name,
        configs: &[],
        before: Vec::new(),
        shot: Shot {
            version: 12,
            acks: 1,
            transactional_id: None,
            target: Target::Own,
            data: vec![(0, records)],
        },
        kafka,
        logway: None,
    }
}

impl Case {
    fn configs(mut self, configs: &'static [(&'static str, &'static str)]) -> Case {
        self.configs = configs;
        self
    }

    fn after(mut self, batch: Odd) -> Case {
        self.before.push(batch.bytes());
        self
    }

    fn version(mut self, version: i16) -> Case {
        self.shot.version = version;
        self
    }

    fn acks(mut self, acks: i16) -> Case {
        self.shot.acks = acks;
        self
    }

    fn to(mut self, target: Target) -> Case {
        self.shot.target = target;
        self
    }

    fn transactional(mut self, id: &'static str) -> Case {
        self.shot.transactional_id = Some(id);
        self
    }

    /// To these partitions, each with the same bytes.
    fn partitions(mut self, indexes: &[i32]) -> Case {
        let records = self.shot.data[0].1.clone();
        self.shot.data = indexes.iter().map(|at| (*at, records.clone())).collect();
        self
    }

    /// And this one to partition 1.
    fn beside(mut self, batch: Odd) -> Case {
        self.shot.data.push((1, Some(batch.bytes())));
        self
    }

    fn logway(mut self, does: &'static str) -> Case {
        self.logway = Some(does);
        self
    }

    /// What Logway has to do. It may say more than Kafka: every refusal has a message.
    pub(crate) fn ours(&self) -> &'static str {
        self.logway.unwrap_or(self.kafka)
    }

    /// Whether that is what was seen.
    pub(crate) fn is_ours(&self, seen: &str) -> bool {
        seen == self.ours() || seen.replace(" +message", "") == self.ours()
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// All cases.
pub(crate) fn all() -> Vec<Case> {
    let groups = [
        framing(),
        counts(),
        attributes(),
        producers(),
        records(),
        lengths(),
        compressed(),
        timestamps(),
        topics(),
        requests(),
    ];
    groups.into_iter().flatten().collect()
}

#[rustfmt::skip]
fn framing() -> Vec<Case> {
    let whole = good(2).bytes();
    let two = [&whole[..], &whole[..]].concat();
    let short = i32::try_from(whole.len() - 12 - 5).unwrap();
    vec![
        case("a good batch", good(3), "NONE at 0; 3 readable"),
        case("wrong checksum", good(2).crc(1), "CORRUPT_MESSAGE; empty"),
        case("magic 0", good(2).magic(0), "INVALID_RECORD; empty"),
        case("magic 1", good(2).magic(1), "INVALID_RECORD; empty"),
        case("magic 3", good(2).magic(3), "CORRUPT_MESSAGE +message; empty"),
        case("magic -1", good(2).magic(255), "CORRUPT_MESSAGE +message; empty"),
        case("wrong magic in one of two partitions", good(2), "CORRUPT_MESSAGE +message, CORRUPT_MESSAGE +message; empty").beside(good(2).magic(3)).logway("NONE at 0, CORRUPT_MESSAGE; 2 readable"),
        case("wrong checksum in one of two partitions", good(2), "NONE at 0, CORRUPT_MESSAGE; 2 readable").beside(good(2).crc(1)),
        case("length 0", good(2).length(0), "CORRUPT_MESSAGE +message; empty"),
        case("length -1", good(2).length(-1), "CORRUPT_MESSAGE +message; empty"),
        case("length MIN", good(2).length(i32::MIN), "CORRUPT_MESSAGE +message; empty"),
        case("length MAX", good(2).length(i32::MAX), "UNKNOWN_SERVER_ERROR; empty").logway("INVALID_RECORD; empty"),
        case("length of a header", good(2).length(49), "CORRUPT_MESSAGE; empty"),
        case("length below a header", good(2).length(48), "CORRUPT_MESSAGE; empty"),
        case("length too short by 5", good(2).length(short), "CORRUPT_MESSAGE; empty"),
        case("length too long by 1", good(2).length(short + 6), "INVALID_RECORD; empty"),
        raw("two batches", Some(two.into()), "INVALID_RECORD; empty"),
        raw("a batch and a half", Some([&whole[..], &whole[..40]].concat().into()), "NONE at 0; 2 readable"),
        raw("a batch and 16 bytes", Some([&whole[..], &whole[..16]].concat().into()), "NONE at 0; 2 readable"),
        raw("a batch and 17 bytes", Some([&whole[..], &whole[..17]].concat().into()), "NONE at 0; 2 readable"),
        raw("a batch and one byte", Some([&whole[..], &[0]].concat().into()), "NONE at 0; 2 readable"),
        raw("no bytes", Some(Bytes::new()), "INVALID_RECORD; empty"),
        raw("null records", None, "no answer; empty").logway("INVALID_RECORD; empty"),
        raw("one byte", Some(Bytes::from_static(&[0])), "INVALID_RECORD; empty"),
        raw("16 bytes", Some(whole.slice(..16)), "INVALID_RECORD; empty"),
        raw("60 bytes", Some(whole.slice(..60)), "INVALID_RECORD; empty"),
    ]
}

#[rustfmt::skip]
fn counts() -> Vec<Case> {
    vec![
        case("count 0", good(1).count(0, 0), "INVALID_RECORD start 0; empty"),
        case("count 0, last delta -1", of(0, Vec::new()), "INVALID_RECORD start 0; empty"),
        case("count -1", good(1).count(-1, 0), "INVALID_RECORD start 0; empty"),
        case("count MIN", good(1).count(i32::MIN, i32::MAX), "INVALID_RECORD start 0; empty"),
        case("count one too high", good(2).count(3, 2), "INVALID_RECORD start 0; empty"),
        case("count one too low", good(2).count(1, 0), "INVALID_RECORD start 0; empty"),
        case("count of a billion", good(2).count(1_000_000_000, 999_999_999), "INVALID_RECORD start 0; empty"),
        case("count MAX", good(2).count(i32::MAX, i32::MAX - 1), "INVALID_RECORD start 0; empty"),
        case("last delta too high", good(2).count(2, 5), "INVALID_RECORD start 0; empty"),
        case("last delta too low", good(2).count(2, 0), "INVALID_RECORD start 0; empty"),
        case("last delta negative", good(2).count(2, -7), "INVALID_RECORD start 0; empty"),
        case("base offset 5", good(2).set(|h| h.base_offset = 5), "INVALID_RECORD start 0; empty"),
        case("base offset -1", good(2).set(|h| h.base_offset = -1), "INVALID_RECORD start 0; empty"),
        case("base offset MAX", good(2).set(|h| h.base_offset = i64::MAX), "INVALID_RECORD start 0; empty"),
        case("leader epoch 77", good(2).set(|h| h.partition_leader_epoch = 77), "NONE at 0; 2 readable"),
        case("base offset 5 and wrong checksum", good(2).set(|h| h.base_offset = 5).crc(1), "INVALID_RECORD start 0; empty"),
    ]
}

#[rustfmt::skip]
fn attributes() -> Vec<Case> {
    vec![
        case("control bit", good(1).attributes(0x20), "INVALID_RECORD start 0; empty"),
        case("transactional bit, no producer", good(1).attributes(0x10), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED; empty"),
        case("transactional bit with a producer", good(1).attributes(0x10).producer(5, 0, 0), "TRANSACTIONAL_ID_AUTHORIZATION_FAILED; empty"),
        case("transactional bit, acks 0", good(1).attributes(0x10).producer(5, 0, 0), "closed; empty").acks(0),
        case("transactional bit and id", good(1).attributes(0x10).producer(5, 0, 0), "NOT_ENOUGH_REPLICAS +message; empty").transactional("t").acks(-1).logway("INVALID_PRODUCER_ID_MAPPING; empty"),
        case("plain batch, transactional id", good(1), "NONE at 0; 1 readable").transactional("t").acks(-1),
        case("delete horizon bit", good(1).attributes(0x40), "NONE at 0; 1 readable, bits 0x40"),
        case("unknown bit 7", good(1).attributes(0x80), "NONE at 0; 1 readable, bits 0x80"),
        case("unknown bit 15", good(1).attributes(i16::MIN), "NONE at 0; 1 readable, bits 0x8000"),
        case("LogAppendTime bit", good(1).attributes(0x08), "NONE at 0; 1 readable"),
        case("LogAppendTime bit, max timestamp -1", good(1).attributes(0x08).set(|h| h.max_timestamp = -1), "INVALID_TIMESTAMP start 0 +message records 0; empty"),
        case("LogAppendTime bit, max timestamp later", good(1).attributes(0x08).set(|h| h.max_timestamp = TIMESTAMP + 9), "NONE at 0; 1 readable, max timestamp wrong"),
        case("LogAppendTime bit, stamped topic", good(1).attributes(0x08), "INVALID_TIMESTAMP start 0 +message records 0; empty").configs(&[("message.timestamp.type", "LogAppendTime")]),
        case("codec 5", good(1).attributes(5), "UNKNOWN_SERVER_ERROR start 0; empty").logway("UNSUPPORTED_COMPRESSION_TYPE start 0; empty"),
        case("codec 6", good(1).attributes(6), "UNKNOWN_SERVER_ERROR start 0; empty").logway("UNSUPPORTED_COMPRESSION_TYPE start 0; empty"),
        case("codec 7", good(1).attributes(7), "UNKNOWN_SERVER_ERROR start 0; empty").logway("UNSUPPORTED_COMPRESSION_TYPE start 0; empty"),
    ]
}

#[rustfmt::skip]
fn producers() -> Vec<Case> {
    let of = |sequence| good(1).producer(90, 3, sequence);
    vec![
        case("producer, sequence -1", good(1).producer(90, 0, -1), "INVALID_RECORD start 0; empty"),
        case("producer, epoch -1", good(1).producer(90, -1, 0), "NONE at 0; 1 readable"),
        case("producer, epoch -7", good(1).producer(90, -7, 0), "INVALID_PRODUCER_EPOCH start 0; empty"),
        case("producer MAX", good(1).producer(i64::MAX, i16::MAX, i32::MAX), "NONE at 0; 1 readable"),
        case("producer -2", good(1).producer(-2, 0, 0), "NONE at 0; 1 readable"),
        case("no producer but sequence 4", good(1).producer(-1, -1, 4), "NONE at 0; 1 readable"),
        case("no producer but epoch 4", good(1).producer(-1, 4, -1), "NONE at 0; 1 readable"),
        case("unknown producer begins at 6", good(1).producer(90, 0, 6), "NONE at 0; 1 readable"),
        case("next sequence", of(1), "NONE at 1; 2 readable").after(of(0)),
        case("sequence ahead", of(3), "OUT_OF_ORDER_SEQUENCE_NUMBER start 0; 1 readable").after(of(0)),
        case("sequence behind", of(4), "OUT_OF_ORDER_SEQUENCE_NUMBER start 0; 1 readable").after(of(5)),
        case("the last batch again", of(0), "NONE at 0 stamped; 1 readable").after(of(0)),
        case("the fifth last again", of(1), "NONE at 1 stamped; 6 readable").after(of(0)).after(of(1)).after(of(2)).after(of(3)).after(of(4)).after(of(5)),
        case("the sixth last again", of(0), "OUT_OF_ORDER_SEQUENCE_NUMBER start 0; 6 readable").after(of(0)).after(of(1)).after(of(2)).after(of(3)).after(of(4)).after(of(5)),
        case("the last batch, other length", good(2).producer(90, 3, 0), "OUT_OF_ORDER_SEQUENCE_NUMBER start 0; 1 readable").after(of(0)),
        case("older epoch", good(1).producer(90, 2, 1), "INVALID_PRODUCER_EPOCH start 0; 1 readable").after(of(0)),
        case("newer epoch from 0", good(1).producer(90, 4, 0), "NONE at 1; 2 readable").after(of(0)),
        case("newer epoch from 1", good(1).producer(90, 4, 1), "OUT_OF_ORDER_SEQUENCE_NUMBER start 0; 1 readable").after(of(0)),
        case("sequence wraps", good(1).producer(90, 3, 0), "NONE at 1; 2 readable").after(of(i32::MAX)),
        case("sequence wraps inside", good(3).producer(90, 3, i32::MAX - 1), "NONE at 1; 4 readable").after(of(i32::MAX - 2)),
        case("duplicate with wrong checksum", of(0).crc(7), "CORRUPT_MESSAGE; 1 readable").after(of(0)),
    ]
}

#[rustfmt::skip]
fn records() -> Vec<Case> {
    let deltas = |deltas: &[i32]| {
        let records = deltas.iter().flat_map(|at| record(*at, Some(b"k"), b"v"));
        of(i32::try_from(deltas.len()).unwrap(), records.collect())
    };
    let mut headers = body(0, 0, Some(b"k"), b"v");
    headers.pop();
    let with_headers = |count: i64, bytes: &[u8]| {
        let mut fields = headers.clone();
        put(&mut fields, count);
        fields.extend_from_slice(bytes);
        of(1, framed(&fields))
    };
    let mut long_varint = vec![0, 0];
    long_varint.extend_from_slice(&[0xff; 6]);
    vec![
        case("offset deltas from 1", deltas(&[1, 2]), "NONE at 0; unreadable records, end 2").logway("INVALID_RECORD start 0; empty"),
        case("offset deltas with a gap", deltas(&[0, 2]), "NONE at 0; unreadable records, end 2").logway("INVALID_RECORD start 0; empty"),
        case("offset deltas descending", deltas(&[1, 0]), "NONE at 0; 2 readable").logway("INVALID_RECORD start 0; empty"),
        case("offset deltas equal", deltas(&[0, 0]), "NONE at 0; 2 readable").logway("INVALID_RECORD start 0; empty"),
        case("offset delta negative", deltas(&[-1, 0]), "NONE at 0; unreadable records, end 2").logway("INVALID_RECORD start 0; empty"),
        case("-1 headers", with_headers(-1, &[]), "INVALID_RECORD start 0; empty"),
        case("MIN headers", with_headers(i64::from(i32::MIN), &[]), "INVALID_RECORD start 0; empty"),
        case("a billion headers", with_headers(1_000_000_000, &[]), "INVALID_RECORD start 0; empty"),
        case("one header announced, none there", with_headers(1, &[]), "INVALID_RECORD start 0; empty"),
        case("a header without key", with_headers(1, &[1, 2, b'v']), "INVALID_RECORD start 0; empty"),
        case("a header with a null value", with_headers(1, &[2, b'k', 1]), "NONE at 0; 1 readable"),
        case("a header key that is not UTF-8", with_headers(1, &[2, 0xff, 1]), "NONE at 0; 1 readable"),
        case("a header value of length -2", with_headers(1, &[2, b'k', 3]), "NONE at 0; unreadable records, end 1").logway("INVALID_RECORD start 0; empty"),
        case("a varint that does not end", of(1, framed(&long_varint)), "INVALID_RECORD start 0; empty"),
        case("record attributes set", of(1, framed(&[0xff, 0, 0, 1, 1, 0])), "NONE at 0; 1 readable"),
        case("key and value null", of(1, framed(&[0, 0, 0, 1, 1, 0])), "NONE at 0; 1 readable"),
    ]
}

#[rustfmt::skip]
fn lengths() -> Vec<Case> {
    let fields = body(0, 0, Some(b"k"), b"value");
    let true_length = fields.len() as i64;
    let record = |length: i64| of(1, with_length(length, &fields));
    let keyed = |length: i64| {
        let mut fields = vec![0, 0, 0];
        put(&mut fields, length);
        fields.extend_from_slice(&[b'k', 2, b'v', 0]);
        of(1, framed(&fields))
    };
    let valued = |length: i64| {
        let mut fields = vec![0, 0, 0, 1];
        put(&mut fields, length);
        fields.extend_from_slice(&[b'v', 0]);
        of(1, framed(&fields))
    };
    vec![
        case("record length one too high", record(true_length + 1), "INVALID_RECORD start 0; empty"),
        case("record length one too low", record(true_length - 1), "INVALID_RECORD start 0; empty"),
        case("record length 0", record(0), "INVALID_RECORD start 0; empty"),
        case("record length -1", record(-1), "INVALID_RECORD start 0; empty"),
        case("record length MAX", record(i64::from(i32::MAX)), "INVALID_RECORD start 0; empty"),
        case("key length too high", keyed(50), "INVALID_RECORD start 0; empty"),
        case("key length eats the value", keyed(4), "INVALID_RECORD start 0; empty"),
        case("key length -2", keyed(-2), "INVALID_RECORD start 0; empty"),
        case("value length too high", valued(50), "INVALID_RECORD start 0; empty"),
        case("value length -2", valued(-2), "INVALID_RECORD start 0; empty"),
        case("value length MAX", valued(i64::from(i32::MAX)), "INVALID_RECORD start 0; empty"),
        case("bytes behind the last record", good(1).tail(&[0, 0, 0]), "INVALID_RECORD start 0; empty"),
    ]
}

#[rustfmt::skip]
fn compressed() -> Vec<Case> {
    use Compression::{Gzip, Lz4, Snappy, Zstd};
    let zeros = vec![0; 200 << 20];
    let bomb = of(1, record(0, Some(b"k"), &zeros));
    let trailing = |count| {
        let mut records: Vec<u8> = (0..count).flat_map(|at| record(at, Some(b"k"), b"v")).collect();
        records.extend_from_slice(&[0, 0, 0]);
        of(count, records)
    };
    let keyless = of(1, record(0, None, b"v"));
    vec![
        case("gzip", good(3).compressed(Gzip), "NONE at 0; 3 readable"),
        case("snappy", good(3).compressed(Snappy), "NONE at 0; 3 readable"),
        case("lz4", good(3).compressed(Lz4), "NONE at 0; 3 readable"),
        case("zstd", good(3).compressed(Zstd), "NONE at 0; 3 readable"),
        case("zstd in produce 6", good(3).compressed(Zstd), "UNSUPPORTED_COMPRESSION_TYPE; empty").version(6),
        case("zstd in produce 7", good(3).compressed(Zstd), "NONE at 0; 3 readable").version(7),
        case("lz4, count too high", good(3).compressed(Lz4).count(4, 3), "INVALID_RECORD start 0; empty"),
        case("lz4, count too low", good(3).compressed(Lz4).count(2, 1), "INVALID_RECORD start 0; empty"),
        case("gzip, count too high", good(3).compressed(Gzip).count(4, 3), "INVALID_RECORD start 0; empty"),
        case("zstd, count too low", good(3).compressed(Zstd).count(2, 1), "INVALID_RECORD start 0; empty"),
        case("lz4, count of a billion", good(3).compressed(Lz4).count(1_000_000_000, 999_999_999), "INVALID_RECORD start 0; empty"),
        case("lz4, bytes behind the last record", trailing(2).compressed(Lz4), "INVALID_RECORD start 0; empty"),
        case("gzip, bytes behind the stream", good(3).compressed(Gzip).tail(&[0, 0, 0]), "NONE at 0; unreadable records, end 3").logway("INVALID_RECORD start 0; empty"),
        case("lz4, bytes behind the stream", good(3).compressed(Lz4).tail(&[0, 0, 0]), "NONE at 0; 3 readable"),
        case("zstd, bytes behind the stream", good(3).compressed(Zstd).tail(&[0, 0, 0]), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("snappy, bytes behind the stream", good(3).compressed(Snappy).tail(&[0, 0, 0]), "NONE at 0; unreadable records, end 3").logway("INVALID_RECORD start 0; empty"),
        case("gzip, cut", good(3).compressed(Gzip).cut(9), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("snappy, cut", good(3).compressed(Snappy).cut(5), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("lz4, cut", good(3).compressed(Lz4).cut(9), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("zstd, cut", good(3).compressed(Zstd).cut(9), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("gzip over plain records", good(3).attributes(1), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("lz4 over plain records", good(3).attributes(3), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("zstd over nothing", of(1, Vec::new()).attributes(4), "INVALID_RECORD start 0; empty"),
        case("lz4, offset deltas from 5", of(1, record(5, Some(b"k"), b"v")).compressed(Lz4), "UNKNOWN_SERVER_ERROR start 0; empty").logway("INVALID_RECORD start 0; empty"),
        case("lz4, no key on a compacted topic", keyless.compressed(Lz4), "INVALID_RECORD start 0 +message records 0; empty").configs(&[("cleanup.policy", "compact")]),
        case("zstd, 200 MiB of zeros", bomb.compressed(Zstd), "NONE at 0; 1 readable").logway("MESSAGE_TOO_LARGE; empty"),
    ]
}

#[rustfmt::skip]
fn timestamps() -> Vec<Case> {
    const WINDOW: &[(&str, &str)] = &[
        ("message.timestamp.before.max.ms", "60000"),
        ("message.timestamp.after.max.ms", "60000"),
    ];
    const STAMPED: &[(&str, &str)] = &[("message.timestamp.type", "LogAppendTime")];
    let hour = 3_600_000;
    let mixed = of(3, [timed(0, 0), timed(1, -hour), timed(2, 10 * hour)].concat());
    vec![
        case("timestamp -1", good(2).at(-1), "NONE at 0; 2 readable"),
        case("timestamp -2", good(2).at(-2), "NONE at 0; 2 readable, max timestamp wrong"),
        case("timestamp 0", good(2).at(0), "NONE at 0; 2 readable"),
        case("timestamp MIN", good(2).at(i64::MIN), "INVALID_TIMESTAMP start 0 +message records 0 1; empty"),
        case("timestamp MAX", good(2).at(i64::MAX), "INVALID_TIMESTAMP start 0 +message records 0 1; empty"),
        case("two hours ahead", good(2).at(now() + 2 * hour), "INVALID_TIMESTAMP start 0 +message records 0 1; empty"),
        case("two hours back, window of a minute", good(2).at(now() - 2 * hour), "INVALID_TIMESTAMP start 0 +message records 0 1; empty").configs(WINDOW),
        case("within the window", good(2).at(now()), "NONE at 0; 2 readable").configs(WINDOW),
        case("-1 in a window of a minute", good(2).at(-1), "NONE at 0; 2 readable").configs(WINDOW),
        case("two of three records out of the window", mixed.clone().at(now()), "INVALID_TIMESTAMP start 0 +message records 1 2; empty").configs(WINDOW),
        case("max timestamp too low", of(2, [timed(0, 0), timed(1, 500)].concat()), "NONE at 0; 2 readable"),
        case("max timestamp too high", good(2).set(|h| h.max_timestamp = TIMESTAMP + 9), "NONE at 0; 2 readable"),
        case("max timestamp ahead, records not", good(2).set(|h| h.max_timestamp = i64::MAX), "NONE at 0; 2 readable"),
        case("delta overflows", of(1, timed(0, i64::MAX)), "INVALID_TIMESTAMP start 0 +message records 0; empty"),
        case("stamped topic", good(2), "NONE at 0 stamped; 2 readable, bits 0x8").configs(STAMPED),
        case("stamped topic, two hours ahead", good(2).at(now() + 2 * hour), "NONE at 0 stamped; 2 readable, bits 0x8").configs(STAMPED),
        case("stamped topic, lz4", good(2).compressed(Compression::Lz4), "NONE at 0 stamped; 2 readable, bits 0x8").configs(STAMPED),
        case("stamped topic, duplicate", good(2).producer(7, 0, 0), "NONE at 0 stamped; 2 readable, bits 0x8").configs(STAMPED).after(good(2).producer(7, 0, 0)),
    ]
}

#[rustfmt::skip]
fn topics() -> Vec<Case> {
    const COMPACTED: &[(&str, &str)] = &[("cleanup.policy", "compact")];
    const SMALL: &[(&str, &str)] = &[("max.message.bytes", "200")];
    let keys = |keys: [Option<&[u8]>; 3]| {
        let records = (0..).zip(keys).flat_map(|(at, key)| record(at, key, b"v"));
        of(3, records.collect())
    };
    let large = vec![b'x'; 1_200_000];
    vec![
        case("no key on a compacted topic", keys([Some(b"a"), None, None]), "INVALID_RECORD start 0 +message records 1 2; empty").configs(COMPACTED),
        case("no key on a topic of both policies", keys([None, Some(b"a"), None]), "INVALID_RECORD start 0 +message records 0 2; empty").configs(&[("cleanup.policy", "compact,delete")]),
        case("no key and out of the window", keys([None, Some(b"a"), None]).at(now()), "INVALID_TIMESTAMP start 0 +message records 0 1 2; 1 readable").configs(&[("cleanup.policy", "compact"), ("message.timestamp.before.max.ms", "0"), ("message.timestamp.after.max.ms", "0")]).after(of(1, record(0, Some(b"k"), b"v")).at(-1)),
        case("empty key on a compacted topic", keys([Some(b""), Some(b"a"), Some(b"b")]), "NONE at 0; 3 readable").configs(COMPACTED),
        case("over max.message.bytes", of(1, record(0, None, &large)), "MESSAGE_TOO_LARGE; empty"),
        case("over the topic's max.message.bytes", good(20), "MESSAGE_TOO_LARGE; empty").configs(SMALL),
        case("over max.message.bytes, wrong checksum", good(20).crc(1), "MESSAGE_TOO_LARGE; empty").configs(SMALL),
        case("larger than segment.bytes", of(1, record(0, None, &large)), "RECORD_LIST_TOO_LARGE; empty").configs(&[("segment.bytes", "1048576"), ("max.message.bytes", "2000000")]),
        case("more in-sync replicas asked for, acks -1", good(1), "NONE at 0; 1 readable").configs(&[("min.insync.replicas", "2")]).acks(-1),
        case("more in-sync replicas asked for, acks 1", good(1), "NONE at 0; 1 readable").configs(&[("min.insync.replicas", "2")]),
    ]
}

#[rustfmt::skip]
fn requests() -> Vec<Case> {
    vec![
        case("acks 2", good(1), "INVALID_REQUIRED_ACKS; empty").acks(2),
        case("acks -2", good(1), "INVALID_REQUIRED_ACKS; empty").acks(-2),
        case("acks 0", good(1), "silent; 1 readable").acks(0),
        case("acks 0, wrong checksum", good(1).crc(1), "closed; empty").acks(0),
        case("acks 2, unknown partition", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").acks(2).partitions(&[7]),
        case("acks -1", good(1), "NONE at 0; 1 readable").acks(-1),
        case("unknown topic", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").to(Target::Named("no-such-topic")),
        case("empty topic name", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").to(Target::Named("")),
        case("a name no topic may have", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").to(Target::Named("a/b")),
        case("unknown topic, wrong checksum", good(1).crc(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").to(Target::Named("no-such-topic")),
        case("unknown topic id", good(1), "UNKNOWN_TOPIC_ID; empty").version(13).to(Target::UnknownId),
        case("topic id", good(1), "NONE at 0; 1 readable").version(13),
        case("partition 2 of 2", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").partitions(&[2]),
        case("partition -1", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").partitions(&[-1]),
        case("both partitions", good(1), "NONE at 0, NONE at 0; 1 readable").partitions(&[0, 1]),
        case("good and unknown partition", good(1), "NONE at 0, UNKNOWN_TOPIC_OR_PARTITION; 1 readable").partitions(&[0, 9]),
        case("the same partition twice", good(1), "NONE at 0; 1 readable").partitions(&[0, 0]).logway("NONE at 0, NONE at 1; 2 readable"),
        case("no partitions", good(1), "no partitions; empty").partitions(&[]),
        case("consumer offsets", good(1), "INVALID_TOPIC_EXCEPTION; empty").to(Target::Named("__consumer_offsets")),
        case("consumer offsets, magic 1", good(1).magic(1), "INVALID_RECORD; empty").to(Target::Named("__consumer_offsets")),
        case("metadata topic", good(1), "UNKNOWN_TOPIC_OR_PARTITION; empty").to(Target::Named("__cluster_metadata")),
        case("oldest version", good(1), "NONE at 0; 1 readable").version(3),
        case("oldest version, wrong checksum", good(1).crc(1), "CORRUPT_MESSAGE; empty").version(3),
        case("oldest version, magic 1", good(1).magic(1), "INVALID_RECORD; empty").version(3),
    ]
}
