//! One round of compaction: a map of the dirty keys, then segment after segment without what is old.
//!
//! Invariant: reads one piece of each segment at a time and checks every checksum; besides that and
//! the map, memory holds one batch. (Kafka's `Cleaner.doClean`.)
//! Hallway: step 8, in compaction.
use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::batch::{BatchError, BatchHeader};
use logway_protocol::rewrite::StoredRecords;

use super::copy::{Judge, LastRecord, Outcome, control_type};
use super::key_map::KeyMap;
use super::output::{Finished, Output, Place, discard};
use super::plan::Cleanable;
use super::transactions::Transactions;
use super::{CleanError, Pace, damaged, paced, walk_failed};
use crate::config::LogConfig;
use crate::reader::LogReader;
use crate::segment::SegmentView;
use crate::txn_index::AbortedTxn;
use crate::view::Shared;
use crate::walk::{Walk, offsets_fault};

/// Bounds of a cleaner's memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanerConfig {
    /// `log.cleaner.dedupe.buffer.size`: the map of keys. A round ends early when it is full.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.io.buffer.size`: half of it for reading, half for writing.
    pub io_buffer_bytes: usize,
    /// Most bytes that one batch is decompressed to.
    pub unpacked_bytes_max: usize,
}

/// Compacts one log after the other.
#[derive(Debug)]
pub struct Cleaner {
    config: CleanerConfig,
}

/// What a round has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundStats {
    /// Bytes of the batches read to be written anew.
    pub bytes_read: u64,
    /// Bytes of those that stayed.
    pub bytes_kept: u64,
    /// Records read to be written anew.
    pub records_read: u64,
    /// Those of them that stayed.
    pub records_kept: u64,
}

/// What a round needs to know besides the log.
#[derive(Debug, Clone)]
pub struct RoundInputs {
    /// The log's own settings.
    pub log: LogConfig,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// Milliseconds since 1970.
    pub now_ms: i64,
}

/// A round under way.
#[derive(Debug)]
pub struct Round {
    shared: Arc<Shared>,
    config: CleanerConfig,
    inputs: RoundInputs,
    /// Segments that become one, in order. Each group goes with its turn: a swap holds its files open.
    groups: std::vec::IntoIter<Vec<Arc<SegmentView>>>,
    map: KeyMap,
    /// The map has all keys below this offset.
    end_offset: i64,
    transactions: Transactions,
    stats: RoundStats,
}

/// A new segment, durable, and the old ones whose place it is to take.
#[derive(Debug)]
pub struct Replacement {
    pub(super) shared: Arc<Shared>,
    pub(super) old: Vec<Arc<SegmentView>>,
    pub(super) new: Finished,
    /// Where the round ends: the log must be durable up to here before records go.
    pub(super) needed_offset: i64,
}

impl Cleaner {
    /// A cleaner; it takes no memory while nothing is compacted.
    #[must_use]
    pub fn new(config: CleanerConfig) -> Cleaner {
        Cleaner { config }
    }

    /// Reads the dirty part of a log.
    pub fn begin(
        &self,
        cleanable: Cleanable,
        inputs: RoundInputs,
        pace: Pace<'_>,
    ) -> Result<Round, CleanError> {
        let reader = LogReader::new(Arc::clone(&cleanable.shared));
        let limit = cleanable.first_uncleanable_offset;
        // From the first segment on, also below the log start: all of it is written anew.
        let aborted = reader.aborted_transactions(i64::MIN, limit)?;
        let mut round = Round {
            shared: Arc::clone(&cleanable.shared),
            config: self.config.clone(),
            inputs,
            groups: Vec::new().into_iter(),
            map: KeyMap::new(self.config.dedupe_buffer_bytes),
            end_offset: cleanable.first_dirty_offset,
            transactions: Transactions::from(i64::MIN, &aborted),
            stats: RoundStats::default(),
        };
        let mut segments = cleanable.segments;
        let dirty = Dirty {
            segments: &segments,
            from: cleanable.first_dirty_offset,
            aborted: &aborted,
        };
        if let Err(error) = round.map_dirty(&dirty, pace) {
            let all = segments.iter().map(|(segment, _)| segment);
            return Err(round.cause_of(error, all));
        }
        segments.retain(|(segment, _)| segment.base_offset() < round.end_offset);
        round.groups = group(segments, &round.inputs.log).into_iter();
        Ok(round)
    }
}

impl Round {
    /// The next round may begin here once all groups are swapped in: for the checkpoint.
    #[must_use]
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> RoundStats {
        self.stats
    }

