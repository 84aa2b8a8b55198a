//! Compaction against a naive model: of each key the newest record stays, by a scan of plain lists.
mod owner;
mod support;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use logway_journal::sim_disk::SimDisk;
use logway_journal::{
    AbortedTxn, CompactConfig, LastRecord, Log, LogConfig, Recovery, RoundInputs,
};
use logway_protocol::batch::{BatchHeader, NO_SEQUENCE, TimestampType, set_max_timestamp};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{EndTransaction, control_batch};
use logway_protocol::record::decode_records;
use owner::rounds::{cleaner, inputs, leftovers, next_swap};
use proptest::prelude::*;
use support::{all_batches, dir, small};

const DELETE_RETENTION_MS: i64 = 1000;
const PRODUCERS: i64 = 3;

#[derive(Debug, Clone)]
enum Step {
    /// Records of these keys; `None` is a tombstone.
    Append {
        records: Vec<(u8, Option<u8>)>,
        codec: Compression,
        producer: Option<i64>,
        append_time: bool,
    },
    /// The same in a transaction of the producer.
    Transactional {
        records: Vec<(u8, Option<u8>)>,
        codec: Compression,
        producer: i64,
    },
    End {
        producer: i64,
        commits: bool,
    },
    Roll,
    Wait(i64),
    Clean {
        map_bytes: usize,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let record = || {
        (
            0..6u8,
            prop_oneof![3 => (0..9u8).prop_map(Some), 1 => Just(None)],
        )
    };
    let records = move || prop::collection::vec(record(), 1..5);
    let codec = || prop::sample::select(Compression::ALL.to_vec());
    let producer = 0..PRODUCERS;
    prop_oneof![
        12 => (records(), codec(), prop::option::of(producer.clone()), prop::bool::weighted(0.1))
            .prop_map(|(records, codec, producer, append_time)| Step::Append { records, codec, producer, append_time }),
        6 => (records(), codec(), producer.clone())
            .prop_map(|(records, codec, producer)| Step::Transactional { records, codec, producer }),
        5 => (producer, any::<bool>()).prop_map(|(producer, commits)| Step::End { producer, commits }),
        5 => Just(Step::Roll),
        2 => (1..2000i64).prop_map(Step::Wait),
        4 => prop_oneof![3 => Just(1 << 20), 1 => Just(24 * 4)].prop_map(|map_bytes| Step::Clean { map_bytes }),
        1 => Just(Step::Reopen),
    ]
}

/// One record as the log should have it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    offset: i64,
    timestamp: i64,
    key: u8,
    value: Option<u8>,
    /// Base offset of its batch: what shares a delete horizon.
    batch: i64,
    /// The transaction it is part of, by number.
    transaction: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Committed(i64),
    Aborted(i64),
}

#[derive(Debug, Clone, Copy)]
struct Transaction {
    producer: i64,
    first_offset: i64,
    end: End,
}

#[derive(Debug, Default)]
struct Model {
    records: Vec<Kept>,
    transactions: Vec<Transaction>,
    /// By base offset of a batch.
    horizons: HashMap<i64, i64>,
    sequences: HashMap<i64, i32>,
    last_data: HashMap<i64, (i64, i32)>,
}

impl Model {
    fn is_aborted(&self, record: &Kept) -> bool {
        let end = record.transaction.and_then(|at| self.transactions.get(at));
        end.is_some_and(|transaction| matches!(transaction.end, End::Aborted(_)))
    }

    fn last_stable(&self, log_end: i64) -> i64 {
        let open = self.transactions.iter().filter(|one| one.end == End::Open);
        open.map(|one| one.first_offset).min().unwrap_or(log_end)
    }

