//! How the console consumer prints a record.
//!
//! Invariant: bytes are printed as they are unless a deserializer is named.

use logway_client::{ConsumerRecord, TimestampType};

use super::offsets_topic;
use crate::kafka_tools::properties::{Properties, get};

/// What prints records.
#[derive(Debug)]
pub(super) enum Formatter {
    /// Key, value and what else was asked for.
    Parts(Box<Parts>),
    /// Nothing.
    Nothing,
    /// The committed offsets of `__consumer_offsets` as JSON.
    Offsets,
}

/// Which parts of a record, and what stands between them.
#[derive(Debug)]
pub(super) struct Parts {
    timestamp: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key: bool,
    value: bool,
    key_separator: String,
    line_separator: String,
    headers_separator: String,
    null_literal: String,
    key_as: Option<String>,
    value_as: Option<String>,
    headers_as: Option<String>,
}

impl Formatter {
    /// The formatter of that class name.
    ///
    /// # Errors
    /// There is none; the error is the name.
    pub(super) fn of(class: &str, properties: &Properties) -> Result<Self, String> {
        let name = class.rsplit(['.', '$']).next().unwrap_or(class);
        match name {
            "DefaultMessageFormatter" | "LoggingMessageFormatter" => {
                Ok(Self::Parts(Box::new(Parts::of(properties))))
            }
            "NoOpMessageFormatter" => Ok(Self::Nothing),
            "OffsetsMessageFormatter" => Ok(Self::Offsets),
            _ => Err(class.to_owned()),
        }
    }

    /// Writes a record.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, record: &ConsumerRecord) {
        match self {
            Self::Parts(parts) => parts.write(out, record),
            Self::Nothing => {}
            Self::Offsets => {
                if let Some(json) = offsets_topic::json(record) {
                    out.extend(json.as_bytes());
                }
            }
        }
    }
}

impl Parts {
    fn of(properties: &Properties) -> Self {
        let is_on = |name: &str, otherwise: bool| {
            get(properties, name)
                .map_or(otherwise, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let text =
            |name: &str, otherwise: &str| get(properties, name).unwrap_or(otherwise).to_owned();
        let class = |name: &str| get(properties, name).map(str::to_owned);
        Self {
            timestamp: is_on("print.timestamp", false),
            partition: is_on("print.partition", false),
            offset: is_on("print.offset", false),
            delivery: is_on("print.delivery", false),
            epoch: is_on("print.epoch", false),
            headers: is_on("print.headers", false),
            key: is_on("print.key", false),
            value: is_on("print.value", true),
            key_separator: text("key.separator", "\t"),
            line_separator: text("line.separator", "\n"),
            headers_separator: text("headers.separator", ","),
            null_literal: text("null.literal", "null"),
            key_as: class("key.deserializer"),
            value_as: class("value.deserializer"),
            headers_as: class("headers.deserializer"),
        }
    }

    fn write(&self, out: &mut Vec<u8>, record: &ConsumerRecord) {
        let mut fields: Vec<Vec<u8>> = Vec::new();
        if self.timestamp {
            let kind = match record.timestamp_type {
                TimestampType::CreateTime => "CreateTime",
                TimestampType::LogAppendTime => "LogAppendTime",
            };
            let text = match record.timestamp {
                -1 => "NO_TIMESTAMP".to_owned(),
                timestamp => format!("{kind}:{timestamp}"),
            };
            fields.push(text.into_bytes());
        }
        if self.partition {
            fields.push(format!("Partition:{}", record.partition).into_bytes());
        }
        if self.offset {
            fields.push(format!("Offset:{}", record.offset).into_bytes());
        }
        if self.delivery {
            fields.push(b"Delivery:NOT_PRESENT".to_vec());
        }
        if self.epoch {
            fields.push(b"Epoch:NOT_PRESENT".to_vec());
        }
        if self.headers {
            fields.push(self.headers_text(record));
        }
        if self.key {
            fields.push(self.bytes(record.key.as_deref(), self.key_as.as_deref()));
        }
        if self.value {
            fields.push(self.bytes(record.value.as_deref(), self.value_as.as_deref()));
        }
        let mut fields = fields.iter();
        if let Some(first) = fields.next() {
            out.extend(first);
        }
        for field in fields {
            out.extend(self.key_separator.as_bytes());
            out.extend(field);
        }
        out.extend(self.line_separator.as_bytes());
    }

    fn headers_text(&self, record: &ConsumerRecord) -> Vec<u8> {
        if record.headers.is_empty() {
            return b"NO_HEADERS".to_vec();
        }
        let mut text = Vec::new();
        for (i, header) in record.headers.iter().enumerate() {
            if i > 0 {
                text.extend(self.headers_separator.as_bytes());
            }
            text.extend(header.key.as_bytes());
            text.push(b':');
            text.extend(self.bytes(header.value.as_deref(), self.headers_as.as_deref()));
        }
        text
    }

    fn bytes(&self, bytes: Option<&[u8]>, class: Option<&str>) -> Vec<u8> {
        let Some(bytes) = bytes else {
            return self.null_literal.clone().into_bytes();
        };
        let name = class.map(|class| class.rsplit('.').next().unwrap_or(class));
        number(bytes, name.unwrap_or_default()).unwrap_or_else(|| bytes.to_vec())
    }
}

/// The bytes as the number that the deserializer makes of them, if it makes one.
fn number(bytes: &[u8], deserializer: &str) -> Option<Vec<u8>> {
    let text = match deserializer {
        "ShortDeserializer" => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "IntegerDeserializer" => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "LongDeserializer" => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        "FloatDeserializer" => format!("{:?}", f32::from_be_bytes(bytes.try_into().ok()?)),
        "DoubleDeserializer" => format!("{:?}", f64::from_be_bytes(bytes.try_into().ok()?)),
        _ => return None,
    };
    Some(text.into_bytes())
}
