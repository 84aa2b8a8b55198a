//! Wires the broker together: the order of its start, and of its end.
//! Invariant: nothing is served before everything is open; on the way down nothing new is taken,
//! what is under way is finished, and the clean mark is the last thing written (design D12).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use logway_config::broker::Broker as Settings;
use logway_journal::{DataDir, DataDirError, Disk, LogState, StdDisk};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::context::{Context, Endpoint};
use crate::group::GroupCoordinator;
use crate::handler::{FetchSessions, features};
use crate::http::HttpPage;
use crate::identity::{self, IdentityError};
use crate::metadata::{
    LiveSettings, Metadata, MetadataOpenError, OpenMetadata, ProducerIds, Topics, metadata_folder,
};
use crate::metrics::Metrics;
use crate::net::{Admission, ByteBudget, Listener};
use crate::offsets_log::OffsetsPartitions;
use crate::open_files;
use crate::partition::{
    Background, Partitions, PartitionsError, note_lowered, start_cleaner, start_keeper,
};
use crate::quota::Quotas;
use crate::transaction::{TransactionCoordinator, TransactionLog};
use crate::transaction_log::TransactionPartitions;

/// Longest pause of a peer in the middle of a request or of its reply.
const STALL_MAX: Duration = Duration::from_secs(30);
/// Part of a shutdown's time that is kept for syncing and the clean mark.
const STORAGE_SHARE: u32 = 2;

