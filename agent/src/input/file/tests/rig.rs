//! An engine on a real folder with a made-up output and a made-up clock. Step 2 of the hallway.
//!
//! The output stores what a broker would and acknowledges as the test says; records survive a crash of the
//! engine, as they would on a broker.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use parking_lot::Mutex;

use crate::checkpoint::Store;
use crate::input::file::discovery::Patterns;
use crate::input::file::engine::{Clock, Engine, Input, Parts, Timing};
use crate::output::{Batch, Outcome, Output, Refusal};
use crate::shipper::Batching;
use crate::telemetry::Telemetry;

/// A record as the broker has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) origin: String,
    pub(super) position: u64,
    pub(super) path: String,
    pub(super) truncated: Option<u64>,
    pub(super) value: Vec<u8>,
    pub(super) partition: i32,
}

/// What the made-up broker does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Stores and acknowledges.
    Ack,
    /// Stores; the acknowledgement waits for `release`.
    Slow,
    /// Takes nothing.
    Full,
    /// Refuses.
    Refuse,
    /// Its topics are not known.
    Away,
}

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) mood: Mood,
    pub(super) stored: Vec<Stored>,
    pub(super) record_bytes_max: usize,
    pub(super) batches: usize,
    waiting: VecDeque<Outcome>,
    outcomes: Vec<Outcome>,
}

#[derive(Debug, Clone)]
pub(super) struct FakeOutput(Arc<Mutex<Cluster>>);

impl Output for FakeOutput {
    fn partitions(&mut self, _: &Arc<str>) -> Option<i32> {
        (self.0.lock().mood != Mood::Away).then_some(4)
    }

    fn send(&mut self, batch: Batch) -> Result<(), Batch> {
        let mut cluster = self.0.lock();
        if cluster.mood == Mood::Full {
            return Err(batch);
        }
        let ticket = batch.ticket;
        cluster.batches += 1;
        if cluster.mood == Mood::Refuse {
            let result = Err(Refusal::Failed("NOT_ENOUGH_REPLICAS".to_owned()));
            cluster.outcomes.push(Outcome { ticket, result });
            return Ok(());
        }
        if batch.bytes.len() > cluster.record_bytes_max {
            cluster.outcomes.push(Outcome {
                ticket,
                result: Err(Refusal::TooLarge),
            });
            return Ok(());
        }
        let records = stored(&batch.bytes, batch.partition);
        assert_eq!(records.len(), batch.records as usize);
        cluster.stored.extend(records);
        let outcome = Outcome {
            ticket,
            result: Ok(()),
        };
        if cluster.mood == Mood::Slow {
            cluster.waiting.push_back(outcome);
        } else {
            cluster.outcomes.push(outcome);
        }
        Ok(())
    }

    fn outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.0.lock().outcomes)
    }
}

fn stored(batch: &Bytes, partition: i32) -> Vec<Stored> {
    let records = decode_records(batch, 1 << 30).expect("the agent sends sound batches");
    let decoded = records.into_iter().map(|record| {
        let headers: HashMap<String, String> = record
            .headers
            .iter()
            .map(|header| {
                let value = header.value.clone().expect("a header has a value");
                (
                    header.key.to_string(),
                    String::from_utf8(value.to_vec()).expect("header text"),
                )
            })
            .collect();
        assert_eq!(headers["host.name"], "testhost");
        Stored {
            origin: headers["logway.origin"].clone(),
            position: headers["logway.position"].parse().expect("a number"),
            path: headers["log.file.path"].clone(),
            truncated: headers
                .get("logway.truncated")
                .map(|text| text.parse().expect("a number")),
            value: record.value.expect("a line").to_vec(),
            partition,
        }
    });
    decoded.collect()
}

/// A folder, an engine, a clock.
pub(super) struct Rig {
    pub(super) dir: tempfile::TempDir,
    pub(super) cluster: Arc<Mutex<Cluster>>,
    pub(super) telemetry: Telemetry,
    engine: Option<Engine>,
    clock: Clock,
    pub(super) globs: Vec<String>,
    pub(super) once: bool,
    pub(super) line_bytes_max: usize,
    pub(super) batch_bytes: usize,
}

