//! Histories with transactions, truncation, retention, kills and power failures: the state that a
//! restart brings back is the state that was kept, and a reader of committed records gets exactly
//! those.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};
use logway_journal::{Disk, Log, LogConfig, Recovery};
use logway_protocol::batch::BatchHeader;

use super::super::Partition;
use super::super::opening::log_config;
use super::super::producer_state::{BatchTrace, Marker, ProducerEntry, ProducerStates};
use super::super::restore::restore;
use super::transactions::{batch, marker};
use super::{DIR, led};
use crate::metadata::{InForce, TopicConfig};
use crate::metrics::Metrics;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Append { producer: i64, transactional: bool },
    End { producer: i64, committed: bool },
    Bump { producer: i64 },
    Checkpoint,
    Truncate { part: f64 },
    DeleteBefore { part: f64 },
    KeepBytes(i64),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    Clean,
    Kill,
    /// After so many more changing operations, counted within the last steps.
    PowerFailure {
        halt_at: u64,
        seed: u64,
    },
}

/// One batch as it was appended, and what was known after it.
#[derive(Debug, Clone)]
struct Written {
    header: BatchHeader,
    marker: Option<Marker>,
    after: ProducerStates,
}

struct Life {
    disk: SimDisk,
    partition: Arc<Partition>,
    history: Vec<Written>,
    recovery: Recovery,
}

/// A producer, its entry without batches, and sequences and offset of each of those, newest first.
type Kept = (i64, ProducerEntry, Vec<(i32, i32, i64)>);

/// What a snapshot keeps of producers' states, and the places of the last batches in front of it. A
/// snapshot has one timestamp, that of the producer's last append.
fn kept(states: &ProducerStates) -> Vec<Kept> {
    let place = |trace: &BatchTrace| (trace.first_sequence, trace.last_sequence, trace.base_offset);
    let kept = |(id, entry): &(i64, &ProducerEntry)| {
        let places = entry.batches.iter().rev().map(place).collect();
        let mut head = ProducerEntry::clone(entry);
        head.batches.clear();
        (*id, head, places)
    };
    states.sorted().iter().map(kept).collect()
}

/// Whether both are the same, but for earlier batches that a snapshot does not hold.
fn is_same(one: &ProducerStates, other: &ProducerStates) -> bool {
    let (one, other) = (kept(one), kept(other));
    let same = |(one, other): (&Kept, &Kept)| {
        let shorter = one.2.len().min(other.2.len());
        let both_empty = one.2.is_empty() == other.2.is_empty();
        one.0 == other.0 && one.1 == other.1 && both_empty && one.2[..shorter] == other.2[..shorter]
    };
    one.len() == other.len() && one.iter().zip(&other).all(same)
}

/// Whether all that is known is right, where a restart had only the records that were left: it may
/// not know a silent producer, a coordinator, or the deleted begin of a transaction.
fn is_part(known: &ProducerStates, all: &ProducerStates) -> bool {
    let mut wanted = ProducerStates::default();
    let known_entries = known.sorted();
    for (id, entry) in all.sorted() {
        let found = known_entries.iter().find(|(known, _)| *known == id);
        let Some((_, found)) = found else { continue };
        let mut entry = entry.clone();
        let begins_later = found
            .open_from
            .is_none_or(|from| entry.open_from <= Some(from));
        if !begins_later {
            return false;
        }
        (entry.open_from, entry.coordinator_epoch) = (found.open_from, found.coordinator_epoch);
        wanted.restore(id, entry);
    }
    is_same(known, &wanted)
}

impl Life {
    fn open(disk: SimDisk, history: Vec<Written>, recovery: Recovery) -> Life {
        let topic = TopicConfig::of(
            &std::collections::BTreeMap::new(),
            &InForce::of_file(&std::sync::Arc::new(Settings::default())),
        );
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let config = LogConfig {
            segment_bytes: 500,
            retention_ms: -1,
            index_interval_bytes: 100,
            ..log_config(&topic)
        };
        let mut log = Log::open(shared, Path::new(DIR), config, recovery, 0).unwrap();
        let (producers, from) = restore(&mut log, recovery.clean, -1).unwrap();
        let recovery = Recovery {
            clean: false,
            recovery_point: log.recovery_point().min(recovery.recovery_point),
            ..recovery
        };
        let partition = led(log, (producers, from), topic);
        let mut life = Life {
            disk,
            partition,
            history,
            recovery,
        };
        life.check_restored(from);
        life
    }