    /// Keys are known from `from` to `to`, segments are written anew up to `rewritten`.
    fn clean(&mut self, from: i64, to: i64, rewritten: i64, now_ms: i64) {
        let newest = |key: u8| {
            let mapped = self.records.iter().filter(|record| {
                record.key == key && (from..to).contains(&record.offset) && !self.is_aborted(record)
            });
            mapped.map(|record| record.offset).max()
        };
        let stays = |record: &Kept| {
            if record.offset >= rewritten {
                return true;
            }
            if self.is_aborted(record) {
                return false;
            }
            let horizon = self.horizons.get(&record.batch);
            let is_current = record.value.is_some() || horizon.is_none_or(|at| now_ms < *at);
            let is_newest = newest(record.key).is_none_or(|newest| record.offset >= newest);
            record.offset >= to || (is_newest && is_current)
        };
        let records: Vec<Kept> = self
            .records
            .iter()
            .filter(|one| stays(one))
            .cloned()
            .collect();
        let tombstones = records.iter().filter(|record| record.value.is_none());
        for record in tombstones.filter(|record| record.offset < rewritten) {
            let horizon = now_ms + DELETE_RETENTION_MS;
            self.horizons.entry(record.batch).or_insert(horizon);
        }
        self.records = records;
    }
}

/// Who sends a batch, and whether the broker's clock stamps it.
#[derive(Debug, Clone, Copy)]
struct Sender {
    producer: Option<i64>,
    transaction: Option<usize>,
    append_time: bool,
}

struct Run {
    disk: SimDisk,
    log: Log,
    config: LogConfig,
    model: Model,
    now_ms: i64,
    cleaned_to: Option<i64>,
    aborted: Vec<AbortedTxn>,
}

fn open(disk: &SimDisk, config: &LogConfig, recovery: Recovery) -> Log {
    disk.put(&PathBuf::from("/data/x"), Vec::new());
    Log::open(Arc::new(disk.clone()), dir(), config.clone(), recovery, 0).expect("opens")
}

impl Run {
    fn start(config: LogConfig) -> Run {
        let disk = SimDisk::new();
        let log = open(&disk, &config, Recovery::default());
        Run {
            disk,
            log,
            config,
            model: Model::default(),
            now_ms: 1_000_000,
            cleaned_to: None,
            aborted: Vec::new(),
        }
    }

    fn append(&mut self, batch: &Bytes) -> i64 {
        let appended = self.log.append(batch, 0, self.now_ms).expect("appends");
        appended.base_offset
    }

    /// Appends a batch and tells the model.
    fn data(&mut self, records: &[(u8, Option<u8>)], builder: &mut BatchBuilder, from: Sender) {
        let Sender {
            producer,
            transaction,
            append_time,
        } = from;
        let mut timestamps = Vec::new();
        for (at, (key, value)) in records.iter().enumerate() {
            let timestamp = self.now_ms + (at as i64 * 7) % 3 - 1;
            timestamps.push(timestamp);
            let value = value.map(|value| [value; 30]);
            let value = value.as_ref().map(|value| &value[..]);
            let header = [("h", Some(&[*key][..]))];
            builder
                .append(timestamp, Some(&[*key]), value, &header)
                .expect("fits");
        }
        if let Some(producer) = producer {
            let sequence = self.model.sequences.entry(producer).or_insert(0);
            builder.set_producer(producer, 0, *sequence);
            *sequence += records.len() as i32;
        }
        let mut batch = builder.build().expect("has records").to_vec();
        if append_time {
            let clock = TimestampType::LogAppendTime;
            set_max_timestamp(&mut batch, clock, self.now_ms).expect("a batch");
            timestamps.fill(self.now_ms);
        }
        let base = self.append(&batch.into());
        for ((offset, (key, value)), timestamp) in (base..).zip(records).zip(timestamps) {
            self.model.records.push(Kept {
                offset,
                timestamp,
                key: *key,
                value: *value,
                batch: base,
                transaction,
            });
        }
        if let Some(producer) = producer {
            let last = base + records.len() as i64 - 1;
            let sequence = self.model.sequences[&producer] - 1;
            self.model.last_data.insert(producer, (last, sequence));
        }
    }

    fn open_transaction(&self, producer: i64) -> Option<usize> {
        let mut open = self.model.transactions.iter().enumerate();
        let found = open.find(|(_, one)| one.producer == producer && one.end == End::Open);
        found.map(|(at, _)| at)
    }

