//! One request of any kind to the broker that can answer it: what the typed calls do not cover.
//!
//! Invariant: as for every call of the administrator: tried again until `default.api.timeout.ms`
//! while the failure may pass, never a request in a version that the broker does not speak.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::Request;
use logway_protocol::message::find_coordinator::FindCoordinatorRequest;

use super::Admin;
use crate::cluster::Lane;
use crate::connection::Connection;
use crate::coordinator::Failure;
use crate::error::{AdminError, RequestError};
use crate::metadata::address_of;

/// First version of FindCoordinator that takes several keys (KIP-699).
const SEVERAL_KEYS: i16 = 4;
/// Key types of FindCoordinator.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Which broker answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination<'a> {
    /// Any broker.
    Any,
    /// The controller, or a broker that passes requests on to it.
    Controller,
    /// The broker with this node id.
    Broker(i32),
    /// The coordinator of this group.
    Group(&'a str),
    /// The coordinator of this transactional id.
    Transaction(&'a str),
}

/// A broker's node id and `host:port`.
pub type Coordinator = (i32, Arc<str>);

impl Admin {
    /// One request, built for the version that both sides speak, and its answer whatever it says.
    ///
    /// `code` names the error of the answer as a whole: while it may pass (no coordinator yet, not
    /// the controller any more) the request is made again.
    ///
    /// # Errors
    /// No broker answers, or none speaks the request.
    pub async fn request<R: Request>(
        &self,
        to: Destination<'_>,
        build: impl Fn(i16) -> R,
        code: impl Fn(&R::Response) -> i16,
    ) -> Result<R::Response, AdminError> {
        self.retry(R::KEY.name(), "", || async {
            let connection = self.connection_to(to).await?;
            let response = self.call(&connection, &build).await?;
            let code = ErrorCode::from_code(code(&response));
            if is_passing(code) {
                return Err(Failure::Code(code));
            }
            Ok(response)
        })
        .await
    }

    /// The coordinator of a group.
    ///
    /// # Errors
    /// No broker answers, or there is no coordinator.
    pub async fn group_coordinator(&self, group: &str) -> Result<Coordinator, AdminError> {
        self.retry("find coordinator", group, || self.find(GROUP, group))
            .await
    }

    /// The coordinator of a transactional id.
    ///
    /// # Errors
    /// No broker answers, or there is no coordinator.
    pub async fn transaction_coordinator(&self, id: &str) -> Result<Coordinator, AdminError> {
        self.retry("find coordinator", id, || self.find(TRANSACTION, id))
            .await
    }

    async fn connection_to(&self, to: Destination<'_>) -> Result<Connection, Failure> {
        let (kind, key) = match to {
            Destination::Any => return Ok(self.cluster.any().await?),
            Destination::Controller => return Ok(self.controller().await?),
            Destination::Broker(node) => {
                self.know_brokers().await;
                let connection = self.cluster.node(node, Lane::Main).await;
                return connection.map_err(|error| match error {
                    RequestError::UnknownBroker { .. } => {
                        Failure::Code(ErrorCode::BrokerIdNotRegistered)
                    }
                    error => Failure::Request(error),
                });
            }
            Destination::Group(group) => (GROUP, group),
            Destination::Transaction(id) => (TRANSACTION, id),
        };
        let (node, address) = self.find(kind, key).await?;
        Ok(self.cluster.at(node, Lane::Main, &address).await?)
    }

    async fn find(&self, key_type: i8, key: &str) -> Result<Coordinator, Failure> {
        let connection = self.cluster.any().await?;
        let response = self
            .call(&connection, |version| {
                let mut request = FindCoordinatorRequest {
                    key_type,
                    ..Default::default()
                };
                if version >= SEVERAL_KEYS {
                    request.coordinator_keys = vec![key.into()];
                } else {
                    request.key = key.into();
                }
                request
            })
            .await?;
        let (code, node, host, port) = match response.coordinators.first() {
            Some(found) => (found.error_code, found.node_id, &found.host, found.port),
            None => (
                response.error_code,
                response.node_id,
                &response.host,
                response.port,
            ),
        };
        ErrorCode::check(code).map_err(Failure::Code)?;
        Ok((node, address_of(host, port)))
    }
}

/// Whether a later answer may be another one without anybody doing anything.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NotController
            | ErrorCode::NotCoordinator
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::NotLeaderOrFollower
            | ErrorCode::ConcurrentTransactions
    )
}
