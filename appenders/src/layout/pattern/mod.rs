//! The logback pattern layout: `%d{HH:mm:ss.SSS} [%thread] %-5level %logger{36} - %msg%n`.
//!
//! All conversion words of logback's `PatternLayout`, format modifiers, groups, `%replace`, colours.
//! What Rust has instead of Java's: the logger is the target, class and method are the module's path,
//! MDC is the fields of the spans, an exception is an error with its sources.
//!
//! Beyond logback: a pattern without `%kvp` writes the event's fields after the message, so that none is
//! lost; a pattern without `%ex` writes errors at the end, as logback does too; a line break at the end
//! of the record is left out.
//!
//! **Invariant:** a pattern is checked when it is parsed; rendering cannot fail.

mod date;
mod logger;
mod parse;
mod render;

use regex::Regex;

use crate::{event::Moment, layout::CustomValue};

use date::DateFormat;

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {at} of `{pattern}`: {problem}")]
pub struct PatternError {
    /// The whole pattern.
    pub pattern: String,
    /// Character in it, from 1.
    pub at: usize,
    /// What is wrong there.
    pub problem: String,
}

/// A parsed pattern.
#[derive(Debug)]
pub(crate) struct PatternLayout {
    pieces: Vec<Piece>,
    /// What the words mean that the event does not tell.
    setting: Setting,
    /// Whether fields are written after the message.
    fields_in_message: bool,
    /// Whether errors are written at the end.
    errors_at_end: bool,
}

/// What the application said when it built the appender.
#[derive(Debug)]
struct Setting {
    service: String,
    custom: Vec<(&'static str, CustomValue)>,
    started: Moment,
    sequence: std::sync::atomic::AtomicU64,
}

/// A part of a pattern.
#[derive(Debug)]
enum Piece {
    Literal(String),
    Word(Word, Width),
    Group(Vec<Piece>, Effect, Width),
}

/// What is done to the text of a group.
#[derive(Debug)]
enum Effect {
    /// Nothing: only the width applies.
    Plain,
    /// `%replace(…){regex, replacement}`.
    Replace(Regex, String),
    /// An ANSI colour.
    Colour(&'static str),
    /// `%highlight(…)`: the colour depends on the level.
    Highlight,
    /// `%prefix(…)`: the words' names before their values; done while parsing.
    Prefix,
}

/// A conversion word with its options.
#[derive(Debug)]
enum Word {
    Date(DateFormat),
    /// Microseconds within the millisecond, three digits.
    Micros,
    Epoch {
        seconds: bool,
    },
    /// Milliseconds since the appender was built.
    Relative,
    Level,
    Thread,
    Logger {
        length: Option<usize>,
    },
    Message,
    Class {
        length: Option<usize>,
    },
    Method,
    Line,
    File,
    Caller,
    /// One field of a span with its default, or all of them.
    Mdc {
        key: Option<(String, String)>,
    },
    /// Lines of the error: all, or the first so many.
    Error {
        lines: Option<usize>,
    },
    NoError,
    Context,
    Property {
        key: String,
        default: String,
    },
    Marker,
    /// The event's fields with the quote around their values.
    Fields {
        quote: &'static str,
    },
    Newline,
    Sequence,
}

/// A format modifier: `%-20.30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Width {
    /// Least characters; shorter text is padded.
    min: usize,
    /// Most characters; longer text is cut.
    max: Option<usize>,
    /// Padding goes behind the text.
    pad_right: bool,
    pad_zero: bool,
    /// The end is cut off; otherwise the start, as Java's loggers do.
    cut_end: bool,
}