impl Rig {
    /// An engine that follows `logs/*.log*` in a fresh folder.
    pub(super) fn new() -> Rig {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("logs")).expect("a folder");
        let globs = vec![
            dir.path()
                .join("logs/*.log*")
                .to_string_lossy()
                .into_owned(),
        ];
        Rig::with(dir, globs)
    }

    pub(super) fn with(dir: tempfile::TempDir, globs: Vec<String>) -> Rig {
        let cluster = Cluster {
            mood: Mood::Ack,
            stored: Vec::new(),
            record_bytes_max: usize::MAX,
            batches: 0,
            waiting: VecDeque::new(),
            outcomes: Vec::new(),
        };
        let mut rig = Rig {
            dir,
            cluster: Arc::new(Mutex::new(cluster)),
            telemetry: Telemetry::new(),
            engine: None,
            clock: Clock {
                now: Instant::now(),
                wall_ms: Clock::read().wall_ms,
            },
            globs,
            once: false,
            line_bytes_max: 1000,
            batch_bytes: 4096,
        };
        rig.start();
        rig
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    pub(super) fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        use std::io::Write;
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .expect("the test's file");
        file.write_all(text.as_ref()).expect("room on the disk");
    }

    /// Starts the engine, after a crash or anew.
    pub(super) fn start(&mut self) {
        self.engine = None;
        {
            // What was in flight when the process died is answered to nobody.
            let mut cluster = self.cluster.lock();
            cluster.waiting.clear();
            cluster.outcomes.clear();
        }
        let input = Input {
            patterns: Patterns::new(&self.globs, &[]).expect("sound patterns"),
            topic: "logs".into(),
            line_bytes_max: self.line_bytes_max,
            ignore_older: None,
        };
        let parts = Parts {
            inputs: vec![input],
            store: Store::open(&self.state_dir()).expect("the state opens"),
            output: Box::new(FakeOutput(self.cluster.clone())),
            batching: Batching {
                compression: Compression::Lz4,
                batch_bytes: self.batch_bytes,
                linger: Duration::from_millis(5),
                open_bytes_max: 1 << 20,
            },
            // Simulated time must not depend on how busy this machine is.
            timing: Timing {
                scan_share: 0,
                ..Timing::default()
            },
            telemetry: self.telemetry.clone(),
            host: "testhost".into(),
            once: self.once,
        };
        self.engine = Some(Engine::new(parts, self.clock));
    }

    pub(super) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Dies without a word; what was not in the store is gone.
    pub(super) fn crash(&mut self) {
        self.engine = None;
    }

    pub(super) fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().expect("the engine is started")
    }

    /// One step, `after` later.
    pub(super) fn step(&mut self, after: Duration) -> bool {
        self.clock.now += after;
        self.clock.wall_ms += after.as_millis() as u64;
        let clock = self.clock;
        self.engine().step(clock).finished
    }

    /// Steps through `seconds`, ten times each.
    pub(super) fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.step(Duration::from_millis(100));
        }
    }

    pub(super) fn mood(&self, mood: Mood) {
        self.cluster.lock().mood = mood;
    }

    /// Acknowledges up to `count` batches that wait; the `reversed` ones first.
    pub(super) fn release(&self, count: usize, reversed: bool) {
        let mut cluster = self.cluster.lock();
        for _ in 0..count {
            let outcome = if reversed {
                cluster.waiting.pop_back()
            } else {
                cluster.waiting.pop_front()
            };
            cluster.outcomes.extend(outcome);
        }
    }

    pub(super) fn stored(&self) -> Vec<Stored> {
        self.cluster.lock().stored.clone()
    }

    /// The lines as a store that knows repeats keeps them, in order of arrival.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut known = HashSet::new();
        let mut stored = self.stored();
        stored.retain(|record| known.insert((record.origin.clone(), record.position)));
        let text = |record: Stored| String::from_utf8_lossy(&record.value).into_owned();
        stored.into_iter().map(text).collect()
    }

    /// Copies a file's content elsewhere, then empties it, as logrotate's copytruncate does.
    pub(super) fn copy_truncate(&self, from: &str, to: &str) {
        fs::copy(self.path(from), self.path(to)).expect("copied");
        truncate(&self.path(from));
    }
}

pub(super) fn truncate(path: &Path) {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("the test's file");
    file.set_len(0).expect("truncated");
}

impl Rig {
    /// An engine that follows one pattern, relative to its folder.
    pub(super) fn with_glob(glob: &str) -> Rig {
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("logs")).expect("a folder");
        let globs = vec![dir.path().join(glob).to_string_lossy().into_owned()];
        Rig::with(dir, globs)
    }
}
