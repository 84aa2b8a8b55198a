//! Administration: topics, configs, groups, offsets.
//!
//! Invariant: every call ends within `default.api.timeout.ms`; what may pass is tried again until
//! then, what the cluster refuses is reported per topic, group or partition.

mod cluster;
mod configs;
mod groups;
mod offsets;
mod request;
mod topics;

use std::future::Future;
use std::sync::Arc;

use logway_protocol::error_code::ErrorCode;
use logway_protocol::message::Request;
use tokio::time::Instant;

pub use cluster::{Broker, ClusterDescription};
pub use configs::{ConfigEntry, ConfigResource, ConfigSource};
pub use groups::{GroupDescription, GroupListing, MemberDescription};
pub use offsets::{ListedOffset, OffsetSpec};
pub use request::{Coordinator, Destination};
pub use topics::{NewTopic, PartitionDescription, TopicDescription, TopicListing};

use crate::backoff::Backoff;
use crate::cluster::{Cluster, Lane};
use crate::config::{ClientConfig, ConfigError};
use crate::connection::{Connection, Scope};
use crate::coordinator::Failure;
use crate::error::{AdminError, RequestError};

/// A result for each of several things asked for, in the order asked.
pub type Results<K, T> = Vec<(K, Result<T, AdminError>)>;

/// Administers a cluster.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use logway_client::{Admin, ClientConfig, NewTopic};
///
/// let admin = Admin::new(ClientConfig::new(["127.0.0.1:9092"]))?;
/// admin.create_topic(NewTopic { partitions: 4, ..NewTopic::new("GameLog") }).await?;
/// for topic in admin.list_topics().await? {
///     println!("{} has {} partitions", topic.name, topic.partitions);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Admin {
    cluster: Cluster,
    scope: Scope,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.scope.cancel.cancel();
    }
}

impl Admin {
    /// An administrator of the cluster behind the configuration; connects with the first call.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// A setting cannot be used.
    pub fn new(config: ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let scope = Scope::default();
        Ok(Self {
            cluster: Cluster::new(config, false, scope.clone()),
            scope,
        })
    }

    /// Tries `attempt` until it succeeds, fails for good or time is up.
    async fn retry<T, F>(
        &self,
        operation: &'static str,
        resource: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, AdminError>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let config = self.cluster.config();
        let after = config.default_api_timeout;
        let deadline = Instant::now() + after;
        let mut backoff = Backoff::new(config.retry_backoff, config.retry_backoff_max);
        let mut last = None;
        loop {
            let failure = match tokio::time::timeout_at(deadline, attempt()).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    return Err(AdminError::TimedOut {
                        operation,
                        after,
                        last,
                    });
                }
            };
            let may_pass = failure.is_retriable();
            match failure {
                Failure::Request(error) if may_pass => last = Some(error),
                Failure::Code(_) if may_pass => {}
                Failure::Request(source) => return Err(AdminError::Request { operation, source }),
                Failure::Code(code) => return Err(rejected((operation, resource), code, None)),
            }
            let pause = backoff.next();
            if Instant::now() + pause >= deadline {
                return Err(AdminError::TimedOut {
                    operation,
                    after,
                    last,
                });
            }
            self.cluster.request_refresh();
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes sure that the cluster's brokers are known.
    async fn know_brokers(&self) {
        let mut updates = self.cluster.updates();
        while self.cluster.metadata().asked_at.is_none() {
            self.cluster.request_refresh();
            if updates.changed().await.is_err() {
                return;
            }
        }
    }

    /// A connection to the controller, or to a broker that passes requests on to it.
    async fn controller(&self) -> Result<Connection, RequestError> {
        self.know_brokers().await;
        match self.cluster.metadata().controller {
            Some(node) => self.cluster.node(node, Lane::Main).await,
            None => self.cluster.any().await,
        }
    }

    /// One request over `connection`, built for the version both sides speak.
    async fn call<R: Request>(
        &self,
        connection: &Connection,
        build: impl FnOnce(i16) -> R,
    ) -> Result<R::Response, Failure> {
        let version = connection.version::<R>()?;
        let timeout = self.cluster.config().request_timeout;
        Ok(connection
            .start(version, &build(version), timeout)
            .await?
            .await?)
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

/// A refusal; `what` is the operation and its object.
fn rejected(what: (&'static str, &str), code: ErrorCode, detail: Option<&str>) -> AdminError {
    let (operation, resource) = what;
    let detail = detail.filter(|text| !text.is_empty()).map(Arc::from);
    AdminError::Rejected {
        operation,
        resource: resource.into(),
        code,
        detail,
    }
}

/// `Ok`, or the refusal that `code` stands for.
fn check(what: (&'static str, &str), code: i16, detail: Option<&str>) -> Result<(), AdminError> {
    ErrorCode::check(code).map_err(|code| rejected(what, code, detail))
}
