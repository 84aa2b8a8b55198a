//! `--describe`: settings with where their values come from.

use logway_client::{Admin, Destination, ErrorCode};
use logway_protocol::message::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use logway_protocol::message::list_config_resources::ListConfigResourcesRequest;

use super::entity::Entity;
use super::quotas;
use crate::kafka_tools::exception::Exception;
use crate::kafka_tools::options::Parsed;
use crate::kafka_tools::output::{End, out};

/// Shows what the command line asks for.
pub(super) async fn run(admin: &Admin, parsed: &Parsed, entities: &[Entity]) -> Result<(), End> {
    let Some(first) = entities.first() else {
        return Ok(());
    };
    let Some(resource_type) = first.resource_type() else {
        return Ok(quotas::describe(admin, entities).await?);
    };
    let names = match &first.name {
        Some(name) if !name.is_empty() => {
            if !exists(admin, first.kind, name).await? {
                let kind = first.singular();
                out(format!(
                    "The {kind} '{name}' doesn't exist and doesn't have dynamic config."
                ));
                return Ok(());
            }
            vec![name.clone()]
        }
        Some(default) => vec![default.clone()],
        None => all_names(admin, first, resource_type).await?,
    };
    for name in names {
        let all = parsed.has("all");
        out(match (name.as_str(), all) {
            ("", _) => format!("Default configs for {} in the cluster are:", first.kind),
            (name, true) => format!("All configs for {} {name} are:", first.singular()),
            (name, false) => format!("Dynamic configs for {} {name} are:", first.singular()),
        });
        let mut configs = configs(admin, first, resource_type, &name).await?;
        configs.sort_by(|a, b| a.name.cmp(&b.name));
        for config in configs {
            if all || config.config_source == dynamic_source(first.kind, &name) {
                out(line(&config));
            }
        }
    }
    Ok(())
}

async fn exists(admin: &Admin, kind: &str, name: &str) -> Result<bool, Exception> {
    match kind {
        "topics" => {
            let topics = admin.list_topics().await;
            let topics = topics.map_err(|error| Exception::of_call(&error, "listTopics"))?;
            Ok(topics.iter().any(|topic| &*topic.name == name))
        }
        "brokers" | "broker-loggers" => {
            let cluster = admin.describe_cluster().await;
            let cluster = cluster.map_err(|e| Exception::of_call(&e, "describeCluster"))?;
            let id = name.parse();
            Ok(cluster
                .brokers
                .iter()
                .any(|broker| id.as_ref() == Ok(&broker.id)))
        }
        _ => Ok(true),
    }
}

async fn all_names(
    admin: &Admin,
    entity: &Entity,
    resource_type: i8,
) -> Result<Vec<String>, Exception> {
    match entity.kind {
        "topics" => {
            let topics = admin.list_topics().await;
            let topics = topics.map_err(|error| Exception::of_call(&error, "listTopics"))?;
            Ok(topics
                .into_iter()
                .map(|topic| topic.name.to_string())
                .collect())
        }
        "brokers" | "broker-loggers" => {
            let cluster = admin.describe_cluster().await;
            let cluster = cluster.map_err(|e| Exception::of_call(&e, "describeCluster"))?;
            let ids = cluster.brokers.iter().map(|broker| broker.id.to_string());
            let default = (entity.kind == "brokers").then(String::new);
            Ok(ids.chain(default).collect())
        }
        _ => {
            let response = admin
                .request(
                    Destination::Any,
                    |_| ListConfigResourcesRequest {
                        resource_types: vec![resource_type],
                    },
                    |response| response.error_code,
                )
                .await
                .map_err(|error| Exception::of_call(&error, "listConfigResources"))?;
            Exception::check(response.error_code, None)?;
            let names = response.config_resources.iter();
            Ok(names
                .map(|resource| resource.resource_name.to_string())
                .collect())
        }
    }
}

async fn configs(
    admin: &Admin,
    entity: &Entity,
    resource_type: i8,
    name: &str,
) -> Result<Vec<DescribeConfigsResourceResult>, Exception> {
    let to = match name.parse() {
        // Only a broker itself knows its own settings.
        Ok(id) if matches!(entity.kind, "brokers" | "broker-loggers") => Destination::Broker(id),
        _ => Destination::Any,
    };
    let response = admin
        .request(
            to,
            |_| DescribeConfigsRequest {
                resources: vec![DescribeConfigsResource {
                    resource_type,
                    resource_name: name.into(),
                    configuration_keys: None,
                }],
                include_synonyms: true,
                include_documentation: false,
            },
            |_| ErrorCode::None.code(),
        )
        .await
        .map_err(|error| Exception::of_call(&error, "describeConfigs"))?;
    let mut configs = Vec::new();
    for result in response.results {
        Exception::check(result.error_code, result.error_message.as_deref())?;
        configs.extend(result.configs);
    }
    Ok(configs)
}

/// The source of a value that was set for this very entity.
fn dynamic_source(kind: &str, name: &str) -> i8 {
    match kind {
        "topics" => 1,
        "brokers" if name.is_empty() => 3,
        "brokers" => 2,
        "broker-loggers" => 6,
        "client-metrics" => 7,
        _ => 8,
    }
}

fn source_name(source: i8) -> &'static str {
    match source {
        1 => "DYNAMIC_TOPIC_CONFIG",
        2 => "DYNAMIC_BROKER_CONFIG",
        3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        4 => "STATIC_BROKER_CONFIG",
        5 => "DEFAULT_CONFIG",
        6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
        7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
        8 => "DYNAMIC_GROUP_CONFIG",
        _ => "UNKNOWN",
    }
}

fn line(config: &DescribeConfigsResourceResult) -> String {
    let synonyms: Vec<String> = config
        .synonyms
        .iter()
        .map(|synonym| {
            let source = source_name(synonym.source);
            let value = synonym.value.as_deref().unwrap_or("null");
            format!("{source}:{}={value}", synonym.name)
        })
        .collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        config.name,
        config.value.as_deref().unwrap_or("null"),
        config.is_sensitive,
        synonyms.join(", ")
    )
}
