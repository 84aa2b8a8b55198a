//! Logstash JSON, with the field names of logstash-logback-encoder and logback's `level_value`.
//!
//! One object per event: the standard fields, `stack_trace` for errors, then the event's own fields,
//! those of its spans from the innermost out, and the custom ones, all at the top level. A name is
//! written once: the event's value goes before a span's, an inner span's before an outer one's. An
//! application's field with a standard name gets an underscore in front of it.
//!
//! **Invariant:** the output is one valid JSON object without repeated names, whatever the
//! application logs.

use crate::event::{Entry, FieldValue, FieldVisitor, logback_value, write_chain};

use super::{
    Scratch,
    escape::{Escaped, escape},
    show,
};

/// Names that belong to the encoder.
const STANDARD: &[&str] = &[
    "@timestamp",
    "@version",
    "message",
    "logger_name",
    "thread_name",
    "level",
    "level_value",
    "stack_trace",
    "caller_class_name",
    "caller_file_name",
    "caller_line_number",
];

/// The logstash layout.
#[derive(Debug, Default)]
pub(crate) struct JsonLayout {
    /// Whether the `caller_*` fields are written.
    pub(crate) caller: bool,
    /// Fields of every event.
    pub(crate) custom: Vec<(&'static str, CustomValue)>,
}

/// The value of a field that every event gets.
#[derive(Debug, Clone, PartialEq)]
pub enum CustomValue {
    /// A string.
    Text(String),
    /// A whole number.
    Number(i64),
    /// A truth value.
    Bool(bool),
}

impl CustomValue {
    pub(crate) fn as_field(&self) -> FieldValue<'_> {
        match self {
            CustomValue::Text(text) => FieldValue::Text(text),
            CustomValue::Number(number) => FieldValue::Signed(i128::from(*number)),
            CustomValue::Bool(truth) => FieldValue::Bool(*truth),
        }
    }
}

impl From<&str> for CustomValue {
    fn from(text: &str) -> Self {
        CustomValue::Text(text.to_owned())
    }
}

impl From<String> for CustomValue {
    fn from(text: String) -> Self {
        CustomValue::Text(text)
    }
}

impl From<i64> for CustomValue {
    fn from(number: i64) -> Self {
        CustomValue::Number(number)
    }
}

impl From<bool> for CustomValue {
    fn from(truth: bool) -> Self {
        CustomValue::Bool(truth)
    }
}

impl JsonLayout {
    pub(super) fn encode(&self, entry: &Entry<'_>, scratch: &mut Scratch) {
        let Scratch {
            out,
            message,
            fields,
            trace,
            names,
            second,
        } = scratch;
        // Fields first, into their own buffers: the message stands before them in the output.
        let mut visitor = Visitor {
            message,
            fields,
            trace,
            names,
        };
        entry.fields.visit(&mut visitor);
        entry.context.visit(&mut Surrounding(&mut visitor));
        for (name, value) in &self.custom {
            visitor.named(name, value.as_field());
        }
        out.extend_from_slice(b"{\"@timestamp\":\"");
        second.write(entry.time, out);
        out.extend_from_slice(b"\",\"@version\":\"1\",\"message\":\"");
        out.extend_from_slice(message);
        out.extend_from_slice(b"\",\"logger_name\":\"");
        escape(out, entry.logger);
        out.extend_from_slice(b"\",\"thread_name\":\"");
        escape(out, entry.thread);
        out.extend_from_slice(b"\",\"level\":\"");
        out.extend_from_slice(entry.level.as_str().as_bytes());
        out.extend_from_slice(b"\",\"level_value\":");
        out.extend_from_slice(logback_value(entry.level).as_bytes());
        if !trace.is_empty() {
            out.extend_from_slice(b",\"stack_trace\":\"");
            out.extend_from_slice(trace);
            out.push(b'"');
        }
        if self.caller {
            caller(entry, out);
        }
        out.extend_from_slice(fields);
        out.push(b'}');
    }
}

