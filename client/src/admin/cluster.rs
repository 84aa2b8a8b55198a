//! The cluster itself: its brokers and controller.

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::metadata::MetadataRequest;

use super::Admin;
use crate::coordinator::Failure;
use crate::error::AdminError;

/// A broker of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// The host it advertises.
    pub host: String,
    /// The port it advertises.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// The cluster as one of its brokers sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id, if it says one.
    pub cluster_id: Option<String>,
    /// Node id of its controller, if there is one.
    pub controller: Option<i32>,
    /// Its brokers, by id.
    pub brokers: Vec<Broker>,
}

impl Admin {
    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, AdminError> {
        let request = MetadataRequest {
            topics: Some(Vec::new()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let response = self
            .retry("describe cluster", "", || async {
                let connection = self.cluster.any().await?;
                // Version 0 knows no empty list: there it means all topics.
                let response = self
                    .call(&connection, |version| MetadataRequest {
                        allow_auto_topic_creation: version < 4,
                        ..request.clone()
                    })
                    .await?;
                ErrorCode::check(response.error_code).map_err(Failure::Code)?;
                Ok(response)
            })
            .await?;
        let mut brokers: Vec<_> = response
            .brokers
            .iter()
            .map(|broker| Broker {
                id: broker.node_id,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.as_ref().map(ToString::to_string),
            })
            .collect();
        brokers.sort_by_key(|broker| broker.id);
        Ok(ClusterDescription {
            cluster_id: response.cluster_id.as_ref().map(ToString::to_string),
            controller: (response.controller_id >= 0).then_some(response.controller_id),
            brokers,
        })
    }
}
