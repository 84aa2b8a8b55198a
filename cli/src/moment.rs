//! Moments as people say them: `-1h`, `2026-01-31T12:00:00Z`.
//!
//! Invariant: a time without a zone is UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::failure::Failure;

/// Milliseconds since 1970 of the moment, seen from `now`; nothing if it is no moment.
pub(crate) fn parse(text: &str, now: i64) -> Option<i64> {
    if let Some(ago) = text.strip_prefix('-') {
        return Some(now.saturating_sub(length(ago)?));
    }
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || {
        let plain = text.parse::<DateTime>().ok()?;
        plain
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|at| at.timestamp())
    };
    zoned.or_else(plain).map(Timestamp::as_millisecond)
}

/// As [`parse`] from now on, or what could be said instead.
pub(crate) fn required(option: &str, text: &str) -> Result<i64, Failure> {
    parse(text, Timestamp::now().as_millisecond()).ok_or_else(|| {
        Failure::usage(format!(
            "{option} `{text}`: say so long ago (-30s, -15m, -1h, -7d) or a time (2026-01-31T12:00:00Z)"
        ))
    })
}

/// Milliseconds of `90s`, `15m`, `1h`, `7d`, `1w`, `500ms`, or several in a row.
fn length(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(unit_ms)?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    //! Spellings.

    use super::parse;

    #[test]
    fn so_long_ago() {
        let now = 1_000_000_000;
        assert_eq!(parse("-1h", now), Some(now - 3_600_000));
        assert_eq!(parse("-1h30m", now), Some(now - 5_400_000));
        assert_eq!(parse("-500ms", now), Some(now - 500));
        for text in ["-", "-h", "-1", "-1y", "1h", "soon"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }

    #[test]
    fn a_time() {
        assert_eq!(parse("2020-01-01T00:00:00Z", 0), Some(1_577_836_800_000));
        assert_eq!(
            parse("2020-01-01T01:00:00+01:00", 0),
            Some(1_577_836_800_000)
        );
        assert_eq!(parse("2020-01-01", 0), Some(1_577_836_800_000));
    }
}
