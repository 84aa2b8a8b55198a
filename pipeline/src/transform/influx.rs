//! Influx line protocol, as Telegraf writes it: `measurement,tag=v field=1i,other="x" 1568760922000000000`.
//!
//! Invariant: every byte of the input is either part of an emitted metric, part of an emitted
//! unparsed line, a comment or white space. A bad line never takes its neighbours with it.
//! Rules: Telegraf's own grammar, with one leniency of InfluxDB: a backslash before any other
//! character stands for itself. Step 11 of the hallway.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::{memchr, memchr2};

use super::{Content, Metric, Reason, Series, Unparsed, Value};

/// Parses all lines of `input`; a line without a time gets `default_ns`.
pub fn parse<'a>(input: &'a [u8], default_ns: i64, emit: &mut impl FnMut(Content<'a>)) {
    let mut at = 0;
    while at < input.len() {
        match input[at] {
            b'\n' | b'\r' | b' ' | b'\t' | 0x0b | 0x0c => at += 1,
            b'#' => at = line_end(input, at),
            _ => {
                let mut line = Line { input, at };
                match line.metric(default_ns) {
                    Ok(metric) => {
                        emit(Content::Metric(metric));
                        at = line.at;
                    }
                    Err(reason) => {
                        let end = line_end(input, line.at.min(input.len()));
                        let body = input[at..end]
                            .strip_suffix(b"\r")
                            .unwrap_or(&input[at..end]);
                        emit(Content::Unparsed(Unparsed { reason, body }));
                        at = end;
                    }
                }
            }
        }
    }
}

/// The measurement and the tags of a series that [`parse`] accepted; of a tag given twice the last
/// counts.
#[must_use]
pub fn series_parts(series: &[u8]) -> (String, BTreeMap<String, String>) {
    let name_end = token_end(series, 0, b",");
    let name = unescape(&series[..name_end], b", ");
    let mut tags = BTreeMap::new();
    let mut at = name_end + 1;
    while at < series.len() {
        let key_end = token_end(series, at, b"=");
        let value_start = (key_end + 1).min(series.len());
        let value_end = token_end(series, value_start, b",");
        tags.insert(
            unescape(&series[at..key_end], b",= ").into_owned(),
            unescape(&series[value_start..value_end], b",= ").into_owned(),
        );
        at = value_end + 1;
    }
    (name.into_owned(), tags)
}

