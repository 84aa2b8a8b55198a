//! Puts the room together: store, writer thread, source, page; and takes it apart again.
//!
//! Invariant: started in the order store, page, source, stopped in the reverse: the source stores
//! what it has and leaves its group, then the page closes, then the writer thread ends. Steps 11, 12.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use logway_config::pipeline::Pipeline as Settings;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::source::{Feed, KafkaFeed, KafkaFeedError, Limits, SharedState, Source};
use crate::store::{OpenError, ReadError, Reader, Store, Sweep, Writer, now_ms};
use crate::telemetry::Telemetry;
use crate::web::{self, App, ExtraMetrics};

/// How often old rows are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Why a pipeline does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] OpenError),
    /// The store cannot be read.
    #[error("cannot read the store")]
    Reader(#[from] ReadError),
    /// The address of the page is taken or not ours.
    #[error("cannot listen on {address}; is another program using it? set another http address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("cannot start the store's thread")]
    Thread(#[source] io::Error),
    /// The consumer refuses its settings.
    #[error("cannot consume")]
    Consumer(#[from] KafkaFeedError),
}

/// A running pipeline.
pub struct Pipeline {
    app: Arc<App>,
    http_addr: SocketAddr,
    writer: Writer,
    writer_thread: Option<JoinHandle<()>>,
    source_cancel: CancellationToken,
    source_tasks: TaskTracker,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("http_addr", &self.http_addr)
            .finish_non_exhaustive()
    }
}

/// What is there before the source.
struct Stage {
    listener: TcpListener,
    http_addr: SocketAddr,
    reader: Reader,
    writer: Writer,
    writer_thread: JoinHandle<()>,
    telemetry: Arc<Telemetry>,
}

impl Pipeline {
    /// Opens the store, serves the page and joins the group as soon as the cluster is there.
    /// `extra_metrics` are appended to `/metrics`.
    ///
    /// # Errors
    /// When the store is in use or broken, or the address is taken. An absent cluster is none.
    pub async fn start(
        settings: Settings,
        extra_metrics: Vec<ExtraMetrics>,
    ) -> Result<Pipeline, StartError> {
        let stage = Stage::set(&settings).await?;
        let feed = KafkaFeed::new(&settings).await;
        let feed = match feed {
            Ok(feed) => feed,
            Err(error) => {
                stage.writer.stop();
                return Err(error.into());
            }
        };
        Ok(Pipeline::run(stage, feed, &settings, extra_metrics))
    }

    /// Starts with another feed than a cluster.
    #[cfg(test)]
    pub(crate) async fn start_with(
        feed: impl Feed,
        settings: Settings,
        extra_metrics: Vec<ExtraMetrics>,
    ) -> Result<Pipeline, StartError> {
        let stage = Stage::set(&settings).await?;
        Ok(Pipeline::run(stage, feed, &settings, extra_metrics))
    }

    fn run(
        stage: Stage,
        feed: impl Feed,
        settings: &Settings,
        extra_metrics: Vec<ExtraMetrics>,
    ) -> Pipeline {
        let limits = Limits {
            records: settings.store.commit_records,
            bytes: usize::try_from(settings.fetch_max_bytes).unwrap_or(usize::MAX),
            interval: Duration::from_millis(settings.store.commit_interval_ms),
            lag_interval: Duration::from_millis(settings.lag_interval_ms),
        };
        let source_cancel = CancellationToken::new();
        let source_tasks = TaskTracker::new();
        let source = Source::new(
            feed,
            stage.writer.clone(),
            settings.group_id.clone(),
            limits,
            Arc::clone(&stage.telemetry),
        )
        .cancelled_by(source_cancel.clone());
        let app = app(&stage, source.state(), settings, extra_metrics);
        web::serve(Arc::clone(&app), stage.listener);
        source_tasks.spawn(source.run());
        if let Some(retention_ms) = settings.store.retention_ms {
            let expiry = expire(stage.writer.clone(), retention_ms);
            let cancelled = source_cancel.clone().cancelled_owned();
            source_tasks.spawn(async move {
                tokio::select! {
                    () = cancelled => {}
                    () = expiry => {}
                }
            });
        }
        source_tasks.close();
        Pipeline {
            app,
            http_addr: stage.http_addr,
            writer: stage.writer,
            writer_thread: Some(stage.writer_thread),
            source_cancel,
            source_tasks,
        }
    }

    /// Where the page is served.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// This pipeline's metrics in Prometheus' text format, without `# EOF`.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.app.metrics_text()
    }

    /// Stops: stores what is in hand, commits, leaves the group, closes the page and the store,
    /// all within `deadline`. What was not stored by then is read again after the next start.
    pub async fn shutdown(mut self, deadline: Duration) {
        let end = tokio::time::Instant::now() + deadline;
        // The source may wait for a full disk: half the time is its own, then it is given up.
        let source_end = end - deadline / 2;
        self.source_cancel.cancel();
        if tokio::time::timeout_at(source_end, self.source_tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("the source did not finish in time, its last records are read again");
        }
        self.writer.stop();
        self.app.cancel.cancel();
        self.app.tasks.close();
        if tokio::time::timeout_at(end, self.app.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("requests were cut off");
        }
        let Some(thread) = self.writer_thread.take() else {
            return;
        };
        let joined = tokio::task::spawn_blocking(move || thread.join());
        if !matches!(tokio::time::timeout_at(end, joined).await, Ok(Ok(Ok(())))) {
            tracing::warn!("the store's thread did not end in time");
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.source_cancel.cancel();
        self.app.cancel.cancel();
        self.writer.stop();
    }
}

impl Stage {
    async fn set(settings: &Settings) -> Result<Stage, StartError> {
        let address = settings.http;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let http_addr = listener.local_addr().map_err(listen)?;
        let path = settings.store.path.clone();
        // A store left by a crash replays its write-ahead log when opened.
        let opened = tokio::task::spawn_blocking(move || -> Result<_, StartError> {
            let store = Store::open(&path)?;
            let reader = Reader::open(&path)?;
            Ok((store, reader))
        });
        let (store, reader) = opened.await.map_err(|_| ReadError::Closed)??;
        let telemetry = Arc::new(Telemetry::default());
        let metric_topics: HashSet<String> = settings.topics.metrics.iter().cloned().collect();
        let (writer, writer_thread) = Writer::start(store, metric_topics, Arc::clone(&telemetry))
            .map_err(StartError::Thread)?;
        Ok(Stage {
            listener,
            http_addr,
            reader,
            writer,
            writer_thread,
            telemetry,
        })
    }
}

fn app(
    stage: &Stage,
    source: SharedState,
    settings: &Settings,
    extra_metrics: Vec<ExtraMetrics>,
) -> Arc<App> {
    Arc::new(App {
        reader: stage.reader.clone(),
        writer: stage.writer.clone(),
        source,
        telemetry: Arc::clone(&stage.telemetry),
        extra_metrics,
        group: settings.group_id.clone(),
        store_path: settings.store.path.clone(),
        started: Instant::now(),
        tails: App::tail_places(),
        cancel: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}

/// Removes old rows for ever.
async fn expire(writer: Writer, retention_ms: u64) {
    let retention_ms = i64::try_from(retention_ms).unwrap_or(i64::MAX);
    loop {
        let cutoff_ms = now_ms().saturating_sub(retention_ms);
        let mut sweep = Sweep::default();
        loop {
            match writer.expire(cutoff_ms, sweep).await {
                Ok((true, so_far)) => sweep = so_far,
                Ok((false, _)) => break,
                Err(error) => {
                    tracing::warn!(%error, "old rows cannot be removed now, trying again later");
                    break;
                }
            }
        }
        tokio::time::sleep(RETENTION_INTERVAL).await;
    }
}
