//! One metric as one line of influx line protocol. Step 2 of the hallway, for metrics.
//!
//! **Invariant:** a line is valid whatever the names and values hold: what the format cannot carry is
//! escaped, and a value that is no number is left out.

use std::borrow::Cow;
use std::fmt::Write;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Float(f64),
    Integer(i64),
}

impl From<u64> for Value {
    /// What does not fit is held at the largest integer, as Telegraf does.
    fn from(value: u64) -> Self {
        Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

/// A measurement with its tags and fields at one time.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    measurement: &'static str,
    tags: Vec<(&'static str, String)>,
    fields: Vec<(Cow<'static, str>, Value)>,
}

impl Point {
    pub(crate) fn new(measurement: &'static str) -> Point {
        Point {
            measurement,
            tags: Vec::new(),
            fields: Vec::new(),
        }
    }

    /// Adds a tag; an empty one is left out, since the format has no way to write it.
    pub(crate) fn tag(mut self, name: &'static str, value: impl Into<String>) -> Point {
        let value = value.into();
        if !value.is_empty() {
            self.tags.push((name, value));
        }
        self
    }

    pub(crate) fn field(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Value>,
    ) -> Point {
        self.fields.push((name.into(), value.into()));
        self
    }

    pub(crate) fn float(mut self, name: &'static str, value: f64) -> Point {
        if value.is_finite() {
            self.fields.push((name.into(), Value::Float(value)));
        }
        self
    }

    /// The line, without a line feed; `None` when there is no field.
    pub(crate) fn line(mut self, timestamp_ns: u64) -> Option<String> {
        if self.fields.is_empty() {
            return None;
        }
        let mut line = escaped(self.measurement, ", ").into_owned();
        self.tags.sort();
        for (name, value) in &self.tags {
            let _written = write!(line, ",{}={}", escaped(name, ",= "), escaped(value, ",= "));
        }
        for (number, (name, value)) in self.fields.iter().enumerate() {
            let before = if number == 0 { ' ' } else { ',' };
            let name = escaped(name, ",= ");
            let _written = match value {
                Value::Float(float) => write!(line, "{before}{name}={float}"),
                Value::Integer(integer) => write!(line, "{before}{name}={integer}i"),
            };
        }
        let _written = write!(line, " {timestamp_ns}");
        Some(line)
    }
}

/// `text` with a backslash before each of `special`. Line ends become spaces, and a backslash at the end is
/// dropped: it would escape what follows.
fn escaped<'a>(text: &'a str, special: &str) -> Cow<'a, str> {
    let text = text.trim_end_matches('\\');
    if !text.contains(|c: char| special.contains(c) || c.is_control()) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        let c = if c.is_control() { ' ' } else { c };
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
}
