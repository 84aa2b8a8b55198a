//! The cluster as a client uses it: connections by broker, and metadata that keeps itself fresh.
//!
//! Invariant: nothing is connected before it is needed; one attempt per broker at a time, with
//! growing pauses between failures, whoever asks and however often.

mod refresh;

use std::collections::HashMap;
use std::sync::Arc;

use logway_protocol::message::Request;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::config::ClientConfig;
use crate::connection::{Connection, Scope};
use crate::error::RequestError;
use crate::metadata::Metadata;

/// Connections of one broker that do not wait for each other: a long poll or a join holds up
/// everything behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Metadata, produce, admin.
    Main,
    /// Fetches.
    Fetch,
    /// The group's coordinator.
    Group,
}

/// Which broker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Target {
    /// By its configured address.
    Bootstrap(Arc<str>),
    /// By its id in the metadata.
    Node(i32, Lane),
}

/// A cheap handle to everything a client knows about its cluster.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ClientConfig,
    allow_auto_create_topics: bool,
    scope: Scope,
    brokers: Mutex<HashMap<Target, Arc<Broker>>>,
    metadata: RwLock<Arc<Metadata>>,
    versions: watch::Sender<u64>,
    /// Topics of interest, and when they were last used; `None` is for ever.
    interest: Mutex<HashMap<Arc<str>, Option<Instant>>>,
    wanted: Notify,
}

/// One broker's place for one connection.
#[derive(Debug)]
struct Broker {
    address: Arc<str>,
    slot: tokio::sync::Mutex<Slot>,
}

#[derive(Debug)]
struct Slot {
    connection: Option<Connection>,
    backoff: Backoff,
    not_before: Option<Instant>,
}

impl Cluster {
    /// A client's view of the cluster; must be called inside a tokio runtime.
    pub(crate) fn new(config: ClientConfig, allow_auto_create_topics: bool, scope: Scope) -> Self {
        let shared = Arc::new(Shared {
            config,
            allow_auto_create_topics,
            scope,
            brokers: Mutex::default(),
            metadata: RwLock::default(),
            versions: watch::Sender::new(0),
            interest: Mutex::default(),
            wanted: Notify::new(),
        });
        let cluster = Self { shared };
        let task = refresh::run(cluster.clone());
        let cancel = cluster.shared.scope.cancel.clone();
        cluster.shared.scope.tracker.spawn(async move {
            tokio::select! {
                () = task => {}
                () = cancel.cancelled() => {}
            }
        });
        cluster
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.shared.config
    }

    /// The latest snapshot.
    pub(crate) fn metadata(&self) -> Arc<Metadata> {
        self.shared.metadata.read().clone()
    }

    /// Changes with every new snapshot.
    pub(crate) fn updates(&self) -> watch::Receiver<u64> {
        self.shared.versions.subscribe()
    }

    /// Asks for a new snapshot soon; asking often is not more than asking once.
    pub(crate) fn request_refresh(&self) {
        self.shared.wanted.notify_one();
    }

    /// Follows a topic from now on, until it was not used for some minutes.
    pub(crate) fn use_topic(&self, topic: &Arc<str>) {
        let known = self
            .shared
            .interest
            .lock()
            .insert(topic.clone(), Some(Instant::now()));
        if known.is_none() {
            self.request_refresh();
        }
    }

    /// Learns of a topic that is asked about once, without ending what is said of it otherwise.
    pub(crate) fn ask_about(&self, topic: &Arc<str>) {
        let mut interest = self.shared.interest.lock();
        let is_new = !interest.contains_key(topic);
        if interest.get(topic).is_none_or(Option::is_some) {
            interest.insert(topic.clone(), Some(Instant::now()));
        }
        drop(interest);
        if is_new {
            self.request_refresh();
        }
    }

    /// Follows exactly these topics, for as long as nothing else is said.
    pub(crate) fn follow(&self, topics: impl IntoIterator<Item = Arc<str>>) {
        let mut interest = self.shared.interest.lock();
        let before = std::mem::take(&mut *interest);
        interest.extend(topics.into_iter().map(|topic| (topic, None)));
        let has_new = interest.keys().any(|topic| !before.contains_key(topic));
        drop(interest);
        if has_new {
            self.request_refresh();
        }
    }

    /// A live connection to a broker of the metadata; connects when there is none.
    pub(crate) async fn node(&self, node: i32, lane: Lane) -> Result<Connection, RequestError> {
        let address = self
            .metadata()
            .nodes
            .get(&node)
            .map(|node| node.address.clone());
        let address = address.ok_or(RequestError::UnknownBroker { node })?;
        self.connection(Target::Node(node, lane), &address).await
    }

