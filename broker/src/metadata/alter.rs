//! Decides what a change of a resource's settings means as metadata records (KIP-339, KIP-133).
//! Invariant: pure; a plan looks at one image and either refuses with Kafka's text or returns all
//! records of the change; the settings that result are valid together. Step 7 of the hallway.

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_config::broker::Broker as Settings;
use logway_protocol::Text;
use logway_protocol::message::record::cluster::ConfigRecord;
use thiserror::Error;

use super::image::{Image, RESOURCE_BROKER, RESOURCE_GROUP, RESOURCE_TOPIC};
use super::in_force::InForce;
use super::record::MetadataRecord;
use super::resource_config::{self, ResourceError};
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
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Operation::Set(_) => "SET",
            Operation::Delete => "DELETE",
            Operation::Append(_) => "APPEND",
            Operation::Subtract(_) => "SUBTRACT",
        }
    }
}

/// A change of one resource's settings.
#[derive(Clone, Debug)]
pub(crate) struct ConfigChange {
    /// Kafka's number of the resource type: topic, broker, client metrics or group.
    pub(crate) kind: i8,
    pub(crate) name: String,
    pub(crate) operations: Vec<(String, Operation)>,
    /// Settings that are not named go back to their defaults.
    pub(crate) replaces_all: bool,
}

/// Why settings are not changed; the texts are Kafka's, tools show them.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum AlterError {
    #[error("Default {0} resources are not allowed.")]
    NoName(&'static str),
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
    #[error("{0}")]
    Resource(#[from] ResourceError),
}

/// Plans a change on a broker with this settings file.
pub(crate) fn alter(
    image: &Image,
    file: &Arc<Settings>,
    change: &ConfigChange,
) -> Result<Vec<MetadataRecord>, AlterError> {
    match change.kind {
        RESOURCE_TOPIC => alter_topic(image, &InForce::of(file, image), change),
        _ => alter_other(image, file, change),
    }
}

/// A broker, a group or a subscription of client metrics.
fn alter_other(
    image: &Image,
    file: &Arc<Settings>,
    change: &ConfigChange,
) -> Result<Vec<MetadataRecord>, AlterError> {
    let present = image.configs(change.kind, &change.name);
    let present = present.cloned().unwrap_or_default();
    let wanted = wanted(&present, change, |key| {
        resource_config::list_default(change.kind, key)
    })?;
    if change.name.is_empty() && change.kind != RESOURCE_BROKER {
        return Err(match change.kind {
            RESOURCE_GROUP => AlterError::NoName("group"),
            _ => ResourceError::NoSubscription.into(),
        });
    }
    let set = change.operations.iter();
    let set = set.filter(|(_, operation)| *operation != Operation::Delete);
    let set: Vec<&str> = set.map(|(key, _)| key.as_str()).collect();
    let within = resource_config::Change {
        kind: change.kind,
        name: &change.name,
        present: &present,
        wanted: &wanted,
        set: &set,
    };
    resource_config::check(image, file, &within)?;
    Ok(records((change.kind, &change.name), &present, &wanted))
}

fn alter_topic(
    image: &Image,
    in_force: &InForce,
    change: &ConfigChange,
) -> Result<Vec<MetadataRecord>, AlterError> {
    let topic = image.topic(&change.name);
    let present = topic.map_or_else(BTreeMap::new, |topic| topic.configs.clone());
    let wanted = wanted(&present, change, |key| {
        let setting = topic_config::find(key)?;
        let is_list = matches!(setting.kind, Kind::List(_));
        is_list.then(|| topic_config::default_of(setting, in_force))
    })?;
    if change.name.is_empty() {
        return Err(AlterError::NoName("topic"));
    }
    topic_name::check(&change.name)?;
    topic_config::check_all(&wanted, in_force)?;
    let Some(topic) = topic else {
        return Err(AlterError::UnknownTopic(change.name.clone()));
    };
    Ok(records((RESOURCE_TOPIC, &topic.name), &present, &wanted))
}

/// All settings of a resource after its change; `list_default` is the value of a list that has none.
fn wanted(
    present: &BTreeMap<String, String>,
    change: &ConfigChange,
    list_default: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, AlterError> {
    let mut wanted = match change.replaces_all {
        true => BTreeMap::new(),
        false => present.clone(),
    };
    for (key, operation) in &change.operations {
        let before = match change.replaces_all {
            true => None,
            false => present.get(key).map(String::as_str),
        };
        let (items, default) = match operation {
            Operation::Set(value) => {
                wanted.insert(
                    key.clone(),
                    resource_config::canonical(change.kind, key, value),
                );
                continue;
            }
            Operation::Delete => {
                wanted.remove(key);
                continue;
            }
            Operation::Append(items) | Operation::Subtract(items) => (items, list_default(key)),
        };
        let Some(default) = default else {
            if change.kind == RESOURCE_BROKER && !resource_config::is_known(key) {
                return Err(ResourceError::UnknownOfBroker(key.clone()).into());
            }
            return Err(AlterError::NotAList {
                operation: operation.name(),
                key: key.clone(),
            });
        };
        let list = before.unwrap_or(&default);
        wanted.insert(key.clone(), after(list, operation, items));
    }
    Ok(wanted)
}

fn records(
    (kind, name): (i8, &str),
    present: &BTreeMap<String, String>,
    wanted: &BTreeMap<String, String>,
) -> Vec<MetadataRecord> {
    let names = present
        .keys()
        .chain(wanted.keys().filter(|name| !present.contains_key(*name)));
    let changed = names.filter(|name| present.get(*name) != wanted.get(*name));
    let record = |setting: &String| {
        MetadataRecord::Config(ConfigRecord {
            resource_type: kind,
            resource_name: Text::from(name),
            name: Text::from(setting),
            value: wanted.get(setting).map(Text::from),
        })
    };
    changed.map(record).collect()
}

/// A list after items were added to it or taken from it.
fn after(list: &str, operation: &Operation, items: &str) -> String {
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
    list.join(",")
}
