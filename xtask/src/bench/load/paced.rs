//! Batches at a fixed rate, and how long each takes from its due time to a consumer in this process.
//! Invariant: the due time is set by the rate alone; a server that falls behind delays what is counted,
//! never what is due (no coordinated omission).

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use logway_protocol::crc::crc32c;

use super::batches::{Batch, Shape, check_produced};
use super::connection::Connection;
use super::fetch::{self, Request};

/// What marks the place of the due time in a record's value until a time is written there.
const STAMP: [u8; 8] = [0xfe; 8];
/// Where a batch's checksum lies, and where the bytes begin that it covers.
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
/// How long the consumer waits for the last batches.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream of batches to partition 0 of a topic, acks=1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paced<'a> {
    /// Topic.
    pub(crate) topic: &'a str,
    /// Size of records and batches, without compression.
    pub(crate) shape: &'a Shape,
    /// Batches that are due in a second.
    pub(crate) batches_per_second: f64,
    /// How long.
    pub(crate) time: Duration,
}

/// A produce request whose first record carries the due time.
#[derive(Debug)]
pub(super) struct Stamped {
    frame: Vec<u8>,
    /// Where the batch lies in the request.
    pub(super) batch: std::ops::Range<usize>,
    /// Where the due time lies in the batch.
    pub(super) stamp_at: usize,
    records: u64,
}

impl Stamped {
    pub(super) fn new(topic: &str, shape: &Shape) -> anyhow::Result<Self> {
        let batch = Batch::encode(shape, &STAMP)?;
        let frame = batch.request(topic, 0, 1)?.to_vec();
        let size = batch.bytes.len();
        let start = frame.windows(size).position(|bytes| bytes == batch.bytes);
        let start = start.context("the batch's place")?;
        let stamp_at = batch.bytes.windows(8).position(|bytes| bytes == STAMP);
        Ok(Self {
            frame,
            batch: start..start + size,
            stamp_at: stamp_at.context("the due time's place")?,
            records: batch.records,
        })
    }

    /// The request with a due time in nanoseconds.
    pub(super) fn due_at(&mut self, nanoseconds: u64) -> &[u8] {
        let batch = &mut self.frame[self.batch.clone()];
        batch[self.stamp_at..self.stamp_at + 8].copy_from_slice(&nanoseconds.to_be_bytes());
        let crc = crc32c(&batch[CRC_FROM..]);
        batch[CRC_AT..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        &self.frame
    }
}

/// Sends until `count` batches are sent or `stop` is set, and returns how many; another end of the
/// connection must take the answers.
fn send(
    connection: &mut Connection,
    stamped: &mut Stamped,
    (begun, interval): (Instant, Duration),
    (count, stop): (u64, &AtomicBool),
) -> anyhow::Result<u64> {
    // The kernel may else wake this thread 50 µs late to save wake-ups.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).context("timer slack")?;
    for index in 0..count {
        if stop.load(Ordering::Relaxed) {
            return Ok(index);
        }
        let due = interval.mul_f64(index as f64);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        connection.send(stamped.due_at(u64::try_from(due.as_nanos())?))?;
    }
    Ok(count)
}

/// Runs a stream with a consumer; returns the times from due to received in milliseconds, sorted.
pub(crate) fn paced(address: &str, run: &Paced) -> anyhow::Result<Vec<f64>> {
    let interval = Duration::from_secs_f64(1.0 / run.batches_per_second);
    let count = (run.time.as_secs_f64() * run.batches_per_second).ceil() as u64;
    let mut stamped = Stamped::new(run.topic, run.shape)?;
    let (size, stamp_at, records) = (stamped.batch.len(), stamped.stamp_at, stamped.records);
    let mut sender = Connection::open(address)?;
    let mut answers = sender.second()?;
    let mut consumer = Connection::open(address)?;
    let begun = Instant::now();
    let mut times = std::thread::scope(|scope| {
        let sent = scope.spawn(move || {
            let never = AtomicBool::new(false);
            send(
                &mut sender,
                &mut stamped,
                (begun, interval),
                (count, &never),
            )
        });
        let acknowledged = scope.spawn(move || -> anyhow::Result<()> {
            for _ in 0..count {
                check_produced(answers.receive()?, run.topic)?;
            }
            Ok(())
        });
        let received = (|| {
            let mut request = Request::new(run.topic, 0, 500)?;
            let mut times = Vec::with_capacity(usize::try_from(count)?);
            while (times.len() as u64) < count {
                ensure!(
                    begun.elapsed() < run.time + PATIENCE,
                    "{} of {count} batches came",
                    times.len()
                );
                let offset = i64::try_from(times.len() as u64 * records)?;
                consumer.send(request.from(offset))?;
                let (_, bytes) = fetch::records(consumer.receive()?)?;
                let now = begun.elapsed();
                for batch in bytes.chunks_exact(size) {
                    let mut due = [0; 8];
                    due.copy_from_slice(&batch[stamp_at..stamp_at + 8]);
                    let due = Duration::from_nanos(u64::from_be_bytes(due));
                    times.push(now.saturating_sub(due).as_secs_f64() * 1e3);
                }
            }
            Ok(times)
        })();
        joined(sent.join())?;
        joined(acknowledged.join())?;
        received
    })?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Runs `work` while a stream flows that nobody consumes.
pub(crate) fn while_flowing<T>(
    address: &str,
    run: &Paced,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let interval = Duration::from_secs_f64(1.0 / run.batches_per_second);
    let count = (run.time.as_secs_f64() * run.batches_per_second).ceil() as u64;
    let mut stamped = Stamped::new(run.topic, run.shape)?;
    let mut sender = Connection::open(address)?;
    let mut answers = sender.second()?;
    let (stop, left) = (AtomicBool::new(false), AtomicBool::new(false));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let sent = send(&mut sender, &mut stamped, (begun, interval), (count, &stop));
            left.store(true, Ordering::Relaxed);
            sender.close();
            sent
        });
        let acknowledged = scope.spawn(|| {
            loop {
                let checked = answers
                    .receive()
                    .and_then(|frame| check_produced(frame, run.topic));
                // After the last request the connection is closed, whether its answers have come or not.
                if left.load(Ordering::Relaxed) {
                    return Ok(());
                }
                checked?;
            }
        });
        let done = work();
        let early = left.load(Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        joined(sent.join())?;
        joined(acknowledged.join())?;
        ensure!(
            !early,
            "the stream ended before what was measured beside it"
        );
        done
    })
}

fn joined<T>(thread: std::thread::Result<anyhow::Result<T>>) -> anyhow::Result<T> {
    thread.map_err(|_| anyhow::anyhow!("a worker panicked"))?
}
