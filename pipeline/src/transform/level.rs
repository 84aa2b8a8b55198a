//! Severity names of logback, syslog and friends on one scale.
//!
//! Invariant: the numbers are logback's (`level_value`), so that filters by "at least" agree with
//! what Java applications write. Step 11 of the hallway.

/// A severity, ordered from trace to fatal. The discriminant is the stored number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum Level {
    /// Finest.
    Trace = 5_000,
    /// Debugging detail.
    Debug = 10_000,
    /// Normal operation.
    Info = 20_000,
    /// Normal but significant (syslog).
    Notice = 25_000,
    /// Unexpected, nothing lost.
    Warn = 30_000,
    /// Something failed.
    Error = 40_000,
    /// The process or system cannot go on.
    Fatal = 50_000,
}

/// How many leading bytes of a raw line are looked at for a severity.
const LINE_PREFIX_BYTES: usize = 160;

impl Level {
    /// All levels in ascending order.
    pub const ALL: [Level; 7] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Notice,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// The name shown and accepted.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Notice => "NOTICE",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }

    /// The stored number.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }

    /// The level of a stored number.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Level> {
        Level::ALL
            .into_iter()
            .find(|level| level.number() == number)
    }

    /// Reads a level by any of its usual names, in any case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Level> {
        const NAMES: [(&str, Level); 18] = [
            ("TRACE", Level::Trace),
            ("FINEST", Level::Trace),
            ("DEBUG", Level::Debug),
            ("FINE", Level::Debug),
            ("INFO", Level::Info),
            ("INFORMATION", Level::Info),
            ("INFORMATIONAL", Level::Info),
            ("NOTICE", Level::Notice),
            ("WARN", Level::Warn),
            ("WARNING", Level::Warn),
            ("ERROR", Level::Error),
            ("ERR", Level::Error),
            ("SEVERE", Level::Error),
            ("FATAL", Level::Fatal),
            ("CRITICAL", Level::Fatal),
            ("CRIT", Level::Fatal),
            ("ALERT", Level::Fatal),
            ("EMERG", Level::Fatal),
        ];
        if text.len() < 3 || text.len() > 13 {
            return None;
        }
        NAMES
            .iter()
            .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text))
            .map(|(_, level)| *level)
    }
}

/// Finds a severity word near the start of a raw line: written in capitals anywhere, or in any
/// case when it stands alone in brackets (`[error]`) as httpd writes it.
#[must_use]
pub fn in_line(line: &[u8]) -> Option<Level> {
    let cut = line.len() > LINE_PREFIX_BYTES;
    let prefix = &line[..line.len().min(LINE_PREFIX_BYTES)];
    let mut start = 0;
    while start < prefix.len() {
        if !prefix[start].is_ascii_alphabetic() {
            start += 1;
            continue;
        }
        let end = prefix[start..]
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .map_or(prefix.len(), |length| start + length);
        let word = &prefix[start..end];
        let whole = !(cut && end == prefix.len());
        let capitals = word.iter().all(u8::is_ascii_uppercase);
        let bracketed = start > 0 && prefix[start - 1] == b'[' && prefix.get(end) == Some(&b']');
        if whole
            && (capitals || bracketed)
            && let Some(level) = Level::parse(word)
        {
            return Some(level);
        }
        start = end;
    }
    None
}
