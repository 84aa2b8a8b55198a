//! Step 11 of the hallway, its pure half: turns received records into rows for the store.
//!
//! Invariant: no input is dropped and none panics. What is not a metric on a metrics topic becomes
//! an unparsed row with its reason; what is not logstash JSON on a log topic is kept as a raw line.
//! Rows borrow from the records, so a batch is transformed without copying bodies.

pub mod influx;
pub mod level;
pub mod logstash;
pub mod telegraf;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

pub use level::Level;

/// What a topic carries; decides how its records are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicKind {
    /// One log line or application event per record.
    Logs,
    /// Influx line protocol or Telegraf JSON.
    Metrics,
}

/// One record as it left the consumer, reduced to what the store keeps.
#[derive(Debug, Clone)]
pub struct Received {
    /// The record's topic.
    pub topic: Arc<str>,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The record's timestamp in milliseconds since 1970.
    pub timestamp: i64,
    /// The record's value; `None` is stored as an empty line on log topics.
    pub value: Option<Bytes>,
    /// Header `logway.origin`.
    pub origin: Option<Bytes>,
    /// Header `logway.position`.
    pub position: Option<Bytes>,
    /// Header `host.name`.
    pub host: Option<Bytes>,
    /// Header `log.file.path`.
    pub path: Option<Bytes>,
}

/// Longest origin that is believed; a longer one counts as none.
const ORIGIN_BYTES_MAX: usize = 64;

impl Received {
    /// The identity that makes a repeat recognisable: origin and position, if both headers are sound.
    fn identity(&self) -> Option<(&str, i64)> {
        let origin = std::str::from_utf8(self.origin.as_deref()?).ok()?;
        if origin.is_empty() || origin.len() > ORIGIN_BYTES_MAX {
            return None;
        }
        let position = std::str::from_utf8(self.position.as_deref()?)
            .ok()?
            .parse::<u64>()
            .ok()?;
        Some((origin, i64::try_from(position).ok()?))
    }
}

/// Where a row came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot<'a> {
    /// The record's topic.
    pub topic: &'a str,
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// How a log line's body is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The body is the message.
    Raw = 0,
    /// The body is a JSON object that holds the message.
    Logstash = 1,
}

/// A log line with the fields that can be filtered by.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine<'a> {
    /// Milliseconds since 1970: the event's own time where it states one, else the record's.
    pub timestamp: i64,
    /// Origin and position, see [`Received`].
    pub identity: Option<(&'a str, i64)>,
    /// How the body is to be read.
    pub format: Format,
    /// Severity, stated or recognised near the start of a raw line.
    pub level: Option<Level>,
    /// Host that wrote the line.
    pub host: Option<Cow<'a, str>>,
    /// File the line was read from.
    pub path: Option<Cow<'a, str>>,
    /// Logger that wrote the event.
    pub logger: Option<Cow<'a, str>>,
    /// Service that wrote the event.
    pub service: Option<Cow<'a, str>>,
    /// The record's value, byte for byte.
    pub body: &'a [u8],
}

/// A series as the record names it; the store maps it to its canonical form.
#[derive(Debug, Clone, PartialEq)]
pub enum Series<'a> {
    /// Measurement and tags in line protocol, already checked by the parser.
    Line(&'a [u8]),
    /// Measurement and tags by name.
    Parts {
        /// Measurement.
        name: String,
        /// Tags, sorted by key.
        tags: BTreeMap<String, String>,
    },
}

/// A field's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// 64-bit float, always finite.
    Float(f64),
    /// Signed integer.
    Int(i64),
    /// Unsigned integer.
    Uint(u64),
    /// Boolean.
    Bool(bool),
    /// Text.
    Text(Cow<'a, str>),
}

/// One metric: a series, its fields and a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric<'a> {
    /// The series.
    pub series: Series<'a>,
    /// Field names and values, at least one.
    pub fields: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Nanoseconds since 1970.
    pub timestamp: i64,
}

