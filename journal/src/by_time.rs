//! Finding records by time: Kafka's ListOffsets.
//!
//! Invariant: the answer is what reading every record would give, whatever the clocks did and
//! whatever state the time index is in.
//! Hallway: the journal's part of step 10.
use bytes::Bytes;
use logway_protocol::batch::BatchHeader;
use logway_protocol::record::records;

use crate::error::ReadError;
use crate::index::TimeEntry;
use crate::reader::LogReader;
use crate::segment::{NO_TIMESTAMP, SegmentView, later};
use crate::view::View;
use crate::walk::{Walk, WalkError};

/// Largest decompressed batch that is looked into for a timestamp, in bytes.
const UNCOMPRESSED_BYTES_MAX: usize = 256 << 20;

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundByTime {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970.
    pub timestamp: i64,
    /// The leader epoch of its batch; -1 if it has none.
    pub leader_epoch: i32,
}

impl LogReader {
    /// The first record whose timestamp is at least `timestamp`; none if all are earlier.
    pub fn offset_for_timestamp(&self, timestamp: i64) -> Result<Option<FoundByTime>, ReadError> {
        self.on_a_view(|view| {
            for (segment, _) in view.segments_from(view.log_start_offset) {
                let found = search_segment(segment, timestamp, view.log_start_offset);
                let found = found.map_err(|error| self.read_error(segment, error))?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }

    /// The first record with the largest timestamp of the log; none if no record has one.
    pub fn max_timestamp(&self) -> Result<Option<FoundByTime>, ReadError> {
        self.on_a_view(|view| {
            let Some((segment, max)) = self.youngest_segment(view)? else {
                return Ok(None);
            };
            let start = view.log_start_offset;
            let found = first_of_max(segment, max, start);
            found.map_err(|error| self.read_error(segment, error))
        })
    }

    fn youngest_segment<'a>(
        &self,
        view: &'a View,
    ) -> Result<Option<(&'a SegmentView, TimeEntry)>, ReadError> {
        let mut youngest: Option<(&SegmentView, TimeEntry)> = None;
        let start = view.log_start_offset;
        for (segment, _) in view.segments_from(start) {
            let max = if segment.base_offset() < start {
                max_from(segment, start)
            } else {
                segment.max_timestamp()
            };
            let max = max.map_err(|error| self.read_error(segment, error))?;
            let Some(max) = max else { continue };
            if youngest.is_none_or(|(_, before)| max.timestamp > before.timestamp) {
                youngest = Some((segment, max));
            }
        }
        Ok(youngest)
    }
}

/// The largest timestamp among the records at or after `log_start_offset`, in the segment that has it.
fn max_from(segment: &SegmentView, log_start_offset: i64) -> Result<Option<TimeEntry>, WalkError> {
    let mut walk = segment.headers()?;
    let Some((mut position, first)) = segment.find(&mut walk, log_start_offset)? else {
        return Ok(None);
    };
    let mut max = None;
    if first.base_offset < log_start_offset {
        // The log begins inside this batch: its header speaks for deleted records too.
        let batch = Bytes::copy_from_slice(walk.batch(position, &first)?);
        let mut header = first;
        header.max_timestamp = NO_TIMESTAMP;
        for record in records(&batch, UNCOMPRESSED_BYTES_MAX)? {
            let record = record?;
            if record.offset >= log_start_offset {
                header.max_timestamp = header.max_timestamp.max(record.timestamp);
            }
        }
        max = later(max, &header);
        position += first.total_size() as u32;
    }
    while let Some(header) = walk.header(position)? {
        max = later(max, &header);
        position += header.total_size() as u32;
    }
    Ok(max)
}

fn search_segment(
    segment: &SegmentView,
    timestamp: i64,
    log_start_offset: i64,
) -> Result<Option<FoundByTime>, WalkError> {
    let max = segment.max_timestamp()?;
    if max.is_none_or(|max| max.timestamp < timestamp) {
        return Ok(None);
    }
    let mut walk = segment.headers()?;
    let mut position = segment.position_before_time(&mut walk, timestamp);
    while let Some(header) = walk.header(position)? {
        if header.max_timestamp >= timestamp && header.last_offset() >= log_start_offset {
            let is_it = |offset, at| at >= timestamp && offset >= log_start_offset;
            if let Some(found) = search_batch(&mut walk, position, &header, is_it)? {
                return Ok(Some(found));
            }
        }
        position += header.total_size() as u32;
    }
    Ok(None)
}

fn first_of_max(
    segment: &SegmentView,
    max: TimeEntry,
    log_start_offset: i64,
) -> Result<Option<FoundByTime>, WalkError> {
    let mut walk = segment.headers()?;
    let Some((position, header)) = segment.find(&mut walk, max.offset)? else {
        return Ok(None);
    };
    let is_it = |offset, at| at == max.timestamp && offset >= log_start_offset;
    search_batch(&mut walk, position, &header, is_it)
}

/// The first record of a batch for which `is_it` holds, given its offset and timestamp.
fn search_batch(
    walk: &mut Walk,
    position: u32,
    header: &BatchHeader,
    is_it: impl Fn(i64, i64) -> bool,
) -> Result<Option<FoundByTime>, WalkError> {
    let batch = Bytes::copy_from_slice(walk.batch(position, header)?);
    for record in records(&batch, UNCOMPRESSED_BYTES_MAX)? {
        let record = record?;
        if is_it(record.offset, record.timestamp) {
            return Ok(Some(FoundByTime {
                offset: record.offset,
                timestamp: record.timestamp,
                leader_epoch: header.partition_leader_epoch,
            }));
        }
    }
    Ok(None)
}
