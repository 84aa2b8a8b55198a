//! Query parameters, checked: unknown names, wrong values and excess are refused with a message.
//!
//! Invariant: every value taken from a request has a limit. Step 12.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use axum::extract::Query;
use axum::http::Uri;

use super::error::ApiError;
use crate::needle::Needle;
use crate::store::LogFilter;
use crate::transform::Level;

/// Longest value of a parameter in bytes.
const VALUE_BYTES_MAX: usize = 1024;
/// Most parameters of one request.
const COUNT_MAX: usize = 32;
/// Parameters that choose log lines; the same for search and live tail.
pub(crate) const LOG_FILTERS: [&str; 12] = [
    "query",
    "mode",
    "from",
    "to",
    "level",
    "topic",
    "partition",
    "host",
    "path",
    "logger",
    "service",
    "origin",
];

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Params {
    values: BTreeMap<String, String>,
}

impl Params {
    /// Reads the query of `uri`; only names in `known` and `tag.…` where that is known may occur.
    pub(crate) fn read(uri: &Uri, known: &[&[&str]]) -> Result<Params, ApiError> {
        let Query(list) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad(format!("query string: {error}")))?;
        if list.len() > COUNT_MAX {
            return Err(ApiError::bad(format!("more than {COUNT_MAX} parameters")));
        }
        let mut values = BTreeMap::new();
        for (name, value) in list {
            let wanted = if name.starts_with("tag.") {
                "tag."
            } else {
                name.as_str()
            };
            if !known.iter().any(|names| names.contains(&wanted)) {
                let names: Vec<&str> = known
                    .iter()
                    .flat_map(|names| names.iter().copied())
                    .collect();
                return Err(ApiError::bad(format!(
                    "unknown parameter `{name}`; known are: {}",
                    names.join(", ")
                )));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(ApiError::bad(format!(
                    "parameter `{name}` is longer than {VALUE_BYTES_MAX} bytes"
                )));
            }
            if values.insert(name.clone(), value).is_some() {
                return Err(ApiError::bad(format!("parameter `{name}` is given twice")));
            }
        }
        Ok(Params { values })
    }

    /// A text; an empty one counts as left out.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A text that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.text(name)
            .ok_or_else(|| ApiError::bad(format!("parameter `{name}` is missing")))
    }

    /// A number in `range`.
    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::bad(format!(
                "parameter `{name}` must be a whole number from {} to {}, not `{text}`",
                range.start(),
                range.end()
            ))),
        }
    }

    /// A time in milliseconds since 1970.
    pub(crate) fn time(&self, name: &str, now_ms: i64) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        parse_time(text, now_ms).map(Some).ok_or_else(|| {
            ApiError::bad(format!(
                "parameter `{name}` must be a time: milliseconds or seconds since 1970, RFC 3339, \
                 `now`, or `now-15m` (s, m, h, d); not `{text}`"
            ))
        })
    }

    /// A length of time in milliseconds, such as `500ms`, `10s`, `5m`; a bare number is seconds.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match parse_duration_ms(text) {
            Some(length) if length > 0 => Ok(Some(length)),
            _ => Err(ApiError::bad(format!(
                "parameter `{name}` must be a length of time such as 10s, 5m or 500ms, not `{text}`"
            ))),
        }
    }

    /// The `tag.NAME=VALUE` parameters.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        self.values
            .iter()
            .filter_map(|(name, value)| {
                name.strip_prefix("tag.")
                    .map(|tag| (tag.to_owned(), value.clone()))
            })
            .collect()
    }

    /// The parameters that choose log lines.
    pub(crate) fn log_filter(&self, now_ms: i64) -> Result<LogFilter, ApiError> {
        let query = self.text("query").unwrap_or_default();
        let needles = match self.text("mode").unwrap_or("phrase") {
            "phrase" => Needle::new(query).into_iter().collect(),
            "words" => Needle::words(query),
            other => {
                return Err(ApiError::bad(format!(
                    "parameter `mode` must be `phrase` or `words`, not `{other}`"
                )));
            }
        };
        let owned = |name| self.text(name).map(str::to_owned);
        let partition = self.number("partition", 0..=i64::from(i32::MAX))?;
        Ok(LogFilter {
            needles,
            from: self.time("from", now_ms)?,
            to: self.time("to", now_ms)?,
            levels: self.levels()?,
            topic: owned("topic"),
            partition: partition.and_then(|number| i32::try_from(number).ok()),
            host: owned("host"),
            path: owned("path"),
            logger: owned("logger"),
            service: owned("service"),
            origin: owned("origin"),
        })
    }

    /// `WARN,ERROR`: these; `WARN+`: this and above.
    fn levels(&self) -> Result<Vec<Level>, ApiError> {
        let mut levels = Vec::new();
        for name in self.text("level").unwrap_or_default().split(',') {
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            // A plus that was not escaped arrives as a blank, which `trim` has taken away.
            let (bare, above) = match name.strip_suffix('+') {
                Some(bare) => (bare, true),
                None => (name, false),
            };
            let Some(level) = Level::parse(bare.as_bytes()) else {
                let names = Level::ALL.map(Level::name).join(", ");
                return Err(ApiError::bad(format!(
                    "parameter `level` must be of {names}, or one with `+` for it and above; \
                     not `{name}`"
                )));
            };
            if above {
                levels.extend(Level::ALL.into_iter().filter(|other| *other >= level));
            } else {
                levels.push(level);
            }
        }
        Ok(levels)
    }
}

fn parse_time(text: &str, now_ms: i64) -> Option<i64> {
    let relative = text.strip_prefix("now").unwrap_or(text);
    if relative.is_empty() {
        return Some(now_ms);
    }
    if let Some(back) = relative.strip_prefix('-')
        && let Some(length) = parse_duration_ms(back)
        && back.ends_with(|last: char| last.is_ascii_alphabetic())
    {
        return now_ms.checked_sub(length);
    }
    if let Ok(number) = text.parse::<i64>() {
        let seconds = number.unsigned_abs() < 100_000_000_000;
        return if seconds {
            number.checked_mul(1000)
        } else {
            Some(number)
        };
    }
    text.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

fn parse_duration_ms(text: &str) -> Option<i64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: i64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}
