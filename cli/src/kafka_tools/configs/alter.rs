//! `--alter`: settings added and deleted, each by its name.

use logway_client::{Admin, Destination};
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};

use super::entity::Entity;
use super::quotas;
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::{End, out};
use crate::kafka_tools::properties::{self, Properties};

/// Operations on a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Changes what the command line says.
pub(super) async fn run(admin: &Admin, parsed: &Parsed, entities: &[Entity]) -> Result<(), End> {
    let added = added(parsed)?;
    let deleted: Vec<&str> = parsed
        .all("delete-config")
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let Some(first) = entities.first() else {
        return Ok(());
    };
    let name = first.name.as_deref().unwrap_or_default();
    match first.resource_type() {
        Some(resource_type) => {
            let of_broker = matches!(first.kind, "brokers" | "broker-loggers");
            let to = match name.parse() {
                Ok(id) if of_broker => Destination::Broker(id),
                _ if of_broker => Destination::Any,
                _ => Destination::Controller,
            };
            alter(admin, to, (resource_type, name), (&added, &deleted)).await?;
        }
        None => quotas::alter(admin, entities, &added, &deleted).await?,
    }
    if name.is_empty() {
        out(format!(
            "Completed updating default config for {} in the cluster.",
            first.kind
        ));
    } else {
        out(format!(
            "Completed updating config for {} {name}.",
            first.singular()
        ));
    }
    Ok(())
}

async fn alter(
    admin: &Admin,
    to: Destination<'_>,
    (resource_type, name): (i8, &str),
    (added, deleted): (&Properties, &[&str]),
) -> Result<(), Exception> {
    let set = added
        .iter()
        .map(|(name, value)| IncrementalAlterableConfig {
            name: name.as_str().into(),
            config_operation: SET,
            value: Some(value.as_str().into()),
        });
    let delete = deleted.iter().map(|name| IncrementalAlterableConfig {
        name: (*name).into(),
        config_operation: DELETE,
        value: None,
    });
    let configs: Vec<_> = set.chain(delete).collect();
    let response = admin
        .request(
            to,
            |_| IncrementalAlterConfigsRequest {
                resources: vec![IncrementalAlterConfigsResource {
                    resource_type,
                    resource_name: name.into(),
                    configs: configs.clone(),
                }],
                validate_only: false,
            },
            |response| {
                response
                    .responses
                    .first()
                    .map_or(0, |answer| answer.error_code)
            },
        )
        .await
        .map_err(|error| Exception::of_call(&error, "incrementalAlterConfigs"))?;
    for answer in &response.responses {
        Exception::check(answer.error_code, answer.error_message.as_deref())?;
    }
    Ok(())
}

/// Settings to add, of the file first and then of the command line.
fn added(parsed: &Parsed) -> Result<Properties, End> {
    let mut added = match parsed.get("add-config-file") {
        Some(path) => properties::read(path)?,
        None => Properties::new(),
    };
    for list in parsed.all("add-config") {
        for pair in split(list) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(End::Refused(
                    "requirement failed: Invalid entity config: all configs to be added must be in \
                     the format \"key=val\" or  \"key=[val1,val2]\" to group values which contain \
                     commas."
                        .to_owned(),
                ));
            };
            let value = value.trim().replace(['[', ']'], "");
            added.push((name.trim().to_owned(), value));
        }
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match added.iter().find(|(name, _)| !name.chars().all(is_plain)) {
        Some((name, _)) => Err(End::Refused(format!(
            "Invalid character found for config key: {name}"
        ))),
        None => Ok(added),
    }
}

/// Splits at commas outside of brackets.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    list.split(|c| {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    //! Lists of settings.

    use super::split;

    #[test]
    fn commas_in_brackets_stay() {
        assert_eq!(split("a=1,b=[x,y],c=2"), ["a=1", "b=[x,y]", "c=2"]);
        assert_eq!(split("a=1"), ["a=1"]);
    }
}
