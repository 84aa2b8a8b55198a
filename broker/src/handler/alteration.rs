//! What both requests that alter settings have in common: which resources there are, and Kafka's
//! order of faults. Invariant: a resource has one verdict, and its settings change all or not at all.
//! Step 7 of the hallway.
//!
//! Which settings a resource may have is decided where changes are ordered, in `metadata`. The level
//! of the broker's log is given where it starts: setting it here is refused.

use std::collections::{HashMap, HashSet};

use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::describe_configs::ROOT_LOGGER;
use super::error::Code;
use crate::context::Context;
use crate::metadata::{
    ConfigChange, Operation, RESOURCE_BROKER, RESOURCE_CLIENT_METRICS, RESOURCE_GROUP,
    RESOURCE_TOPIC,
};

/// Kafka's number of the resource type "broker logger".
const RESOURCE_BROKER_LOGGER: i8 = 8;

/// Kafka's levels of loggers.
const LEVELS: [&str; 6] = ["DEBUG", "ERROR", "FATAL", "INFO", "TRACE", "WARN"];

/// Why a resource is refused.
pub(super) type Refused = (ErrorCode, String);
/// A resource's code and text.
pub(super) type Verdict = (ErrorCode, Option<Text>);

/// What is asked of one resource.
pub(super) struct Alteration {
    pub(super) resource_type: i8,
    pub(super) resource_name: String,
    pub(super) operations: Result<Vec<(String, Operation)>, Refused>,
    pub(super) replaces_all: bool,
}

/// Refuses a setting that is named twice.
pub(super) fn check_names(names: impl Iterator<Item = String>) -> Result<(), Refused> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(invalid("Error due to duplicate config keys"));
        }
    }
    Ok(())
}

/// Refuses values that are missing.
pub(super) fn check_nulls<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(());
    }
    let text = format!("Null value not supported for : {}", names.join(", "));
    Err(invalid(&text))
}

/// Carries out what may be carried out; a verdict for each resource.
pub(super) async fn run(
    context: &Context,
    asked: Vec<Alteration>,
    validate_only: bool,
) -> Vec<Verdict> {
    let mut named: HashMap<(i8, String), u32> = HashMap::new();
    for one in &asked {
        *named
            .entry((one.resource_type, one.resource_name.clone()))
            .or_default() += 1;
    }
    let (mut verdicts, mut changes, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for one in asked {
        let key = (one.resource_type, one.resource_name.clone());
        let judged = match named.get(&key) {
            Some(1) => judge(context, one),
            _ => Err(invalid("Each resource must appear at most once.")),
        };
        verdicts.push(match judged {
            Ok(change) => {
                if let Some(change) = change {
                    changes.push(change);
                    places.push(verdicts.len());
                }
                (ErrorCode::None, None)
            }
            Err((code, text)) => (code, Some(Text::from(text))),
        });
    }
    if !changes.is_empty() {
        let outcome = alter_resources(context, changes, validate_only).await;
        for (place, verdict) in places.into_iter().zip(outcome) {
            if let Some(at) = verdicts.get_mut(place) {
                *at = verdict;
            }
        }
    }
    verdicts
}

/// What the resource is to become, if something changes.
fn judge(context: &Context, asked: Alteration) -> Result<Option<ConfigChange>, Refused> {
    let operations = asked.operations?;
    match asked.resource_type {
        RESOURCE_TOPIC | RESOURCE_GROUP | RESOURCE_CLIENT_METRICS => {}
        RESOURCE_BROKER => check_broker(context, &asked.resource_name)?,
        RESOURCE_BROKER_LOGGER => {
            check_logger(
                context,
                (&asked.resource_name, asked.replaces_all),
                &operations,
            )?;
            return Ok(None);
        }
        other => return Err(invalid(&format!("Unknown resource type {other}"))),
    }
    Ok(Some(ConfigChange {
        kind: asked.resource_type,
        name: asked.resource_name,
        operations,
        replaces_all: asked.replaces_all,
    }))
}

/// A broker's number, or nothing for all brokers.
fn check_broker(context: &Context, name: &str) -> Result<(), Refused> {
    let node = context.settings.node_id;
    if name.is_empty() {
        return Ok(());
    }
    match name.parse::<i32>() {
        Ok(id) if id == node => Ok(()),
        Ok(_) => Err(invalid(&format!(
            "Unexpected broker id, expected {node}, but received {name}"
        ))),
        Err(_) => Err(invalid(&format!(
            "Node id must be an integer, but it is: {name}"
        ))),
    }
}

fn check_logger(
    context: &Context,
    (name, replaces_all): (&str, bool),
    operations: &[(String, Operation)],
) -> Result<(), Refused> {
    if replaces_all {
        return Err(invalid(
            "Unable to alter configs of broker loggers with AlterConfigs; use IncrementalAlterConfigs",
        ));
    }
    let node = context.settings.node_id;
    match name.parse::<i32>() {
        Ok(id) if id == node => {}
        Ok(id) => {
            let text = format!("Unexpected node id. Expected {node}, but received {id}");
            return Err(invalid(&text));
        }
        Err(_) => {
            let text = format!("Node id must be an integer, but it is: {name}");
            return Err(invalid(&text));
        }
    }
    for (logger, operation) in operations {
        let wrong = |text: String| Err((ErrorCode::InvalidConfig, text));
        match operation {
            Operation::Append(_) | Operation::Subtract(_) => {
                let name = operation.name();
                return Err(invalid(&format!(
                    "{name} operation is not allowed for the BROKER_LOGGER resource"
                )));
            }
            _ if logger != ROOT_LOGGER => {
                return wrong(format!("Logger {logger} does not exist!"));
            }
            Operation::Set(level) if !LEVELS.contains(&level.as_str()) => {
                let levels = LEVELS.join(", ");
                return wrong(format!(
                    "Cannot set the log level of {logger} to {level} as it is not a supported log level. Valid log levels are {levels}"
                ));
            }
            // It is what it was when the broker started.
            Operation::Delete => {}
            Operation::Set(_) => {
                return wrong(
                    "the level of this broker's log is set where it starts: stop it, set the environment variable LOGWAY_LOG, start it again".into(),
                );
            }
        }
    }
    Ok(())
}

async fn alter_resources(
    context: &Context,
    changes: Vec<ConfigChange>,
    validate_only: bool,
) -> Vec<Verdict> {
    let names: Vec<String> = changes.iter().map(|change| change.name.clone()).collect();
    match context.topics.alter(changes, validate_only).await {
        Ok(verdicts) => {
            let verdicts = names.iter().zip(verdicts);
            let verdicts = verdicts.map(|(resource, verdict)| match verdict {
                Ok(()) => {
                    info!(resource, validate_only, "settings of a resource altered");
                    (ErrorCode::None, None)
                }
                Err(error) => (error.code(), Some(Text::from(error.to_string()))),
            });
            verdicts.collect()
        }
        Err(error) => {
            let verdict = (error.code(), Some(Text::from(error.to_string())));
            names.iter().map(|_| verdict.clone()).collect()
        }
    }
}

fn invalid(text: &str) -> Refused {
    (ErrorCode::InvalidRequest, text.to_owned())
}
