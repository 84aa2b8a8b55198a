//! The load generator: pre-encoded batches over plain sockets, so that the server is the limit.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::header::{decode_response_header, encode_request};
use logway_protocol::message::create_topics::{CreatableTopic, CreateTopicsRequest};
use logway_protocol::message::delete_topics::DeleteTopicsRequest;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};
use logway_protocol::message::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use logway_protocol::{ErrorCode, Message, Request};

/// Versions that both peers speak and that name topics by name.
const PRODUCE: i16 = 9;
const FETCH: i16 = 12;
const CREATE_TOPICS: i16 = 7;
const DELETE_TOPICS: i16 = 5;
/// Produce requests on the way on one connection.
const IN_FLIGHT: usize = 5;

/// One blocking connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(address: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    fn send(&mut self, frame: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(frame).context("send a request")
    }

    /// The next response, without its length.
    fn receive(&mut self) -> anyhow::Result<&[u8]> {
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .context("receive a response")?;
        self.buffer.resize(u32::from_be_bytes(length) as usize, 0);
        self.stream
            .read_exact(&mut self.buffer)
            .context("receive a response")?;
        Ok(&self.buffer)
    }

    fn call<R: Request>(&mut self, version: i16, request: &R) -> anyhow::Result<R::Response> {
        self.send(&encode_request(1, Some("bench"), version, request)?)?;
        let frame = Bytes::copy_from_slice(self.receive()?);
        let (_, body) = decode_response_header(R::KEY, version, frame)?;
        Ok(R::Response::decode_version(body, version)?)
    }
}

/// Makes a topic anew.
pub(crate) fn fresh_topic(address: &str, name: &str, partitions: i32) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let delete = DeleteTopicsRequest {
        topic_names: vec![name.into()],
        timeout_ms: 30_000,
        ..Default::default()
    };
    connection.call(DELETE_TOPICS, &delete)?;
    let topic = CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: 1,
        ..Default::default()
    };
    let create = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 30_000,
        ..Default::default()
    };
    // A deletion may still be under way where it is done in the background, and a partition that was
    // just made may not have its leader yet.
    retry(&format!("create {name}"), || {
        let response = connection.call(CREATE_TOPICS, &create)?;
        Ok(response.topics.first().map_or(-1, |topic| topic.error_code))
    })?;
    for partition in 0..partitions {
        retry(&format!("find the leader of {name}-{partition}"), || {
            let response = connection.call(FETCH, &fetch_request(name, partition, 0))?;
            let found = response
                .responses
                .first()
                .and_then(|topic| topic.partitions.first());
            Ok(found.map_or(-1, |partition| partition.error_code))
        })?;
    }
    Ok(())
}

/// Repeats a call until its error code is none.
fn retry(what: &str, mut call: impl FnMut() -> anyhow::Result<i16>) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match ErrorCode::from_code(call()?) {
            ErrorCode::None => return Ok(()),
            error => ensure!(Instant::now() < end, "{what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What a produce run sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Produce {
    /// Bytes of one record's value.
    pub(crate) record_bytes: usize,
    /// Bytes of one batch before compression.
    pub(crate) batch_bytes: usize,
    /// Partitions that the batches go to in turn.
    pub(crate) partitions: i32,
    /// Connections, a thread each.
    pub(crate) connections: usize,
    /// Acknowledgements: 1 or -1 (all).
    pub(crate) acks: i16,
    /// Compression of the batches.
    pub(crate) compression: Compression,
}

/// What was acknowledged or received, and in how long.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Moved {
    /// Bytes of batches on the wire.
    pub(crate) bytes: u64,
    /// Records.
    pub(crate) records: u64,
    /// Time taken.
    pub(crate) seconds: f64,
}

fn batch(run: &Produce) -> anyhow::Result<(Bytes, u64)> {
    let mut builder = BatchBuilder::new(run.compression);
    // Words rather than one letter: compression has something to do, and not too little.
    let words = [
        "GET", "/users", "200", "alice", "order", "placed", "in", "12ms", "host-7",
    ];
    let mut value = Vec::new();
    let mut n = 0usize;
    while builder.size() + run.record_bytes < run.batch_bytes || builder.is_empty() {
        value.clear();
        while value.len() < run.record_bytes {
            n = n
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            value.extend_from_slice(words[(n >> 33) % words.len()].as_bytes());
            value.push(b' ');
        }
        value.truncate(run.record_bytes);
        builder.append(1_700_000_000_000, None, Some(&value), &[])?;
    }
    let records = builder.len() as u64;
    Ok((builder.build()?, records))
}

fn frames(run: &Produce, topic: &str) -> anyhow::Result<(Vec<Bytes>, u64, u64)> {
    let (batch, records) = batch(run)?;
    let frames = (0..run.partitions).map(|index| {
        let data = PartitionProduceData {
            index,
            records: Some(batch.clone()),
        };
        let topic = TopicProduceData {
            name: topic.into(),
            partition_data: vec![data],
            ..Default::default()
        };
        let request = ProduceRequest {
            acks: run.acks,
            timeout_ms: 30_000,
            topic_data: vec![topic],
            ..Default::default()
        };
        Ok(encode_request(7, Some("bench"), PRODUCE, &request)?)
    });
    Ok((
        frames.collect::<anyhow::Result<_>>()?,
        batch.len() as u64,
        records,
    ))
}

