//! Where a setting's value comes from: the topic, what was set while running for this broker or for
//! all, the broker's file, or Kafka's default.
//! Invariant: value and source are decided together, so no answer can contradict itself. Pure;
//! step 7 of the hallway.

use std::collections::BTreeMap;

use crate::metadata::{InForce, Setting, broker_value};

/// Kafka's config sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Topic,
    Broker,
    Cluster,
    BrokerFile,
    Default,
    Logger,
    ClientMetrics,
    Group,
}

impl Source {
    /// Kafka's number.
    pub(crate) fn code(self) -> i8 {
        match self {
            Source::Topic => 1,
            Source::Broker => 2,
            Source::Cluster => 3,
            Source::BrokerFile => 4,
            Source::Default => 5,
            Source::Logger => 6,
            Source::ClientMetrics => 7,
            Source::Group => 8,
        }
    }
}

/// A topic's value of `setting`, given its own settings.
pub(crate) fn of_topic(
    setting: &Setting,
    own: &BTreeMap<String, String>,
    in_force: &InForce,
) -> (String, Source) {
    match own.get(setting.name) {
        Some(value) => (value.clone(), Source::Topic),
        None => of_broker(setting, in_force),
    }
}

/// The broker's value of `setting`: what topics have that say nothing.
pub(crate) fn of_broker(setting: &Setting, in_force: &InForce) -> (String, Source) {
    let known = of_broker_all(setting, in_force);
    let first = known.into_iter().next();
    first.unwrap_or_else(|| (setting.default.to_owned(), Source::Default))
}

/// Every value that the broker has for `setting`, the one in force first; Kafka's default apart.
pub(crate) fn of_broker_all(setting: &Setting, in_force: &InForce) -> Vec<(String, Source)> {
    let mut known = dynamic(setting.broker_name, in_force);
    let in_file = broker_value(setting, in_force).filter(|value| *value != setting.default);
    known.extend(in_file.map(|value| (value, Source::BrokerFile)));
    known
}

/// The values that were set for a broker's setting while running, the one in force first.
pub(crate) fn dynamic(name: Option<&str>, in_force: &InForce) -> Vec<(String, Source)> {
    let Some(name) = name else {
        return Vec::new();
    };
    let own = in_force.broker.get(name);
    let all = in_force.cluster.get(name);
    let own = own.map(|value| (value.clone(), Source::Broker));
    let all = all.map(|value| (value.clone(), Source::Cluster));
    own.into_iter().chain(all).collect()
}