    /// What was brought back, beginning at `from`, is what was known at that end of the log.
    fn check_restored(&mut self, from: i64) {
        let (start, end) = (
            self.partition.log_start_offset(),
            self.partition.high_watermark(),
        );
        self.history
            .retain(|written| written.header.next_offset() <= end);
        let producers = self.states();
        let told = |from: i64| {
            let mut states = ProducerStates::default();
            let there = self.history.iter();
            for written in there.filter(|written| written.header.last_offset() >= from) {
                states.appended(&written.header, written.marker);
            }
            states
        };
        if from > start {
            // A snapshot may know what a restart without one had forgotten, and the reverse.
            let last = self.history.last();
            let known = last.map(|written| written.after.clone());
            let (known, all) = (known.unwrap_or_default(), told(0));
            assert!(
                is_same(&producers, &known) || is_part(&producers, &all),
                "restored {producers:?}, known {known:?}, all {all:?}"
            );
        } else {
            let left = told(start);
            assert!(
                is_same(&producers, &left),
                "restored {producers:?}, left {left:?}"
            );
        }
        // What is kept from now on is compared with this.
        if let Some(last) = self.history.last_mut() {
            last.after = producers;
        }
        let writer = self.partition.writer.lock();
        self.partition.publish_first_open(&writer);
        drop(writer);
        self.check_committed();
    }

    /// A consumer of committed records, as Kafka's is made, gets what was committed and no more.
    fn check_committed(&self) {
        let (start, end) = (
            self.partition.log_start_offset(),
            self.partition.high_watermark(),
        );
        let stable = self.partition.last_stable_offset();
        let mut aborted = self.partition.aborted_transactions(start, stable).unwrap();
        aborted.sort_by_key(|(_, first)| *first);
        let mut aborted = aborted.into_iter().peekable();
        let mut skipped = HashSet::new();
        let there = self
            .history
            .iter()
            .filter(|w| w.header.last_offset() >= start);
        for written in there.clone() {
            let header = &written.header;
            let decided = self.decided(header);
            if header.base_offset >= stable {
                continue;
            }
            while let Some((id, _)) = aborted.next_if(|(_, first)| *first <= header.last_offset()) {
                skipped.insert(id);
            }
            if header.is_control() {
                skipped.remove(&header.producer_id);
                continue;
            }
            let is_given = !(header.is_transactional() && skipped.contains(&header.producer_id));
            assert_eq!(
                decided,
                Some(is_given),
                "at {} of {start}..{end}, stable {stable}",
                header.base_offset
            );
        }
        // Nothing that is decided is held back for nothing.
        let open = there.filter(|written| self.decided(&written.header).is_none());
        let first_open = open
            .map(|written| written.header.base_offset)
            .min()
            .unwrap_or(end);
        assert!(stable <= first_open);
        let known = self
            .partition
            .writer
            .lock()
            .producers
            .first_open()
            .unwrap_or(end);
        assert_eq!(stable, known.max(start).min(end));
    }

    /// Whether a batch's records were committed; none before that is decided.
    fn decided(&self, batch: &BatchHeader) -> Option<bool> {
        if !batch.is_transactional() || batch.is_control() {
            return Some(true);
        }
        let later = self
            .history
            .iter()
            .filter(|w| w.header.base_offset > batch.base_offset);
        let mut of = later.filter(|w| w.header.producer_id == batch.producer_id);
        of.find_map(|written| written.marker.map(|marker| marker.end.committed))
    }

    fn append(&mut self, bytes: &Bytes) -> Result<(), ()> {
        let header = BatchHeader::decode(bytes).unwrap();
        let mut written = Written {
            header: BatchHeader {
                base_offset: self.partition.high_watermark(),
                ..header
            },
            marker: Marker::of(&header, bytes),
            after: self.states(),
        };
        written.after.appended(&written.header, written.marker);
        self.history.push(written);
        let appended = self.partition.append(&header, bytes, 1).map_err(|_| ())?;
        assert!(!appended.duplicate);
        assert_eq!(self.states(), self.history.last().unwrap().after);
        Ok(())
    }

    fn states(&self) -> ProducerStates {
        self.partition.writer.lock().producers.clone()
    }

    /// What the producer remembers: its epoch, its next sequence; and whether the partition knows
    /// of an open transaction.
    fn next_of(&self, producer: i64) -> (i16, i32, bool) {
        let mut own = self.history.iter().rev().map(|written| &written.header);
        let epoch = own.clone().find(|header| header.producer_id == producer);
        let epoch = epoch.map_or(0, |header| header.producer_epoch);
        let last = own.find(|header| {
            header.producer_id == producer && header.producer_epoch == epoch && !header.is_control()
        });
        let next = last.map_or(0, |header| header.last_sequence() + 1);
        let states = self.states();
        let all = states.sorted();
        let entry = all.iter().find(|(id, _)| *id == producer);
        let open = entry.is_some_and(|(_, entry)| entry.open_from.is_some());
        (epoch, next, open)
    }

