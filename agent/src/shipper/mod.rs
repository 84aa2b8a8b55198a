//! Gathers lines into record batches, encoded once, and keeps account of their fate. Step 4 of the hallway.
//!
//! One open batch per topic and partition (a lane). A line goes straight into the batch's buffer; beside it only the
//! span of the file that the batch covers is remembered.
//!
//! **Invariant:** spans of a file are sent in the order of the file, and every span is either in an open
//! batch, waiting to be handed over, or in flight with a ticket.

mod acks;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use logway_protocol::batch::BATCH_HEADER_SIZE;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;

pub(crate) use acks::{Acks, SpanId};

use crate::checkpoint::FileId;
use crate::input::file::evidence::Tail;
use crate::output::{Batch, Outcome, Output, Refusal};
use crate::telemetry::Telemetry;

/// Bytes of framing that a record adds to what it carries, at most.
const RECORD_OVERHEAD: usize = 64;
/// Builders kept for their buffers.
const SPARE_MAX: usize = 4;

/// How batches are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batching {
    pub(crate) compression: Compression,
    /// Bytes before compression at which a batch is closed.
    pub(crate) batch_bytes: usize,
    /// How long a batch waits for more lines.
    pub(crate) linger: Duration,
    /// Bytes that all open batches may hold together.
    pub(crate) open_bytes_max: usize,
}

/// Names the batches of one topic and partition, to which a file's lines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneId(usize);

/// Headers of a file's records, as bytes, made once per file.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    pub(crate) origin: String,
    pub(crate) path: String,
    pub(crate) host: Arc<str>,
}

/// One event on its way: a line, who it is from, and what part of the file it accounts for.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) file: FileId,
    pub(crate) stamp: &'a Stamp,
    pub(crate) body: &'a [u8],
    /// Byte offset of the line: its `logway.position`.
    pub(crate) position: u64,
    /// Length before it was cut; equal to `body.len()` when it was not.
    pub(crate) full_len: u64,
    pub(crate) timestamp_ms: i64,
    /// Byte offset after the line's terminator.
    pub(crate) end: u64,
    /// The bytes before `end`.
    pub(crate) tail: &'a [u8],
}

/// A part of a file inside a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) file: FileId,
    pub(crate) span: SpanId,
    /// Position of the span's first line.
    pub(crate) from: u64,
}

/// What one topic and partition gathers.
#[derive(Debug)]
struct Lane {
    topic: Arc<str>,
    partition: i32,
    open: Option<OpenBatch>,
}

#[derive(Debug)]
struct OpenBatch {
    builder: BatchBuilder,
    covered: Vec<Covered>,
    opened: Instant,
}

#[derive(Debug)]
struct Closed {
    lane: LaneId,
    bytes: Bytes,
    records: i32,
    covered: Vec<Covered>,
}

/// A batch that came to an end.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) lane: LaneId,
    pub(crate) topic: Arc<str>,
    pub(crate) records: i32,
    /// Encoded size.
    pub(crate) bytes: usize,
    pub(crate) covered: Vec<Covered>,
    pub(crate) result: Result<(), Refusal>,
}

#[derive(Debug)]
struct Flying {
    lane: LaneId,
    records: i32,
    bytes: usize,
    covered: Vec<Covered>,
}

/// Gathers, hands over, keeps account.
#[derive(Debug)]
pub(crate) struct Shipper {
    batching: Batching,
    lanes: Vec<Lane>,
    open_bytes: usize,
    waiting: VecDeque<Closed>,
    flying: HashMap<u64, Flying>,
    next_ticket: u64,
    /// Topics whose broker takes less than `batch_bytes`.
    smaller: HashMap<Arc<str>, usize>,
    /// Builders whose buffers are used again.
    spare: Vec<BatchBuilder>,
    position_text: String,
}

impl Shipper {
    pub(crate) fn new(batching: Batching) -> Shipper {
        Shipper {
            batching,
            lanes: Vec::new(),
            open_bytes: 0,
            waiting: VecDeque::new(),
            flying: HashMap::new(),
            next_ticket: 0,
            smaller: HashMap::new(),
            spare: Vec::new(),
            position_text: String::new(),
        }
    }

