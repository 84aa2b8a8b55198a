//! Power failures at every point of compaction: no record that was durable is lost with its key,
//! none comes twice, and the log goes on.
mod owner;
mod support;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};
use logway_journal::{CleanError, CompactConfig, LogConfig};
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::record::decode_records;
use owner::power::{depth, halt, survival, survivals};
use owner::rounds::{begin, cleanable, inputs, leftovers, next_swap};
use owner::{FOLDER, Owned, Stopped};
use proptest::prelude::*;
use support::{all_batches, small};

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
    owned: Owned,
    promise: Promise,
}

fn config(segment_bytes: u32) -> LogConfig {
    LogConfig {
        segment_bytes,
        compact: true,
        ..small()
    }
}

impl Run {
    fn open(disk: &SimDisk, config: &LogConfig) -> Result<Run, Stopped> {
        let owned = Owned::open(disk, config)?;
        let promise = Promise::default();
        Ok(Run { owned, promise })
    }

    fn sync(&mut self) -> Result<(), Stopped> {
        let log = &mut self.owned.log;
        let synced = log.sync_handle().sync()?;
        log.synced(synced);
        self.promise.durable = self.promise.durable.max(log.durable_offset());
        Ok(())
    }

    fn step(&mut self, step: &Step, config: &LogConfig) -> Result<(), Stopped> {
        match step {
            Step::Append(keys) => {
                let mut builder = BatchBuilder::new(Compression::None);
                let end = self.owned.log.log_end_offset();
                for (offset, key) in (end..).zip(keys) {
                    builder.append(5, Some(&[*key]), Some(&[7; 90]), &[])?;
                    self.promise.appended.entry(offset).or_default().push(*key);
                }
                self.owned.log.append(&builder.build()?, 0, 0)?;
            }
            Step::Roll => drop(self.owned.log.roll(0)?),
            Step::Sync => self.sync()?,
            Step::Checkpoint => self.owned.write_checkpoint()?,
            Step::Clean => self.clean(config)?,
            Step::DeleteBefore(part) => {
                let offset = self.owned.at(*part);
                self.promise.kept_from = self.promise.kept_from.max(offset);
                self.owned.log.delete_before(offset)?;
            }
            Step::Truncate(part) => {
                let offset = self.owned.at(*part);
                // Offsets before it may be missing already; then only the next append gives the log
                // an end that lasts.
                self.promise.durable = 0;
                self.promise.checked_from = self.promise.checked_from.max(offset);
                self.owned.log.truncate_to(offset, 0)?;
                self.promise.kept_from = self
                    .promise
                    .kept_from
                    .min(self.owned.log.log_start_offset());
                self.owned.write_checkpoint()?;
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
        let log = &mut self.owned.log;
        let cleaned_to = self.owned.data.cleaned_to(FOLDER);
        let cleanable = log
            .reader()
            .cleanable(cleaned_to, log.log_end_offset(), &compact, 0)?;
        if !cleanable.is_due() {
            return Ok(());
        }
        let mut round = begin(cleanable, inputs(config))?;
        loop {
            match next_swap(log, &mut round, &HashMap::new()) {
                Ok(true) => {}
                Ok(false) => break,
                Err(CleanError::NotDurable { .. }) => {
                    // What the round goes by is synced once, as its owner does.
                    self.sync()?;
                    return self.clean(config);
                }
                Err(error) => return Err(error.into()),
            }
        }
        let cleaned_to = round.end_offset();
        Ok(self.owned.data.note_cleaned_to(FOLDER, cleaned_to)?)
    }

    /// What recovery found keeps the promise of the life before.
    fn check(&mut self, promise: &Promise) {
        let reader = self.owned.log.reader();
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

fn recover(disk: &SimDisk, promise: &Promise, config: &LogConfig) -> Promise {
    let mut run =
        Run::open(disk, config).unwrap_or_else(|error| panic!("cannot be opened: {error:?}"));
    run.check(promise);
    assert!(leftovers(disk).is_empty());
    run.promise
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
    let log = &mut run.owned.log;
    let mut round = begin(cleanable(log), inputs(&config)).expect("reads");
    let refused = next_swap(log, &mut round, &HashMap::new());
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
    assert!(leftovers(&disk).is_empty());
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
            if kind == FaultKind::DiskFull && cleaned.is_err() && !run.owned.log.is_poisoned() {
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
            disk = disk.crash(survival(*seed));
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
        let log = &mut run.owned.log;
        let planned = cleanable(log);
        let done = (|| {
            if deleted_at == 0 {
                log.delete_before(3).expect("deletes");
            }
            let mut round = begin(planned, inputs(&config))?;
            if deleted_at == 1 {
                log.delete_before(3).expect("deletes");
            }
            let replacement = round
                .next_group(&HashMap::new(), &mut |_| ControlFlow::Continue(()))?
                .expect("a group");
            log.delete_before(3).expect("deletes");
            log.begin_swap(replacement).map(drop)
        })();
        assert!(matches!(done, Err(CleanError::Changed)), "{done:?}");
        assert!(leftovers(&disk).is_empty());
        assert_eq!(run.owned.log.reader().segment_count(), 3);
    }
}
