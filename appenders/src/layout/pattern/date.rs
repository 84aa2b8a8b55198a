//! `%d{…}`: Java's date patterns and logback's named ones, in a time zone.
//!
//! **Invariant:** every pattern that parses can be written for every moment.

use std::fmt::Write;

use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::{event::Moment, layout::Plain};

/// A parsed date pattern.
#[derive(Debug)]
pub(super) struct DateFormat {
    parts: Vec<Part>,
    zone: TimeZone,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// A pattern letter and how often it is repeated.
    Letter(char, usize),
    /// Milliseconds (or seconds) since 1970.
    UnixMillis,
    UnixSeconds,
}

/// Letters of Java's `DateTimeFormatter` that are understood.
const LETTERS: &str = "yuMLdHhkKmsSnaEeDXxZzV";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl DateFormat {
    /// Parses the options of `%d`: the pattern or its name, and a time zone.
    pub(super) fn parse(options: &[String]) -> Result<DateFormat, String> {
        let (pattern, zone) = match options {
            [] => (String::new(), None),
            [pattern] => (pattern.clone(), None),
            // `HH:mm:ss,SSS` without quotes looks like two options.
            [pattern, fraction, rest @ ..] if fraction.chars().all(|c| c == 'S') => {
                (format!("{pattern},{fraction}"), rest.first())
            }
            [pattern, zone, ..] => (pattern.clone(), Some(zone)),
        };
        let zone = zone.map_or_else(|| Ok(TimeZone::system()), |name| parse_zone(name))?;
        let parts = match pattern.as_str() {
            "" | "ISO8601" | "DEFAULT" => letters("yyyy-MM-dd HH:mm:ss,SSS")?,
            "STRICT" | "ISO8601_STRICT" => letters("yyyy-MM-dd'T'HH:mm:ss,SSS")?,
            "ABSOLUTE" => letters("HH:mm:ss,SSS")?,
            "DATE" => letters("dd MMM yyyy HH:mm:ss,SSS")?,
            "COMPACT" => letters("yyyyMMddHHmmssSSS")?,
            "UNIX" => vec![Part::UnixSeconds],
            "UNIX_MILLIS" => vec![Part::UnixMillis],
            pattern => letters(pattern)?,
        };
        Ok(DateFormat { parts, zone })
    }

    pub(super) fn write(&self, moment: Moment, out: &mut Vec<u8>) {
        let nanos = i32::try_from(moment.nanos).unwrap_or(0);
        let time = Timestamp::new(moment.seconds, nanos).unwrap_or(Timestamp::UNIX_EPOCH);
        let zoned = time.to_zoned(self.zone.clone());
        for part in &self.parts {
            let out = &mut Plain(out);
            let written = match part {
                Part::Literal(text) => out.write_str(text),
                Part::UnixMillis => write!(out, "{}", moment.millis()),
                Part::UnixSeconds => write!(out, "{}", moment.seconds),
                Part::Letter(letter, count) => write_letter(&zoned, *letter, *count, out),
            };
            written.expect("writing into memory does not fail");
        }
    }
}

fn parse_zone(name: &str) -> Result<TimeZone, String> {
    if matches!(name, "UTC" | "GMT" | "Z") {
        return Ok(TimeZone::UTC);
    }
    TimeZone::get(name)
        .or_else(|_| fixed(name).ok_or(()))
        .map_err(|()| {
            format!(
                "`{name}` is not a time zone: write Asia/Seoul, UTC, or an offset such as GMT+9"
            )
        })
}

/// `+09:00`, `GMT+9`, `UTC-03:30`.
fn fixed(name: &str) -> Option<TimeZone> {
    let text = name
        .strip_prefix("GMT")
        .or_else(|| name.strip_prefix("UTC"))
        .unwrap_or(name);
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let (hours, minutes) = text.split_once(':').unwrap_or((text, "0"));
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    if !(0..=18).contains(&hours) || !(0..60).contains(&minutes) {
        return None;
    }
    let offset = jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?;
    Some(TimeZone::fixed(offset))
}