    /// The lane of a topic's partition.
    pub(crate) fn lane(&mut self, topic: &Arc<str>, partition: i32) -> LaneId {
        let same = |lane: &Lane| lane.topic == *topic && lane.partition == partition;
        let at = self.lanes.iter().position(same).unwrap_or_else(|| {
            self.lanes.push(Lane {
                topic: topic.clone(),
                partition,
                open: None,
            });
            self.lanes.len() - 1
        });
        LaneId(at)
    }

    /// Puts a line into its batch and lengthens the file's account in `acks` over it.
    pub(crate) fn append(
        &mut self,
        lane_id: LaneId,
        event: &Event<'_>,
        acks: &mut Acks,
        now: Instant,
    ) {
        use std::fmt::Write;
        let stamp = event.stamp;
        let size = event.body.len() + stamp.path.len() + stamp.host.len() + 2 * RECORD_OVERHEAD;
        let limit = self.batch_limit(&self.lanes[lane_id.0].topic);
        let open = self.lanes[lane_id.0].open.as_ref();
        if open.is_some_and(|open| open.builder.size() + size > limit) {
            self.close(lane_id);
        }
        let (spare, compression) = (&mut self.spare, self.batching.compression);
        let open = self.lanes[lane_id.0].open.get_or_insert_with(|| OpenBatch {
            builder: spare
                .pop()
                .unwrap_or_else(|| BatchBuilder::new(compression)),
            covered: Vec::new(),
            opened: now,
        });
        self.position_text.clear();
        write!(self.position_text, "{}", event.position).expect("writing to a string cannot fail");
        let before = open.builder.size();
        append_record(&mut open.builder, event, &self.position_text);
        self.open_bytes += open.builder.size() - before;
        let tail = Tail::of(event.tail);
        match open.covered.last() {
            Some(last) if last.file == event.file && acks.knows(last.span) => {
                acks.extend(event.end, tail);
            }
            _ => {
                let span = acks.begin(event.end, tail);
                let from = event.position;
                open.covered.push(Covered {
                    file: event.file,
                    span,
                    from,
                });
            }
        }
        if open.builder.size() >= limit {
            self.close(lane_id);
        } else if self.open_bytes > self.batching.open_bytes_max {
            self.close_largest();
        }
    }

    fn batch_limit(&self, topic: &Arc<str>) -> usize {
        let batch_bytes = self.batching.batch_bytes;
        if self.smaller.is_empty() {
            return batch_bytes;
        }
        self.smaller.get(topic).copied().unwrap_or(batch_bytes)
    }

    fn close_largest(&mut self) {
        let size = |lane: &Lane| lane.open.as_ref().map_or(0, |open| open.builder.size());
        let largest = (0..self.lanes.len()).max_by_key(|at| size(&self.lanes[*at]));
        if let Some(at) = largest {
            self.close(LaneId(at));
        }
    }

    fn close(&mut self, lane: LaneId) {
        let Some(mut open) = self.lanes[lane.0].open.take() else {
            return;
        };
        self.open_bytes = self
            .open_bytes
            .saturating_sub(open.builder.size() - BATCH_HEADER_SIZE);
        let records = i32::try_from(open.builder.len()).expect("a builder counts in i32");
        let bytes = open
            .builder
            .build()
            .expect("records in memory can be compressed");
        self.waiting.push_back(Closed {
            lane,
            bytes,
            records,
            covered: open.covered,
        });
        if self.spare.len() < SPARE_MAX {
            self.spare.push(open.builder);
        }
    }

    /// Closes the batches that have waited long enough, or all of them.
    pub(crate) fn close_due(&mut self, now: Instant, all: bool) {
        let linger = self.batching.linger;
        for at in 0..self.lanes.len() {
            let opened = self.lanes[at].open.as_ref().map(|open| open.opened);
            if opened.is_some_and(|opened| all || now.duration_since(opened) >= linger) {
                self.close(LaneId(at));
            }
        }
    }