/// Why a line on a metrics topic is not a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Bytes are not UTF-8.
    NotUtf8,
    /// No measurement name.
    Name,
    /// A tag is malformed.
    Tag,
    /// A field is malformed or missing.
    Field,
    /// A number does not fit its type.
    Range,
    /// The timestamp is malformed or out of range.
    Timestamp,
    /// JSON that does not parse.
    Json,
    /// JSON of another shape than Telegraf's.
    Shape,
    /// JSON without a field that can be stored.
    NoFields,
}

impl Reason {
    /// All reasons, for tables and metrics.
    pub const ALL: [Reason; 9] = [
        Reason::NotUtf8,
        Reason::Name,
        Reason::Tag,
        Reason::Field,
        Reason::Range,
        Reason::Timestamp,
        Reason::Json,
        Reason::Shape,
        Reason::NoFields,
    ];

    /// A short stable name: the value of the metric's label and of the store's column.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::NotUtf8 => "not_utf8",
            Reason::Name => "measurement",
            Reason::Tag => "tag",
            Reason::Field => "field",
            Reason::Range => "number_range",
            Reason::Timestamp => "timestamp",
            Reason::Json => "json",
            Reason::Shape => "json_shape",
            Reason::NoFields => "no_fields",
        }
    }
}

/// A line that could not be read as a metric, kept with its reason.
#[derive(Debug, Clone, PartialEq)]
pub struct Unparsed<'a> {
    /// Why.
    pub reason: Reason,
    /// The line, byte for byte.
    pub body: &'a [u8],
}

/// What a row is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// A log line.
    Log(LogLine<'a>),
    /// A metric.
    Metric(Metric<'a>),
    /// Something on a metrics topic that is no metric.
    Unparsed(Unparsed<'a>),
}

/// One row for the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// The record it came from.
    pub slot: Slot<'a>,
    /// The record's timestamp in milliseconds.
    pub timestamp: i64,
    /// Number of the item inside its record, from 0.
    pub item: u32,
    /// What it is.
    pub content: Content<'a>,
}

/// Appends the rows of one record to `rows`.
pub fn transform<'a>(kind: TopicKind, record: &'a Received, rows: &mut Vec<Row<'a>>) {
    let slot = Slot {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
    };
    match kind {
        TopicKind::Logs => rows.push(Row {
            slot,
            timestamp: record.timestamp,
            item: 0,
            content: Content::Log(log_line(record)),
        }),
        TopicKind::Metrics => {
            let value = record.value.as_deref().unwrap_or_default();
            let default_ns = record.timestamp.saturating_mul(1_000_000);
            let mut item = 0;
            let mut push = |content| {
                rows.push(Row {
                    slot,
                    timestamp: record.timestamp,
                    item,
                    content,
                });
                item += 1;
            };
            if value.trim_ascii_start().first() == Some(&b'{') {
                telegraf::parse(value, default_ns, &mut push);
            } else {
                influx::parse(value, default_ns, &mut push);
            }
        }
    }
}

fn log_line(record: &Received) -> LogLine<'_> {
    let body = record.value.as_deref().unwrap_or_default();
    let mut line = LogLine {
        timestamp: record.timestamp,
        identity: record.identity(),
        format: Format::Raw,
        level: None,
        host: record.host.as_deref().map(String::from_utf8_lossy),
        path: record.path.as_deref().map(String::from_utf8_lossy),
        logger: None,
        service: None,
        body,
    };
    match logstash::parse(body) {
        Some(event) => {
            line.format = Format::Logstash;
            line.timestamp = event.timestamp.unwrap_or(record.timestamp);
            line.level = event.level;
            line.logger = event.logger;
            line.service = event.service;
            if line.host.is_none() {
                line.host = event.host;
            }
        }
        None => line.level = level::in_line(body),
    }
    line
}
