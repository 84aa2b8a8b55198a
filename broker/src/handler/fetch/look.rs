//! One look at the listed partitions of a fetch: what each could answer now, without reading it.
//! Invariant: partitions get their turn in order, and a look ends when its answer is full. Step 10
//! of the hallway.

use std::sync::Arc;

use logway_journal::{FetchSlice, ReadError};
use logway_protocol::ErrorCode;
use logway_protocol::message::fetch::EpochEndOffset;
use tracing::warn;

use super::reading::Reading;
use crate::context::Context;
use crate::fetch::{Asked, Seen};
use crate::handler::error::{Code, of_leader_epoch};
use crate::partition::Partition;

/// Record sets in one answer: each keeps a file open until it is written.
const SLICES_MAX: usize = 1024;

/// What limits a look and its answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of all records.
    pub(super) bytes: usize,
    /// Only what is decided, and with the list of what was aborted.
    pub(super) committed: bool,
    /// Whether the thread may wait for a disk.
    pub(super) may_wait: bool,
}

/// What there is to say about one partition.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: u32,
    pub(super) seen: Seen,
    pub(super) data: Result<Data, ErrorCode>,
}

/// The records of a partition, and what comes with them.
#[derive(Debug)]
pub(super) struct Data {
    pub(super) slice: FetchSlice,
    pub(super) aborted: Option<Vec<(i64, i64)>>,
    pub(super) diverging: Option<EpochEndOffset>,
}