    /// When the next open batch is due.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let opened = self
            .lanes
            .iter()
            .filter_map(|lane| lane.open.as_ref().map(|open| open.opened));
        opened.min().map(|opened| opened + self.batching.linger)
    }

    /// Hands closed batches over as far as `output` takes them; whether all are gone.
    pub(crate) fn hand_over(&mut self, output: &mut dyn Output, telemetry: &Telemetry) -> bool {
        while let Some(closed) = self.waiting.pop_front() {
            let Closed {
                lane,
                bytes,
                records,
                covered,
            } = closed;
            let (ticket, size) = (self.next_ticket, bytes.len());
            let Lane {
                topic, partition, ..
            } = &self.lanes[lane.0];
            let (topic, partition) = (topic.clone(), *partition);
            let batch = Batch {
                ticket,
                topic,
                partition,
                bytes,
                records,
            };
            if let Err(Batch { bytes, .. }) = output.send(batch) {
                self.waiting.push_front(Closed {
                    lane,
                    bytes,
                    records,
                    covered,
                });
                return false;
            }
            telemetry.records_sent.inc_by(records.unsigned_abs().into());
            telemetry.bytes_sent.inc_by(size as u64);
            self.next_ticket += 1;
            self.flying.insert(
                ticket,
                Flying {
                    lane,
                    records,
                    bytes: size,
                    covered,
                },
            );
        }
        true
    }

    /// Whether batches wait to be handed over.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing is open, waiting or in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.lanes.iter().all(|lane| lane.open.is_none())
            && self.waiting.is_empty()
            && self.flying.is_empty()
    }

    /// Batches handed over and not settled.
    pub(crate) fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// Books an outcome.
    pub(crate) fn settle(&mut self, outcome: Outcome) -> Option<Settled> {
        let Flying {
            lane,
            records,
            bytes,
            covered,
        } = self.flying.remove(&outcome.ticket)?;
        let topic = self.lanes[lane.0].topic.clone();
        if outcome.result == Err(Refusal::TooLarge) && records > 1 {
            let half = self.batch_limit(&topic).min(bytes.max(2)) / 2;
            self.smaller.insert(topic.clone(), half);
        }
        Some(Settled {
            lane,
            topic,
            records,
            bytes,
            covered,
            result: outcome.result,
        })
    }

    /// Takes back what is not handed over yet of a lane, so that nothing overtakes lines that are sent again.
    pub(crate) fn recall(&mut self, lane: LaneId) -> Vec<Covered> {
        let mut covered = Vec::new();
        self.waiting.retain_mut(|closed| {
            let recalled = closed.lane == lane;
            if recalled {
                covered.append(&mut closed.covered);
            }
            !recalled
        });
        if let Some(open) = self.lanes[lane.0].open.take() {
            self.open_bytes = self
                .open_bytes
                .saturating_sub(open.builder.size() - BATCH_HEADER_SIZE);
            covered.extend(open.covered);
        }
        covered
    }
}

/// Encodes one record; a cut line says so in a header.
fn append_record(builder: &mut BatchBuilder, event: &Event<'_>, position: &str) {
    let stamp = event.stamp;
    let is_cut = event.full_len > event.body.len() as u64;
    let full_len = if is_cut {
        event.full_len.to_string()
    } else {
        String::new()
    };
    let headers = [
        ("logway.origin", Some(stamp.origin.as_bytes())),
        ("logway.position", Some(position.as_bytes())),
        ("log.file.path", Some(stamp.path.as_bytes())),
        ("host.name", Some(stamp.host.as_bytes())),
        ("logway.truncated", Some(full_len.as_bytes())),
    ];
    let headers = &headers[..if is_cut { 5 } else { 4 }];
    let appended = builder.append(event.timestamp_ms, None, Some(event.body), headers);
    appended.expect("a batch limit and a line limit far below two gigabytes");
}
