//! From a line to key, value and headers.
//!
//! Invariant: what separates the parts is looked for from the left; a part that says the null
//! marker is null.

use logway_client::RecordHeader;

use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::properties::{Properties, get};

/// How lines are read (`--reader-property`).
#[derive(Debug)]
pub(super) struct LineReader {
    parse_key: bool,
    parse_headers: bool,
    key_separator: String,
    headers_delimiter: String,
    headers_separator: String,
    headers_key_separator: String,
    null_marker: Option<String>,
    ignore_error: bool,
}

/// The parts of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<RecordHeader>,
}

impl LineReader {
    pub(super) fn of(properties: &Properties) -> Self {
        let text =
            |name: &str, otherwise: &str| get(properties, name).unwrap_or(otherwise).to_owned();
        let is_on = |name: &str| text(name, "").trim().eq_ignore_ascii_case("true");
        Self {
            parse_key: is_on("parse.key"),
            parse_headers: is_on("parse.headers"),
            key_separator: text("key.separator", "\t"),
            headers_delimiter: text("headers.delimiter", "\t"),
            headers_separator: text("headers.separator", ","),
            headers_key_separator: text("headers.key.separator", ":"),
            null_marker: get(properties, "null.marker").map(str::to_owned),
            ignore_error: is_on("ignore.error"),
        }
    }

    /// The parts of line `number`.
    ///
    /// # Errors
    /// A separator is missing and `ignore.error` is off.
    pub(super) fn read(&self, line: &[u8], number: u64) -> Result<Parts, Exception> {
        let mut rest = line;
        let mut headers = Vec::new();
        if self.parse_headers
            && let Some(text) = self.split(
                &mut rest,
                &self.headers_delimiter,
                ("headers delimiter", line, number),
            )?
            && !self.is_null(text)
        {
            headers = self.headers(text, number)?;
        }
        let mut key = None;
        if self.parse_key {
            key = self.split(
                &mut rest,
                &self.key_separator,
                ("key separator", line, number),
            )?;
        }
        let of = |part: &[u8]| (!self.is_null(part)).then(|| part.to_vec());
        Ok(Parts {
            key: key.and_then(of),
            value: of(rest),
            headers,
        })
    }

    /// Cuts the part before the separator off `rest`.
    fn split<'a>(
        &self,
        rest: &mut &'a [u8],
        separator: &str,
        (what, line, number): (&str, &[u8], u64),
    ) -> Result<Option<&'a [u8]>, Exception> {
        match find(rest, separator.as_bytes()) {
            Some(at) => {
                let part = &rest[..at];
                *rest = &rest[at + separator.len()..];
                Ok(Some(part))
            }
            None if self.ignore_error => Ok(None),
            None => Err(Exception::new(
                "org.apache.kafka.common.KafkaException",
                format!(
                    "No {what} found on line number {number}: '{}'",
                    String::from_utf8_lossy(line)
                ),
            )),
        }
    }

    fn headers(&self, text: &[u8], number: u64) -> Result<Vec<RecordHeader>, Exception> {
        let text = String::from_utf8_lossy(text);
        let mut headers = Vec::new();
        for pair in text.split(self.headers_separator.as_str()) {
            match pair.split_once(self.headers_key_separator.as_str()) {
                Some((key, value)) => headers.push(RecordHeader {
                    key: key.into(),
                    value: (!self.is_null(value.as_bytes()))
                        .then(|| value.as_bytes().to_vec().into()),
                }),
                None if self.ignore_error => headers.push(RecordHeader {
                    key: pair.into(),
                    value: None,
                }),
                None => {
                    return Err(Exception::new(
                        "org.apache.kafka.common.KafkaException",
                        format!(
                            "No header key separator found in pair '{pair}' on line number {number}"
                        ),
                    ));
                }
            }
        }
        Ok(headers)
    }

    fn is_null(&self, part: &[u8]) -> bool {
        self.null_marker
            .as_deref()
            .is_some_and(|marker| marker.as_bytes() == part)
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    //! Lines with all parts, and with parts that are missing.

    use super::LineReader;

    fn reader(properties: &[(&str, &str)]) -> LineReader {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        LineReader::of(&properties.iter().map(owned).collect())
    }

    #[test]
    fn headers_key_and_value_are_cut_from_the_left() {
        let reader = reader(&[
            ("parse.key", "true"),
            ("parse.headers", "true"),
            ("null.marker", "NULL"),
        ]);
        let parts = reader.read(b"a:1,b:2\tNULL\tx\ty", 1).expect("read");
        assert_eq!(parts.key, None);
        assert_eq!(parts.value.as_deref(), Some(&b"x\ty"[..]));
        assert_eq!(parts.headers.len(), 2);
    }

    #[test]
    fn a_missing_separator_is_named_with_its_line() {
        let error = reader(&[("parse.key", "true"), ("key.separator", ":")])
            .read(b"no separator here", 3)
            .expect_err("no separator");
        assert_eq!(
            error.message,
            "No key separator found on line number 3: 'no separator here'"
        );
    }

    #[test]
    fn a_line_is_a_value_where_nothing_else_is_asked_for() {
        let parts = reader(&[]).read(b"a\tb", 1).expect("read");
        assert_eq!(
            (parts.key, parts.value.as_deref()),
            (None, Some(&b"a\tb"[..]))
        );
    }
}
