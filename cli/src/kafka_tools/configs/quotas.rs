//! Quotas of users, client ids and addresses (KIP-546).

use logway_client::{Admin, Destination};
use logway_protocol::message::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use logway_protocol::message::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest,
};

use super::entity::Entity;
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::output::{End, out};
use crate::kafka_tools::properties::Properties;

/// Quotas of clients and users, and that of addresses.
const OF_CLIENTS: [&str; 4] = [
    "producer_byte_rate",
    "consumer_byte_rate",
    "request_percentage",
    "controller_mutation_rate",
];
const OF_ADDRESSES: [&str; 1] = ["connection_creation_rate"];

/// How a component of an entity is matched.
const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

fn type_of(kind: &str) -> &'static str {
    match kind {
        "users" => "user",
        "ips" => "ip",
        _ => "client-id",
    }
}

/// Refuses names that are no quotas.
fn check(entities: &[Entity], added: &Properties, deleted: &[&str]) -> Result<(), End> {
    let kind = entities.first().map_or("clients", |entity| entity.kind);
    let known = if kind == "ips" {
        &OF_ADDRESSES[..]
    } else {
        &OF_CLIENTS[..]
    };
    let refuse = |what: &str, names: &[&str]| {
        let what_for = match kind {
            "users" if entities.len() == 1 => "users",
            "ips" => "ips",
            _ => "clients",
        };
        let sort = if kind == "ips" {
            "connection quota"
        } else {
            "quota"
        };
        End::Refused(format!(
            "Only {sort} configs can be {what} for '{what_for}' using --bootstrap-server. \
             Unexpected config names: Set({})",
            names.join(", ")
        ))
    };
    let unknown: Vec<&str> = added
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !known.contains(name))
        .collect();
    if !unknown.is_empty() {
        return Err(refuse("added", &unknown));
    }
    let unknown: Vec<&str> = deleted
        .iter()
        .copied()
        .filter(|name| !known.contains(name))
        .collect();
    if !unknown.is_empty() {
        return Err(refuse("deleted", &unknown));
    }
    Ok(())
}

/// Changes quotas.
pub(super) async fn alter(
    admin: &Admin,
    entities: &[Entity],
    added: &Properties,
    deleted: &[&str],
) -> Result<(), End> {
    check(entities, added, deleted)?;
    let mut ops = Vec::new();
    for (key, value) in added {
        let value = value.parse().map_err(|_| {
            End::Refused(format!(
                "Cannot parse quota configuration value for {key}: {value}"
            ))
        })?;
        let (key, remove) = (key.as_str().into(), false);
        ops.push(OpData { key, value, remove });
    }
    ops.extend(deleted.iter().map(|key| OpData {
        key: (*key).into(),
        value: 0.0,
        remove: true,
    }));
    let entity: Vec<_> = entities
        .iter()
        .map(|entity| EntityData {
            entity_type: type_of(entity.kind).into(),
            entity_name: entity
                .name
                .as_deref()
                .filter(|name| !name.is_empty())
                .map(Into::into),
        })
        .collect();
    let response = admin
        .request(
            Destination::Controller,
            |_| AlterClientQuotasRequest {
                entries: vec![EntryData {
                    entity: entity.clone(),
                    ops: ops.clone(),
                }],
                validate_only: false,
            },
            |response| response.entries.first().map_or(0, |entry| entry.error_code),
        )
        .await
        .map_err(|error| Exception::of_call(&error, "alterClientQuotas"))?;
    for entry in &response.entries {
        Exception::check(entry.error_code, entry.error_message.as_deref())?;
    }
    Ok(())
}

/// Shows the quotas of these entities, and no others.
pub(super) async fn describe(admin: &Admin, entities: &[Entity]) -> Result<(), Exception> {
    let components: Vec<_> = entities
        .iter()
        .map(|entity| {
            let (match_type, name) = match entity.name.as_deref() {
                None => (ANY, None),
                Some("") => (DEFAULT, None),
                Some(name) => (EXACT, Some(name)),
            };
            ComponentData {
                entity_type: type_of(entity.kind).into(),
                match_type,
                r#match: name.map(Into::into),
            }
        })
        .collect();
    let response = admin
        .request(
            Destination::Any,
            |_| DescribeClientQuotasRequest {
                components: components.clone(),
                strict: true,
            },
            |response| response.error_code,
        )
        .await
        .map_err(|error| Exception::of_call(&error, "describeClientQuotas"))?;
    Exception::check(response.error_code, response.error_message.as_deref())?;
    for entry in response.entries.unwrap_or_default() {
        let mut parts = Vec::new();
        for (kind, words) in [
            ("user", "user-principal"),
            ("client-id", "client-id"),
            ("ip", "ip"),
        ] {
            let part = entry
                .entity
                .iter()
                .find(|part| part.entity_type.as_str() == kind);
            match part.map(|part| part.entity_name.as_deref()) {
                Some(Some(name)) => parts.push(format!("{words} '{name}'")),
                Some(None) => parts.push(format!("the default {words}")),
                None => {}
            }
        }
        let mut values: Vec<_> = entry
            .values
            .iter()
            .map(|v| (v.key.as_str(), v.value))
            .collect();
        values.sort_by_key(|(key, _)| *key);
        let values: Vec<String> = values
            .iter()
            .map(|(key, value)| format!("{key}={}", double(*value)))
            .collect();
        out(format!(
            "Quota configs for {} are {}",
            parts.join(", "),
            values.join(", ")
        ));
    }
    Ok(())
}

/// A number as Java writes it: with an exponent from ten million on.
fn double(value: f64) -> String {
    if value == 0.0 || (1e-3..1e7).contains(&value.abs()) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    //! Numbers in Java's way.

    #[test]
    fn numbers_are_written_as_java_does() {
        assert_eq!(super::double(2_097_152.0), "2097152.0");
        assert_eq!(super::double(10_000_000.0), "1.0E7");
        assert_eq!(super::double(12_345_678.0), "1.2345678E7");
        assert_eq!(super::double(0.5), "0.5");
    }
}
