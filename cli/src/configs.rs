//! `logway configs`: settings of topics and brokers.

use logway_client::{ConfigResource, ConfigSource, Destination};
use logway_protocol::message::incremental_alter_configs::{
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResource, IncrementalAlterableConfig,
};
use serde_json::Value;

use crate::args::{Cluster, ConfigAction, Configs, Output};
use crate::failure::Failure;
use crate::table::Table;

/// Operations on a setting.
const SET: i8 = 0;
const DELETE: i8 = 1;

/// Runs one settings command.
pub(crate) async fn run(args: Configs) -> Result<(), Failure> {
    match args.action {
        ConfigAction::Describe {
            resource,
            all,
            cluster,
            output,
        } => describe(&resource, all, &cluster, output).await,
        ConfigAction::Set {
            resource,
            settings,
            cluster,
        } => set(&resource, &settings, &cluster).await,
    }
}

/// `broker:1`, or a topic's name.
fn resource(text: &str) -> Result<ConfigResource, Failure> {
    match text.strip_prefix("broker:") {
        Some(id) => id
            .parse()
            .map(ConfigResource::Broker)
            .map_err(|_| Failure::usage(format!("broker `{id}`: say its id, a number"))),
        None => Ok(ConfigResource::Topic(text.to_owned())),
    }
}

async fn describe(text: &str, all: bool, cluster: &Cluster, output: Output) -> Result<(), Failure> {
    let failed = |e| Failure::failed(e, &format!("describe settings of `{text}`"));
    let admin = cluster.admin()?;
    let described = admin
        .describe_configs(&[resource(text)?])
        .await
        .map_err(failed)?;
    let mut table = Table::new(&["NAME", "VALUE", "SOURCE"]);
    for (_, entries) in described {
        for entry in entries.map_err(failed)? {
            if !all && entry.is_default() {
                continue;
            }
            let source = match entry.source {
                ConfigSource::Topic => "topic",
                ConfigSource::DynamicBroker => "broker",
                ConfigSource::DynamicDefaultBroker => "all brokers",
                ConfigSource::StaticBroker => "file",
                ConfigSource::Default => "default",
                _ => "other",
            };
            table.row([
                entry.name.into(),
                entry.value.map_or(Value::Null, Value::String),
                source.into(),
            ]);
        }
    }
    table.print(output)
}

async fn set(text: &str, settings: &[String], cluster: &Cluster) -> Result<(), Failure> {
    let doing = format!("change settings of `{text}`");
    let (to, resource_type, name) = match resource(text)? {
        ConfigResource::Topic(name) => (Destination::Controller, 2, name),
        ConfigResource::Broker(id) => (Destination::Broker(id), 4, id.to_string()),
    };
    let change = |setting: &String| {
        let (name, value) = match setting.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (setting.as_str(), None),
        };
        IncrementalAlterableConfig {
            name: name.into(),
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.map(Into::into),
        }
    };
    let admin = cluster.admin()?;
    let response = admin
        .request(
            to,
            |_| IncrementalAlterConfigsRequest {
                resources: vec![IncrementalAlterConfigsResource {
                    resource_type,
                    resource_name: name.as_str().into(),
                    configs: settings.iter().map(change).collect(),
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
        .map_err(|e| Failure::failed(e, &doing))?;
    for answer in response.responses {
        if let Err(code) = logway_client::ErrorCode::check(answer.error_code) {
            let detail = answer.error_message.as_deref().unwrap_or_default();
            return Err(Failure::failed(anyhow::anyhow!("{code} {detail}"), &doing));
        }
    }
    Ok(())
}
