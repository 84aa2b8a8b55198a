//! Records of a batch, decoded without copying.
//!
//! Invariant: keys, values and header values are slices of the batch, or of the one buffer that it
//! was decompressed into; nothing is allocated for a number that the bytes cannot carry.
//! Hallway: step 10, at the consumer.
#![warn(clippy::indexing_slicing)]

use bytes::Bytes;

use crate::batch::{self, BATCH_HEADER_SIZE, BatchError, BatchHeader, TimestampType};
use crate::compression::{self, Compression};
use crate::input::{Input, SliceInput, Stop};
use crate::text::Text;
use crate::walk::{self, RECORD_SIZE_MIN, RecordFault, RecordHead};

/// Most elements that are allocated for before the first is decoded.
const PREALLOCATED_MAX: i32 = 1024;

/// A record: one line, one event, one marker.
///
/// Its bytes keep the whole batch alive; copy what is kept for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, by the clock that the batch names; -1 if there is none.
    pub timestamp: i64,
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value, or null (a tombstone in compacted topics).
    pub value: Option<Bytes>,
    /// The headers in the producer's order; names may repeat.
    pub headers: Vec<RecordHeader>,
}

/// A named value beside a record's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordHeader {
    /// The name. Bytes that are not UTF-8 are replaced as Java's client does.
    pub key: Text,
    /// The value, or null.
    pub value: Option<Bytes>,
}

/// Decodes all records of one whole batch; the checksum is not looked at.
///
/// Compressed records are decompressed to at most `max_uncompressed` bytes.
pub fn decode_records(batch: &Bytes, max_uncompressed: usize) -> Result<Vec<Record>, BatchError> {
    let records = records(batch, max_uncompressed)?;
    let mut decoded =
        Vec::with_capacity(records.header.record_count.min(PREALLOCATED_MAX) as usize);
    for record in records {
        decoded.push(record?);
    }
    Ok(decoded)
}

/// The records of one whole batch, one at a time; see [`decode_records`].
pub fn records(batch: &Bytes, max_uncompressed: usize) -> Result<Records, BatchError> {
    let (header, content) = batch::open(batch)?;
    walk::check_count(&header, content)?;
    let content = match header.compression()? {
        Compression::None => batch.slice(BATCH_HEADER_SIZE..),
        codec => compression::decompress(codec, content, max_uncompressed)?,
    };
    let available = content.len();
    if header.record_count as usize > available / RECORD_SIZE_MIN {
        return Err(BatchError::InvalidRecordCount {
            count: header.record_count,
            available,
        });
    }
    Ok(Records {
        header,
        content,
        position: 0,
        index: 0,
    })
}

/// Decodes records one by one; ends after the first error. Made by [`records`].
#[derive(Debug, Clone)]
pub struct Records {
    header: BatchHeader,
    content: Bytes,
    position: usize,
    index: i32,
}

impl Records {
    /// The header of the batch.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn decode(&mut self) -> Result<Record, Stop> {
        let rest = self.content.get(self.position..).unwrap_or_default();
        let mut input = SliceInput::new(rest);
        let field = Field {
            content: &self.content,
            start: self.position,
        };
        let (head, announced) = walk::read_head(&mut input)?;
        if !(0..=self.header.last_offset_delta).contains(&head.offset_delta) {
            return Err(RecordFault::OffsetDelta {
                actual: head.offset_delta,
            }
            .into());
        }
        let key = field.read(&mut input, &head, "key")?;
        let value = field.read(&mut input, &head, "value")?;
        let count = walk::read_header_count(&mut input, &head)?;
        let mut headers = Vec::with_capacity(count.min(PREALLOCATED_MAX as usize));
        for _ in 0..count {
            let key = field.read(&mut input, &head, "header key")?.ok_or(
                RecordFault::NegativeLength {
                    field: "header key",
                    length: -1,
                },
            )?;
            let value = field.read(&mut input, &head, "header value")?;
            headers.push(RecordHeader {
                key: text(&key),
                value,
            });
        }
        walk::finish(&input, &head, announced)?;
        self.position += input.position();
        let timestamp = match self.header.timestamp_type() {
            TimestampType::CreateTime => self
                .header
                .base_timestamp
                .wrapping_add(head.timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = self
            .header
            .base_offset
            .saturating_add(i64::from(head.offset_delta));
        Ok(Record {
            offset,
            timestamp,
            key,
            value,
            headers,
        })
    }
}

impl Iterator for Records {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.header.record_count;
        if self.index < count {
            let index = self.index;
            self.index += 1;
            let record = self.decode().map_err(|stop| stop.at(index));
            if record.is_err() {
                self.index = count;
                self.position = self.content.len();
            }
            return Some(record);
        }
        let all_read = self.position == self.content.len();
        self.position = self.content.len();
        (!all_read).then_some(Err(BatchError::TrailingRecords { count }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.header.record_count - self.index) as usize;
        // An error ends the records early, trailing bytes add an item.
        (left.min(1), Some(left + 1))
    }
}

/// Cuts fields out of the content, in which the current record starts at `start`.
struct Field<'a> {
    content: &'a Bytes,
    start: usize,
}

impl Field<'_> {
    fn read(
        &self,
        input: &mut SliceInput<'_>,
        head: &RecordHead,
        name: &'static str,
    ) -> Result<Option<Bytes>, Stop> {
        let Some(length) = walk::read_length(input, head, name)? else {
            return Ok(None);
        };
        let from = self.start + input.position();
        input.skip(length)?;
        Ok(Some(self.content.slice(from..from + length)))
    }
}

/// A header's name as text.
fn text(bytes: &Bytes) -> Text {
    match Text::from_utf8(bytes.clone()) {
        Ok(text) => text,
        Err(_) => Text::from(String::from_utf8_lossy(bytes).into_owned()),
    }
}
