//! The metadata log and the one thread that writes it.
//! Invariant: records are applied in the order of the log, after they are synced; when a sync has
//! failed no further change is accepted. Beside the hallway.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use logway_journal::{Closed, Disk, Log, LogConfig, Recovery};
use logway_protocol::batch::BatchError;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::message::record::cluster::ConfigRecord;
use logway_protocol::record::decode_records;
use logway_protocol::{EncodeError, Text};
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tracing::error;

use super::feature::Features;
use super::image::{Image, RESOURCE_BROKER};
use super::record::{MetadataRecord, RecordError};
use super::topic_name::METADATA_TOPIC;
use crate::clock::now_ms;
use crate::patient_sync::sync_patiently;

/// Proposals that may wait for the thread.
const QUEUE: usize = 256;
/// Proposals that share one sync.
const GROUP: usize = 64;
/// Unpacked bytes of one batch of the metadata log; this broker writes it uncompressed.
const BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Epoch of the quorum's only leader.
pub(crate) const EPOCH: i32 = 1;

/// Why the metadata log cannot be opened.
#[derive(Debug, Error)]
pub enum MetadataOpenError {
    /// The journal cannot open or recover the log.
    #[error("open metadata log: {0}")]
    Open(#[source] logway_journal::OpenError),
    /// The log cannot be read.
    #[error("read metadata log: {0}")]
    Read(#[source] logway_journal::ReadError),
    /// A batch is not readable.
    #[error("metadata log, batch at offset {offset}: {source}")]
    Batch {
        /// Base offset of the batch.
        offset: i64,
        /// What is wrong.
        #[source]
        source: BatchError,
    },
    /// A record is not one this version knows.
    #[error("metadata log, record at offset {offset}: {reason}")]
    Record {
        /// Offset of the record.
        offset: i64,
        /// What is wrong.
        reason: String,
    },
    /// The first records cannot be written.
    #[error("write the first records of the metadata log: {0}")]
    Begin(String),
    /// The thread cannot be started.
    #[error("start metadata thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(crate) enum MetadataError {
    #[error("broker is stopping")]
    Stopped,
    #[error("metadata log cannot be written; see the broker's log")]
    Failed,
}

/// Told about every change, on the metadata thread: brings the partitions in line with the image.
pub(crate) trait Observer: Send {
    /// The image with new topics, before anyone else sees it.
    fn before(&mut self, image: &Image);
    /// The same image, after everybody sees it.
    fn after(&mut self, image: &Image);
}

/// Two observers are told one after the other.
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn before(&mut self, image: &Image) {
        self.0.before(image);
        self.1.before(image);
    }

    fn after(&mut self, image: &Image) {
        self.0.after(image);
        self.1.after(image);
    }
}

type Answer = Box<dyn FnOnce(Result<(), MetadataError>) + Send>;
type Proposal = Box<dyn FnOnce(&Image) -> (Vec<MetadataRecord>, Answer) + Send>;

/// The metadata of the cluster: reads are free, changes go through the log.
#[derive(Debug)]
pub(crate) struct Metadata {
    image: Arc<ArcSwap<Image>>,
    proposals: Mutex<Option<mpsc::Sender<Proposal>>>,
    thread: Mutex<Option<JoinHandle<Option<Closed>>>>,
}

/// The log and the image that it says, before anybody changes it.
#[derive(Debug)]
pub(crate) struct OpenMetadata {
    pub(crate) log: Log,
    dir: PathBuf,
    pub(crate) image: Image,
}

impl OpenMetadata {
    /// Opens the log below `data_dir` and reads all of it.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        data_dir: &Path,
        recovery: Recovery,
    ) -> Result<OpenMetadata, MetadataOpenError> {
        let dir = data_dir.join(format!("{METADATA_TOPIC}-0"));
        // The log is the image's only source: it is kept whole, whatever topics are set to.
        let config = LogConfig {
            retention_ms: -1,
            retention_bytes: -1,
            ..LogConfig::default()
        };
        let log = Log::open(Arc::clone(disk), &dir, config, recovery, now_ms())
            .map_err(MetadataOpenError::Open)?;
        let mut image = Image::default();
        let reader = log.reader();
        for batch in reader.batches(reader.log_start_offset()) {
            let (header, bytes) = batch.map_err(MetadataOpenError::Read)?;
            if header.is_control() {
                // Kafka's leader changes and snapshot marks.
                continue;
            }
            let offset = header.base_offset;
            let records = decode_records(&bytes, BATCH_BYTES_MAX)
                .map_err(|source| MetadataOpenError::Batch { offset, source })?;
            for record in records {
                apply_stored(&mut image, record.offset, record.value)?;
            }
        }
        image.end_offset = reader.log_end_offset();
        Ok(OpenMetadata { log, dir, image })
    }

