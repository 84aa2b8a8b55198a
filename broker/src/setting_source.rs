//! Where a setting's value comes from: the topic, the broker's file, or Kafka's default.
//! Invariant: value and source are decided together, so no answer can contradict itself. Pure;
//! step 7 of the hallway.

use std::collections::BTreeMap;

use logway_config::broker::Broker as Settings;

use crate::metadata::{Setting, broker_value};

/// Kafka's config sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic,
    BrokerFile,
    Default,
}

impl Source {
    /// Kafka's number.
    pub(crate) fn code(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::BrokerFile => 4,
            Source::Default => 5,
        }
    }
}

/// A topic's value of `setting`, given its own settings.
pub(crate) fn of_topic(
    setting: &Setting,
    own: &BTreeMap<String, String>,
    settings: &Settings,
) -> (String, Source) {
    match own.get(setting.name) {
        Some(value) => (value.clone(), Source::Topic),
        None => of_broker(setting, settings),
    }
}

/// The broker's value of `setting`: what topics have that say nothing.
pub(crate) fn of_broker(setting: &Setting, settings: &Settings) -> (String, Source) {
    match broker_value(setting, settings) {
        Some(value) if value != setting.default => (value, Source::BrokerFile),
        _ => (setting.default.to_owned(), Source::Default),
    }
}