impl Data {
    /// No records.
    pub(super) fn empty(committed: bool) -> Data {
        Data {
            slice: FetchSlice::empty(0),
            aborted: committed.then(Vec::new),
            diverging: None,
        }
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Round {
    /// Partitions with records or errors.
    pub(super) found: Vec<Found>,
    /// Partitions where only offsets are news.
    pub(super) news: Vec<u32>,
    pub(super) bytes: usize,
    /// Something that the client must hear at once.
    pub(super) urgent: bool,
    /// There is more than was found: waiting would bring nothing into this answer.
    pub(super) full: bool,
    /// Partitions that are not here.
    pub(super) absent: usize,
    /// A log could not be searched without waiting for a disk: the look ended there.
    pub(super) cold: bool,
    /// The answer leaves out what is no news.
    pub(super) is_session: bool,
}

impl Round {
    /// Nothing found yet.
    pub(super) fn new(is_session: bool) -> Round {
        Round {
            is_session,
            ..Round::default()
        }
    }

    /// Looks at listed partitions until the answer is full. With `register` all of them tell of
    /// changes from then on, so that those with nothing to say are left alone until they do.
    pub(super) fn look(
        &mut self,
        context: &Context,
        reading: &mut Reading,
        limits: Limits,
        register: bool,
    ) {
        reading.list_changed();
        let mut idle = Vec::new();
        for _ in 0..reading.session.listed() {
            if self.found.len() >= SLICES_MAX || (self.bytes > 0 && self.bytes >= limits.bytes) {
                self.full = true;
                break;
            }
            let Some(place) = reading.session.take_listed() else {
                break;
            };
            let resolved = reading.resolve(context, place);
            if register {
                reading.register(place);
            }
            let room = Limits {
                bytes: limits.bytes.saturating_sub(self.bytes),
                ..limits
            };
            let Some(found) = self.look_at(reading, place, resolved, room) else {
                continue;
            };
            let found = match found {
                Ok(found) => found,
                Err(Cold) => {
                    self.cold = true;
                    idle.push(place);
                    break;
                }
            };
            if found.seen.records || found.seen.failed {
                self.found.push(found);
            } else if self.is_session && reading.session.is_news(place, found.seen) {
                self.news.push(place);
            } else if reading.is_registered(place) {
                reading.session.unlist(place);
            } else {
                idle.push(place);
            }
        }
        reading.session.relist(idle.into_iter());
    }

    fn look_at(
        &mut self,
        reading: &Reading,
        place: u32,
        resolved: Result<Arc<Partition>, ErrorCode>,
        room: Limits,
    ) -> Option<Result<Found, Cold>> {
        let asked = reading.session.slot(place)?.asked;
        let partition = match resolved {
            Ok(partition) => partition,
            Err(code) => {
                // Told, but no reason to answer at once: the rest goes on as if it were not there.
                self.absent += 1;
                return Some(Ok(failed(place, code)));
            }
        };
        let first = self.bytes == 0;
        let (seen, data) = match data(&partition, asked, room, first) {
            Ok(Some((seen, data))) => (seen, data),
            Ok(None) => return Some(Err(Cold)),
            Err(code) => {
                self.urgent = true;
                return Some(Ok(failed(place, code)));
            }
        };
        self.bytes += data.slice.len();
        let end = if room.committed {
            seen.last_stable_offset
        } else {
            seen.high_watermark
        };
        self.urgent |= data.diverging.is_some();
        self.full |= data.diverging.is_none() && data.slice.next_offset() < end;
        Some(Ok(Found {
            place,
            seen,
            data: Ok(data),
        }))
    }
}

/// A disk would have to be waited for.
struct Cold;

fn failed(place: u32, code: ErrorCode) -> Found {
    Found {
        place,
        seen: Seen::nothing(),
        data: Err(code),
    }
}

/// What a partition says about itself, with or without records.
pub(super) fn seen(partition: &Partition, records: bool) -> Seen {
    Seen {
        last_stable_offset: partition.last_stable_offset(),
        high_watermark: partition.high_watermark(),
        log_start_offset: partition.log_start_offset(),
        records,
        failed: false,
    }
}

/// What a partition answers; none if the thread would have to wait for that.
fn data(
    partition: &Partition,
    asked: Asked,
    room: Limits,
    first: bool,
) -> Result<Option<(Seen, Data)>, ErrorCode> {
    let code = of_leader_epoch(asked.current_leader_epoch, partition.leader_epoch());
    if code != ErrorCode::None {
        return Err(code);
    }
    if let Some(end) = diverging(partition, asked)? {
        let mut seen = seen(partition, false);
        seen.failed = true;
        let data = Data {
            diverging: Some(end),
            ..Data::empty(false)
        };
        return Ok(Some((seen, data)));
    }
    let read = if room.committed {
        read_committed(partition, asked, room, first)
    } else {
        let slice = read(partition, asked, i64::MAX, room, first);
        slice.map(|slice| slice.map(|slice| (slice, None)))
    };
    let read = read.map_err(|failure| report(partition, asked, &failure))?;
    let Some((slice, aborted)) = read else {
        return Ok(None);
    };
    // Asked after the records: what they reach is below it.
    let seen = seen(partition, !slice.is_empty());
    let data = Data {
        slice,
        aborted,
        diverging: None,
    };
    Ok(Some((seen, data)))
}

/// Where the log parts from what the client has read, by the epoch of its last record (KIP-595).
fn diverging(partition: &Partition, asked: Asked) -> Result<Option<EpochEndOffset>, ErrorCode> {
    if asked.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let end = partition
        .epoch_end_offset(asked.last_fetched_epoch)
        .ok_or(ErrorCode::OffsetOutOfRange)?;
    let (epoch, end_offset) = end;
    let parts = epoch < asked.last_fetched_epoch || end_offset < asked.fetch_offset;
    Ok(parts.then_some(EpochEndOffset { epoch, end_offset }))
}

type Committed = (FetchSlice, Option<Vec<(i64, i64)>>);

fn read_committed(
    partition: &Partition,
    asked: Asked,
    room: Limits,
    first: bool,
) -> Result<Option<Committed>, ReadError> {
    let stable = partition.last_stable_offset();
    let Some(slice) = read(partition, asked, stable, room, first)? else {
        return Ok(None);
    };
    let aborted = if slice.is_empty() {
        Vec::new()
    } else {
        partition.aborted_transactions(asked.fetch_offset, slice.next_offset())?
    };
    Ok(Some((slice, Some(aborted))))
}

fn read(
    partition: &Partition,
    asked: Asked,
    below: i64,
    room: Limits,
    first: bool,
) -> Result<Option<FetchSlice>, ReadError> {
    let limit = usize::try_from(asked.max_bytes).unwrap_or(0);
    let (offset, limit) = (asked.fetch_offset, limit.min(room.bytes));
    // The first batch of the answer may exceed every limit, or a consumer would never get past it.
    let reader = partition.reader();
    if room.may_wait {
        reader.read_below(offset, below, limit, first).map(Some)
    } else {
        reader.read_below_in_memory(offset, below, limit, first)
    }
}

fn report(partition: &Partition, asked: Asked, failure: &ReadError) -> ErrorCode {
    let code = failure.code();
    if code != ErrorCode::OffsetOutOfRange {
        let (topic, index) = (partition.topic(), partition.index());
        let offset = asked.fetch_offset;
        warn!(topic, partition = index, offset, "fetch: {failure}");
    }
    code
}
