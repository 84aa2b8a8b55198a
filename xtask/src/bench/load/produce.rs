//! Produce runs: as many batches as the server takes, or one record at a time.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::batches::{Batch, ONE_RECORD, check_produced};
use super::connection::Connection;
use super::{Moved, on_threads};

/// Produce requests on the way on one connection.
const IN_FLIGHT: usize = 5;

/// When a produce run ends: at whichever comes first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// After so long.
    pub(crate) time: Duration,
    /// After so many bytes: more would be held back by the disk and not by the server.
    pub(crate) bytes: u64,
}

/// Sends a batch to the partitions of a topic in turn, over so many connections at once, and counts
/// what was acknowledged.
pub(crate) fn produce(
    address: &str,
    (topic, partitions): (&str, i32),
    batch: &Batch,
    (connections, acks): (usize, i16),
    limit: Limit,
) -> anyhow::Result<Moved> {
    let frames = (0..partitions).map(|partition| batch.request(topic, partition, acks));
    let frames: Vec<Bytes> = frames.collect::<anyhow::Result<_>>()?;
    let all = limit.bytes / batch.bytes.len() as u64 / connections as u64;
    let most = usize::try_from(all.max(1))?;
    let begun = Instant::now();
    let end = begun + limit.time;
    let worker = |first: usize| -> anyhow::Result<u64> {
        let mut connection = Connection::open(address)?;
        let (mut sent, mut acknowledged) = (0usize, 0usize);
        loop {
            while sent - acknowledged < IN_FLIGHT && sent < most && Instant::now() < end {
                connection.send(&frames[(first + sent) % frames.len()])?;
                sent += 1;
            }
            if acknowledged == sent {
                return Ok(acknowledged as u64);
            }
            check_produced(connection.receive()?, topic)?;
            acknowledged += 1;
        }
    };
    let batches: u64 = on_threads(connections, worker)?.iter().sum();
    Ok(Moved {
        bytes: batches * batch.bytes.len() as u64,
        records: batches * batch.records,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Sends one record of 100 bytes at a time and waits for each; times in microseconds, sorted.
pub(crate) fn one_at_a_time(
    address: &str,
    topic: &str,
    acks: i16,
    time: Duration,
) -> anyhow::Result<Vec<f64>> {
    let frame = Batch::encode(&ONE_RECORD, &[])?.request(topic, 0, acks)?;
    let mut connection = Connection::open(address)?;
    let end = Instant::now() + time;
    let mut times = Vec::with_capacity(1 << 20);
    loop {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        connection.send(&frame)?;
        check_produced(connection.receive()?, topic)?;
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