/// Why a broker does not start. Every text names the setting or file to look at.
#[derive(Debug, Error)]
pub enum StartError {
    /// A setting is out of range.
    #[error("settings: {0}")]
    Settings(String),
    /// The data folder belongs to somebody else.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// An address cannot be listened on.
    #[error("listen on {addr} (setting {setting}): {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// The setting it comes from.
        setting: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The data folder is in use by another broker, or cannot be read.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Metadata(#[from] MetadataOpenError),
    /// The partitions cannot be served.
    #[error(transparent)]
    Partitions(#[from] PartitionsError),
    /// A thread cannot be started.
    #[error("start thread: {0}")]
    Thread(#[source] io::Error),
    /// The opening thread panicked.
    #[error("opening the data folder was cut off: {0}")]
    CutOff(#[source] tokio::task::JoinError),
}

/// A running broker. Dropping it without `shutdown` ends it as a kill would.
#[derive(Debug)]
pub struct Broker {
    context: Arc<Context>,
    storage: Arc<Storage>,
    connections: TaskTracker,
    tasks: TaskTracker,
    cutting: CancellationToken,
    http_stop: CancellationToken,
    kafka_addr: SocketAddr,
    http_addr: Option<SocketAddr>,
}

/// What lies on the disk, and the threads that write it.
#[derive(Debug)]
struct Storage {
    metadata: Arc<Metadata>,
    live: Arc<LiveSettings>,
    quotas: Arc<Quotas>,
    partitions: Arc<Partitions>,
    keeper: Background,
    cleaner: Option<Background>,
    data_dir: Arc<Mutex<DataDir>>,
    cluster_id: String,
}

impl Broker {
    /// Opens the data folder, recovers what a crash left, and serves.
    ///
    /// # Errors
    /// What is wrong with settings, addresses or the folder.
    pub async fn start(settings: Settings) -> Result<Broker, StartError> {
        settings
            .check()
            .map_err(|violation| StartError::Settings(violation.to_string()))?;
        let settings = Arc::new(settings);
        // First: what may stay open is reckoned from it.
        open_files::raise_limit();
        let bind = |addr, setting| {
            move |source| StartError::Bind {
                addr,
                setting,
                source,
            }
        };
        let listener = Listener::bind(settings.listen)
            .await
            .map_err(bind(settings.listen, "listen"))?;
        let page = match settings.http {
            Some(addr) => Some(HttpPage::bind(addr).await.map_err(bind(addr, "http"))?),
            None => None,
        };
        let metrics = Metrics::new();
        let storage = {
            let (settings, metrics) = (Arc::clone(&settings), Arc::clone(&metrics));
            let opening = tokio::task::spawn_blocking(move || Storage::open(&settings, metrics));
            Arc::new(opening.await.map_err(StartError::CutOff)??)
        };
        let kafka_addr = listener.addr();
        let context = context(&settings, &storage, kafka_addr, metrics);
        let broker = Broker {
            connections: TaskTracker::new(),
            tasks: TaskTracker::new(),
            cutting: context.cutting.clone(),
            http_stop: CancellationToken::new(),
            kafka_addr,
            http_addr: page.as_ref().map(HttpPage::addr),
            context,
            storage,
        };
        broker.serve(listener, page);
        info!(kafka = %kafka_addr, cluster = %broker.context.cluster_id, "broker serves");
        Ok(broker)
    }

    fn serve(&self, listener: Listener, page: Option<HttpPage>) {
        let connections = self.connections.clone();
        self.tasks
            .spawn(listener.serve(Arc::clone(&self.context), connections));
        if let Some(page) = page {
            self.tasks
                .spawn(page.serve(Arc::clone(&self.context), self.http_stop.clone()));
        }
    }

    /// The address Kafka clients connect to, with the port really bound.
    #[must_use]
    pub fn kafka_addr(&self) -> SocketAddr {
        self.kafka_addr
    }

    /// The address of `/healthz` and `/metrics`, if there is one.
    #[must_use]
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// All counters as Prometheus text, without the closing `# EOF` line.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.context.metrics_text()
    }

    /// A function that gives [`Broker::metrics_text`] for as long as it is kept.
    #[must_use]
    pub fn metrics(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let context = Arc::clone(&self.context);
        Arc::new(move || context.metrics_text())
    }

    /// Stops: no new requests, those under way are finished, everything is synced and the folder
    /// marked clean. What is not done at the deadline is cut off and reported; the mark is then
    /// missing and the next start recovers.
    pub async fn shutdown(self, deadline: Duration) {
        let end = Instant::now() + deadline;
        let cut_at = Instant::now() + deadline / STORAGE_SHARE;
        self.context.stopping.cancel();
        // Members that wait for a round would otherwise keep their connections until the cut.
        self.context.groups.close();
        self.connections.close();
        if timeout_at(cut_at, self.connections.wait()).await.is_err() {
            warn!(
                connections = self.connections.len(),
                "requests under way cut off at shutdown"
            );
            self.cutting.cancel();
        }
        if timeout_at(end, self.context.transactions.shutdown())
            .await
            .is_err()
        {
            warn!("transaction coordinator did not finish in time");
        }
        if timeout_at(end, self.context.groups.shutdown())
            .await
            .is_err()
        {
            warn!("group coordinator did not finish in time");
        }
        let storage = Arc::clone(&self.storage);
        let closing = tokio::task::spawn_blocking(move || storage.close());
        match timeout_at(end, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => error!("closing the data folder was cut off: {panic}"),
            Err(_) => warn!("data folder not closed in time, the next start recovers it"),
        }
        self.http_stop.cancel();
        self.tasks.close();
        if timeout_at(
            end.max(Instant::now() + Duration::from_millis(100)),
            self.tasks.wait(),
        )
        .await
        .is_err()
        {
            warn!("http requests cut off at shutdown");
        }
        info!("broker stopped");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.context.stopping.cancel();
        self.cutting.cancel();
        self.http_stop.cancel();
        self.storage.abandon();
    }
}

fn context(
    settings: &Arc<Settings>,
    storage: &Storage,
    kafka_addr: SocketAddr,
    metrics: Arc<Metrics>,
) -> Arc<Context> {
    let metadata = Arc::clone(&storage.metadata);
    let partitions = Arc::clone(&storage.partitions);
    let topics = Topics::new(Arc::clone(&metadata), Arc::clone(settings));
    let groups = GroupCoordinator::start(
        settings,
        Arc::new(OffsetsPartitions::new(
            settings,
            topics.clone(),
            Arc::clone(&metadata),
            Arc::clone(&partitions),
        )),
    );
    let known = partitions.all();
    let transaction_partitions = Arc::new(TransactionPartitions {
        topics: topics.clone(),
        metadata: Arc::clone(&metadata),
        partitions: Arc::clone(&partitions),
        groups: Arc::clone(&groups),
        synced: settings.flush.on_acks_all,
    });
    let log: Arc<dyn TransactionLog> = transaction_partitions.clone();
    let transactions = TransactionCoordinator::start(settings, log, transaction_partitions);
    Arc::new(Context {
        endpoint: endpoint(settings, kafka_addr),
        cluster_id: Arc::from(storage.cluster_id.as_str()),
        producer_ids: ProducerIds::new(
            Arc::clone(&metadata),
            settings.node_id,
            known.iter().flat_map(|one| one.producer_ids()),
        ),
        topics,
        metadata,
        partitions,
        groups,
        transactions,
        fetch_sessions: FetchSessions::new(
            usize::try_from(settings.max_incremental_fetch_session_cache_slots).unwrap_or(0),
        ),
        metrics,
        request_budget: ByteBudget::new(settings.queued_max_bytes),
        reply_budget: ByteBudget::new(settings.queued_max_bytes),
        stopping: CancellationToken::new(),
        cutting: CancellationToken::new(),
        idle_max: Duration::from_millis(settings.connections_max_idle_ms),
        stall_max: STALL_MAX.min(Duration::from_millis(settings.connections_max_idle_ms)),
        admission: admission(settings, &storage.live),
        settings: Arc::clone(settings),
        live: Arc::clone(&storage.live),
        features: features(),
        quotas: Arc::clone(&storage.quotas),
    })
}

/// Bounds on connections: the settings', and what the process may open.
fn admission(settings: &Settings, live: &Arc<LiveSettings>) -> Admission {
    let limit = open_files::limit();
    let room = open_files::connections_max(limit);
    if usize::try_from(settings.max_connections).is_ok_and(|asked| asked > room) {
        let limit = limit.unwrap_or_default();
        warn!(
            connections = room,
            "max_connections is more than the limit of {limit} open files leaves room for (ulimit -n)"
        );
    }
    Admission::new(Arc::clone(live), room)
}

/// What clients are told: the advertised address, else the one listened on.
fn endpoint(settings: &Settings, bound: SocketAddr) -> Endpoint {
    let advertised = settings
        .advertised
        .as_deref()
        .and_then(|text| text.rsplit_once(':'));
    match advertised {
        Some((host, port)) => Endpoint {
            host: host.trim_matches(['[', ']']).to_owned(),
            // Port 0 stands for the one that was bound.
            port: port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .unwrap_or(bound.port()),
        },
        // Nobody can connect to "any address"; this machine's name is the best guess.
        None if bound.ip().is_unspecified() => Endpoint {
            host: host_name(),
            port: bound.port(),
        },
        None => Endpoint {
            host: bound.ip().to_string(),
            port: bound.port(),
        },
    }
}

fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.into_owned()
    }
}

impl Storage {
    fn open(settings: &Arc<Settings>, metrics: Arc<Metrics>) -> Result<Storage, StartError> {
        let disk: Arc<dyn Disk> = Arc::new(StdDisk::new());
        let data_dir = DataDir::open(Arc::clone(&disk), &settings.data_dir)?;
        let data_dir = Arc::new(Mutex::new(data_dir));
        let cluster_id = identity::cluster_id(settings)?;
        let recovery = data_dir.lock().recovery(&metadata_folder());
        let mut open = OpenMetadata::open(&disk, &settings.data_dir, recovery)?;
        note_lowered(&data_dir, &metadata_folder(), &open.log)
            .map_err(|source| StartError::DataDir(source.into()))?;
        open.begin(&features())?;
        let live = Arc::new(LiveSettings::new(Arc::clone(settings)));
        let partitions = Arc::new(Partitions::new(
            disk,
            Arc::clone(&data_dir),
            (Arc::clone(settings), Arc::clone(&live)),
            Arc::clone(&metrics),
        )?);
        partitions.load(&open.image);
        let quotas = Arc::new(Quotas::new(settings));
        quotas.take(&open.image);
        let observers = (Arc::clone(&partitions), Arc::clone(&quotas));
        let metadata = Arc::new(open.start(Box::new(observers))?);
        let keeper = start_keeper(
            Arc::clone(&partitions),
            Arc::clone(&data_dir),
            Arc::clone(settings),
            Arc::clone(&metrics),
        )
        .map_err(StartError::Thread)?;
        let cleaner = start_cleaner(
            Arc::clone(&partitions),
            Arc::clone(&data_dir),
            settings,
            metrics,
        )
        .map_err(StartError::Thread)?;
        Ok(Storage {
            metadata,
            live,
            quotas,
            partitions,
            keeper,
            cleaner,
            data_dir,
            cluster_id,
        })
    }

