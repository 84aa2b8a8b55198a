//! Fetch runs over a topic that holds one batch again and again: where to go on follows from how many
//! whole batches came, so that only the first header of an answer is looked at.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use logway_protocol::ErrorCode;
use logway_protocol::batch;
use logway_protocol::header::encode_request;
use logway_protocol::message::fetch::{FetchPartition, FetchRequest, FetchTopic};

use super::batches::Batch;
use super::connection::Connection;
use super::fields::Fields;
use super::{Moved, on_threads};

/// A version that all peers speak and that names topics by name.
pub(crate) const FETCH: i16 = 12;
/// Bytes of an answer up to the first batch's base offset, and some.
const HEAD_BYTES: usize = 192;
/// Most bytes in one answer.
const FETCH_BYTES: i32 = 1 << 20;

/// What is fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch<'a> {
    /// Topic; every one of its partitions holds the batch again and again, from offset 0 on.
    pub(crate) topic: &'a str,
    /// The batch.
    pub(crate) batch: &'a Batch,
    /// Connections, a thread and a partition each.
    pub(crate) connections: usize,
    /// Whether whole answers are read, as a consumer does, or only their first bytes.
    pub(crate) read_all: bool,
}

/// When a fetch run ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After so long; at the end of a partition it begins again.
    Time(Duration),
    /// When every connection has come to the end of its partition.
    End,
}

/// A fetch request for some partitions of one topic, without a session.
pub(crate) fn request(topic: &str, partitions: Vec<FetchPartition>, wait_ms: i32) -> FetchRequest {
    let topic = FetchTopic {
        topic: topic.into(),
        partitions,
        ..Default::default()
    };
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        max_bytes: FETCH_BYTES,
        session_epoch: -1,
        topics: vec![topic],
        ..Default::default()
    }
}

/// A partition from an offset on.
pub(crate) fn partition(partition: i32, fetch_offset: i64) -> FetchPartition {
    FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: FETCH_BYTES,
        ..Default::default()
    }
}

/// A fetch request that is sent again and again with another offset.
#[derive(Debug)]
pub(crate) struct Request {
    frame: Vec<u8>,
    offset_at: usize,
}

impl Request {
    /// For one partition.
    pub(crate) fn new(topic: &str, index: i32, wait_ms: i32) -> anyhow::Result<Self> {
        // A mark that occurs nowhere else shows where the offset lies.
        let mark = i64::from_be_bytes([0x5a; 8]);
        let body = request(topic, vec![partition(index, mark)], wait_ms);
        let frame = encode_request(7, Some("bench"), FETCH, &body)?.to_vec();
        let offset_at = frame
            .windows(8)
            .position(|bytes| bytes == [0x5a; 8])
            .context("the offset's place")?;
        Ok(Self { frame, offset_at })
    }

    /// The request from an offset on.
    pub(crate) fn from(&mut self, offset: i64) -> &[u8] {
        self.frame[self.offset_at..self.offset_at + 8].copy_from_slice(&offset.to_be_bytes());
        &self.frame
    }
}

/// Reads an answer's fields up to the batches of its only partition; returns how many bytes of batches
/// follow, and those of them that are in `frame`.
pub(crate) fn records(frame: &[u8]) -> anyhow::Result<(usize, &[u8])> {
    let mut fields = Fields(frame);
    let _correlation_and_tags = fields.take(4 + 1)?;
    let _throttle = fields.i32()?;
    ErrorCode::check(fields.i16()?).context("the fetch was refused")?;
    let _session = fields.i32()?;
    ensure!(fields.count()? == 1, "an answer without the topic");
    let name = fields.count()?;
    fields.take(name)?;
    ensure!(fields.count()? == 1, "an answer without the partition");
    let _index = fields.i32()?;
    ErrorCode::check(fields.i16()?).context("the partition was refused")?;
    let _high_watermark_stable_and_start = fields.take(3 * 8)?;
    ensure!(fields.count()? == 0, "aborted transactions");
    let _preferred_replica = fields.i32()?;
    let length = fields.count()?;
    Ok((length, fields.0.get(..length).unwrap_or(fields.0)))
}

/// Fetches with one request at a time on each connection, 1 MiB a request; counts whole batches.
pub(crate) fn fetch(address: &str, run: Fetch, until: Until) -> anyhow::Result<Moved> {
    verify(address, &run)?;
    let begun = Instant::now();
    let worker = |index: usize| -> anyhow::Result<u64> {
        let mut connection = Connection::open(address)?;
        let mut request = Request::new(run.topic, i32::try_from(index)?, 0)?;
        let (mut offset, mut batches) = (0i64, 0u64);
        loop {
            connection.send(request.from(offset))?;
            let answer = if run.read_all {
                connection.receive()?
            } else {
                connection.receive_head(HEAD_BYTES)?
            };
            let (length, first) = records(answer)?;
            let whole = (length / run.batch.bytes.len()) as u64;
            if length > 0 {
                ensure!(whole > 0, "no whole batch at offset {offset}");
                let base = Fields(first).i64()?;
                ensure!(base == offset, "offset {base} came, not {offset}");
            }
            batches += whole;
            offset += i64::try_from(whole * run.batch.records)?;
            match until {
                Until::Time(time) if begun.elapsed() >= time => return Ok(batches),
                Until::End if whole == 0 => return Ok(batches),
                Until::Time(_) if whole == 0 => {
                    ensure!(batches > 0, "the partition is empty");
                    offset = 0;
                }
                Until::Time(_) | Until::End => {}
            }
        }
    };
    let batches: u64 = on_threads(run.connections, worker)?.iter().sum();
    Ok(Moved {
        bytes: batches * run.batch.bytes.len() as u64,
        records: batches * run.batch.records,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Looks at the last whole answer once, in full: what the runs drop unseen is what was written. The end
/// is looked at, so that a run from disk does not find its beginning in memory.
fn verify(address: &str, run: &Fetch) -> anyhow::Result<()> {
    let mut connection = Connection::open(address)?;
    let end = super::topics::end_offset(address, run.topic, 0)?;
    let offset = end - i64::try_from(run.batch.records)?;
    connection.send(Request::new(run.topic, 0, 0)?.from(offset))?;
    let (_, bytes) = records(connection.receive()?)?;
    let bytes = Bytes::copy_from_slice(bytes);
    let (header, found) = batch::split_batches(&bytes)
        .next()
        .context("an answer without a batch")??;
    batch::verify_crc(&found)?;
    let same = found.get(61..) == run.batch.bytes.get(61..);
    ensure!(
        same && header.base_offset == offset,
        "the batch at offset {offset} is not what was sent"
    );
    Ok(())
}
