//! Power failures at every point of compaction: no record that was durable is lost with its key,
//! none comes twice, and the log goes on.
mod support;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};
use logway_journal::{
    CleanError, Cleaner, CleanerConfig, CompactConfig, DataDir, Log, LogConfig, LogState,
    RoundInputs,
};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use proptest::prelude::*;
use support::{all_batches, dir, small};

const FOLDER: &str = "GameLog-0";

#[derive(Debug, Clone)]
enum Step {
    /// One batch with records of these keys.
    Append(Vec<u8>),
    Roll,
    Sync,
    Checkpoint,
    Clean,
    DeleteBefore(f64),
    Truncate(f64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => prop::collection::vec(0..4u8, 1..4).prop_map(Step::Append),
        4 => Just(Step::Roll),
        2 => Just(Step::Sync),
        2 => Just(Step::Checkpoint),
        4 => Just(Step::Clean),
        1 => (0.0..1.0).prop_map(Step::DeleteBefore),
        1 => (0.5..1.0).prop_map(Step::Truncate),
    ]
}

/// What may be there after a crash.
#[derive(Debug, Clone, Default)]
struct Promise {
    /// Keys of all records by offset; a truncation may have given an offset twice.
    appended: BTreeMap<i64, Vec<u8>>,
    /// Records below this offset were synced.
    durable: i64,
    /// No record at or after this offset was deleted.
    kept_from: i64,
    /// Records before it may have lost the newer one of their key to a truncation.
    checked_from: i64,
}

struct Run {
    data: DataDir,
    log: Log,
    promise: Promise,
}

type Stopped = Box<dyn std::error::Error>;

fn config(segment_bytes: u32) -> LogConfig {
    LogConfig {
        segment_bytes,
        compact: true,
        ..small()
    }
}

impl Run {
    fn open(disk: &SimDisk, config: &LogConfig) -> Result<Run, Stopped> {
        let mut data = DataDir::open(Arc::new(disk.clone()), "/data".as_ref())?;
        let recovery = data.recovery(FOLDER);
        let log = Log::open(Arc::new(disk.clone()), dir(), config.clone(), recovery, 0)?;
        if log.recovery_point() < recovery.recovery_point {
            let state = LogState {
                recovery_point: log.recovery_point(),
                log_start_offset: log.log_start_offset(),
            };
            data.write_checkpoints([(FOLDER, state)])?;
        }
        let promise = Promise::default();
        Ok(Run { data, log, promise })
    }

    fn at(&self, part: f64) -> i64 {
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        start + ((end - start) as f64 * part) as i64
    }

    fn checkpoint(&mut self) -> Result<(), Stopped> {
        let state = LogState {
            recovery_point: self.log.recovery_point(),
            log_start_offset: self.log.log_start_offset(),
        };
        Ok(self.data.write_checkpoints([(FOLDER, state)])?)
    }

    fn step(&mut self, step: &Step, config: &LogConfig) -> Result<(), Stopped> {
        match step {
            Step::Append(keys) => {
                let mut builder = BatchBuilder::new(Compression::None);
                let end = self.log.log_end_offset();
                for (offset, key) in (end..).zip(keys) {
                    builder.append(5, Some(&[*key]), Some(&[7; 90]), &[])?;
                    self.promise.appended.entry(offset).or_default().push(*key);
                }
                self.log.append(&builder.build()?, 0, 0)?;
            }
            Step::Roll => drop(self.log.roll(0)?),
            Step::Sync => {
                let synced = self.log.sync_handle().sync()?;
                self.log.synced(synced);
                self.promise.durable = self.promise.durable.max(self.log.durable_offset());
            }
            Step::Checkpoint => self.checkpoint()?,
            Step::Clean => self.clean(config)?,
            Step::DeleteBefore(part) => {
                let offset = self.at(*part);
                self.promise.kept_from = self.promise.kept_from.max(offset);
                self.log.delete_before(offset)?;
            }
            Step::Truncate(part) => {
                let offset = self.at(*part);
                // Offsets before it may be missing already; then only the next append gives the log
                // an end that lasts.
                self.promise.durable = 0;
                self.promise.checked_from = self.promise.checked_from.max(offset);
                self.log.truncate_to(offset, 0)?;
                self.promise.kept_from = self.promise.kept_from.min(self.log.log_start_offset());
                self.checkpoint()?;
                self.step(&append(&[0]), config)?;
            }
        }
        Ok(())
    }