    fn map_dirty(&mut self, dirty: &Dirty<'_>, pace: Pace<'_>) -> Result<(), CleanError> {
        let from = dirty.from;
        let mut mapping = Mapping {
            map: &mut self.map,
            transactions: Transactions::from(from, dirty.aborted),
            from,
            unpacked_bytes_max: self.config.unpacked_bytes_max,
            mapped_to: from,
        };
        for (segment, end) in dirty.segments {
            if *end <= from {
                continue;
            }
            let mut source = Source::open(&self.shared, segment, &self.config)?;
            source.skip_to(from)?;
            while let Some(read) = source.next(pace)? {
                let is_full = mapping
                    .add(&read.header, read.batch)
                    .map_err(|error| damaged(&self.shared, segment.base_offset(), error.into()))?;
                if is_full {
                    self.end_offset = mapping.mapped_to;
                    return Ok(());
                }
            }
            mapping.mapped_to = *end;
        }
        self.end_offset = mapping.mapped_to;
        Ok(())
    }

    /// Writes the next group of segments anew; none when all are done. Groups in which nothing is
    /// old are passed over. `producers` is what the log's writer knows of them now.
    pub fn next_group(
        &mut self,
        producers: &HashMap<i64, LastRecord>,
        pace: Pace<'_>,
    ) -> Result<Option<Replacement>, CleanError> {
        while let Some(group) = self.groups.next() {
            let Some(first) = group.first() else { continue };
            let base_offset = first.base_offset();
            let written = self.write(&group, producers, pace);
            match written {
                Ok(Some(new)) => {
                    return Ok(Some(Replacement {
                        shared: Arc::clone(&self.shared),
                        old: group,
                        new,
                        needed_offset: self.end_offset,
                    }));
                }
                Ok(None) => discard(&self.shared, base_offset),
                Err(error) => {
                    discard(&self.shared, base_offset);
                    return Err(self.cause_of(error, group.iter()));
                }
            }
        }
        Ok(None)
    }

    /// What is behind an error: that the log has not all of these segments any more, if so.
    fn cause_of<'a>(
        &self,
        error: CleanError,
        mut segments: impl Iterator<Item = &'a Arc<SegmentView>>,
    ) -> CleanError {
        let view = self.shared.view.load();
        let mut closed = view.closed.iter();
        let has_all = segments.all(|segment| closed.any(|other| Arc::ptr_eq(other, segment)));
        match error {
            CleanError::Read(_) | CleanError::Disk(_) if !has_all => CleanError::Changed,
            error => error,
        }
    }

    /// The new segment of a group; none if it would be the same as the old one.
    fn write(
        &mut self,
        group: &[Arc<SegmentView>],
        producers: &HashMap<i64, LastRecord>,
        pace: Pace<'_>,
    ) -> Result<Option<Finished>, CleanError> {
        let last = group.iter().rposition(|segment| segment.size > 0);
        let (Some(last), Some(first)) = (last, group.first()) else {
            return Ok(None);
        };
        let place = Place {
            shared: &self.shared,
            base_offset: first.base_offset(),
            index_interval_bytes: self.inputs.log.index_interval_bytes,
            buffer_bytes: self.config.io_buffer_bytes / 2,
        };
        let now_ms = self.inputs.now_ms;
        let mut copying = Copying {
            output: Output::create(&place, now_ms)?,
            judge: Judge {
                map: &self.map,
                mapped_to: self.end_offset - 1,
                now_ms,
                delete_retention_ms: self.inputs.delete_retention_ms,
                unpacked_bytes_max: self.config.unpacked_bytes_max,
                producers,
                transactions: &mut self.transactions,
            },
            stats: &mut self.stats,
            changed: group.len() > 1,
        };
        for (at, segment) in group.iter().enumerate() {
            let source = Source::open(&self.shared, segment, &self.config)?;
            copying.segment(source, at == last, pace)?;
        }
        let Copying {
            output,
            judge,
            changed,
            ..
        } = copying;
        let aborted = std::mem::take(&mut judge.transactions.retained);
        self.stats.bytes_kept += u64::from(output.size());
        if changed {
            output.finish(&aborted).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The dirty part of a log.
struct Dirty<'a> {
    /// Each with the offset at which it ends; some lie before the dirty part.
    segments: &'a [(Arc<SegmentView>, i64)],
    from: i64,
    aborted: &'a [AbortedTxn],
}

/// A group on its way into its new segment.
struct Copying<'a> {
    output: Output,
    judge: Judge<'a>,
    stats: &'a mut RoundStats,
    changed: bool,
}

impl Copying<'_> {
    /// Copies what stays of one segment; `is_last`: no other one of the group has batches behind it.
    fn segment(
        &mut self,
        mut source: Source<'_>,
        is_last: bool,
        pace: Pace<'_>,
    ) -> Result<(), CleanError> {
        let (shared, base_offset) = (source.shared, source.segment.base_offset());
        let failed = |error: BatchError| damaged(shared, base_offset, error.into());
        while let Some(read) = source.next(pace)? {
            let ends_segment = is_last && read.ends_file;
            let decided = self.judge.decide(read.batch, ends_segment);
            let (outcome, kept) = decided.map_err(failed)?;
            self.stats.bytes_read += read.batch.len() as u64;
            self.stats.records_read += u64::try_from(read.header.record_count).unwrap_or(0);
            self.stats.records_kept += kept as u64;
            self.changed |= !matches!(outcome, Outcome::Verbatim);
            let written = match outcome {
                Outcome::Verbatim => self.output.push(read.batch, &read.header)?,
                Outcome::Rewritten(bytes) => {
                    let header = BatchHeader::decode(&bytes).map_err(failed)?;
                    self.output.push(&bytes, &header)?
                }
                Outcome::Dropped => 0,
            };
            paced(pace, written)?;
        }
        Ok(())
    }
}