fn letters(pattern: &str) -> Result<Vec<Part>, String> {
    let mut parts: Vec<Part> = Vec::new();
    let literal = |parts: &mut Vec<Part>, c: char| match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(c),
        _ => parts.push(Part::Literal(c.to_string())),
    };
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c == '\'' {
            // A quoted literal; two quotes are one.
            let mut empty = true;
            loop {
                match rest.next() {
                    Some('\'') if !empty && rest.peek() == Some(&'\'') => {
                        rest.next();
                        literal(&mut parts, '\'');
                    }
                    Some('\'') => break,
                    Some(inner) => literal(&mut parts, inner),
                    None => return Err(format!("the quote in the date `{pattern}` has no end")),
                }
                empty = false;
            }
            if empty {
                literal(&mut parts, '\'');
            }
        } else if LETTERS.contains(c) {
            let mut count = 1;
            while rest.next_if_eq(&c).is_some() {
                count += 1;
            }
            parts.push(Part::Letter(c, count));
        } else if c.is_ascii_alphabetic() {
            return Err(format!(
                "`{c}` in the date `{pattern}` is not a date letter ({LETTERS})"
            ));
        } else {
            literal(&mut parts, c);
        }
    }
    Ok(parts)
}

fn write_letter(time: &Zoned, letter: char, count: usize, out: &mut Plain<'_>) -> std::fmt::Result {
    let hour = time.hour();
    match letter {
        'y' | 'u' if count == 2 => write!(out, "{:02}", time.year().rem_euclid(100)),
        'y' | 'u' => write!(out, "{:0count$}", time.year()),
        'M' | 'L' if count >= 3 => {
            let name = MONTHS[usize::from(time.month().unsigned_abs()) - 1];
            out.write_str(if count == 3 { &name[..3] } else { name })
        }
        'M' | 'L' => write!(out, "{:0count$}", time.month()),
        'd' => write!(out, "{:0count$}", time.day()),
        'D' => write!(out, "{:0count$}", time.day_of_year()),
        'H' => write!(out, "{hour:0count$}"),
        'k' => write!(out, "{:0count$}", if hour == 0 { 24 } else { hour }),
        'K' => write!(out, "{:0count$}", hour % 12),
        'h' => write!(
            out,
            "{:0count$}",
            if hour % 12 == 0 { 12 } else { hour % 12 }
        ),
        'm' => write!(out, "{:0count$}", time.minute()),
        's' => write!(out, "{:0count$}", time.second()),
        'S' => {
            let nanos = u32::try_from(time.subsec_nanosecond()).unwrap_or(0);
            let shown = u32::try_from(count.min(9)).unwrap_or(9);
            let fraction = nanos / 10_u32.pow(9 - shown);
            write!(
                out,
                "{fraction:0width$}{:0<rest$}",
                "",
                width = count.min(9),
                rest = count.saturating_sub(9)
            )
        }
        'n' => write!(out, "{:0count$}", time.subsec_nanosecond()),
        'a' => out.write_str(if hour < 12 { "AM" } else { "PM" }),
        'e' => write!(out, "{:0count$}", time.weekday().to_monday_one_offset()),
        'E' => {
            let name = DAYS[usize::from(time.weekday().to_monday_zero_offset().unsigned_abs())];
            out.write_str(if count <= 3 { &name[..3] } else { name })
        }
        _ => write_zone(time, letter, count, out),
    }
}

fn write_zone(time: &Zoned, letter: char, count: usize, out: &mut Plain<'_>) -> std::fmt::Result {
    let seconds = time.offset().seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    match letter {
        'X' if seconds == 0 => out.write_str("Z"),
        'X' | 'x' if count == 1 && minutes == 0 => write!(out, "{sign}{hours:02}"),
        'X' | 'x' if count <= 2 => write!(out, "{sign}{hours:02}{minutes:02}"),
        'X' | 'x' => write!(out, "{sign}{hours:02}:{minutes:02}"),
        'Z' if count <= 3 => write!(out, "{sign}{hours:02}{minutes:02}"),
        'Z' => write!(out, "GMT{sign}{hours:02}:{minutes:02}"),
        'V' => match time.time_zone().iana_name() {
            Some(name) => out.write_str(name),
            None => write!(out, "{sign}{hours:02}:{minutes:02}"),
        },
        _ => out.write_str(&time.strftime("%Z").to_string()),
    }
}
