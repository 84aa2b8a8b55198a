//! Finding records by time: Kafka's ListOffsets.
//!
//! Invariant: the answer is what reading every record would give, whatever the clocks did and
//! whatever state the time index is in.
//! Hallway: the journal's part of step 10.
use bytes::Bytes;
use logway_protocol::batch::BatchHeader;
use logway_protocol::record::records;

use crate::error::ReadError;
use crate::reader::LogReader;
use crate::segment::SegmentView;
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
            let Some(segment) = self.youngest_segment(view)? else {
                return Ok(None);
            };
            first_of_max(segment).map_err(|error| self.read_error(segment, error))
        })
    }

    fn youngest_segment<'a>(&self, view: &'a View) -> Result<Option<&'a SegmentView>, ReadError> {
        let mut youngest: Option<(&SegmentView, i64)> = None;
        for (segment, _) in view.segments_from(view.log_start_offset) {
            let max = segment.max_timestamp();
            let max = max.map_err(|error| self.read_error(segment, error))?;
            let Some(max) = max else { continue };
            if youngest.is_none_or(|(_, before)| max.timestamp > before) {
                youngest = Some((segment, max.timestamp));
            }
        }
        Ok(youngest.map(|(segment, _)| segment))
    }
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

fn first_of_max(segment: &SegmentView) -> Result<Option<FoundByTime>, WalkError> {
    let Some(max) = segment.max_timestamp()? else {
        return Ok(None);
    };
    let mut walk = segment.headers()?;
    let Some((position, header)) = segment.find(&mut walk, max.offset)? else {
        return Ok(None);
    };
    search_batch(&mut walk, position, &header, |_, at| at == max.timestamp)
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
