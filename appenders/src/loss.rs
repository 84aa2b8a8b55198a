//! Events that were lost: counted by level and cause, with the range of their times, and told as a
//! record in the stream.
//!
//! **Invariant:** what is dropped is counted once, here, before it is gone.

use tracing::Level;

use crate::{
    event::{FieldValue, FieldVisitor, Fields, Moment, rank},
    layout::utc_text,
};

/// Why an event did not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The buffer was full.
    Full,
    /// It was larger than an event may be.
    TooLarge,
    /// It was logged while too many others were being encoded around it.
    Nested,
    /// It was logged after the guard was dropped.
    Closed,
    /// The broker refused it, or the client gave it up.
    Refused,
    /// It was still buffered when the time for the shutdown was over.
    Unsent,
}

/// How many causes there are.
const CAUSES: usize = 6;
/// The causes' names in the report, in the order of their declaration.
const CAUSE_NAMES: [&str; CAUSES] = [
    "buffer full",
    "too large",
    "nested too deeply",
    "after shutdown",
    "refused",
    "unsent",
];
/// Field names of the counts, TRACE first.
const LEVEL_FIELDS: [&str; 5] = [
    "lost_trace",
    "lost_debug",
    "lost_info",
    "lost_warn",
    "lost_error",
];

/// Events by level and the range of their times in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) by_level: [u64; 5],
    pub(crate) first: i64,
    pub(crate) last: i64,
}

impl Default for Tally {
    fn default() -> Self {
        Tally {
            by_level: [0; 5],
            first: i64::MAX,
            last: i64::MIN,
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, level: Level, millis: i64) {
        self.by_level[rank(level)] += 1;
        self.first = self.first.min(millis);
        self.last = self.last.max(millis);
    }

    fn merge(&mut self, other: &Tally) {
        for (sum, more) in self.by_level.iter_mut().zip(other.by_level) {
            *sum += more;
        }
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }

    pub(crate) fn total(&self) -> u64 {
        self.by_level.iter().sum()
    }
}

/// Lost events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Loss {
    tally: Tally,
    by_cause: [u64; CAUSES],
}

impl Loss {
    pub(crate) fn one(&mut self, level: Level, millis: i64, cause: Cause) {
        self.tally.add(level, millis);
        self.by_cause[cause as usize] += 1;
    }

    pub(crate) fn all(&mut self, tally: &Tally, cause: Cause) {
        self.tally.merge(tally);
        self.by_cause[cause as usize] += tally.total();
    }

    pub(crate) fn merge(&mut self, other: &Loss) {
        self.tally.merge(&other.tally);
        for (sum, more) in self.by_cause.iter_mut().zip(other.by_cause) {
            *sum += more;
        }
    }

    pub(crate) fn total(&self) -> u64 {
        self.tally.total()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.total() == 0
    }

    pub(crate) fn of(&self, cause: Cause) -> u64 {
        self.by_cause[cause as usize]
    }

    /// ERROR when a warning or an error is among the lost, WARN otherwise.
    pub(crate) fn severity(&self) -> Level {
        if self.tally.by_level[3] + self.tally.by_level[4] > 0 {
            Level::ERROR
        } else {
            Level::WARN
        }
    }

    /// The report's text.
    pub(crate) fn text(&self) -> String {
        let causes: Vec<String> = CAUSE_NAMES
            .iter()
            .zip(self.by_cause)
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        format!(
            "{} log events were lost between {} and {}: {}",
            self.total(),
            text_of(self.tally.first),
            text_of(self.tally.last),
            causes.join(", ")
        )
    }
}

fn text_of(millis: i64) -> String {
    let nanos = u32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
    utc_text(Moment {
        seconds: millis.div_euclid(1000),
        nanos,
    })
}

/// The report as an event: its text and the counts as fields.
impl Fields for Loss {
    fn visit(&self, visitor: &mut dyn FieldVisitor) {
        visitor.field("message", FieldValue::Text(&self.text()));
        visitor.field("lost_total", FieldValue::Unsigned(u128::from(self.total())));
        for (name, count) in LEVEL_FIELDS.iter().zip(self.tally.by_level) {
            if count > 0 {
                visitor.field(name, FieldValue::Unsigned(u128::from(count)));
            }
        }
        visitor.field("lost_from", FieldValue::Text(&text_of(self.tally.first)));
        visitor.field("lost_to", FieldValue::Text(&text_of(self.tally.last)));
    }
}