    fn clean(&mut self, config: &LogConfig) -> Result<(), Stopped> {
        let compact = CompactConfig {
            min_cleanable_dirty_ratio: 0.0,
            ..CompactConfig::default()
        };
        let end = self.log.log_end_offset();
        let reader = self.log.reader();
        let cleanable = reader.cleanable(self.data.cleaned_to(FOLDER), end, &compact, 0)?;
        if !cleanable.is_due() {
            return Ok(());
        }
        let inputs = RoundInputs {
            log: config.clone(),
            delete_retention_ms: 0,
            now_ms: 0,
        };
        let cleaner = Cleaner::new(CleanerConfig {
            dedupe_buffer_bytes: 1 << 16,
            io_buffer_bytes: 400,
            unpacked_bytes_max: 1 << 20,
        });
        let pace = &mut |_| ControlFlow::Continue(());
        let mut round = cleaner.begin(cleanable, inputs, pace)?;
        while let Some(replacement) = round.next_group(&HashMap::new(), pace)? {
            let swap = match self.log.begin_swap(replacement) {
                Err(CleanError::NotDurable { .. }) => {
                    // What the round goes by is synced once, as its owner does.
                    let synced = self.log.sync_handle().sync()?;
                    self.log.synced(synced);
                    self.promise.durable = self.promise.durable.max(self.log.durable_offset());
                    return self.clean(config);
                }
                swap => swap?,
            };
            let swapped = swap.run()?;
            self.log.finish_swap(swapped);
        }
        Ok(self.data.note_cleaned_to(FOLDER, round.end_offset())?)
    }

    /// What recovery found keeps the promise of the life before.
    fn check(&mut self, promise: &Promise) {
        let reader = self.log.reader();
        let (start, end) = (reader.log_start_offset(), reader.log_end_offset());
        assert!(
            end >= promise.durable,
            "ends at {end}, {} was synced",
            promise.durable
        );
        assert!(start <= promise.kept_from, "starts at {start}, {promise:?}");
        let mut present: BTreeMap<i64, u8> = BTreeMap::new();
        let mut before = -1;
        for (_, bytes) in all_batches(&reader) {
            for record in decode_records(&bytes, 1 << 20).expect("decodes") {
                let (offset, key) = (record.offset, record.key.expect("a key")[0]);
                assert!(offset > before, "{offset} after {before}");
                assert!(
                    promise.appended[&offset].contains(&key),
                    "another record at {offset}"
                );
                before = offset;
                present.insert(offset, key);
            }
        }
        // A durable record goes only for a newer one of its key.
        let checked_from = promise.kept_from.max(promise.checked_from);
        let durable = promise.appended.range(checked_from..);
        for (offset, keys) in durable.take_while(|(offset, _)| **offset < promise.durable) {
            let is_covered = |key: &u8| present.range(*offset..).any(|(_, other)| other == key);
            assert!(
                keys.iter().any(is_covered),
                "the record at {offset} is lost: {present:?}"
            );
        }
        self.promise = Promise {
            appended: present
                .into_iter()
                .map(|(offset, key)| (offset, vec![key]))
                .collect(),
            durable: promise.durable.min(end),
            kept_from: promise.kept_from.max(start),
            checked_from: promise.checked_from,
        };
    }
}

fn run_until_halt(run: &mut Run, steps: &[Step], config: &LogConfig) {
    for step in steps {
        if run.step(step, config).is_err() {
            return;
        }
    }
}

/// One life on the disk; what it promised. The disk may have been halted before it began.
fn live(disk: &SimDisk, before: &Promise, steps: &[Step], config: &LogConfig) -> Promise {
    match Run::open(disk, config) {
        Ok(mut run) => {
            run.promise = before.clone();
            run_until_halt(&mut run, steps, config);
            run.promise
        }
        Err(_) => before.clone(),
    }
}

fn halt(disk: &SimDisk, after: u64) {
    disk.inject(Fault {
        operation: Operation::Any,
        kind: FaultKind::Halted,
        after,
        times: u64::MAX,
    });
}

fn recover(disk: &SimDisk, promise: &Promise, config: &LogConfig) -> Promise {
    let mut run =
        Run::open(disk, config).unwrap_or_else(|error| panic!("cannot be opened: {error:?}"));
    run.check(promise);
    let leftovers = disk.files().into_iter().filter(|path| {
        let name = path.to_string_lossy();
        [".cleaned", ".swap", ".deleted"]
            .iter()
            .any(|end| name.ends_with(end))
    });
    assert_eq!(leftovers.count(), 0);
    run.promise
}