/// A cursor over one line; on failure `at` stands where the reading stopped.
struct Line<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Line<'a> {
    fn metric(&mut self, default_ns: i64) -> Result<Metric<'a>, Reason> {
        let series = self.series()?;
        self.blanks();
        let mut fields = Vec::with_capacity(8);
        loop {
            fields.push(self.field()?);
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        let separated = self.blanks();
        let timestamp = match self.peek() {
            None | Some(b'\n' | b'\r') => default_ns,
            Some(_) if !separated => return Err(Reason::Field),
            Some(_) => self.timestamp()?,
        };
        self.blanks();
        if self.peek() == Some(b'\r') {
            self.at += 1;
        }
        match self.peek() {
            None | Some(b'\n') => Ok(Metric {
                series: Series::Line(series),
                fields,
                timestamp,
            }),
            Some(_) => Err(Reason::Timestamp),
        }
    }

    /// Measurement and tags up to the first blank that is not escaped.
    fn series(&mut self) -> Result<&'a [u8], Reason> {
        let start = self.at;
        self.token(b",", b"", Reason::Name)?;
        while self.peek() == Some(b',') {
            self.at += 1;
            self.token(b"=", b",", Reason::Tag)?;
            if self.peek() != Some(b'=') {
                return Err(Reason::Tag);
            }
            self.at += 1;
            self.token(b",", b"=", Reason::Tag)?;
        }
        if !matches!(self.peek(), Some(b' ' | b'\t' | 0x0b | 0x0c)) {
            return Err(Reason::Field);
        }
        let series = &self.input[start..self.at];
        if std::str::from_utf8(series).is_err() {
            return Err(Reason::NotUtf8);
        }
        Ok(series)
    }

    /// Walks over a name that ends at one of `ends` or at a blank; it must not be empty nor
    /// contain one of `forbidden`.
    fn token(&mut self, ends: &[u8], forbidden: &[u8], reason: Reason) -> Result<(), Reason> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => match self.input.get(self.at + 1) {
                    Some(b'\\') => self.at += 1,
                    Some(b'\t' | b'\n' | 0x0c | b'\r') | None => return Err(reason),
                    Some(_) => self.at += 2,
                },
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => break,
                _ if ends.contains(&byte) => break,
                _ if forbidden.contains(&byte) => return Err(reason),
                _ => self.at += 1,
            }
        }
        if self.at == start {
            Err(reason)
        } else {
            Ok(())
        }
    }

    fn field(&mut self) -> Result<(Cow<'a, str>, Value<'a>), Reason> {
        let start = self.at;
        self.token(b"=", b",", Reason::Field)?;
        let key = &self.input[start..self.at];
        if self.peek() != Some(b'=') {
            return Err(Reason::Field);
        }
        if std::str::from_utf8(key).is_err() {
            return Err(Reason::NotUtf8);
        }
        self.at += 1;
        let value = if self.peek() == Some(b'"') {
            self.quoted()?
        } else {
            self.bare()?
        };
        Ok((unescape(key, b",= "), value))
    }

    /// A quoted string; it may hold commas, blanks and newlines.
    fn quoted(&mut self) -> Result<Value<'a>, Reason> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            let Some(found) = self
                .input
                .get(at..)
                .and_then(|rest| memchr2(b'"', b'\\', rest))
            else {
                return Err(Reason::Field);
            };
            at += found;
            if self.input[at] == b'"' {
                break;
            }
            escaped = true;
            at += if matches!(self.input.get(at + 1), Some(b'"' | b'\\')) {
                2
            } else {
                1
            };
        }
        self.at = at + 1;
        let text = &self.input[start..at];
        if std::str::from_utf8(text).is_err() {
            return Err(Reason::NotUtf8);
        }
        Ok(Value::Text(if escaped {
            unescape(text, b"\"\\")
        } else {
            lossless(text)
        }))
    }

    fn bare(&mut self) -> Result<Value<'a>, Reason> {
        let rest = &self.input[self.at..];
        let length = rest
            .iter()
            .position(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
            .unwrap_or(rest.len());
        let value = number_or_bool(&rest[..length])?;
        self.at += length;
        Ok(value)
    }

    fn timestamp(&mut self) -> Result<i64, Reason> {
        let rest = &self.input[self.at..];
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit() && *byte != b'-')
            .unwrap_or(rest.len());
        let text = std::str::from_utf8(&rest[..length]).map_err(|_| Reason::Timestamp)?;
        let timestamp = text.parse().map_err(|_| Reason::Timestamp)?;
        self.at += length;
        Ok(timestamp)
    }

    /// Skips blanks; says whether there were any.
    fn blanks(&mut self) -> bool {
        let start = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | 0x0b | 0x0c)) {
            self.at += 1;
        }
        self.at > start
    }

    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }
}

fn number_or_bool<'a>(bytes: &[u8]) -> Result<Value<'a>, Reason> {
    match bytes {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" => return Ok(Value::Bool(true)),
        b"f" | b"F" | b"false" | b"False" | b"FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Reason::NotUtf8)?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Err(Reason::Field);
    }
    let integer = |rest: &str| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(number) = text.strip_suffix('i') {
        let shape = integer(number.strip_prefix('-').unwrap_or(number));
        return number
            .parse()
            .map(Value::Int)
            .map_err(|_| number_reason(shape));
    }
    if let Some(number) = text.strip_suffix('u') {
        return number
            .parse()
            .map(Value::Uint)
            .map_err(|_| number_reason(integer(number)));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        Ok(_) => Err(Reason::Range),
        Err(_) => Err(Reason::Field),
    }
}

fn number_reason(well_formed: bool) -> Reason {
    if well_formed {
        Reason::Range
    } else {
        Reason::Field
    }
}

/// The end of the line that contains `at`: the position of its newline or of the input's end.
fn line_end(input: &[u8], at: usize) -> usize {
    memchr(b'\n', &input[at..]).map_or(input.len(), |length| at + length)
}

/// The position of the first byte of `ends` at or after `at` that is not escaped.
fn token_end(text: &[u8], mut at: usize, ends: &[u8]) -> usize {
    while at < text.len() {
        match text[at] {
            b'\\' if text.get(at + 1) != Some(&b'\\') => at += 2,
            byte if ends.contains(&byte) => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// Removes the backslash before each byte of `special`; `text` is UTF-8 by the caller's check.
fn unescape<'a>(text: &'a [u8], special: &[u8]) -> Cow<'a, str> {
    if memchr(b'\\', text).is_none() {
        return lossless(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match text.get(at + 1) {
            Some(next) if text[at] == b'\\' && special.contains(next) => {
                out.push(*next);
                at += 2;
            }
            _ => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn lossless(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}
