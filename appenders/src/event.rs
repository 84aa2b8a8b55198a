//! What a layout is given: one log event, whatever logging library it came from.
//!
//! **Invariant:** nothing here knows `tracing` or `log`; an appender for another library only has to
//! implement [`Fields`] and [`Context`]. Step 4′ of the hallway.

use std::{
    error::Error,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::Level;

/// A point in time, since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) seconds: i64,
    /// Within the second, 0 to 999 999 999.
    pub(crate) nanos: u32,
}

impl Moment {
    pub(crate) fn now() -> Moment {
        // A clock before 1970 is a broken clock; 1970 is as good an answer as any.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Moment {
            seconds: since.as_secs().cast_signed(),
            nanos: since.subsec_nanos(),
        }
    }

    /// Milliseconds since 1970, as record timestamps count.
    pub(crate) fn millis(self) -> i64 {
        self.seconds * 1000 + i64::from(self.nanos / 1_000_000)
    }
}

/// A field's value in the type the application gave it.
#[derive(Clone, Copy)]
pub(crate) enum FieldValue<'a> {
    Text(&'a str),
    /// Formatted with `Debug`; `%value` fields of tracing come as this too.
    Shown(&'a dyn fmt::Debug),
    Bool(bool),
    Signed(i128),
    Unsigned(u128),
    Float(f64),
    Error(&'a (dyn Error + 'static)),
}

/// Receives fields one by one.
pub(crate) trait FieldVisitor {
    fn field(&mut self, name: &'static str, value: FieldValue<'_>);
}

/// The fields of an event; the one named `message` is its text.
pub(crate) trait Fields {
    fn visit(&self, visitor: &mut dyn FieldVisitor);
}

/// What surrounds an event (spans, MDC), the innermost first. May hold locks while it visits, so a
/// visitor must not run the application's code: every value is a plain one.
pub(crate) trait Context {
    fn visit(&self, visitor: &mut dyn FieldVisitor);
}

/// One log event.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) time: Moment,
    pub(crate) level: Level,
    /// logback's logger: tracing's target.
    pub(crate) logger: &'a str,
    pub(crate) thread: &'a str,
    pub(crate) location: Location<'a>,
    pub(crate) fields: &'a dyn Fields,
    pub(crate) context: &'a dyn Context,
}

/// Where in the source the event was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Location<'a> {
    pub(crate) module: Option<&'a str>,
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
}

/// Nothing around the event.
pub(crate) struct NoContext;

impl Context for NoContext {
    fn visit(&self, _: &mut dyn FieldVisitor) {}
}

/// Index of a level in counts per level: TRACE 0 to ERROR 4.
pub(crate) fn rank(level: Level) -> usize {
    match level {
        Level::TRACE => 0,
        Level::DEBUG => 1,
        Level::INFO => 2,
        Level::WARN => 3,
        Level::ERROR => 4,
    }
}

/// logback's integer of a level (`Level.java`).
pub(crate) fn logback_value(level: Level) -> &'static str {
    ["5000", "10000", "20000", "30000", "40000"][rank(level)]
}

/// An error and what caused it, one per line, as a Java stack trace without its frames.
pub(crate) fn write_chain(error: &(dyn Error + 'static), out: &mut dyn fmt::Write) -> fmt::Result {
    write!(out, "{error}")?;
    let mut cause = error.source();
    // A chain that long is a cycle.
    for _ in 0..CHAIN_LENGTH_MAX {
        let Some(inner) = cause else { break };
        write!(out, "\nCaused by: {inner}")?;
        cause = inner.source();
    }
    Ok(())
}

/// Most causes of one error that are written.
const CHAIN_LENGTH_MAX: usize = 64;
