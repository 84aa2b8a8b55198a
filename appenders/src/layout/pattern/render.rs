//! From the pieces of a pattern and an event to text.
//!
//! **Invariant:** the application's own formatting code runs once per value, before any piece is
//! written.

use std::{fmt::Write, sync::atomic::Ordering};

use tracing::Level;

use crate::{
    event::{Entry, FieldValue, FieldVisitor, write_chain},
    layout::{Plain, Scratch, show},
};

use super::{Effect, PatternLayout, Piece, Setting, Width, Word, logger};

/// What the event's fields were rendered to.
struct Rendered<'a> {
    entry: &'a Entry<'a>,
    setting: &'a Setting,
    message: &'a [u8],
    /// `name=value` with marks around the value, see [`MARK`].
    fields: &'a [u8],
    trace: &'a [u8],
    fields_in_message: bool,
}

/// Stands for the quote around a field's value until it is known which one. No UTF-8 text has it.
const MARK: u8 = 0xff;

impl PatternLayout {
    pub(crate) fn encode(&self, entry: &Entry<'_>, scratch: &mut Scratch) {
        let Scratch {
            out,
            message,
            fields,
            trace,
            ..
        } = scratch;
        entry.fields.visit(&mut Visitor {
            message,
            fields,
            trace,
        });
        let rendered = Rendered {
            entry,
            setting: &self.setting,
            message,
            fields,
            trace,
            fields_in_message: self.fields_in_message,
        };
        rendered.pieces(&self.pieces, out);
        if self.errors_at_end && !rendered.trace.is_empty() {
            if !out.is_empty() && !out.ends_with(b"\n") {
                out.push(b'\n');
            }
            rendered.error(None, out);
        }
        if out.ends_with(b"\n") {
            out.pop();
        }
    }
}

impl Rendered<'_> {
    fn pieces(&self, pieces: &[Piece], out: &mut Vec<u8>) {
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Word(word, width) => {
                    let start = out.len();
                    self.word(word, out);
                    fit(out, start, *width);
                }
                Piece::Group(inner, effect, width) => {
                    let start = out.len();
                    self.group(inner, effect, out);
                    fit(out, start, *width);
                }
            }
        }
    }

    fn group(&self, pieces: &[Piece], effect: &Effect, out: &mut Vec<u8>) {
        let code = match effect {
            Effect::Colour(code) => Some(*code),
            Effect::Highlight => Some(highlight(self.entry.level)),
            Effect::Plain | Effect::Prefix | Effect::Replace(..) => None,
        };
        if let Some(code) = code {
            show(&mut Plain(out), format_args!("\x1b[{code}m"));
        }
        let start = out.len();
        self.pieces(pieces, out);
        if let Effect::Replace(regex, replacement) = effect {
            let text = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            out.extend_from_slice(regex.replace_all(&text, replacement.as_str()).as_bytes());
        }
        if code.is_some() {
            out.extend_from_slice(b"\x1b[0;39m");
        }
    }

    fn word(&self, word: &Word, out: &mut Vec<u8>) {
        let Entry {
            time,
            level,
            location,
            ..
        } = *self.entry;
        let unknown = "?";
        match word {
            Word::Date(format) => format.write(time, out),
            Word::Level => out.extend_from_slice(level.as_str().as_bytes()),
            Word::Thread => out.extend_from_slice(self.entry.thread.as_bytes()),
            Word::Logger { length } => logger::write_short(self.entry.logger, *length, out),
            Word::Message => self.message(out),
            Word::Class { length } => {
                logger::write_short(location.module.unwrap_or(unknown), *length, out);
            }
            Word::Method => {
                logger::write_short(location.module.unwrap_or(unknown), Some(0), out);
            }
            Word::File => out.extend_from_slice(location.file.unwrap_or(unknown).as_bytes()),
            Word::Newline => out.push(b'\n'),
            Word::Fields { quote } => self.fields(quote, out),
            Word::Error { lines } => self.error(*lines, out),
            Word::Mdc { key } => self.mdc(key.as_ref(), out),
            Word::Context => out.extend_from_slice(self.setting.service.as_bytes()),
            Word::Property { key, default } => self.property(key, default, out),
            // An event of tracing has no markers.
            Word::Marker | Word::NoError => {}
            word => self.number(word, out),
        }
    }

    /// The words that are numbers, and `%caller`.
    fn number(&self, word: &Word, out: &mut Vec<u8>) {
        let Entry { time, location, .. } = *self.entry;
        let line = location.line.unwrap_or(0);
        let out = &mut Plain(out);
        let written = match word {
            Word::Micros => write!(out, "{:03}", time.nanos / 1000 % 1000),
            Word::Epoch { seconds: true } => write!(out, "{}", time.seconds),
            Word::Epoch { .. } => write!(out, "{}", time.millis()),
            Word::Relative => {
                write!(
                    out,
                    "{}",
                    (time.millis() - self.setting.started.millis()).max(0)
                )
            }
            Word::Line => write!(out, "{line}"),
            Word::Caller => {
                let (module, file) = (location.module.unwrap_or("?"), location.file.unwrap_or("?"));
                writeln!(out, "Caller+0\t at {module} ({file}:{line})")
            }
            Word::Sequence => {
                write!(
                    out,
                    "{}",
                    self.setting.sequence.fetch_add(1, Ordering::Relaxed)
                )
            }
            _ => Ok(()),
        };
        written.expect("writing into memory does not fail");
    }

    fn message(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.message);
        if self.fields_in_message && !self.fields.is_empty() {
            if !self.message.is_empty() {
                out.push(b' ');
            }
            self.fields("", out);
        }
    }

    fn fields(&self, quote: &str, out: &mut Vec<u8>) {
        for (index, part) in self.fields.split(|byte| *byte == MARK).enumerate() {
            if index > 0 {
                out.extend_from_slice(quote.as_bytes());
            }
            out.extend_from_slice(part);
        }
    }

    /// The first lines of the error, each with its line break, as Java prints a stack trace.
    fn error(&self, lines: Option<usize>, out: &mut Vec<u8>) {
        let all = self
            .trace
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        for line in all.take(lines.unwrap_or(usize::MAX)) {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
    }

    fn mdc(&self, key: Option<&(String, String)>, out: &mut Vec<u8>) {
        let start = out.len();
        let wanted = key.map(|(name, _)| name.as_str());
        let mut visitor = Mdc {
            wanted,
            seen: Vec::new(),
            out,
        };
        self.entry.context.visit(&mut visitor);
        let found = !visitor.seen.is_empty();
        if let Some((_, default)) = key
            && (!found || out.len() == start)
        {
            out.extend_from_slice(default.as_bytes());
        }
    }

    fn property(&self, key: &str, default: &str, out: &mut Vec<u8>) {
        match self.setting.custom.iter().find(|(name, _)| *name == key) {
            Some((_, value)) => write_value(out, value.as_field()),
            None => out.extend_from_slice(default.as_bytes()),
        }
    }
}

