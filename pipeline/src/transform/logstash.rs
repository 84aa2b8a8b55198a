//! Logstash JSON, as logstash-logback-encoder and Logway's appenders write it.
//!
//! Invariant: reading never changes the body; only the fields people filter by are taken out, the
//! rest stays in the body as it came. An object without a message and without `@timestamp` is not
//! a logstash event. Step 11 of the hallway.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::level::Level;

/// The fields of an event that the store and the page know.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Event<'a> {
    /// `@timestamp`, milliseconds since 1970.
    pub timestamp: Option<i64>,
    /// `level`.
    pub level: Option<Level>,
    /// `logger_name`.
    pub logger: Option<Cow<'a, str>>,
    /// `thread_name`.
    pub thread: Option<Cow<'a, str>>,
    /// `message`.
    pub message: Option<Cow<'a, str>>,
    /// `service`.
    pub service: Option<Cow<'a, str>>,
    /// `host` or `HOSTNAME`.
    pub host: Option<Cow<'a, str>>,
    /// Whether the object looks like a log event at all.
    recognised: bool,
}

/// Reads `body` as a logstash event; `None` when it is anything else.
#[must_use]
pub fn parse(body: &[u8]) -> Option<Event<'_>> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let event: Event<'_> = serde_json::from_slice(body).ok()?;
    event.recognised.then_some(event)
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = Event<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event = Event::default();
        // Logback's own names win over the short ones other encoders write.
        while let Some(Scalar::Text(key)) = map.next_key::<Scalar<'de>>()? {
            match key.as_ref() {
                "@timestamp" => {
                    event.timestamp = map.next_value::<Scalar<'de>>()?.time_ms();
                    event.recognised = true;
                }
                "level" | "log.level" | "severity" => {
                    if let Scalar::Text(text) = map.next_value()? {
                        event.level = event.level.or(Level::parse(text.as_bytes()));
                    }
                }
                "message" => {
                    event.message = map.next_value::<Scalar<'de>>()?.text();
                    event.recognised |= event.message.is_some();
                }
                "logger_name" => event.logger = map.next_value::<Scalar<'de>>()?.text(),
                "logger" | "target" | "log.logger" => keep(&mut event.logger, map.next_value()?),
                "thread_name" => event.thread = map.next_value::<Scalar<'de>>()?.text(),
                "thread" => keep(&mut event.thread, map.next_value()?),
                "service" => event.service = map.next_value::<Scalar<'de>>()?.text(),
                "service.name" | "app" | "application" => {
                    keep(&mut event.service, map.next_value()?);
                }
                "host" | "hostname" | "HOSTNAME" | "host.name" => {
                    keep(&mut event.host, map.next_value()?);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(event)
    }
}

fn keep<'de>(slot: &mut Option<Cow<'de, str>>, value: Scalar<'de>) {
    if slot.is_none() {
        *slot = value.text();
    }
}

/// A JSON value of which only text and numbers matter; everything else is skipped.
enum Scalar<'de> {
    Text(Cow<'de, str>),
    Number(i64),
    Other,
}

impl<'de> Scalar<'de> {
    fn text(self) -> Option<Cow<'de, str>> {
        match self {
            Scalar::Text(text) => Some(text),
            Scalar::Number(_) | Scalar::Other => None,
        }
    }

    fn time_ms(self) -> Option<i64> {
        match self {
            Scalar::Text(text) => match text.parse::<jiff::Timestamp>() {
                Ok(timestamp) => Some(timestamp.as_millisecond()),
                // `[UNIX_TIMESTAMP_AS_STRING]`
                Err(_) => text.parse().ok(),
            },
            Scalar::Number(number) => Some(number),
            Scalar::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Scalar::Other, Scalar::Number))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}
