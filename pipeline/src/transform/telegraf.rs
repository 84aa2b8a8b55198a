//! Telegraf's `json` data format: one metric per object, or `{"metrics": [...]}`.
//!
//! Invariant: an object is either emitted as metrics or kept whole as unparsed. Telegraf does not
//! say in which unit it writes the time (`json_timestamp_units`, default 1 s), so the unit is
//! recognised by magnitude: seconds below 1e11, then milliseconds, microseconds, nanoseconds.
//! Step 11 of the hallway.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Number, Value as Json};

use super::{Content, Metric, Reason, Series, Unparsed, Value};

/// Largest integer up to which every integer is exactly a float.
const EXACT_FLOAT_MAX: u64 = 1 << 53;

/// Parses one JSON document; a metric without a time gets `default_ns`.
pub fn parse<'a>(input: &'a [u8], default_ns: i64, emit: &mut impl FnMut(Content<'a>)) {
    let mut refuse = |reason| {
        emit(Content::Unparsed(Unparsed {
            reason,
            body: input,
        }));
    };
    if std::str::from_utf8(input).is_err() {
        return refuse(Reason::NotUtf8);
    }
    let Ok(Json::Object(mut document)) = serde_json::from_slice(input) else {
        return refuse(Reason::Json);
    };
    let metrics = match document.remove("metrics") {
        Some(Json::Array(list)) if !document.contains_key("fields") => list
            .into_iter()
            .map(|item| metric(item, default_ns))
            .collect::<Result<Vec<_>, _>>(),
        Some(_) if !document.contains_key("fields") => Err(Reason::Shape),
        _ => metric(Json::Object(document), default_ns).map(|metric| vec![metric]),
    };
    match metrics {
        Ok(metrics) => metrics
            .into_iter()
            .for_each(|metric| emit(Content::Metric(metric))),
        Err(reason) => refuse(reason),
    }
}

fn metric<'a>(json: Json, default_ns: i64) -> Result<Metric<'a>, Reason> {
    let Json::Object(mut object) = json else {
        return Err(Reason::Shape);
    };
    let Some(Json::String(name)) = object.remove("name") else {
        return Err(Reason::Shape);
    };
    let Some(Json::Object(fields)) = object.remove("fields") else {
        return Err(Reason::Shape);
    };
    if name.is_empty() {
        return Err(Reason::Name);
    }
    let tags = match object.remove("tags") {
        None | Some(Json::Null) => BTreeMap::new(),
        Some(Json::Object(tags)) => read_tags(tags)?,
        Some(_) => return Err(Reason::Tag),
    };
    let timestamp = match object.remove("timestamp") {
        None | Some(Json::Null) => default_ns,
        Some(Json::Number(number)) => unix_ns(&number)?,
        Some(Json::String(text)) => text_ns(&text)?,
        Some(_) => return Err(Reason::Timestamp),
    };
    let fields = read_fields(fields)?;
    Ok(Metric {
        series: Series::Parts { name, tags },
        fields,
        timestamp,
    })
}

fn read_tags(tags: Map<String, Json>) -> Result<BTreeMap<String, String>, Reason> {
    tags.into_iter()
        .map(|(key, value)| match value {
            Json::String(text) => Ok((key, text)),
            Json::Number(number) => Ok((key, number.to_string())),
            Json::Bool(flag) => Ok((key, flag.to_string())),
            Json::Null | Json::Array(_) | Json::Object(_) => Err(Reason::Tag),
        })
        .collect()
}

fn read_fields<'a>(fields: Map<String, Json>) -> Result<Vec<(Cow<'a, str>, Value<'a>)>, Reason> {
    let mut out = Vec::with_capacity(fields.len());
    for (key, value) in fields {
        let value = match value {
            Json::Number(number) => read_number(&number)?,
            Json::Bool(flag) => Value::Bool(flag),
            Json::String(text) => Value::Text(Cow::Owned(text)),
            // Telegraf writes null for a value JSON cannot express (NaN, infinity).
            Json::Null => continue,
            Json::Array(_) | Json::Object(_) => return Err(Reason::Field),
        };
        out.push((Cow::Owned(key), value));
    }
    if out.is_empty() {
        Err(Reason::NoFields)
    } else {
        Ok(out)
    }
}

/// JSON does not tell `5` from `5.0`: numbers are floats as long as that loses nothing.
fn read_number<'a>(number: &Number) -> Result<Value<'a>, Reason> {
    if let Some(unsigned) = number.as_u64() {
        return Ok(match i64::try_from(unsigned) {
            Ok(_) if unsigned <= EXACT_FLOAT_MAX => Value::Float(unsigned as f64),
            Ok(signed) => Value::Int(signed),
            Err(_) => Value::Uint(unsigned),
        });
    }
    if let Some(signed) = number.as_i64()
        && signed.unsigned_abs() > EXACT_FLOAT_MAX
    {
        return Ok(Value::Int(signed));
    }
    match number.as_f64() {
        Some(float) if float.is_finite() => Ok(Value::Float(float)),
        _ => Err(Reason::Range),
    }
}

/// A number of unknown unit to nanoseconds.
fn unix_ns(number: &Number) -> Result<i64, Reason> {
    if let Some(whole) = number.as_i64() {
        let unit = match whole.unsigned_abs() {
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return whole.checked_mul(unit).ok_or(Reason::Timestamp);
    }
    match number.as_f64() {
        Some(seconds) if seconds.abs() < 9.2e9 => Ok((seconds * 1e9) as i64),
        _ => Err(Reason::Timestamp),
    }
}

fn text_ns(text: &str) -> Result<i64, Reason> {
    let timestamp: jiff::Timestamp = text.parse().map_err(|_| Reason::Timestamp)?;
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| Reason::Timestamp)
}
