//! What can be wrong with a settings file, always with the file, the line and the key.
//!
//! **Invariant:** every variant that comes from a file's content carries the position of the offending text.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A place in a settings file; both numbers count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of byte `offset` in `text`; an offset behind the end is the end.
    pub(crate) fn of(text: &str, offset: usize) -> Position {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        Position { line, column }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a settings file was refused. Nothing was started when one of these is returned.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read at all.
    #[error("cannot read the settings file {}: {source}", path.display())]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} {at}: not valid TOML: {message}", path.display())]
    Syntax {
        /// The file as it was named.
        path: PathBuf,
        /// Where the text stops making sense.
        at: Position,
        /// What the parser said.
        message: String,
    },
    /// A key that no setting has.
    #[error("unknown key `{key}` in {} line {}: {hint}", path.display(), at.line)]
    UnknownKey {
        /// The file as it was named.
        path: PathBuf,
        /// Where the key stands.
        at: Position,
        /// The key as it was written.
        key: String,
        /// The nearest known key of the same section, or which keys there are.
        hint: String,
        /// All keys of that section.
        known: Vec<String>,
    },
    /// A value of the wrong type, or out of its range.
    #[error("{} {at}: {message}", path.display())]
    Value {
        /// The file as it was named.
        path: PathBuf,
        /// Where the value (or, when it was left out, its section) stands.
        at: Position,
        /// Which key, what is wrong, what is allowed.
        message: String,
    },
}

impl ConfigError {
    pub(crate) fn unknown(path: &Path, at: Position, key: String, known: Vec<String>) -> Self {
        let hint = hint(&key, &known);
        ConfigError::UnknownKey {
            path: path.to_owned(),
            at,
            key,
            hint,
            known,
        }
    }
}

/// A checked setting that is out of its range. The key is dotted, list entries by number: `inputs.0.paths`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {problem}")]
pub struct Violation {
    /// The dotted key.
    pub key: String,
    /// What is wrong and what is allowed, to be read after the key.
    pub problem: String,
}

impl Violation {
    pub(crate) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Violation {
            key: key.into(),
            problem: problem.into(),
        }
    }

    /// The same violation seen from the section that holds this one.
    pub(crate) fn within(mut self, section: &str) -> Self {
        self.key = format!("{section}.{}", self.key);
        self
    }
}

/// Fails with `problem` unless the condition holds.
pub(crate) fn require(holds: bool, key: &str, problem: impl Into<String>) -> Result<(), Violation> {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(key, problem))
    }
}

/// Fails unless `value` lies in `range` (both ends included).
pub(crate) fn within<T: PartialOrd + fmt::Display + Copy>(
    key: &str,
    value: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<(), Violation> {
    let problem = format!(
        "must be from {} to {}, is {value}",
        range.start(),
        range.end()
    );
    require(range.contains(&value), key, problem)
}

/// Fails unless every address is `HOST:PORT`; the list must not be empty.
pub(crate) fn bootstrap(servers: &[String]) -> Result<(), Violation> {
    require(
        !servers.is_empty(),
        "bootstrap",
        "must name at least one broker as \"HOST:PORT\"",
    )?;
    servers.iter().enumerate().try_for_each(|(index, server)| {
        host_port(server).map_err(|problem| Violation::new(format!("bootstrap.{index}"), problem))
    })
}

/// Whether the text is `HOST:PORT`; names are not resolved here.
pub(crate) fn host_port(address: &str) -> Result<(), String> {
    let valid = address.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.starts_with('[') && host.ends_with(']') || !host.contains(':');
        bare && !host.is_empty()
            && !host.contains(char::is_whitespace)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid {
        Ok(())
    } else {
        Err(format!("must be \"HOST:PORT\", is \"{address}\""))
    }
}

/// Fails unless the name is one Kafka accepts for a topic (`Topic.validate`).
pub(crate) fn topic(key: &str, name: &str) -> Result<(), Violation> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let valid =
        (1..=249).contains(&name.len()) && name != "." && name != ".." && name.chars().all(legal);
    let problem = "must be a topic name: 1 to 249 of the characters a-z A-Z 0-9 . _ -";
    require(valid, key, format!("{problem}, is \"{name}\""))
}

/// What to tell the author of an unknown key.
fn hint(key: &str, known: &[String]) -> String {
    let near = known.iter().map(|name| (distance(key, name), name)).min();
    if let Some((edits, name)) = near
        && edits <= (key.len().max(name.len()) / 3).max(1)
    {
        return format!("did you mean `{name}`?");
    }
    let section = known
        .iter()
        .find(|name| key.starts_with(&format!("{name}_")));
    if let Some(section) = section {
        let rest = &key[section.len() + 1..];
        return format!("did you mean `{rest}` in the section [{section}]?");
    }
    if known.is_empty() {
        return "this section has no keys".to_owned();
    }
    format!("the keys here are {}", known.join(", "))
}

/// Edits (insert, delete, replace, swap of neighbours) between two names.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=left.len() {
        for j in 1..=right.len() {
            let replace = rows[i - 1][j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}
