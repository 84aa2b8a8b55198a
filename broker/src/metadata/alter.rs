//! Decides what a change of a topic's settings means as metadata records (KIP-339, KIP-133).
//! Invariant: pure; a plan looks at one image and either refuses with Kafka's text or returns all
//! records of the change; the settings that result are valid together. Step 7 of the hallway.

use std::collections::BTreeMap;

use logway_config::broker::Broker as Settings;
use logway_protocol::Text;
use logway_protocol::message::record::cluster::ConfigRecord;
use thiserror::Error;

use super::image::{Image, RESOURCE_TOPIC};
use super::record::MetadataRecord;
use super::topic_config::{self, Kind, SettingError};
use super::topic_name::{self, TopicNameError};

/// What happens to one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Set(String),
    Delete,
    /// Adds these items to a list.
    Append(String),
    /// Takes these items out of a list.
    Subtract(String),
}

impl Operation {
    /// As Kafka's texts name it.
    fn name(&self) -> &'static str {
        match self {
            Operation::Set(_) => "SET",
            Operation::Delete => "DELETE",
            Operation::Append(_) => "APPEND",
            Operation::Subtract(_) => "SUBTRACT",
        }
    }
}

/// A change of one topic's settings.
#[derive(Clone, Debug)]
pub(crate) struct TopicChange {
    pub(crate) topic: String,
    pub(crate) operations: Vec<(String, Operation)>,
    /// Settings that are not named go back to their defaults.
    pub(crate) replaces_all: bool,
}

/// Why settings are not changed; the texts are Kafka's, tools show them.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AlterError {
    #[error("Default topic resources are not allowed.")]
    NoName,
    #[error("{0}")]
    Name(#[from] TopicNameError),
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(String),
    #[error("Can't {operation} to key {key} because its type is not LIST.")]
    NotAList {
        operation: &'static str,
        key: String,
    },
    #[error("{0}")]
    Setting(#[from] SettingError),
}

/// Plans a change; `settings` are what holds for topics that say nothing.
pub(crate) fn alter_topic(
    image: &Image,
    settings: &Settings,
    change: &TopicChange,
) -> Result<Vec<MetadataRecord>, AlterError> {
    let topic = image.topic(&change.topic);
    let present = topic.map_or_else(BTreeMap::new, |topic| topic.configs.clone());
    let mut wanted = match change.replaces_all {
        true => BTreeMap::new(),
        false => present.clone(),
    };
    for (key, operation) in &change.operations {
        let before = match change.replaces_all {
            true => None,
            false => present.get(key).map(String::as_str),
        };
        match after(key, before, operation, settings)? {
            Some(value) => wanted.insert(key.clone(), value),
            None => wanted.remove(key),
        };
    }
    if change.topic.is_empty() {
        return Err(AlterError::NoName);
    }
    topic_name::check(&change.topic)?;
    topic_config::check_all(&wanted, settings)?;
    let Some(topic) = topic else {
        return Err(AlterError::UnknownTopic(change.topic.clone()));
    };
    let names = present
        .keys()
        .chain(wanted.keys().filter(|name| !present.contains_key(*name)));
    let changed = names.filter(|name| present.get(*name) != wanted.get(*name));
    let record = |name: &String| {
        MetadataRecord::Config(ConfigRecord {
            resource_type: RESOURCE_TOPIC,
            resource_name: Text::from(&*topic.name),
            name: Text::from(name),
            value: wanted.get(name).map(Text::from),
        })
    };
    Ok(changed.map(record).collect())
}

/// The topic's own value of a setting after an operation.
fn after(
    key: &str,
    before: Option<&str>,
    operation: &Operation,
    settings: &Settings,
) -> Result<Option<String>, AlterError> {
    let items = match operation {
        Operation::Set(value) => return Ok(Some(topic_config::canonical(key, value))),
        Operation::Delete => return Ok(None),
        Operation::Append(items) | Operation::Subtract(items) => items,
    };
    let setting = topic_config::find(key).filter(|s| matches!(s.kind, Kind::List(_)));
    let Some(setting) = setting else {
        return Err(AlterError::NotAList {
            operation: operation.name(),
            key: key.to_owned(),
        });
    };
    let default = topic_config::default_of(setting, settings);
    let list = before.unwrap_or(&default);
    let mut list: Vec<&str> = list.split(',').filter(|item| !item.is_empty()).collect();
    for item in items.split(',').map(str::trim) {
        match operation {
            Operation::Append(_) if !list.contains(&item) => list.push(item),
            Operation::Subtract(_) => {
                if let Some(at) = list.iter().position(|present| *present == item) {
                    list.remove(at);
                }
            }
            _ => {}
        }
    }
    Ok(Some(list.join(",")))
}
