//! The broker that looks after a group or a transactional id: finding it, and asking it.
//!
//! Invariant: each function here is one attempt; its caller decides about the next. A wrong or
//! lost coordinator is forgotten at once. Steps 5 and 10 of the hallway.

use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::Request;
use logway_protocol::message::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use parking_lot::Mutex;
use std::time::Duration;

use crate::cluster::{Cluster, Lane};
use crate::connection::Connection;
use crate::error::RequestError;
use crate::metadata::address_of;

/// First version of FindCoordinator that takes several keys (KIP-699).
const SEVERAL_KEYS: i16 = 4;
/// Last version of OffsetCommit and OffsetFetch that names topics; later ones take ids (KIP-848).
const TOPICS_BY_NAME_UP_TO: i16 = 9;

/// `key_type` of FindCoordinator for groups.
const GROUP: i8 = 0;
/// `key_type` of FindCoordinator for transactional ids (KIP-98).
const TRANSACTION: i8 = 1;

/// The coordinator of a group or a transactional id, as far as it is known.
#[derive(Debug, Clone)]
pub(crate) struct Coordinator {
    cluster: Cluster,
    key: Arc<str>,
    key_type: i8,
    known: Arc<Mutex<Option<Location>>>,
}

/// A broker's node id and address.
type Location = (i32, Arc<str>);

/// Why one attempt failed.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// No answer.
    Request(RequestError),
    /// The answer is an error.
    Code(ErrorCode),
}

impl Failure {
    /// Whether another attempt can help.
    pub(crate) fn is_retriable(&self) -> bool {
        match self {
            Self::Request(error) => error.is_retriable(),
            Self::Code(code) => code.is_retriable(),
        }
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl Coordinator {
    /// The coordinator of a group.
    pub(crate) fn new(cluster: Cluster, group: Arc<str>) -> Self {
        Self {
            cluster,
            key: group,
            key_type: GROUP,
            known: Arc::default(),
        }
    }

    /// The coordinator of a transactional id.
    pub(crate) fn of_transactions(cluster: Cluster, transactional_id: Arc<str>) -> Self {
        Self {
            key_type: TRANSACTION,
            ..Self::new(cluster, transactional_id)
        }
    }

    /// The group's name.
    pub(crate) fn group(&self) -> &Arc<str> {
        &self.key
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.cluster.config().request_timeout
    }

    /// Asks for the coordinator anew next time.
    pub(crate) fn forget(&self) {
        *self.known.lock() = None;
    }

    /// Forgets the coordinator if this error says that it is the wrong one.
    pub(crate) fn observe(&self, code: ErrorCode) {
        if matches!(
            code,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable
        ) {
            self.forget();
        }
    }

    /// A connection to the coordinator.
    pub(crate) async fn connection(&self, lane: Lane) -> Result<Connection, Failure> {
        let known = self.known.lock().clone();
        let (node, address) = match known {
            Some(known) => known,
            None => {
                let found = self.find().await?;
                *self.known.lock() = Some(found.clone());
                found
            }
        };
        let connected = self.cluster.at(node, lane, &address).await;
        if connected.is_err() {
            self.forget();
        }
        Ok(connected?)
    }

    /// One request to the coordinator.
    pub(crate) async fn call<R: Request>(
        &self,
        lane: Lane,
        timeout: Duration,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, Failure> {
        self.call_up_to(lane, timeout, i16::MAX, build).await
    }

    /// One request to the coordinator, in no higher version than `limit`.
    pub(crate) async fn call_up_to<R: Request>(
        &self,
        lane: Lane,
        timeout: Duration,
        limit: i16,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, Failure> {
        let connection = self.connection(lane).await?;
        let limit = limit.min(TOPICS_BY_NAME_UP_TO);
        let version = connection.version_up_to::<R>(limit)?;
        let answer = match connection.start(version, &build(version), timeout).await {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        if answer.is_err() {
            self.forget();
        }
        Ok(answer?)
    }

    async fn find(&self) -> Result<Location, Failure> {
        let connection = self.cluster.any().await?;
        let version = connection.version::<FindCoordinatorRequest>()?;
        let mut request = FindCoordinatorRequest {
            key_type: self.key_type,
            ..Default::default()
        };
        if version >= SEVERAL_KEYS {
            request.coordinator_keys = vec![(*self.key).into()];
        } else {
            request.key = (*self.key).into();
        }
        let timeout = self.cluster.config().request_timeout;
        let response: FindCoordinatorResponse =
            connection.start(version, &request, timeout).await?.await?;
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