    fn at(&self, part: f64) -> i64 {
        let (start, end) = (
            self.partition.log_start_offset(),
            self.partition.high_watermark(),
        );
        start + ((end - start) as f64 * part) as i64
    }

    fn step(&mut self, step: &Step) -> Result<(), ()> {
        match step {
            Step::Append {
                producer,
                transactional,
            } => {
                let (epoch, sequence, open) = self.next_of(*producer);
                self.append(&batch((*producer, epoch), sequence, *transactional || open))
            }
            Step::End {
                producer,
                committed,
            } => {
                let (epoch, ..) = self.next_of(*producer);
                self.append(&marker((*producer, epoch), *committed, 0))
            }
            Step::Bump { producer } => {
                let (epoch, ..) = self.next_of(*producer);
                self.append(&marker((*producer, epoch + 1), false, 0))
            }
            Step::Checkpoint => {
                self.partition.sync_for_recovery(&Metrics::new());
                self.note_checkpoint()
            }
            Step::Truncate { part } => self.truncate(self.at(*part)),
            Step::DeleteBefore { part } => {
                let offset = self.at(*part);
                self.with_log(|log| log.delete_before(offset).map(drop).map_err(|_| ()))
            }
            Step::KeepBytes(bytes) => self.with_log(|log| {
                let config = log.config().clone();
                let retention_bytes = *bytes;
                log.set_config(LogConfig {
                    retention_bytes,
                    ..config.clone()
                });
                let end = log.log_end_offset();
                let deleted = log.enforce_retention(0, end);
                log.set_config(config);
                deleted.map(drop).map_err(|_| ())
            }),
        }
    }

    fn with_log<T>(&self, change: impl FnOnce(&mut Log) -> T) -> T {
        change(self.partition.writer.lock().log.as_mut().unwrap())
    }

    fn note_checkpoint(&mut self) -> Result<(), ()> {
        let poisoned = self.with_log(|log| log.is_poisoned());
        if !poisoned {
            self.recovery = Recovery {
                clean: false,
                recovery_point: self.with_log(|log| log.recovery_point()),
                log_start_offset: self.with_log(|log| log.log_start_offset()),
            };
        }
        if poisoned { Err(()) } else { Ok(()) }
    }

    fn truncate(&mut self, offset: i64) -> Result<(), ()> {
        let from = {
            let mut writer = self.partition.writer.lock();
            let log = writer.log.as_mut().unwrap();
            log.truncate_to(offset, 0).map_err(|_| ())?;
            let (producers, from) = restore(log, false, -1).map_err(|_| ())?;
            (writer.producers, writer.snapshot_offset) = (producers, from);
            from
        };
        self.note_checkpoint()?;
        self.check_restored(from);
        Ok(())
    }

    /// Ends this life and opens the next.
    fn end(mut self, end: End) -> Life {
        match end {
            End::Clean => {
                let Some((_, state)) = self.partition.close(false) else {
                    return Life::open(self.disk.kill(), self.history, self.recovery);
                };
                self.recovery = Recovery {
                    clean: true,
                    recovery_point: state.recovery_point,
                    log_start_offset: state.log_start_offset,
                };
                Life::open(self.disk.kill(), self.history, self.recovery)
            }
            End::Kill => Life::open(self.disk.kill(), self.history, self.recovery),
            End::PowerFailure { seed, .. } => {
                let surviving = match seed % 4 {
                    0 => Surviving::None,
                    1 => Surviving::All,
                    _ => Surviving::Some { seed },
                };
                Life::open(self.disk.crash(surviving), self.history, self.recovery)
            }
        }
    }
}

/// Lives one after the other on one disk; checks all the way.
pub(super) fn run(lives: &[(Vec<Step>, End)]) {
    let disk = SimDisk::new();
    let mut life = Life::open(disk, Vec::new(), Recovery::default());
    for (steps, end) in lives {
        if let End::PowerFailure { halt_at, .. } = end {
            life.disk.inject(Fault {
                operation: Operation::Any,
                kind: FaultKind::Halted,
                after: *halt_at,
                times: u64::MAX,
            });
        }
        for step in steps {
            if life.step(step).is_err() {
                break;
            }
            life.check_committed();
        }
        life = life.end(*end);
    }
}