/// The optional fields that say where the event was written; free in Rust, costly in Java.
fn caller(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let location = entry.location;
    for (name, text) in [
        ("caller_class_name", location.module),
        ("caller_file_name", location.file),
    ] {
        if let Some(text) = text {
            key(out, name);
            value(out, FieldValue::Text(text));
        }
    }
    if let Some(line) = location.line {
        key(out, "caller_line_number");
        value(out, FieldValue::Unsigned(u128::from(line)));
    }
}

struct Visitor<'a> {
    /// Escaped, without quotes.
    message: &'a mut Vec<u8>,
    /// `,"name":value` repeated.
    fields: &'a mut Vec<u8>,
    /// Escaped, without quotes.
    trace: &'a mut Vec<u8>,
    names: &'a mut Vec<&'static str>,
}

impl Visitor<'_> {
    fn named(&mut self, name: &'static str, content: FieldValue<'_>) {
        let standard = STANDARD.contains(&name);
        if self
            .names
            .iter()
            .any(|written| *written == name || clashes(written, name))
        {
            return;
        }
        self.names.push(name);
        if standard {
            self.fields.extend_from_slice(b",\"_");
            escape(self.fields, name);
            self.fields.extend_from_slice(b"\":");
        } else {
            key(self.fields, name);
        }
        value(self.fields, content);
    }
}

/// Whether one of the names is the other's with the underscore that a standard name gets.
fn clashes(left: &str, right: &str) -> bool {
    let renamed = |name: &str, other: &str| {
        name.strip_prefix('_') == Some(other) && STANDARD.contains(&other)
    };
    renamed(left, right) || renamed(right, left)
}

impl FieldVisitor for Visitor<'_> {
    fn field(&mut self, name: &'static str, content: FieldValue<'_>) {
        if let FieldValue::Error(error) = content {
            if !self.trace.is_empty() {
                self.trace.extend_from_slice(b"\\n");
            }
            // Display of an error is the application's code, as is that of its causes.
            write_chain(error, &mut Escaped(self.trace)).ok();
        }
        if name == "message" && self.message.is_empty() {
            text(self.message, content);
        } else {
            self.named(name, content);
        }
    }
}

/// Fields of spans: never the event's message.
struct Surrounding<'v, 'a>(&'v mut Visitor<'a>);

impl FieldVisitor for Surrounding<'_, '_> {
    fn field(&mut self, name: &'static str, content: FieldValue<'_>) {
        self.0.named(name, content);
    }
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    escape(out, name);
    out.extend_from_slice(b"\":");
}

/// A JSON value. What JSON numbers cannot hold becomes a string, as Jackson does it: NaN and the
/// infinities, and whole numbers beyond 64 bits, which readers would round.
fn value(out: &mut Vec<u8>, content: FieldValue<'_>) {
    let quoted = match content {
        FieldValue::Bool(_) => false,
        FieldValue::Signed(number) => {
            i64::try_from(number).is_err() && u64::try_from(number).is_err()
        }
        FieldValue::Unsigned(number) => u64::try_from(number).is_err(),
        FieldValue::Float(number) => !number.is_finite(),
        _ => true,
    };
    if quoted {
        out.push(b'"');
    }
    text(out, content);
    if quoted {
        out.push(b'"');
    }
}

/// The inside of a JSON string or number.
fn text(out: &mut Vec<u8>, content: FieldValue<'_>) {
    let out = &mut Escaped(out);
    match content {
        FieldValue::Text(text) => escape(out.0, text),
        FieldValue::Shown(shown) => show(out, format_args!("{shown:?}")),
        FieldValue::Error(error) => show(out, format_args!("{error}")),
        FieldValue::Bool(truth) => show(out, format_args!("{truth}")),
        FieldValue::Signed(number) => show(out, format_args!("{number}")),
        FieldValue::Unsigned(number) => show(out, format_args!("{number}")),
        FieldValue::Float(number) => float(out.0, number),
    }
}

/// A float with Java's names of what is no number; `1e300` stays short.
fn float(out: &mut Vec<u8>, number: f64) {
    let name: &[u8] = if number.is_nan() {
        b"NaN"
    } else if number == f64::INFINITY {
        b"Infinity"
    } else if number == f64::NEG_INFINITY {
        b"-Infinity"
    } else {
        show(&mut super::Plain(out), format_args!("{number:?}"));
        return;
    };
    out.extend_from_slice(name);
}