    fn step(mut self, step: &Step) -> Run {
        match step {
            Step::Append {
                records,
                codec,
                producer,
                append_time,
            } => {
                // A producer in a transaction sends nothing else.
                let producer = producer.filter(|id| self.open_transaction(*id).is_none());
                let mut builder = BatchBuilder::new(*codec);
                let from = Sender {
                    producer,
                    transaction: None,
                    append_time: *append_time,
                };
                self.data(records, &mut builder, from);
            }
            Step::Transactional {
                records,
                codec,
                producer,
            } => {
                let open = self.open_transaction(*producer);
                let at = open.unwrap_or_else(|| {
                    self.model.transactions.push(Transaction {
                        producer: *producer,
                        first_offset: self.log.log_end_offset(),
                        end: End::Open,
                    });
                    self.model.transactions.len() - 1
                });
                let mut builder = BatchBuilder::new(*codec);
                builder.set_transactional(true);
                let from = Sender {
                    producer: Some(*producer),
                    transaction: Some(at),
                    append_time: false,
                };
                self.data(records, &mut builder, from);
            }
            Step::End { producer, commits } => self.end(*producer, *commits),
            Step::Roll => drop(self.log.roll(self.now_ms).expect("rolls")),
            Step::Wait(ms) => self.now_ms += ms,
            Step::Clean { map_bytes } => self.clean(*map_bytes),
            Step::Reopen => {
                let recovery = Recovery {
                    recovery_point: self.log.recovery_point(),
                    ..Recovery::default()
                };
                self.disk = self.disk.kill();
                self.log = open(&self.disk, &self.config, recovery);
                // The owner knows them from the batches, as compacted as those are.
                let known_below = self.log.aborted_known_below();
                for aborted in self
                    .aborted
                    .iter()
                    .filter(|one| one.last_offset >= known_below)
                {
                    self.log.note_aborted(*aborted).expect("is noted");
                }
                self.log.finish_aborted().expect("is noted");
            }
        }
        self
    }

    fn end(&mut self, producer: i64, committed: bool) {
        let Some(at) = self.open_transaction(producer) else {
            return;
        };
        let marker = EndTransaction {
            committed,
            coordinator_epoch: 0,
        };
        let batch = control_batch(marker, (producer, 0), self.now_ms).expect("builds");
        let offset = self.append(&batch);
        let transaction = &mut self.model.transactions[at];
        transaction.end = if committed {
            End::Committed(offset)
        } else {
            End::Aborted(offset)
        };
        if committed {
            return;
        }
        let first_offset = transaction.first_offset;
        let open = self
            .model
            .transactions
            .iter()
            .filter(|one| one.end == End::Open);
        let first_open = open.map(|one| one.first_offset).min();
        let aborted = AbortedTxn {
            producer_id: producer,
            first_offset,
            last_offset: offset,
            last_stable_offset: first_open.unwrap_or(offset + 1),
        };
        self.aborted.push(aborted);
        self.log.note_aborted(aborted).expect("is noted");
    }

    fn clean(&mut self, map_bytes: usize) {
        self.log.sync().expect("syncs");
        let reader = self.log.reader();
        let config = CompactConfig {
            min_cleanable_dirty_ratio: 0.0,
            delete_retention_ms: DELETE_RETENTION_MS,
            ..CompactConfig::default()
        };
        let stable = self.model.last_stable(self.log.log_end_offset());
        let cleanable = reader.cleanable(self.cleaned_to, stable, &config, self.now_ms);
        let cleanable = cleanable.expect("reads");
        let from = cleanable.first_dirty_offset();
        assert!(cleanable.first_uncleanable_offset() <= stable);
        if !cleanable.is_due() {
            return;
        }
        let inputs = RoundInputs {
            delete_retention_ms: DELETE_RETENTION_MS,
            now_ms: self.now_ms,
            ..inputs(&self.config)
        };
        let pace = &mut |_| ControlFlow::Continue(());
        let limit = cleanable.first_uncleanable_offset();
        let mut round = cleaner(map_bytes)
            .begin(cleanable, inputs, pace)
            .expect("reads");
        let to = round.end_offset();
        assert!(to > from && to <= limit);
        assert!(map_bytes < 1 << 20 || to == limit);
        let mut bases = self.segment_bases();
        bases.push(i64::MAX);
        let rewritten = bases.into_iter().find(|base| *base >= to).expect("an end");
        let producers: HashMap<i64, LastRecord> = (0..PRODUCERS)
            .filter_map(|id| Some((id, self.model.last_data.get(&id)?.0)))
            .map(|(id, last)| {
                (
                    id,
                    LastRecord {
                        last_data_offset: Some(last),
                        producer_epoch: 0,
                    },
                )
            })
            .collect();
        while next_swap(&mut self.log, &mut round, &producers).expect("swaps") {}
        self.cleaned_to = Some(to);
        self.model.clean(from, to, rewritten, self.now_ms);
        assert_eq!(leftovers(&self.disk), Vec::<PathBuf>::new());
    }