fn survivals(mixtures: u64) -> impl Iterator<Item = Surviving> {
    let mixtures = (0..mixtures).map(|seed| Surviving::Some { seed });
    [Surviving::None, Surviving::All]
        .into_iter()
        .chain(mixtures)
}

/// The life ended after each of its operations, with what each power failure may leave; and the
/// recovery ended in the same way.
fn end_everywhere(steps: &[Step], config: &LogConfig) {
    let whole = SimDisk::new();
    live(&whole, &Promise::default(), steps, config);
    for after in 0..=whole.operations() {
        for surviving in survivals(10) {
            let disk = SimDisk::new();
            halt(&disk, after);
            let promise = live(&disk, &Promise::default(), steps, config);
            let crashed = disk.crash(surviving);
            let recovered = crashed.kill();
            recover(&recovered, &promise, config);
            for during in 0..recovered.operations() {
                let disk = crashed.kill();
                halt(&disk, during);
                drop(Run::open(&disk, config));
                let seed = during * 31 + after;
                let again = disk.crash(Surviving::Some { seed });
                recover(&again, &promise, config);
            }
        }
    }
}

fn append(keys: &[u8]) -> Step {
    Step::Append(keys.to_vec())
}

/// Three segments become one, the first of them all old.
#[test]
fn several_segments_become_one_or_stay_as_they_were() {
    let steps = [
        append(&[1, 2]),
        append(&[2]),
        Step::Roll,
        append(&[1, 3]),
        Step::Roll,
        append(&[2, 1]),
        Step::Roll,
        append(&[3]),
        Step::Sync,
        Step::Clean,
        append(&[1]),
    ];
    end_everywhere(&steps, &config(1 << 20));
}

/// Segments too large to be joined are replaced one by one, and later cleaned and joined again.
#[test]
fn segments_are_replaced_one_by_one() {
    let steps = [
        append(&[1, 2, 3]),
        append(&[1, 2, 3]),
        Step::Roll,
        append(&[1, 2, 3]),
        append(&[0]),
        Step::Roll,
        append(&[3]),
        Step::Sync,
        Step::Clean,
        Step::Roll,
        append(&[3]),
        Step::Sync,
        Step::Clean,
    ];
    end_everywhere(&steps, &config(800));
}

/// The newest record of a key lies in a segment that is not durable yet.
#[test]
fn nothing_goes_for_a_record_that_is_not_durable() {
    let config = config(1 << 20);
    let disk = SimDisk::new();
    let mut run = Run::open(&disk, &config).expect("opens");
    let steps = [
        append(&[1]),
        Step::Roll,
        Step::Sync,
        append(&[1]),
        Step::Roll,
    ];
    run_until_halt(&mut run, &steps, &config);
    let cleaner = Cleaner::new(CleanerConfig {
        dedupe_buffer_bytes: 1 << 16,
        io_buffer_bytes: 400,
        unpacked_bytes_max: 1 << 20,
    });
    let inputs = RoundInputs {
        log: config.clone(),
        delete_retention_ms: 0,
        now_ms: 0,
    };
    let pace = &mut |_| ControlFlow::Continue(());
    let cleanable = run
        .log
        .reader()
        .cleanable(None, 2, &CompactConfig::default(), 0)
        .expect("reads");
    let mut round = cleaner.begin(cleanable, inputs, pace).expect("reads");
    let replacement = round
        .next_group(&HashMap::new(), pace)
        .expect("writes")
        .expect("a group");
    let refused = run.log.begin_swap(replacement);
    assert!(
        matches!(
            refused,
            Err(CleanError::NotDurable {
                durable: 1,
                needed: 2
            })
        ),
        "{refused:?}"
    );
    assert!(
        disk.files()
            .iter()
            .all(|path| !path.to_string_lossy().ends_with(".cleaned"))
    );
}

