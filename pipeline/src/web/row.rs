//! A log line as JSON, the same in search, export and live tail.
//!
//! Invariant: nothing of the body is lost: where text cannot say it, `body_base64` does. Step 12.

use serde::Serialize;

use crate::store::LogRow;
use crate::transform::{Format, logstash};

/// A log line.
#[derive(Debug, Serialize)]
pub(crate) struct LineJson {
    id: i64,
    timestamp: i64,
    time: String,
    topic: String,
    partition: i32,
    offset: i64,
    origin: Option<String>,
    position: Option<i64>,
    host: Option<String>,
    path: Option<String>,
    level: Option<&'static str>,
    logger: Option<String>,
    service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<String>,
    message: String,
    /// The whole record where the message is only a part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The whole record where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl From<LogRow> for LineJson {
    fn from(row: LogRow) -> LineJson {
        let mut thread = None;
        let mut body_base64 = None;
        let (message, body) = match String::from_utf8(row.body) {
            Err(error) => {
                body_base64 = Some(base64(error.as_bytes()));
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), None)
            }
            Ok(text) if row.format == Format::Logstash => {
                let event = logstash::parse(text.as_bytes()).unwrap_or_default();
                thread = event.thread.map(std::borrow::Cow::into_owned);
                let message = event
                    .message
                    .map_or_else(|| text.clone(), std::borrow::Cow::into_owned);
                (message, Some(text))
            }
            Ok(text) => (text, None),
        };
        LineJson {
            id: row.id,
            timestamp: row.timestamp,
            time: rfc3339(row.timestamp),
            topic: row.topic,
            partition: row.partition,
            offset: row.offset,
            origin: row.origin,
            position: row.position,
            host: row.host,
            path: row.path,
            level: row.level.map(crate::transform::Level::name),
            logger: row.logger,
            service: row.service,
            thread,
            message,
            body,
            body_base64,
        }
    }
}

/// Milliseconds since 1970 as RFC 3339 in UTC; empty when outside the calendar.
pub(crate) fn rfc3339(timestamp_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(timestamp_ms)
        .map(|timestamp| format!("{timestamp:.3}"))
        .unwrap_or_default()
}

/// RFC 4648 base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4_usize {
            if digit <= chunk.len() {
                let index = (group >> (18 - 6 * digit)) & 63;
                out.push(char::from(DIGITS[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}
