//! Settings of topics and brokers.

use logway_protocol::message::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResult,
};

use super::{Admin, Results, check, rejected};
use crate::cluster::Lane;
use crate::error::AdminError;
use crate::{ErrorCode, RequestError};

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    /// A topic.
    Topic(String),
    /// A broker.
    Broker(i32),
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Set for the topic.
    Topic,
    /// Set for this broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// In the broker's file.
    StaticBroker,
    /// Kafka's default.
    Default,
    /// Something else, by its number on the wire.
    Other(i8),
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name (`retention.ms`).
    pub name: String,
    /// Its value; nothing where it is secret or unset.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether its value is secret.
    pub sensitive: bool,
}

impl ConfigEntry {
    /// Whether nobody set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::Default
    }
}

impl ConfigResource {
    fn on_wire(&self) -> (i8, String) {
        match self {
            Self::Topic(name) => (2, name.clone()),
            Self::Broker(id) => (4, id.to_string()),
        }
    }
}

impl Admin {
    /// All settings of these resources.
    ///
    /// # Errors
    /// No broker answers; refusals are in the results.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Results<ConfigResource, Vec<ConfigEntry>>, AdminError> {
        let mut results = Vec::with_capacity(resources.len());
        for resource in resources {
            let (resource_type, resource_name) = resource.on_wire();
            let answer = self
                .retry("describe configs", &resource_name, || async {
                    self.know_brokers().await;
                    // Only a broker itself knows its own settings.
                    let connection = match resource {
                        ConfigResource::Broker(id) => self.cluster.node(*id, Lane::Main).await,
                        ConfigResource::Topic(_) => self.cluster.any().await,
                    };
                    let connection = connection.map_err(unknown_is_final)?;
                    self.call(&connection, |_| DescribeConfigsRequest {
                        resources: vec![DescribeConfigsResource {
                            resource_type,
                            resource_name: resource_name.as_str().into(),
                            configuration_keys: None,
                        }],
                        ..Default::default()
                    })
                    .await
                })
                .await;
            let what = ("describe configs", resource_name.as_str());
            let result = match answer {
                Ok(response) => match response.results.first() {
                    Some(result) => check(what, result.error_code, result.error_message.as_deref())
                        .map(|()| entries(result)),
                    None => Err(rejected(what, ErrorCode::UnknownServerError, None)),
                },
                Err(error @ AdminError::Rejected { .. }) => Err(error),
                Err(error) => return Err(error),
            };
            results.push((resource.clone(), result));
        }
        Ok(results)
    }
}

fn unknown_is_final(error: RequestError) -> crate::coordinator::Failure {
    use crate::coordinator::Failure;
    match error {
        RequestError::UnknownBroker { .. } => Failure::Code(ErrorCode::BrokerIdNotRegistered),
        error => Failure::Request(error),
    }
}

fn entries(result: &DescribeConfigsResult) -> Vec<ConfigEntry> {
    let mut entries: Vec<_> = result
        .configs
        .iter()
        .map(|config| ConfigEntry {
            name: config.name.to_string(),
            value: config.value.as_ref().map(ToString::to_string),
            source: match config.config_source {
                1 => ConfigSource::Topic,
                2 => ConfigSource::DynamicBroker,
                3 => ConfigSource::DynamicDefaultBroker,
                4 => ConfigSource::StaticBroker,
                5 => ConfigSource::Default,
                other => ConfigSource::Other(other),
            },
            read_only: config.read_only,
            sensitive: config.is_sensitive,
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}
