//! Times as `--to-datetime` and `--by-duration` take them.
//!
//! Invariant: a time without a zone is UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::kafka_tools::exception::Exception;

/// Milliseconds since 1970 of an ISO 8601 date and time, with or without a zone.
pub(super) fn datetime(text: &str) -> Result<i64, Exception> {
    let unreadable = |why: &str| {
        Exception::new(
            "java.lang.RuntimeException",
            format!("java.text.ParseException: {why}"),
        )
    };
    if !text.contains('T') {
        return Err(unreadable(
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format",
        ));
    }
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || {
        let plain = text.parse::<DateTime>().ok()?;
        plain
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|at| at.timestamp())
    };
    zoned
        .or_else(plain)
        .map(Timestamp::as_millisecond)
        .ok_or_else(|| unreadable(&format!("Unparseable date: \"{text}\"")))
}

/// Milliseconds of an ISO 8601 duration: `P1DT2H3M4.5S`.
pub(super) fn duration(text: &str) -> Result<i64, Exception> {
    parts(text).ok_or_else(|| {
        let class = "java.time.format.DateTimeParseException";
        Exception::new(class, "Text cannot be parsed to a Duration")
    })
}

fn parts(text: &str) -> Option<i64> {
    let upper = text.to_uppercase();
    let (sign, rest) = match upper.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, upper.as_str()),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut seconds = 0.0;
    let mut any = false;
    for (text, units) in [
        (days, &[('D', 86_400.0)][..]),
        (time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)]),
    ] {
        let mut text = text;
        for (unit, length) in units {
            if let Some((number, after)) = text.split_once(*unit) {
                seconds += number.parse::<f64>().ok()? * length;
                any = true;
                text = after;
            }
        }
        if !text.is_empty() {
            return None;
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "beyond the range is as good as its end"
    )]
    any.then_some((sign * seconds * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    //! Spellings that are times, and some that are none.

    use super::{datetime, duration};

    #[test]
    fn durations() {
        assert_eq!(duration("PT1H"), Ok(3_600_000));
        assert_eq!(duration("P1DT2H3M4.5S"), Ok(93_784_500));
        assert_eq!(duration("-PT1M"), Ok(-60_000));
        for text in ["1h", "P", "PT", "PT1X", "PTS"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn datetimes() {
        assert_eq!(datetime("2020-01-01T00:00:00.000"), Ok(1_577_836_800_000));
        assert_eq!(
            datetime("2020-01-01T00:00:00.000+05:30"),
            Ok(1_577_817_000_000)
        );
        assert_eq!(datetime("2020-01-01T00:00:00Z"), Ok(1_577_836_800_000));
        assert!(datetime("yesterday").is_err());
    }
}