struct Visitor<'a> {
    message: &'a mut Vec<u8>,
    fields: &'a mut Vec<u8>,
    trace: &'a mut Vec<u8>,
}

impl FieldVisitor for Visitor<'_> {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>) {
        if let FieldValue::Error(error) = value {
            if !self.trace.is_empty() {
                self.trace.push(b'\n');
            }
            write_chain(error, &mut Plain(self.trace)).ok();
        }
        if name == "message" && self.message.is_empty() {
            return write_value(self.message, value);
        }
        if !self.fields.is_empty() {
            self.fields.push(b' ');
        }
        self.fields.extend_from_slice(name.as_bytes());
        self.fields.extend_from_slice(&[b'=', MARK]);
        write_value(self.fields, value);
        self.fields.push(MARK);
    }
}

/// Fields of the spans: one of them, or all as `a=1, b=2`.
struct Mdc<'a> {
    wanted: Option<&'a str>,
    seen: Vec<&'static str>,
    out: &'a mut Vec<u8>,
}

impl FieldVisitor for Mdc<'_> {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>) {
        if self.seen.contains(&name) || self.wanted.is_some_and(|wanted| wanted != name) {
            return;
        }
        if self.wanted.is_none() {
            let comma = if self.seen.is_empty() { "" } else { ", " };
            show(&mut Plain(self.out), format_args!("{comma}{name}="));
        }
        self.seen.push(name);
        write_value(self.out, value);
    }
}

fn write_value(out: &mut Vec<u8>, value: FieldValue<'_>) {
    let out = &mut Plain(out);
    match value {
        FieldValue::Text(text) => show(out, format_args!("{text}")),
        FieldValue::Shown(shown) => show(out, format_args!("{shown:?}")),
        FieldValue::Error(error) => show(out, format_args!("{error}")),
        FieldValue::Bool(truth) => show(out, format_args!("{truth}")),
        FieldValue::Signed(number) => show(out, format_args!("{number}")),
        FieldValue::Unsigned(number) => show(out, format_args!("{number}")),
        FieldValue::Float(number) => show(out, format_args!("{number:?}")),
    }
}

/// logback's colours of `%highlight`.
fn highlight(level: Level) -> &'static str {
    match level {
        Level::ERROR => "1;31",
        Level::WARN => "31",
        Level::INFO => "34",
        _ => "39",
    }
}

/// Pads or cuts what was written since `start`, counted in characters.
fn fit(out: &mut Vec<u8>, start: usize, width: Width) {
    if width == Width::default() {
        return;
    }
    let starts = |byte: &u8| *byte & 0xc0 != 0x80;
    let mut count = out[start..].iter().filter(|byte| starts(byte)).count();
    if let Some(max) = width.max.filter(|max| count > *max) {
        let keep_from = if width.cut_end { max } else { count - max };
        let at = out[start..]
            .iter()
            .enumerate()
            .filter(|(_, byte)| starts(byte))
            .nth(keep_from)
            .map_or(out.len(), |(at, _)| start + at);
        if width.cut_end {
            out.truncate(at);
        } else {
            out.drain(start..at);
        }
        count = max;
    }
    let pad = if width.pad_zero && !width.pad_right {
        b'0'
    } else {
        b' '
    };
    let missing = std::iter::repeat_n(pad, width.min.saturating_sub(count));
    if width.pad_right {
        out.extend(missing);
    } else {
        out.splice(start..start, missing);
    }
}