/// Any operation of a swap that fails leaves a log that can be read as it was or as it will be, and
/// that an opening puts in order.
#[test]
fn a_failing_disk_loses_nothing() {
    let config = config(1 << 20);
    let steps = [
        append(&[1, 2]),
        Step::Roll,
        append(&[1]),
        Step::Roll,
        append(&[2]),
        Step::Roll,
        Step::Sync,
    ];
    for kind in [FaultKind::Broken, FaultKind::DiskFull] {
        for after in 0..40 {
            let disk = SimDisk::new();
            let mut run = Run::open(&disk, &config).expect("opens");
            run_until_halt(&mut run, &steps, &config);
            disk.inject(Fault {
                operation: Operation::Any,
                kind,
                after,
                times: 1,
            });
            let cleaned = run.step(&Step::Clean, &config);
            disk.heal();
            let promise = run.promise.clone();
            run.check(&promise);
            if kind == FaultKind::DiskFull && cleaned.is_err() && !run.log.is_poisoned() {
                run.step(&append(&[3]), &config).expect("appends");
                run.step(&Step::Clean, &config).expect("cleans");
            }
            recover(&disk.kill(), &run.promise.clone(), &config);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400 * depth(), ..ProptestConfig::default() })]

    #[test]
    fn no_durable_record_is_lost_with_its_key(
        lives in prop::collection::vec((prop::collection::vec(step(), 1..40), 0.0..1.0f64, 0..u64::MAX), 1..4),
        segment_bytes in prop_oneof![Just(500u32), Just(1500), Just(1 << 20)],
    ) {
        let config = config(segment_bytes);
        let mut disk = SimDisk::new();
        let mut promise = Promise::default();
        for (steps, part, seed) in &lives {
            let whole = disk.kill();
            live(&whole, &promise, steps, &config);
            halt(&disk, (whole.operations() as f64 * part) as u64);
            promise = live(&disk, &promise, steps, &config);
            let surviving = match seed % 5 {
                0 => Surviving::None,
                1 => Surviving::All,
                _ => Surviving::Some { seed: *seed },
            };
            disk = disk.crash(surviving);
            promise = recover(&disk, &promise, &config);
            disk = disk.kill();
        }
        // And the log goes on.
        let mut run = Run::open(&disk, &config).expect("opens");
        run.promise = promise;
        for step in [append(&[1, 2]), Step::Roll, append(&[1]), Step::Sync, Step::Clean] {
            run.step(&step, &config).expect("goes on");
        }
        recover(&disk.crash(Surviving::None), &run.promise.clone(), &config);
    }
}

/// How many times the usual number of histories to try.
fn depth() -> u32 {
    let depth = std::env::var("LOGWAY_TEST_DEPTH").ok();
    depth.and_then(|depth| depth.parse().ok()).unwrap_or(1)
}

/// Segments that were deleted after the round had been planned are not missed, and nothing of them
/// comes back.
#[test]
fn a_log_that_changes_meanwhile_is_begun_again() {
    let config = config(1 << 20);
    for deleted_at in 0..3 {
        let disk = SimDisk::new();
        let mut run = Run::open(&disk, &config).expect("opens");
        let segment = [append(&[1, 2]), append(&[1]), Step::Roll];
        let steps = [&segment[..], &segment, &segment, &[Step::Sync]].concat();
        run_until_halt(&mut run, &steps, &config);
        let cleaner = Cleaner::new(CleanerConfig {
            dedupe_buffer_bytes: 1 << 16,
            io_buffer_bytes: 400,
            unpacked_bytes_max: 1 << 20,
        });
        let inputs = RoundInputs {
            log: config.clone(),
            delete_retention_ms: 0,
            now_ms: 0,
        };
        let pace = &mut |_| ControlFlow::Continue(());
        let cleanable = run
            .log
            .reader()
            .cleanable(None, 9, &CompactConfig::default(), 0);
        let cleanable = cleanable.expect("reads");
        let done = (|| {
            if deleted_at == 0 {
                run.log.delete_before(3).expect("deletes");
            }
            let mut round = cleaner.begin(cleanable, inputs, pace)?;
            if deleted_at == 1 {
                run.log.delete_before(3).expect("deletes");
            }
            let replacement = round.next_group(&HashMap::new(), pace)?.expect("a group");
            run.log.delete_before(3).expect("deletes");
            run.log.begin_swap(replacement).map(drop)
        })();
        assert!(matches!(done, Err(CleanError::Changed)), "{done:?}");
        let leftovers = disk.files().into_iter().filter(|path| {
            let name = path.to_string_lossy();
            name.ends_with(".cleaned") || name.ends_with(".swap")
        });
        assert_eq!(leftovers.count(), 0);
        assert_eq!(run.log.reader().segment_count(), 3);
    }
}