    fn segment_bases(&self) -> Vec<i64> {
        let mut bases: Vec<i64> = self
            .disk
            .files()
            .into_iter()
            .filter_map(|path| {
                path.file_name()?
                    .to_str()?
                    .strip_suffix(".log")?
                    .parse()
                    .ok()
            })
            .collect();
        bases.sort_unstable();
        bases
    }

    fn check(&self) {
        let reader = self.log.reader();
        let batches = all_batches(&reader);
        let mut records = Vec::new();
        for (header, bytes) in batches.iter().filter(|(header, _)| !header.is_control()) {
            for record in decode_records(bytes, 1 << 20).expect("decodes") {
                records.push((
                    record.offset,
                    record.timestamp,
                    record.key.as_deref().expect("a key")[0],
                    record.value.as_deref().map(|value| (value[0], value.len())),
                    record.headers.len(),
                ));
                assert!(record.offset <= header.last_offset());
            }
        }
        let expected = self.model.records.iter().map(|record| {
            let value = record.value.map(|value| (value, 30));
            (record.offset, record.timestamp, record.key, value, 1)
        });
        let expected: Vec<_> = expected.collect();
        assert_eq!(records, expected);
        self.check_reads(&records.iter().map(|record| record.0).collect::<Vec<_>>());
        self.check_transactions(&batches);
        for (producer, (last, sequence)) in &self.model.last_data {
            let holder = batches
                .iter()
                .find(|(header, _)| header.last_offset() == *last);
            let (holder, _) = holder.expect("the producer's last batch stays");
            assert_eq!(
                (holder.producer_id, holder.last_sequence()),
                (*producer, *sequence)
            );
        }
        for record in &self.model.records {
            let found = reader
                .offset_for_timestamp(record.timestamp)
                .expect("searches");
            assert!(found.is_some_and(|found| found.timestamp >= record.timestamp));
        }
    }

    /// Reading at any offset gives the record of that offset or the next one that is there.
    fn check_reads(&self, offsets: &[i64]) {
        let reader = self.log.reader();
        for at in 0..self.log.log_end_offset() {
            let next = offsets.iter().find(|offset| **offset >= at);
            let read = reader.batches(at).flat_map(|batch| {
                let (header, bytes) = batch.expect("a sound batch");
                let records = if header.is_control() {
                    Vec::new()
                } else {
                    decode_records(&bytes, 1 << 20).expect("decodes")
                };
                records.into_iter().map(|record| record.offset)
            });
            let first = read.into_iter().find(|offset| *offset >= at);
            assert_eq!(first, next.copied(), "reading at {at}");
        }
    }