/// Fills the map of keys from the dirty batches.
struct Mapping<'a> {
    map: &'a mut KeyMap,
    transactions: Transactions,
    /// Records before this offset are not dirty.
    from: i64,
    unpacked_bytes_max: usize,
    /// All keys before this offset are in the map.
    mapped_to: i64,
}

impl Mapping<'_> {
    /// Takes one batch; true if the map is full and something of the batch is missing.
    fn add(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<bool, BatchError> {
        let records = StoredRecords::open(batch, self.unpacked_bytes_max)?;
        if header.is_control() {
            let kind = control_type(&records)?;
            self.transactions.on_control(header, kind);
        } else if !self.transactions.on_data(header) {
            for record in records.iter() {
                let record = record?;
                let Some(key) = record.key.filter(|_| record.offset >= self.from) else {
                    continue;
                };
                if self.map.put(key, record.offset).is_err() {
                    self.mapped_to = record.offset;
                    return Ok(true);
                }
            }
        }
        self.mapped_to = self.mapped_to.max(header.next_offset());
        Ok(false)
    }
}

/// The batches of one segment, checked.
struct Source<'a> {
    shared: &'a Shared,
    segment: &'a SegmentView,
    walk: Walk,
    position: u32,
    /// The smallest offset that may follow.
    expected: i64,
}

/// One batch of a segment.
struct ReadBatch<'a> {
    header: BatchHeader,
    batch: &'a [u8],
    /// No other batch follows.
    ends_file: bool,
}

impl<'a> Source<'a> {
    fn open(
        shared: &'a Shared,
        segment: &'a SegmentView,
        config: &CleanerConfig,
    ) -> Result<Source<'a>, CleanError> {
        let handle = segment.files.log.open();
        let handle = handle.map_err(|error| walk_failed(shared, segment)(error.into()))?;
        Ok(Source {
            shared,
            segment,
            walk: Walk::new(handle, segment.size, config.io_buffer_bytes / 2),
            position: 0,
            expected: segment.base_offset(),
        })
    }

    /// Passes over the batches that end before `offset`.
    fn skip_to(&mut self, offset: i64) -> Result<(), CleanError> {
        let found = self.segment.find(&mut self.walk, offset);
        let found = found.map_err(walk_failed(self.shared, self.segment))?;
        self.position = found.map_or(self.segment.size, |(position, _)| position);
        Ok(())
    }

    fn next(&mut self, pace: Pace<'_>) -> Result<Option<ReadBatch<'_>>, CleanError> {
        let failed = walk_failed(self.shared, self.segment);
        let Some(header) = self.walk.checked(self.position).map_err(&failed)? else {
            return Ok(None);
        };
        if header.base_offset < self.expected {
            let fault = offsets_fault(&header, self.expected);
            return Err(damaged(self.shared, self.segment.base_offset(), fault));
        }
        paced(pace, header.total_size())?;
        let position = self.position;
        self.position += header.total_size() as u32;
        self.expected = header.next_offset();
        Ok(Some(ReadBatch {
            header,
            ends_file: self.position >= self.segment.size,
            batch: self.walk.batch(position, &header).map_err(failed)?,
        }))
    }
}

/// Segments that become one: together within the limits of one segment.
fn group(segments: Vec<(Arc<SegmentView>, i64)>, config: &LogConfig) -> Vec<Vec<Arc<SegmentView>>> {
    let bytes_max = u64::from(config.segment_bytes.min(i32::MAX as u32));
    let index_max = u64::from(config.segment_index_bytes);
    let mut groups: Vec<Vec<Arc<SegmentView>>> = Vec::new();
    let (mut bytes, mut offsets, mut times, mut base) = (0, 0, 0, 0);
    for (segment, end) in segments {
        bytes += u64::from(segment.size);
        offsets += segment.offsets.file_len();
        times += segment.times.file_len();
        let joins = bytes <= bytes_max
            && offsets <= index_max
            && times <= index_max
            && (segment.size == 0 || end - 1 - base <= i64::from(i32::MAX));
        match groups.last_mut().filter(|_| joins) {
            Some(last) => last.push(segment),
            None => {
                bytes = u64::from(segment.size);
                (offsets, times) = (segment.offsets.file_len(), segment.times.file_len());
                base = segment.base_offset();
                groups.push(vec![segment]);
            }
        }
    }
    groups
}
