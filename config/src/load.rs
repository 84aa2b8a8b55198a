//! From a file to a checked struct: read, parse, check, and name the place of what is wrong.
//!
//! **Invariant:** a struct that leaves here through `load` has passed its `check`.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::error::{ConfigError, Position, Violation};

/// A part's root struct: can be read from TOML and knows its own ranges.
pub(crate) trait Settings: DeserializeOwned {
    /// Whether every value is in its range.
    fn check(&self) -> Result<(), Violation>;
}

/// Reads and checks a settings file.
pub(crate) fn load<S: Settings>(path: &Path) -> Result<S, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// Parses and checks; `path` is only for the error texts.
pub(crate) fn parse<S: Settings>(path: &Path, text: &str) -> Result<S, ConfigError> {
    let document = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        at: Position::of(text, error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    let settings: S =
        toml::from_str(text).map_err(|error| content_error(path, text, &error, &document))?;
    settings.check().map_err(|violation| ConfigError::Value {
        path: path.to_owned(),
        at: Position::of(text, locate(document.get_ref(), &violation.key)),
        message: violation.to_string(),
    })?;
    Ok(settings)
}

/// Turns a deserialization error into ours: unknown keys get their nearest known name.
fn content_error(
    path: &Path,
    text: &str,
    error: &toml::de::Error,
    document: &toml::Spanned<DeTable<'_>>,
) -> ConfigError {
    let offset = error.span().map_or(0, |span| span.start);
    let at = Position::of(text, offset);
    let mut names = error
        .message()
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned);
    if error.message().starts_with("unknown field `")
        && let Some(key) = names.next()
    {
        return ConfigError::unknown(path, at, key, names.collect());
    }
    let problem = plain(error.message());
    let message = match key_at(document.get_ref(), offset) {
        Some(key) => format!("`{key}`: {problem}"),
        None => problem,
    };
    ConfigError::Value {
        path: path.to_owned(),
        at,
        message,
    }
}

/// The parser's text with Rust's type names in an operator's words.
fn plain(message: &str) -> String {
    const WORDS: &[(&str, &str)] = &[
        ("expected i32", "expected a whole number up to 2147483647"),
        (
            "expected u32",
            "expected a whole number from 0 to 4294967295",
        ),
        ("expected u64", "expected a whole number from 0 up"),
        ("expected usize", "expected a whole number from 0 up"),
        ("expected a sequence", "expected a list in brackets"),
        ("expected a boolean", "expected true or false"),
        ("expected path string", "expected a path in quotes"),
    ];
    let found = WORDS.iter().find(|(rust, _)| message.ends_with(rust));
    found.map_or_else(
        || message.to_owned(),
        |(rust, words)| message.replace(rust, words),
    )
}

/// The dotted key whose value holds the byte `offset`.
fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    table.iter().find_map(|(name, value)| {
        let inner = match value.get_ref() {
            DeValue::Table(table) => key_at(table, offset),
            DeValue::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                let DeValue::Table(table) = item.get_ref() else {
                    return None;
                };
                key_at(table, offset).map(|key| format!("{index}.{key}"))
            }),
            _ => None,
        };
        let name = name.get_ref();
        inner
            .map(|key| format!("{name}.{key}"))
            .or_else(|| value.span().contains(&offset).then(|| name.to_string()))
    })
}

/// The byte where the dotted key's value stands, or the nearest section above it that the file has.
fn locate(table: &DeTable<'_>, key: &str) -> usize {
    let mut steps = key.split('.');
    let mut found = steps.next().and_then(|name| table.get(name));
    let mut offset = 0;
    while let Some(value) = found {
        offset = value.span().start;
        found = steps.next().and_then(|step| match value.get_ref() {
            DeValue::Table(table) => table.get(step),
            DeValue::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        });
    }
    offset
}