    /// Writes what a new cluster begins with: the levels of its features and, as Kafka's, how many
    /// in-sync replicas every topic needs. A log that says anything is left as it is.
    pub(crate) fn begin(&mut self, features: &Features) -> Result<(), MetadataOpenError> {
        if self.log.reader().log_end_offset() > 0 {
            return Ok(());
        }
        let mut records = features.first_levels();
        records.push(MetadataRecord::Config(ConfigRecord {
            resource_type: RESOURCE_BROKER,
            resource_name: Text::default(),
            name: Text::from("min.insync.replicas"),
            value: Some(Text::from("1")),
        }));
        append(&mut self.log, &records)
            .map_err(|error| MetadataOpenError::Begin(error.to_string()))?;
        let synced = sync_patiently(&self.log.sync_handle());
        let synced = synced.map_err(|error| MetadataOpenError::Begin(error.to_string()))?;
        self.log.synced(synced);
        records.iter().for_each(|record| self.image.apply(record));
        self.image.end_offset = self.log.reader().log_end_offset();
        Ok(())
    }

    /// Starts the thread that takes changes.
    pub(crate) fn start(self, observer: Box<dyn Observer>) -> Result<Metadata, MetadataOpenError> {
        let image = Arc::new(ArcSwap::from_pointee(self.image.clone()));
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Writer {
            log: self.log,
            dir: self.dir,
            image: self.image,
            published: Arc::clone(&image),
            observer,
            failed: false,
        };
        let thread = std::thread::Builder::new()
            .name("logway-metadata".into())
            .spawn(move || writer.work(receiver))
            .map_err(MetadataOpenError::Thread)?;
        Ok(Metadata {
            image,
            proposals: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }
}

fn apply_stored(
    image: &mut Image,
    offset: i64,
    value: Option<bytes::Bytes>,
) -> Result<(), MetadataOpenError> {
    let refuse = |reason: String| MetadataOpenError::Record { offset, reason };
    let value = value.ok_or_else(|| refuse("no value".into()))?;
    match MetadataRecord::decode(value) {
        Ok(record) => {
            image.apply(&record);
            Ok(())
        }
        // A directory that Kafka wrote holds more record types than this broker acts on.
        Err(RecordError::Type(kind)) => {
            tracing::debug!(offset, kind, "metadata record of another kind skipped");
            Ok(())
        }
        Err(error) => Err(refuse(error.to_string())),
    }
}

impl Metadata {
    /// The newest image. Cheap; hold it for one request, not longer.
    pub(crate) fn image(&self) -> Arc<Image> {
        self.image.load_full()
    }

    /// Runs `plan` on the newest image where changes are ordered, appends the records it returns,
    /// and gives back its value when they are on disk and everybody sees them.
    pub(crate) async fn propose<T, F>(&self, plan: F) -> Result<T, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&Image) -> (Vec<MetadataRecord>, T) + Send + 'static,
    {
        self.submit(plan).await?.outcome().await
    }

    /// As `propose`, without waiting for the outcome: changes that are submitted one after the other
    /// keep that order and may share a sync.
    pub(crate) async fn submit<T, F>(&self, plan: F) -> Result<Submitted<T>, MetadataError>
    where
        T: Send + 'static,
        F: FnOnce(&Image) -> (Vec<MetadataRecord>, T) + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let proposal: Proposal = Box::new(move |image| {
            let (records, value) = plan(image);
            let answer: Answer = Box::new(move |outcome| {
                // The one who asked may have gone; the change stands all the same.
                let _gone = sender.send(outcome.map(|()| value));
            });
            (records, answer)
        });
        let queue = self
            .proposals
            .lock()
            .clone()
            .ok_or(MetadataError::Stopped)?;
        queue
            .send(proposal)
            .await
            .map_err(|_| MetadataError::Stopped)?;
        Ok(Submitted(receiver))
    }

