//! `logway produce`: each line of standard input becomes a record.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, Seek};
use std::os::fd::AsFd;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use logway_client::{Acks, Delivery, Producer, ProducerConfig, ProducerRecord};
use logway_protocol::compression::Compression;
use tokio::sync::mpsc;

use crate::args::Produce;
use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::stop::StopSignal;

/// Lines read ahead of the producer.
const LINES_AHEAD: usize = 1024;
/// Deliveries awaited behind the producer; the oldest is checked first.
const DELIVERIES_BEHIND: usize = 100_000;
/// How long the last records may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends until standard input ends; fails if a record was not delivered.
pub(crate) async fn run(args: Produce) -> Result<(), Failure> {
    let acks = match args.acks.as_str() {
        "0" => Acks::None,
        "1" => Acks::Leader,
        _ => Acks::All,
    };
    let producer = Producer::new(ProducerConfig {
        client: args.cluster.client()?,
        acks,
        enable_idempotence: acks == Acks::All,
        compression: Compression::from_str(&args.compression)
            .map_err(|error| Failure::usage(error.to_string()))?,
        ..ProducerConfig::default()
    })
    .map_err(|error| Failure::usage(error.to_string()))?;
    let mut stop = StopSignal::listen()?;
    let mut sending = Sending {
        producer: &producer,
        args: &args,
        topic: args.topic.as_str().into(),
        deliveries: VecDeque::new(),
        progress: match file_size() {
            Some(size) => Progress::beside_results(size, Unit::Bytes),
            None => Progress::hidden(),
        },
    };
    let mut lines = read_lines()?;
    tokio::select! {
        sent = sending.lines(&mut lines) => {
            sent?;
            sending.finish().await?;
            producer.close(CLOSE_TIMEOUT).await;
            Ok(())
        }
        by = stop.wait() => {
            // What was read is sent.
            stop.unless_again(async { _ = producer.close(CLOSE_TIMEOUT).await; }).await;
            Err(Failure::stopped(by))
        }
    }
}

/// Lines on their way.
struct Sending<'a> {
    producer: &'a Producer,
    args: &'a Produce,
    topic: Arc<str>,
    deliveries: VecDeque<Delivery>,
    progress: Progress,
}

impl Sending<'_> {
    /// Sends lines until there are no more.
    async fn lines(
        &mut self,
        lines: &mut mpsc::Receiver<std::io::Result<Bytes>>,
    ) -> Result<(), Failure> {
        while let Some(line) = lines.recv().await {
            let line = line.map_err(|error| Failure::failed(error, "read standard input"))?;
            // With its end.
            self.progress.add(line.len() as u64 + 1);
            let (key, value) = split(line, self.args.key_separator.as_deref())?;
            let record = ProducerRecord {
                partition: self.args.partition,
                key,
                ..ProducerRecord::new(self.topic.clone(), value)
            };
            let delivery = self.producer.send(record).await;
            self.deliveries
                .push_back(delivery.map_err(|e| Failure::failed(e, &self.doing()))?);
            if self.deliveries.len() > DELIVERIES_BEHIND
                && let Some(oldest) = self.deliveries.pop_front()
            {
                oldest
                    .await
                    .map_err(|e| Failure::failed(e, &self.doing()))?;
            }
        }
        Ok(())
    }

    /// Waits until everything is delivered.
    async fn finish(&mut self) -> Result<(), Failure> {
        self.producer.flush().await;
        while let Some(oldest) = self.deliveries.pop_front() {
            oldest
                .await
                .map_err(|e| Failure::failed(e, &self.doing()))?;
        }
        Ok(())
    }

    fn doing(&self) -> String {
        format!("produce to `{}`", self.topic)
    }
}

/// What is left to read, where standard input is a file.
fn file_size() -> Option<u64> {
    let input = std::io::stdin().as_fd().try_clone_to_owned().ok()?;
    let mut input = File::from(input);
    let metadata = input.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.len().saturating_sub(input.stream_position().ok()?))
}

/// Standard input is read on a thread of its own: it blocks.
fn read_lines() -> Result<mpsc::Receiver<std::io::Result<Bytes>>, Failure> {
    let (sender, receiver) = mpsc::channel(LINES_AHEAD);
    let read = move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let sent = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) => {
                    if line.last() == Some(&b'\n') {
                        line.pop();
                    }
                    sender.blocking_send(Ok(line.into()))
                }
                Err(error) => sender.blocking_send(Err(error)),
            };
            if sent.is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(read)
        .map_err(|error| Failure::failed(error, "start the reader of standard input"))?;
    Ok(receiver)
}

fn split(line: Bytes, separator: Option<&str>) -> Result<(Option<Bytes>, Bytes), Failure> {
    let Some(separator) = separator.filter(|text| !text.is_empty()) else {
        return Ok((None, line));
    };
    let found = line
        .windows(separator.len())
        .position(|part| part == separator.as_bytes());
    let at = found.ok_or_else(|| {
        let line = String::from_utf8_lossy(&line);
        Failure::usage(format!("line `{line}` has no key separator `{separator}`"))
    })?;
    Ok((Some(line.slice(..at)), line.slice(at + separator.len()..)))
}
