//! The running agent: puts inputs, shipper, output, metrics and page together. Wires steps 2 to 5 of the
//! hallway.
//!
//! **Invariant:** nothing runs until everything that can be refused was checked; at the end the inputs stop
//! first, then what is in flight is waited for, and the state is written last.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use logway_client::{Acks, ClientConfig, Compression, Producer, ProducerConfig};
use logway_config::agent as settings;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::checkpoint::Store;
use crate::http;
use crate::input::file::discovery::{PatternError, Patterns};
use crate::input::file::engine::{Input, Parts, Timing};
use crate::input::file::thread::FileInput;
use crate::metrics::{Collector, HostMetrics, Source};
use crate::output::Cluster;
use crate::shipper::Batching;
use crate::signal::Signal;
use crate::telemetry::Telemetry;

/// Bytes that a batch's frame and a record's headers may add to `message_max_bytes`.
const REQUEST_ROOM: usize = 64 * 1024;

/// Why an agent does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting cannot be used.
    #[error("agent setting {0}")]
    Settings(logway_config::Violation),
    /// A pattern of files cannot be used; the text names it.
    #[error("{text}", text = one_line(.0.as_ref()))]
    Pattern(Box<dyn std::error::Error + Send + Sync>),
    /// The state folder cannot be used, or another agent uses it.
    #[error("open the agent's state")]
    State(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The producer cannot be made from the settings.
    #[error("prepare the producer")]
    Producer(#[source] logway_client::ConfigError),
    /// The page's address cannot be bound.
    #[error("listen on {address} for the agent's page")]
    Http {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("start a thread of the agent")]
    Thread(#[source] io::Error),
}

/// An error with its causes, since a pattern's position stands in the last of them.
fn one_line(error: &(dyn std::error::Error + Send + Sync)) -> String {
    let first: &dyn std::error::Error = error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    files: FileInput,
    metrics: Option<HostMetrics>,
    producer: Producer,
    telemetry: Telemetry,
    http: Option<SocketAddr>,
    stop: CancellationToken,
    tracker: TaskTracker,
    once: bool,
}

impl Agent {
    /// Checks the settings, opens the state and starts to read; needs no broker to be there. Must be called
    /// inside a tokio runtime.
    ///
    /// # Errors
    /// A setting, pattern, state folder or address that cannot be used.
    pub async fn start(settings: settings::Agent) -> Result<Agent, StartError> {
        settings.check().map_err(StartError::Settings)?;
        let inputs = inputs(&settings)?;
        let producer = Producer::new(producer_config(&settings)).map_err(StartError::Producer)?;
        let store = Store::open(&settings.state_dir);
        let store = store.map_err(|error| StartError::State(Box::new(error)))?;
        let telemetry = Telemetry::new();
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let http = match settings.http {
            Some(address) => {
                let served = http::serve(address, telemetry.clone(), stop.clone(), &tracker).await;
                Some(served.map_err(|source| StartError::Http { address, source })?)
            }
            None => None,
        };
        let host: Arc<str> = hostname::get().unwrap_or_default().to_string_lossy().into();
        let metrics = match settings.metrics.as_ref().filter(|_| !settings.once) {
            Some(wanted) => {
                let source = Source::from_env();
                let collector =
                    Collector::new(source, host.clone(), &wanted.collect, telemetry.clone());
                let compression = compression(settings.output.compression);
                let spawned = HostMetrics::spawn(wanted, collector, producer.clone(), compression);
                Some(spawned.map_err(StartError::Thread)?)
            }
            None => None,
        };
        let signal = Arc::new(Signal::default());
        let cluster = (settings.bootstrap.as_slice(), settings.client_id.as_str());
        let output = Cluster::new(producer.clone(), cluster, signal.clone(), stop.clone());
        let parts = Parts {
            inputs,
            store,
            output: Box::new(output),
            batching: batching(&settings.output),
            timing: timing(&settings),
            telemetry: telemetry.clone(),
            host,
            once: settings.once,
        };
        let files = FileInput::spawn(parts, signal).map_err(StartError::Thread)?;
        info!(inputs = settings.inputs.len(), bootstrap = ?settings.bootstrap, "agent started");
        let once = settings.once;
        Ok(Agent {
            files,
            metrics,
            producer,
            telemetry,
            http,
            stop,
            tracker,
            once,
        })
    }

    /// Where the agent's page is served, when its settings ask for one.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// The agent's figures as Prometheus text, without the closing `# EOF` line.
    pub fn metrics_text(&self) -> String {
        self.telemetry.text()
    }

    /// A function that gives [`metrics_text`](Self::metrics_text) for as long as it is kept.
    pub fn metrics(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let telemetry = self.telemetry.clone();
        Arc::new(move || telemetry.text())
    }

    /// Resolves when all that `once` asked for is acknowledged; never without `once`.
    pub async fn finished(&mut self) {
        if self.once {
            self.files.finished().await;
        } else {
            std::future::pending::<()>().await;
        }
    }

    /// Stops reading, waits at most `deadline` for acknowledgements, writes the state and ends.
    pub async fn shutdown(mut self, deadline: Duration) {
        let until = tokio::time::Instant::now() + deadline;
        let metrics = async {
            if let Some(metrics) = &mut self.metrics {
                metrics.stop(deadline).await;
            }
        };
        tokio::join!(self.files.stop(deadline), metrics);
        self.stop.cancel();
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        // What the files sent is acknowledged or will be read again; nothing more is waited for.
        self.producer
            .close(left.min(Duration::from_millis(100)))
            .await;
        self.tracker.close();
        if tokio::time::timeout(Duration::from_millis(500), self.tracker.wait())
            .await
            .is_err()
        {
            info!("a reader of the agent's page was cut off");
        }
        info!("agent stopped");
    }
}

/// Compiles the patterns of all inputs.
pub(crate) fn inputs(settings: &settings::Agent) -> Result<Vec<Input>, StartError> {
    let input = |input: &settings::FileInput| {
        let patterns = Patterns::new(&input.paths, &input.exclude);
        let refused = |error: PatternError| StartError::Pattern(Box::new(error));
        Ok(Input {
            patterns: patterns.map_err(refused)?,
            topic: input.topic.as_str().into(),
            line_bytes_max: input.message_max_bytes,
            ignore_older: input.ignore_older_ms.map(Duration::from_millis),
        })
    };
    settings.inputs.iter().map(input).collect()
}

fn timing(settings: &settings::Agent) -> Timing {
    let defaults = Timing::default();
    let scan = settings
        .inputs
        .iter()
        .map(|input| input.scan_interval_ms)
        .min();
    let close = settings
        .inputs
        .iter()
        .map(|input| input.close_inactive_ms)
        .min();
    Timing {
        scan_every: scan.map_or(defaults.scan_every, Duration::from_millis),
        close_inactive: close.map_or(defaults.close_inactive, Duration::from_millis),
        ..defaults
    }
}

fn compression(named: settings::Compression) -> Compression {
    match named {
        settings::Compression::None => Compression::None,
        settings::Compression::Gzip => Compression::Gzip,
        settings::Compression::Snappy => Compression::Snappy,
        settings::Compression::Lz4 => Compression::Lz4,
        settings::Compression::Zstd => Compression::Zstd,
    }
}

fn batching(output: &settings::Output) -> Batching {
    Batching {
        compression: compression(output.compression),
        batch_bytes: output.batch_size,
        linger: Duration::from_millis(output.linger_ms),
        open_bytes_max: output.batch_size.max(output.buffer_memory / 4),
    }
}

fn producer_config(settings: &settings::Agent) -> ProducerConfig {
    let output = &settings.output;
    let line_max = settings
        .inputs
        .iter()
        .map(|input| input.message_max_bytes)
        .max()
        .unwrap_or(0);
    let acks = match output.acks {
        settings::Acks::All => Acks::All,
        settings::Acks::Leader => Acks::Leader,
    };
    let defaults = ProducerConfig::default();
    // A line of the largest size must fit, however badly it compresses.
    let largest = output.batch_size.max(line_max) + REQUEST_ROOM;
    ProducerConfig {
        client: ClientConfig {
            client_id: settings.client_id.clone(),
            request_timeout: Duration::from_millis(output.request_timeout_ms),
            ..ClientConfig::new(settings.bootstrap.clone())
        },
        acks,
        // Batches come whole.
        linger: Duration::ZERO,
        batch_size: output.batch_size,
        compression: compression(output.compression),
        buffer_memory: output.buffer_memory.max(2 * largest),
        max_in_flight: output.max_in_flight,
        delivery_timeout: None,
        enable_idempotence: acks == Acks::All,
        max_request_size: defaults.max_request_size.max(largest),
        ..defaults
    }
}
