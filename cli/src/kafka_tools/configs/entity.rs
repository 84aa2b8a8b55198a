//! What has settings, as the command line names it.

use crate::kafka_tools::options::Parsed;

/// Kinds under the names of `--entity-type`, with their options of one word and their numbers
/// among resources; quotas have none.
const KINDS: [(&str, &str, Option<i8>); 8] = [
    ("topics", "topic", Some(2)),
    ("clients", "client", None),
    ("users", "user", None),
    ("brokers", "broker", Some(4)),
    ("ips", "ip", None),
    ("client-metrics", "client-metrics", Some(16)),
    ("groups", "group", Some(32)),
    ("broker-loggers", "broker-logger", Some(8)),
];

/// Something with settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entity {
    /// What it is, as `--entity-type` says it.
    pub(super) kind: &'static str,
    /// Its name; empty for the default, nothing for all of its kind.
    pub(super) name: Option<String>,
}

impl Entity {
    /// The kind in the singular.
    pub(super) fn singular(&self) -> &'static str {
        match self.kind {
            "client-metrics" => "client-metric",
            kind => &kind[..kind.len() - 1],
        }
    }

    /// The number of its kind among resources; nothing for what has quotas.
    pub(super) fn resource_type(&self) -> Option<i8> {
        KINDS
            .iter()
            .find(|(kind, ..)| *kind == self.kind)
            .and_then(|(.., number)| *number)
    }
}

/// The entities that the command line names, in its order.
pub(super) fn of(parsed: &Parsed) -> Result<Vec<Entity>, String> {
    let mut names = parsed
        .order(&["entity-name", "entity-default"])
        .into_iter()
        .map(|(_, name)| name.unwrap_or_default().to_owned());
    let mut entities = Vec::new();
    for wanted in parsed.all("entity-type") {
        let kind = KINDS.iter().find(|(kind, ..)| *kind == wanted);
        let Some((kind, ..)) = kind else {
            let kinds: Vec<&str> = KINDS.iter().map(|(kind, ..)| *kind).collect();
            return Err(format!(
                "Invalid entity type {wanted}, the entity type must be one of {} with a \
                 --bootstrap-server or --bootstrap-controller argument",
                kinds.join(", ")
            ));
        };
        let name = names.next();
        entities.push(Entity { kind, name });
    }
    for (kind, option, _) in KINDS {
        if let Some(name) = parsed.get(option) {
            let name = Some(name.to_owned());
            entities.push(Entity { kind, name });
        }
        if parsed.has(&format!("{option}-defaults")) {
            let name = Some(String::new());
            entities.push(Entity { kind, name });
        }
    }
    Ok(entities)
}