fn check_produced(frame: &[u8]) -> anyhow::Result<()> {
    let frame = Bytes::copy_from_slice(frame);
    let (_, body) = decode_response_header(ProduceRequest::KEY, PRODUCE, frame)?;
    let response = <ProduceRequest as Request>::Response::decode_version(body, PRODUCE)?;
    let codes = response
        .responses
        .iter()
        .flat_map(|t| &t.partition_responses);
    for code in codes.map(|p| p.error_code) {
        ErrorCode::check(code).context("a batch was refused")?;
    }
    Ok(())
}

/// Sends batches for `seconds` and counts what was acknowledged.
pub(crate) fn produce(
    address: &str,
    topic: &str,
    run: &Produce,
    seconds: u64,
) -> anyhow::Result<Moved> {
    let (frames, bytes, records) = frames(run, topic)?;
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let worker = |first: usize| -> anyhow::Result<u64> {
        let mut connection = Connection::open(address)?;
        let (mut sent, mut acknowledged) = (0usize, 0usize);
        while Instant::now() < end || acknowledged < sent {
            while sent - acknowledged < IN_FLIGHT && Instant::now() < end {
                connection.send(&frames[(first + sent) % frames.len()])?;
                sent += 1;
            }
            check_produced(connection.receive()?)?;
            acknowledged += 1;
        }
        Ok(acknowledged as u64)
    };
    let batches = on_threads(run.connections, worker)?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Moved {
        bytes: batches * bytes,
        records: batches * records,
        seconds,
    })
}

/// Runs `worker` on this many threads and adds up what they return.
fn on_threads(
    count: usize,
    worker: impl Fn(usize) -> anyhow::Result<u64> + Sync,
) -> anyhow::Result<u64> {
    std::thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || worker(i))).collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .map_err(|_| anyhow::anyhow!("a worker panicked"))?
            })
            .sum()
    })
}

/// Reads a topic of one-partition-each again and again for `seconds`, 1 MiB a request.
pub(crate) fn fetch(
    address: &str,
    topic: &str,
    connections: usize,
    seconds: u64,
) -> anyhow::Result<Moved> {
    let begun = Instant::now();
    let end = begun + Duration::from_secs(seconds);
    let worker = |partition: usize| -> anyhow::Result<u64> {
        let mut connection = Connection::open(address)?;
        let (mut offset, mut total) = (0i64, 0u64);
        while Instant::now() < end {
            let request = fetch_request(topic, i32::try_from(partition)?, offset);
            connection.send(&encode_request(7, Some("bench"), FETCH, &request)?)?;
            let frame = connection.receive()?;
            let size = frame.len() as u64;
            let next = next_offset(frame, offset)?;
            // At the end: from the beginning again.
            offset = next.unwrap_or(0);
            total += if next.is_some() { size } else { 0 };
        }
        Ok(total)
    };
    let bytes = on_threads(connections, worker)?;
    Ok(Moved {
        bytes,
        records: 0,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

fn fetch_request(topic: &str, partition: i32, fetch_offset: i64) -> FetchRequest {
    let partition = FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..Default::default()
    };
    let topic = FetchTopic {
        topic: topic.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: 0,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// Where to go on after the batches of a response; `None` if it holds none. Only headers are read:
/// the generator must stay cheaper than the server.
fn next_offset(frame: &[u8], from: i64) -> anyhow::Result<Option<i64>> {
    let frame = Bytes::copy_from_slice(frame);
    let (_, body) = decode_response_header(FetchRequest::KEY, FETCH, frame)?;
    let response = <FetchRequest as Request>::Response::decode_version(body, FETCH)?;
    ErrorCode::check(response.error_code).context("the fetch was refused")?;
    let mut next = None;
    for partition in response
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
    {
        ErrorCode::check(partition.error_code).context("the fetch was refused")?;
        let Some(records) = &partition.records else {
            continue;
        };
        for batch in logway_protocol::batch::split_batches(records) {
            let Ok((header, _)) = batch else { break };
            next = Some(header.next_offset()).filter(|next| *next > from);
        }
    }
    Ok(next)
}

/// Sends one record at a time and waits for each; times in microseconds, sorted.
pub(crate) fn one_at_a_time(
    address: &str,
    topic: &str,
    acks: i16,
    seconds: u64,
) -> anyhow::Result<Vec<f64>> {
    let run = Produce {
        record_bytes: 100,
        batch_bytes: 1,
        partitions: 1,
        connections: 1,
        acks,
        compression: Compression::None,
    };
    let (frames, _, _) = frames(&run, topic)?;
    let mut connection = Connection::open(address)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        connection.send(&frames[0])?;
        check_produced(connection.receive()?)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