    fn check_transactions(&self, batches: &[(BatchHeader, Bytes)]) {
        let markers: Vec<i64> = batches
            .iter()
            .filter(|(header, _)| header.is_control() && header.record_count == 1)
            .map(|(header, _)| header.base_offset)
            .collect();
        for transaction in &self.model.transactions {
            let (End::Committed(marker) | End::Aborted(marker)) = transaction.end else {
                continue;
            };
            let has_data = batches.iter().any(|(header, _)| {
                header.producer_id == transaction.producer
                    && header.is_transactional()
                    && header.record_count > 0
                    && (transaction.first_offset..marker).contains(&header.base_offset)
            });
            assert!(
                !has_data || markers.contains(&marker),
                "data without its marker {marker}"
            );
        }
        for (header, _) in batches.iter().filter(|(header, _)| header.is_control()) {
            assert_eq!(header.base_sequence, NO_SEQUENCE);
        }
    }
}

fn config(segment_bytes: u32) -> LogConfig {
    LogConfig {
        segment_bytes,
        compact: true,
        ..small()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn compaction_keeps_what_a_scan_of_lists_would(
        steps in prop::collection::vec(step(), 1..80),
        segment_bytes in prop_oneof![Just(400u32), Just(1500), Just(1 << 20)],
    ) {
        let mut run = Run::start(config(segment_bytes));
        for step in &steps {
            run = run.step(step);
            if matches!(step, Step::Clean { .. } | Step::Reopen) {
                run.check();
            }
        }
        run.check();
    }
}

fn append(records: &[(u8, Option<u8>)]) -> Step {
    Step::Append {
        records: records.to_vec(),
        codec: Compression::None,
        producer: None,
        append_time: false,
    }
}

const CLEAN: Step = Step::Clean { map_bytes: 1 << 20 };

fn records_of(run: &Run) -> BTreeMap<i64, (u8, Option<u8>)> {
    let records = run.model.records.iter();
    records
        .map(|record| (record.offset, (record.key, record.value)))
        .collect()
}

#[test]
fn a_tombstone_goes_after_its_horizon_and_not_before() {
    let steps = [
        append(&[(1, Some(1)), (2, Some(1))]),
        append(&[(1, None)]),
        Step::Roll,
        append(&[(3, Some(1))]),
        CLEAN,
        Step::Roll,
        append(&[(4, Some(1))]),
        Step::Wait(DELETE_RETENTION_MS - 1),
        CLEAN,
    ];
    let run = steps.iter().fold(Run::start(config(1 << 20)), Run::step);
    run.check();
    assert_eq!(records_of(&run).get(&2), Some(&(1, None)));
    let later = [Step::Wait(1), Step::Roll, append(&[(5, Some(1))]), CLEAN];
    let run = later.iter().fold(run, Run::step);
    run.check();
    assert_eq!(records_of(&run).get(&2), None);
    assert_eq!(run.log.reader().segment_count(), 2, "segments were joined");
}

#[test]
fn aborted_records_go_at_once_and_their_marker_follows_after_its_horizon() {
    let transactional = |records: &[(u8, Option<u8>)]| Step::Transactional {
        records: records.to_vec(),
        codec: Compression::Zstd,
        producer: 1,
    };
    let next = [
        Step::Roll,
        append(&[(9, Some(9))]),
        CLEAN,
        Step::Wait(DELETE_RETENTION_MS),
    ];
    let steps = [
        append(&[(1, Some(1))]),
        transactional(&[(1, Some(2))]),
        Step::End {
            producer: 1,
            commits: false,
        },
        transactional(&[(2, Some(2))]),
        Step::End {
            producer: 1,
            commits: true,
        },
    ];
    let run = steps
        .iter()
        .chain(&next)
        .fold(Run::start(config(1 << 20)), Run::step);
    run.check();
    assert_eq!(
        records_of(&run).get(&0),
        Some(&(1, Some(1))),
        "the aborted record hides none"
    );
    assert_eq!(records_of(&run).get(&1), None);
    let markers = |run: &Run| -> Vec<i64> {
        let batches = all_batches(&run.log.reader()).into_iter();
        let markers = batches.filter(|(header, _)| header.is_control() && header.record_count > 0);
        markers.map(|(header, _)| header.base_offset).collect()
    };
    assert_eq!(markers(&run), [2, 4]);
    let run = next.iter().chain(&next).fold(run, Run::step);
    run.check();
    assert_eq!(markers(&run), [4], "the first marker is needed no more");
}
