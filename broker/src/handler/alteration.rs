//! What both requests that alter settings have in common: which resources there are, and Kafka's
//! order of faults. Invariant: a resource has one verdict, and its settings change all or not at all.
//! Step 7 of the hallway.
//!
//! Topics change while the broker runs. A broker's settings come from its file: setting one is
//! refused as Kafka refuses those that it cannot change, resetting one does nothing, as none is set.

use std::collections::{HashMap, HashSet};

use logway_protocol::{ErrorCode, Text};
use tracing::info;

use super::error::Code;
use crate::context::Context;
use crate::metadata::{Operation, RESOURCE_BROKER, RESOURCE_TOPIC, TopicChange};

/// Kafka's other resource types, which this broker has no settings for.
const OTHERS: [(i8, &str); 3] = [(8, "BROKER_LOGGER"), (16, "CLIENT_METRICS"), (32, "GROUP")];

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
        let outcome = alter_topics(context, changes, validate_only).await;
        for (place, verdict) in places.into_iter().zip(outcome) {
            if let Some(at) = verdicts.get_mut(place) {
                *at = verdict;
            }
        }
    }
    verdicts
}

/// What the resource's topic is to become, if it is a topic.
fn judge(context: &Context, asked: Alteration) -> Result<Option<TopicChange>, Refused> {
    let operations = asked.operations?;
    match asked.resource_type {
        RESOURCE_TOPIC => Ok(Some(TopicChange {
            topic: asked.resource_name,
            operations,
            replaces_all: asked.replaces_all,
        })),
        RESOURCE_BROKER => judge_broker(context, &asked.resource_name, &operations).map(|()| None),
        other => Err(match OTHERS.iter().find(|(code, _)| *code == other) {
            Some((_, name)) => invalid(&format!("This broker has no settings of type {name}")),
            None => invalid(&format!("Unknown resource type {other}")),
        }),
    }
}

fn judge_broker(
    context: &Context,
    name: &str,
    operations: &[(String, Operation)],
) -> Result<(), Refused> {
    let node = context.settings.node_id;
    // The empty name stands for all brokers.
    if !name.is_empty() {
        match name.parse::<i32>() {
            Ok(id) if id == node => {}
            Ok(_) => {
                let text = format!("Unexpected broker id, expected {node}, but received {name}");
                return Err(invalid(&text));
            }
            Err(_) => {
                let text = format!("Node id must be an integer, but it is: {name}");
                return Err(invalid(&text));
            }
        }
    }
    let set = operations
        .iter()
        .filter(|(_, does)| *does != Operation::Delete);
    let set: Vec<&str> = set.map(|(name, _)| name.as_str()).collect();
    if set.is_empty() {
        return Ok(());
    }
    let names = set.join(", ");
    Err(invalid(&format!(
        "Cannot update these configs dynamically: {names}. A broker's settings are those of its file"
    )))
}

async fn alter_topics(
    context: &Context,
    changes: Vec<TopicChange>,
    validate_only: bool,
) -> Vec<Verdict> {
    let names: Vec<String> = changes.iter().map(|change| change.topic.clone()).collect();
    match context.topics.alter(changes, validate_only).await {
        Ok(verdicts) => {
            let verdicts = names.iter().zip(verdicts);
            let verdicts = verdicts.map(|(topic, verdict)| match verdict {
                Ok(()) => {
                    info!(topic, validate_only, "settings of a topic altered");
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