    /// A connection to a broker that is known by its address only.
    pub(crate) async fn at(
        &self,
        node: i32,
        lane: Lane,
        address: &Arc<str>,
    ) -> Result<Connection, RequestError> {
        self.connection(Target::Node(node, lane), address).await
    }

    /// A connection to any broker: each is tried once, those that are connected first.
    pub(crate) async fn any(&self) -> Result<Connection, RequestError> {
        let mut last = RequestError::Closed;
        for (target, address) in self.candidates() {
            match self.connection(target, &address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks any broker.
    pub(crate) async fn call_any<R: Request>(
        &self,
        request: &R,
    ) -> Result<R::Response, RequestError> {
        self.any()
            .await?
            .call(request, self.shared.config.request_timeout)
            .await
    }

    /// Every broker that may answer: known ones with a connection, known ones, configured ones.
    fn candidates(&self) -> Vec<(Target, Arc<str>)> {
        let metadata = self.metadata();
        let brokers = self.shared.brokers.lock();
        let mut known: Vec<_> = metadata
            .nodes
            .values()
            .map(|node| {
                let target = Target::Node(node.id, Lane::Main);
                let live = brokers.get(&target).is_some_and(|broker| broker.is_live());
                (
                    !live,
                    crate::backoff::random(),
                    target,
                    node.address.clone(),
                )
            })
            .collect();
        known.sort_by_key(|(idle, chance, ..)| (*idle, *chance));
        let bootstrap = self.shared.config.bootstrap_servers.iter().map(|address| {
            let address: Arc<str> = address.as_str().into();
            (Target::Bootstrap(address.clone()), address)
        });
        known
            .into_iter()
            .map(|(_, _, target, address)| (target, address))
            .chain(bootstrap)
            .collect()
    }

    async fn connection(
        &self,
        target: Target,
        address: &Arc<str>,
    ) -> Result<Connection, RequestError> {
        let broker = {
            let mut brokers = self.shared.brokers.lock();
            let known = brokers
                .get(&target)
                .filter(|broker| broker.address == *address)
                .cloned();
            known.unwrap_or_else(|| {
                let fresh = Arc::new(Broker::new(address.clone(), &self.shared.config));
                brokers.insert(target, fresh.clone());
                fresh
            })
        };
        broker
            .connect(&self.shared.config, &self.shared.scope)
            .await
    }

    /// Bootstrap connections have done their work once the brokers' ids are known: one becomes the
    /// broker's own, the others close.
    fn adopt_bootstrap(&self, metadata: &Metadata) {
        let mut brokers = self.shared.brokers.lock();
        for node in metadata.nodes.values() {
            let bootstrap = Target::Bootstrap(node.address.clone());
            let own = Target::Node(node.id, Lane::Main);
            if !brokers.contains_key(&own)
                && let Some(broker) = brokers.remove(&bootstrap)
            {
                brokers.insert(own, broker);
            }
        }
        brokers.retain(|target, broker| match target {
            Target::Bootstrap(_) => metadata.nodes.is_empty(),
            Target::Node(id, _) => {
                // A coordinator may be known before it is in the metadata.
                metadata
                    .nodes
                    .get(id)
                    .is_none_or(|node| node.address == broker.address)
            }
        });
    }

    fn publish(&self, metadata: Metadata) {
        *self.shared.metadata.write() = Arc::new(metadata);
        self.shared.versions.send_modify(|version| *version += 1);
    }
}

impl Broker {
    fn new(address: Arc<str>, config: &ClientConfig) -> Self {
        let backoff = Backoff::new(config.reconnect_backoff, config.reconnect_backoff_max);
        let slot = Slot {
            connection: None,
            backoff,
            not_before: None,
        };
        Self {
            address,
            slot: tokio::sync::Mutex::new(slot),
        }
    }

    fn is_live(&self) -> bool {
        self.slot.try_lock().is_ok_and(|slot| slot.live().is_some())
    }

    async fn connect(
        &self,
        config: &ClientConfig,
        scope: &Scope,
    ) -> Result<Connection, RequestError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = slot.live() {
            return Ok(connection.clone());
        }
        if scope.cancel.is_cancelled() {
            return Err(RequestError::Closed);
        }
        if let Some(not_before) = slot.not_before {
            tokio::time::sleep_until(not_before).await;
        }
        // Should the caller give up, the next one waits as after a failure.
        let pause = slot.backoff.next();
        slot.not_before = Some(Instant::now() + pause);
        slot.connection = None;
        match Connection::open(&self.address, config, scope).await {
            Ok(connection) => {
                slot.backoff.reset();
                slot.connection = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                slot.not_before = Some(Instant::now() + pause);
                Err(error)
            }
        }
    }
}

impl Slot {
    fn live(&self) -> Option<&Connection> {
        self.connection
            .as_ref()
            .filter(|connection| !connection.is_closed())
    }
}