    /// Takes no more changes and has the thread end, without waiting for it.
    pub(crate) fn abandon(&self) {
        drop(self.proposals.lock().take());
    }

    /// Takes no more changes, finishes those under way and closes the log. Blocks. What the closed
    /// log leaves for the checkpoints; none if it could not be closed cleanly.
    pub(crate) fn stop(&self) -> Option<Closed> {
        self.abandon();
        let thread = self.thread.lock().take()?;
        if let Ok(closed) = thread.join() {
            return closed;
        }
        error!("the metadata thread panicked; the next start recovers its log");
        None
    }
}

/// A change that waits for its turn; see [`Metadata::submit`].
#[derive(Debug)]
#[must_use = "the change is made, but nobody knows whether it was"]
pub(crate) struct Submitted<T>(oneshot::Receiver<Result<T, MetadataError>>);

impl<T> Submitted<T> {
    /// The plan's value, when its records are on disk and everybody sees them.
    pub(crate) async fn outcome(self) -> Result<T, MetadataError> {
        self.0.await.map_err(|_| MetadataError::Stopped)?
    }
}

struct Writer {
    log: Log,
    dir: PathBuf,
    image: Image,
    published: Arc<ArcSwap<Image>>,
    observer: Box<dyn Observer>,
    failed: bool,
}

impl Writer {
    fn work(mut self, mut proposals: mpsc::Receiver<Proposal>) -> Option<Closed> {
        while let Some(first) = proposals.blocking_recv() {
            let mut answers = Vec::new();
            let mut changed = self.take(first, &mut answers);
            while answers.len() < GROUP {
                let Ok(next) = proposals.try_recv() else {
                    break;
                };
                changed |= self.take(next, &mut answers);
            }
            let outcome = match changed {
                true => self.commit(),
                false if self.failed => Err(MetadataError::Failed),
                false => Ok(()),
            };
            answers.into_iter().for_each(|answer| answer(outcome));
        }
        let dir = self.dir;
        let closed = self.log.close_clean();
        closed
            .map_err(|source| error!(dir = %dir.display(), "close metadata log: {source}"))
            .ok()
    }

    /// Plans and appends one proposal; true if it changed something.
    fn take(&mut self, proposal: Proposal, answers: &mut Vec<Answer>) -> bool {
        let (records, answer) = proposal(&self.image);
        if records.is_empty() || self.failed {
            answers.push(answer);
            return false;
        }
        match append(&mut self.log, &records) {
            Ok(()) => {
                records.iter().for_each(|record| self.image.apply(record));
                answers.push(answer);
                true
            }
            Err(reason) => {
                error!(dir = %self.dir.display(), "write metadata log: {reason}");
                self.failed = self.log.is_poisoned();
                answer(Err(MetadataError::Failed));
                false
            }
        }
    }

    fn commit(&mut self) -> Result<(), MetadataError> {
        match sync_patiently(&self.log.sync_handle()) {
            Ok(synced) => {
                self.log.synced(synced);
                self.image.end_offset = self.log.reader().log_end_offset();
                self.observer.before(&self.image);
                self.published.store(Arc::new(self.image.clone()));
                self.observer.after(&self.image);
                Ok(())
            }
            Err(source) => {
                error!(dir = %self.dir.display(), "sync metadata log: {source}");
                self.failed = true;
                Err(MetadataError::Failed)
            }
        }
    }
}

fn append(log: &mut Log, records: &[MetadataRecord]) -> Result<(), WriteError> {
    let now = now_ms();
    let mut batch = BatchBuilder::new(Compression::None);
    for record in records {
        let value = record.encode()?;
        batch.append(now, None, Some(&value), &[])?;
    }
    let batch = batch.build()?;
    log.append(&batch, EPOCH, now)?;
    Ok(())
}

#[derive(Debug, Error)]
enum WriteError {
    #[error("encode record: {0}")]
    Encode(#[from] EncodeError),
    #[error("build batch: {0}")]
    Batch(#[from] BatchError),
    #[error("append batch: {0}")]
    Append(#[from] logway_journal::AppendError),
}
