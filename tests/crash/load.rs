//! What comes in at the front of the road: files that are written and rotated, and an application.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing_subscriber::layer::SubscriberExt;

/// Lines between two rotations of a file.
const LINES_PER_ROTATION: u64 = 4000;
/// Lines written at once.
const LINES_PER_WRITE: u64 = 10;
/// Pause between two writes: some thousand lines a second in all.
const PAUSE: Duration = Duration::from_millis(5);

fn thread<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    std::thread::Builder::new()
        .name(name)
        .spawn(work)
        .expect("a thread")
}

/// Files that grow until they are told to stop, each rotated by renaming.
pub(crate) struct Files {
    stop: Arc<AtomicBool>,
    writers: Vec<(String, JoinHandle<u64>)>,
}

impl Files {
    /// `count` files in `folder`, each with a writer of its own.
    pub(crate) fn start(folder: &Path, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writers = (0..count).map(|i| {
            let (name, stop, folder) = (format!("file{i}"), stop.clone(), folder.to_owned());
            let writer = thread(name.clone(), {
                let name = name.clone();
                move || write_until(&stop, &folder, &name)
            });
            (name, writer)
        });
        let writers = writers.collect();
        Self { stop, writers }
    }

    /// Ends the writing; returns how many lines each name has.
    pub(crate) fn stop(self) -> HashMap<String, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |(name, writer): (String, JoinHandle<u64>)| {
            (name, writer.join().expect("the writer ends well"))
        };
        self.writers.into_iter().map(join).collect()
    }
}

fn write_until(stop: &AtomicBool, folder: &Path, name: &str) -> u64 {
    let path = folder.join(format!("{name}.log"));
    let open = |path: &PathBuf| File::options().create(true).append(true).open(path);
    let mut file = open(&path).expect("the file");
    let (mut number, mut rotation) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let mut text = String::new();
        for _ in 0..LINES_PER_WRITE {
            text.push_str(&format!(
                "{name} {number} {}\n",
                "x".repeat((number % 90) as usize)
            ));
            number += 1;
        }
        // In two parts, so that a reader meets lines that are not whole yet.
        let half = text.len() / 2;
        file.write_all(&text.as_bytes()[..half]).expect("written");
        file.write_all(&text.as_bytes()[half..]).expect("written");
        if number % LINES_PER_ROTATION == 0 {
            rotation += 1;
            let rotated = folder.join(format!("{name}.log.{rotation}"));
            std::fs::rename(&path, rotated).expect("rotated");
            file = open(&path).expect("the next file");
        }
        std::thread::sleep(PAUSE);
    }
    number
}

/// An application that logs through the appender until it is told to stop.
pub(crate) struct Application {
    stop: Arc<AtomicBool>,
    slowest_ns: Arc<AtomicU64>,
    logger: JoinHandle<u64>,
}

impl Application {
    /// Starts logging to the broker at `kafka`.
    pub(crate) fn start(kafka: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let slowest_ns = Arc::new(AtomicU64::new(0));
        let (layer, guard) = logway_appenders::layer(kafka)
            .topic("app")
            .service("crash-test")
            .build()
            .expect("the layer's settings are right");
        let logger = thread("application".to_owned(), {
            let (stop, slowest) = (stop.clone(), slowest_ns.clone());
            move || {
                let subscriber = tracing_subscriber::registry().with(layer);
                let mut number = 0u64;
                tracing::subscriber::with_default(subscriber, || {
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        tracing::info!(number, "an event");
                        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                        slowest.fetch_max(took, Ordering::Relaxed);
                        number += 1;
                        std::thread::sleep(PAUSE);
                    }
                });
                let report = guard.flush(harness::DEADLINE);
                assert_eq!(report.dropped, 0, "{report:?}");
                number
            }
        });
        Self {
            stop,
            slowest_ns,
            logger,
        }
    }

    /// The longest that a log call has taken so far.
    pub(crate) fn slowest_call(&self) -> Duration {
        Duration::from_nanos(self.slowest_ns.load(Ordering::Relaxed))
    }

    /// Ends the logging, flushes; returns how many events there were.
    pub(crate) fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.logger.join().expect("the application ends well")
    }
}