    /// Syncs and closes everything, then marks the folder clean. Blocks.
    fn close(&self) {
        self.cleaner.as_ref().inspect(|cleaner| cleaner.stop());
        self.keeper.stop();
        let metadata = self.metadata.stop();
        self.partitions.flusher().stop();
        let (mut states, all_clean) = self.partitions.close();
        let clean = all_clean && metadata.is_some();
        if let Some(closed) = metadata {
            let (recovery_point, log_start_offset) =
                (closed.recovery_point, closed.log_start_offset);
            states.push((
                metadata_folder(),
                LogState {
                    recovery_point,
                    log_start_offset,
                },
            ));
        }
        let mut data_dir = self.data_dir.lock();
        let states = states
            .iter()
            .map(|(folder, state)| (folder.as_str(), *state));
        let mut marked = data_dir.write_checkpoints(states);
        if clean && marked.is_ok() {
            marked = data_dir.mark_clean();
        }
        if let Err(source) = marked {
            error!("mark data folder clean: {source}; the next start recovers it");
        }
    }

    /// Has the threads end by themselves, without closing anything.
    fn abandon(&self) {
        self.cleaner.as_ref().inspect(|cleaner| cleaner.abandon());
        self.keeper.abandon();
        self.metadata.abandon();
        self.partitions.flusher().abandon();
    }
}
