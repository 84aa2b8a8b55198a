//! Layouts: from an event to the bytes of its record's value.
//!
//! **Invariant:** a layout writes into buffers it is given, takes no lock and does no I/O; in steady
//! state it allocates nothing. Step 4′ of the hallway.

mod civil;
mod escape;
mod json;
mod pattern;

use std::fmt;

use crate::event::{Entry, Moment};

pub use json::CustomValue;
pub(crate) use json::JsonLayout;
pub use pattern::PatternError;
pub(crate) use pattern::PatternLayout;

/// How an event becomes a record's value.
#[derive(Debug)]
pub(crate) enum Layout {
    Json(JsonLayout),
    Pattern(Box<PatternLayout>),
}

/// Buffers of one thread, reused from event to event.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The encoded event.
    pub(crate) out: Vec<u8>,
    message: Vec<u8>,
    fields: Vec<u8>,
    trace: Vec<u8>,
    names: Vec<&'static str>,
    second: civil::SecondCache,
}

impl Scratch {
    /// Gives back the memory of one unusually large event.
    pub(crate) fn shrink(&mut self) {
        for buffer in [
            &mut self.out,
            &mut self.message,
            &mut self.fields,
            &mut self.trace,
        ] {
            if buffer.capacity() > SCRATCH_BYTES_KEPT {
                buffer.clear();
                buffer.shrink_to(SCRATCH_BYTES_KEPT);
            }
        }
    }
}

/// Bytes of each buffer that a thread keeps between events.
const SCRATCH_BYTES_KEPT: usize = 64 << 10;

impl Layout {
    /// Encodes `entry` into `scratch.out`, which is emptied first.
    pub(crate) fn encode(&self, entry: &Entry<'_>, scratch: &mut Scratch) {
        scratch.out.clear();
        scratch.message.clear();
        scratch.fields.clear();
        scratch.trace.clear();
        scratch.names.clear();
        match self {
            Layout::Json(layout) => layout.encode(entry, scratch),
            Layout::Pattern(layout) => layout.encode(entry, scratch),
        }
    }
}

/// A moment as it stands in `@timestamp`.
pub(crate) fn utc_text(moment: Moment) -> String {
    let mut out = Vec::new();
    civil::SecondCache::default().write(moment, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Lets `fmt` write into a byte buffer.
pub(crate) struct Plain<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes what a value shows. A `Display` or `Debug` that fails leaves what it had written: there is
/// nobody to tell, and the event is worth more than its one broken field.
fn show(out: &mut dyn fmt::Write, arguments: fmt::Arguments<'_>) {
    out.write_fmt(arguments).ok();
}

#[cfg(test)]
mod tests;
