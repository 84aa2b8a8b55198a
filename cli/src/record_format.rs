//! How `logway consume` prints records: a format with `%` and `\\`, or JSON lines.
//!
//! Invariant: bytes go through a format unchanged; JSON shows bytes that are no text with replacement
//! characters.

use logway_client::ConsumerRecord;
use serde_json::{Value, json};

/// Writes a record as `format` says (as kcat's `-f`).
pub(crate) fn write(out: &mut Vec<u8>, format: &str, record: &ConsumerRecord) {
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => write_field(out, chars.next(), record),
            '\\' => write_escape(out, &mut chars),
            _ => push(out, c),
        }
    }
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn write_escape(out: &mut Vec<u8>, chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('n') => out.push(b'\n'),
        Some('t') => out.push(b'\t'),
        Some('r') => out.push(b'\r'),
        Some('x') => {
            let digits: String = chars.by_ref().take(2).collect();
            match u8::from_str_radix(&digits, 16) {
                Ok(byte) => out.push(byte),
                Err(_) => out.extend(format!("\\x{digits}").as_bytes()),
            }
        }
        Some(other) => push(out, other),
        None => out.push(b'\\'),
    }
}

/// The length of a part as kcat says it: -1 for null.
fn length(part: Option<&bytes::Bytes>) -> String {
    part.map_or_else(|| "-1".to_owned(), |bytes| bytes.len().to_string())
}

fn write_field(out: &mut Vec<u8>, field: Option<char>, record: &ConsumerRecord) {
    match field {
        Some('t') => out.extend(record.topic.as_bytes()),
        Some('p') => out.extend(record.partition.to_string().as_bytes()),
        Some('o') => out.extend(record.offset.to_string().as_bytes()),
        Some('T') => out.extend(record.timestamp.to_string().as_bytes()),
        Some('k') => out.extend(record.key.as_deref().unwrap_or_default()),
        Some('K') => out.extend(length(record.key.as_ref()).as_bytes()),
        Some('s') => out.extend(record.value.as_deref().unwrap_or_default()),
        Some('S') => out.extend(length(record.value.as_ref()).as_bytes()),
        Some('h') => {
            for (i, header) in record.headers.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend(header.key.as_bytes());
                out.push(b'=');
                out.extend(header.value.as_deref().unwrap_or(b"NULL"));
            }
        }
        Some('%') | None => out.push(b'%'),
        Some(other) => {
            out.push(b'%');
            push(out, other);
        }
    }
}

/// Writes a record as a JSON object on a line of its own.
pub(crate) fn write_json(out: &mut Vec<u8>, record: &ConsumerRecord) {
    let text = |bytes: Option<&bytes::Bytes>| match bytes {
        Some(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
        None => Value::Null,
    };
    let headers: Vec<Value> = record
        .headers
        .iter()
        .map(|header| json!([header.key.as_str(), text(header.value.as_ref())]))
        .collect();
    let object = json!({
        "topic": record.topic.as_ref(),
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp,
        "key": text(record.key.as_ref()),
        "value": text(record.value.as_ref()),
        "headers": headers,
    });
    out.extend(object.to_string().as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    //! Formats of one record.

    use logway_client::{ConsumerRecord, RecordHeader, TimestampType};

    fn record() -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 2,
            offset: 7,
            leader_epoch: None,
            timestamp: 1000,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: Some(b"value"[..].into()),
            headers: vec![RecordHeader {
                key: "h".into(),
                value: Some(b"1"[..].into()),
            }],
        }
    }

    fn written(format: &str) -> String {
        let mut out = Vec::new();
        super::write(&mut out, format, &record());
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn fields_and_escapes() {
        assert_eq!(written(r"%t/%p/%o %T\n"), "t/2/7 1000\n");
        assert_eq!(written(r"%k|%K|%s|%S|%h"), "|-1|value|5|h=1");
        assert_eq!(written(r"100%%\x41\t%q%"), "100%A\t%q%");
    }

    #[test]
    fn json_is_one_line() {
        let mut out = Vec::new();
        super::write_json(&mut out, &record());
        let line = String::from_utf8(out).expect("UTF-8");
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["value"], "value");
        assert_eq!(value["key"], serde_json::Value::Null);
    }
}
