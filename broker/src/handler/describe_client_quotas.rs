//! DescribeClientQuotas 0-1: quotas of the users, clients and addresses that a filter matches (KIP-546).

use std::collections::BTreeMap;
use std::sync::Arc;

use logway_protocol::message::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData,
    EntryData, ValueData,
};
use logway_protocol::{ErrorCode, Text};

use super::Header;
use crate::context::Context;
use crate::metadata::{EntityKind, QuotaEntity};

/// An entity of that name, of the default, or of any name.
#[derive(Debug, PartialEq, Eq)]
enum Match {
    Named(String),
    Default,
    Any,
}

/// Answers the quotas that match.
pub(crate) async fn handle(
    context: &Arc<Context>,
    _header: &Header,
    request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err((code, message)) => {
            return DescribeClientQuotasResponse {
                error_code: code.code(),
                error_message: Some(Text::from(message)),
                entries: None,
                ..DescribeClientQuotasResponse::default()
            };
        }
    };
    let image = context.metadata.image();
    let quotas = image.quotas().iter();
    let found = quotas.filter(|(entity, _)| matches(entity, &filter, request.strict));
    let entries = found.map(|(entity, values)| EntryData {
        entity: parts(entity),
        values: values
            .iter()
            .map(|(key, value)| ValueData {
                key: Text::from(key),
                value: *value,
            })
            .collect(),
    });
    DescribeClientQuotasResponse {
        error_message: None,
        entries: Some(entries.collect()),
        ..DescribeClientQuotasResponse::default()
    }
}

fn parts(entity: &QuotaEntity) -> Vec<EntityData> {
    let parts = entity.0.iter().map(|(kind, name)| EntityData {
        entity_type: Text::from(kind.name()),
        entity_name: name.as_deref().map(Text::from),
    });
    parts.collect()
}

fn matches(entity: &QuotaEntity, filter: &BTreeMap<EntityKind, Match>, strict: bool) -> bool {
    if strict && entity.0.len() != filter.len() {
        return false;
    }
    filter
        .iter()
        .all(|(kind, wanted)| match entity.0.get(kind) {
            None => false,
            Some(name) => match wanted {
                Match::Any => true,
                Match::Default => name.is_none(),
                Match::Named(wanted) => name.as_ref() == Some(wanted),
            },
        })
}

/// Reads the filter; the faults and their texts are Kafka's.
fn filter(
    components: &[ComponentData],
) -> Result<BTreeMap<EntityKind, Match>, (ErrorCode, String)> {
    let invalid = |text: String| Err((ErrorCode::InvalidRequest, text));
    let mut filter = BTreeMap::new();
    for component in components {
        let name = component.entity_type.as_str();
        if name.is_empty() {
            return invalid("Invalid empty entity type.".into());
        }
        let Some(kind) = EntityKind::of_name(name) else {
            let text = format!("Unsupported entity type {name}");
            return Err((ErrorCode::UnsupportedVersion, text));
        };
        let wanted = match (component.match_type, &component.r#match) {
            (0, Some(name)) => Match::Named(name.to_string()),
            (0, None) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".into(),
                );
            }
            (1, None) => Match::Default,
            (2, None) => Match::Any,
            (1 | 2, Some(_)) => {
                let kind = match component.match_type {
                    1 => "DEFAULT",
                    _ => "SPECIFIED",
                };
                return invalid(format!(
                    "Request specified MATCH_TYPE_{kind}, but also specified a match string."
                ));
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        };
        if filter.insert(kind, wanted).is_some() {
            return invalid(format!(
                "Entity type {name} cannot appear more than once in the filter."
            ));
        }
    }
    if filter.len() > 1 && filter.contains_key(&EntityKind::Ip) {
        return invalid(
            "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component.".into(),
        );
    }
    Ok(filter)
}
