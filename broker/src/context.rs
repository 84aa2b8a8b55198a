//! What a request handler reaches: settings, metadata image, partitions, groups, budgets, counters.
//! Invariant: built once by `server.rs` and never changed; everything in it is shared by reference.
//! Steps 6 and 7 of the hallway.

use std::sync::Arc;
use std::time::Duration;

use logway_config::broker::Broker as Settings;
use tokio_util::sync::CancellationToken;

use crate::group::GroupCoordinator;
use crate::handler::FetchSessions;
use crate::metadata::{Features, LiveSettings, Metadata, ProducerIds, Topics};
use crate::metrics::Metrics;
use crate::net::{Admission, ByteBudget};
use crate::partition::Partitions;
use crate::quota::Quotas;
use crate::transaction::TransactionCoordinator;

/// Where clients are told to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Everything handlers work with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The settings file.
    pub(crate) settings: Arc<Settings>,
    /// The settings that may change while running, as they are now.
    pub(crate) live: Arc<LiveSettings>,
    pub(crate) features: Features,
    pub(crate) quotas: Arc<Quotas>,
    pub(crate) endpoint: Endpoint,
    pub(crate) cluster_id: Arc<str>,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) topics: Topics,
    pub(crate) partitions: Arc<Partitions>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) transactions: Arc<TransactionCoordinator>,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) metrics: Arc<Metrics>,
    /// Bytes of requests read and not yet answered.
    pub(crate) request_budget: ByteBudget,
    /// Bytes of fetched records on their way to sockets.
    pub(crate) reply_budget: ByteBudget,
    /// Cancelled when the broker begins to stop: no new request is read, long polls end at once.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when a stop has taken too long: connections end at once.
    pub(crate) cutting: CancellationToken,
    pub(crate) idle_max: Duration,
    /// A peer that announced bytes and sends none, or takes none of its replies, is cut off then.
    pub(crate) stall_max: Duration,
    pub(crate) admission: Admission,
}

impl Context {
    /// All counters as Prometheus text, without the closing `# EOF` line.
    pub(crate) fn metrics_text(&self) -> String {
        let mut text = self.metrics.text();
        text.push_str(&self.groups.metrics_text());
        text.push_str(&self.transactions.metrics_text());
        text.push_str(&self.fetch_sessions.metrics_text());
        text
    }
}
