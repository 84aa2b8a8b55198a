//! Power failures at every point of random histories, several in a row.
mod owner;
mod support;

use logway_journal::LogConfig;
use logway_journal::sim_disk::{SimDisk, Surviving};
use owner::power::{depth, halt, survival, survivals};
use owner::{Owned, Stopped};
use proptest::prelude::*;
use support::{Expected, all_batches, batch, batch_at, check_log, small};

/// Mixtures of what a power failure may leave.
const MIXTURES: u64 = 200;

#[derive(Debug, Clone)]
enum Step {
    Append {
        timestamps: Vec<i64>,
        size: usize,
        epoch_step: bool,
    },
    Roll,
    Sync,
    SyncEnded,
    SyncAll,
    Checkpoint,
    Truncate {
        part: f64,
    },
    DeleteBefore {
        part: f64,
    },
    KeepBytes(i64),
    CloseAndOpen,
}

fn step() -> impl Strategy<Value = Step> {
    let times = prop::collection::vec(0..200i64, 1..4);
    let append = (times, 0..700usize, prop::bool::weighted(0.1));
    prop_oneof![
        20 => append.prop_map(|(timestamps, size, epoch_step)| Step::Append { timestamps, size, epoch_step }),
        1 => Just(Step::Roll),
        4 => Just(Step::Sync),
        2 => Just(Step::SyncEnded),
        2 => Just(Step::SyncAll),
        2 => Just(Step::Checkpoint),
        1 => (0.0..1.0).prop_map(|part| Step::Truncate { part }),
        1 => (0.0..1.0).prop_map(|part| Step::DeleteBefore { part }),
        1 => (1000..8000i64).prop_map(Step::KeepBytes),
        1 => Just(Step::CloseAndOpen),
    ]
}

/// What may be there after the next crash.
#[derive(Debug, Clone, Default)]
struct Promise {
    /// Everything appended and not truncated.
    appended: Vec<Expected>,
    /// Records below this offset were synced.
    durable: i64,
    /// No record at or after this offset was deleted.
    kept_from: i64,
    epoch: i32,
}

struct Run {
    disk: SimDisk,
    owned: Owned,
    promise: Promise,
}

impl Run {
    fn open(
        disk: SimDisk,
        config: &LogConfig,
        promise: Promise,
    ) -> Result<Run, (Promise, Stopped)> {
        match Owned::open(&disk, config) {
            Ok(owned) => Ok(Run {
                disk,
                owned,
                promise,
            }),
            Err(error) => Err((promise, error)),
        }
    }

    fn note_durable(&mut self) {
        self.promise.durable = self.promise.durable.max(self.owned.log.durable_offset());
    }

    fn step(&mut self, step: &Step, config: &LogConfig) -> Result<(), Stopped> {
        match step {
            Step::Append {
                timestamps,
                size,
                epoch_step,
            } => {
                self.promise.epoch += i32::from(*epoch_step);
                let batch = batch_at(timestamps, *size);
                let epoch = self.promise.epoch;
                // A crash in the middle of the append may keep it.
                let end = self.owned.log.log_end_offset();
                self.promise
                    .appended
                    .push(Expected::new(end, epoch, timestamps, &batch));
                self.owned.log.append(&batch, epoch, 0)?;
            }
            Step::Roll => drop(self.owned.log.roll(0)?),
            Step::Sync => {
                let synced = self.owned.log.sync_handle().sync()?;
                self.owned.log.synced(synced);
                self.note_durable();
            }
            Step::SyncEnded => {
                let synced = self.owned.log.ended_handle().sync()?;
                self.owned.log.synced(synced);
                self.note_durable();
                assert!(!self.owned.log.has_ended_segments());
            }
            Step::SyncAll => {
                self.owned.log.sync()?;
                self.note_durable();
                assert_eq!(
                    self.owned.log.recovery_point(),
                    self.owned.log.log_end_offset()
                );
            }
            Step::Checkpoint => self.owned.write_checkpoint()?,
            Step::Truncate { part } => {
                let offset = self.owned.at(*part);
                // Whole batches go, and a crash in the middle may come before or after that.
                let is_kept = |batch: &&Expected| batch.next_offset() <= offset;
                let kept = self.promise.appended.iter().take_while(is_kept).count();
                let end = self.promise.appended[..kept]
                    .last()
                    .map_or(0, Expected::next_offset);
                self.promise.durable = self.promise.durable.min(end);
                self.owned.log.truncate_to(offset, 0)?;
                self.promise.appended.truncate(kept);
                self.promise.kept_from = self
                    .promise
                    .kept_from
                    .min(self.owned.log.log_start_offset());
                self.owned.write_checkpoint()?;
            }
            Step::DeleteBefore { part } => {
                let offset = self.owned.at(*part);
                self.promise.kept_from = self.promise.kept_from.max(offset);
                self.owned.log.delete_before(offset)?;
            }
            Step::KeepBytes(bytes) => self.keep_bytes(*bytes, config)?,
            Step::CloseAndOpen => unreachable!("done by the caller"),
        }
        Ok(())
    }

    fn keep_bytes(&mut self, bytes: i64, config: &LogConfig) -> Result<(), Stopped> {
        let log = &mut self.owned.log;
        log.set_config(LogConfig {
            retention_bytes: bytes,
            ..config.clone()
        });
        let end = log.log_end_offset();
        let deleted = log.enforce_retention(0, end);
        log.set_config(config.clone());
        self.promise.kept_from = self.promise.kept_from.max(log.log_start_offset());
        deleted?;
        Ok(())
    }

    fn close_and_open(self, config: &LogConfig) -> Result<Run, (Promise, Stopped)> {
        let Run {
            disk,
            owned,
            mut promise,
        } = self;
        let end = owned.log.log_end_offset();
        if let Err(error) = owned.close_clean() {
            return Err((promise, error));
        }
        promise.durable = end;
        Run::open(disk, config, promise)
    }
}

/// Runs the steps until the power goes.
fn run_until_halt(mut run: Run, steps: &[Step], config: &LogConfig) -> Promise {
    for step in steps {
        let done = match step {
            Step::CloseAndOpen => match run.close_and_open(config) {
                Ok(opened) => {
                    run = opened;
                    Ok(())
                }
                Err((promise, _)) => return promise,
            },
            step => run.step(step, config),
        };
        if done.is_err() {
            return run.promise;
        }
    }
    run.promise
}

/// What recovery found keeps the promise; the promise becomes what was found.
fn check_recovered(run: &mut Run) {
    let reader = run.owned.log.reader();
    let promise = &mut run.promise;
    let found = all_batches(&reader);
    let (start, end) = (reader.log_start_offset(), reader.log_end_offset());
    // Also where those records were deleted meanwhile: an offset is never given twice.
    assert!(
        end >= promise.durable,
        "ends at {end}, {} was synced",
        promise.durable
    );
    assert!(
        start <= promise.kept_from,
        "starts at {start}, nothing after {} was deleted",
        promise.kept_from
    );
    // What is there is what was appended: same batches, in order, none left out.
    let first = promise
        .appended
        .iter()
        .position(|batch| batch.next_offset() > start);
    let rest = first.map_or(&[][..], |first| &promise.appended[first..]);
    assert!(
        found.len() <= rest.len(),
        "{} batches, {} were appended",
        found.len(),
        rest.len()
    );
    for ((_, bytes), expected) in found.iter().zip(rest) {
        assert!(
            *bytes == expected.bytes,
            "the batch at {} is another",
            expected.base_offset
        );
    }
    let last = found
        .last()
        .map_or(start, |(header, _)| header.next_offset());
    assert!(last <= end);
    let kept = first.unwrap_or(promise.appended.len()) + found.len();
    promise.appended.truncate(kept);
    check_log(&reader, &promise.appended);
    for (header, _) in &found {
        let (epoch, end) = reader
            .epoch_end_offset(header.partition_leader_epoch)
            .expect("known");
        assert_eq!(epoch, header.partition_leader_epoch);
        assert!(end >= header.next_offset());
    }
    promise.durable = promise.durable.min(end);
    promise.kept_from = promise.kept_from.max(start);
}

/// How many changing operations an undisturbed life takes.
fn operations_of(disk: &SimDisk, promise: &Promise, steps: &[Step], config: &LogConfig) -> u64 {
    let disk = disk.kill();
    if let Ok(run) = Run::open(disk.clone(), config, promise.clone()) {
        run_until_halt(run, steps, config);
    }
    disk.operations()
}

/// When the power goes, counted in changing operations, and what that leaves.
#[derive(Debug, Clone, Copy)]
struct Failure {
    halt_at: u64,
    surviving: Surviving,
}

/// One life that ends with a power failure, and what recovery then finds.
fn live(
    disk: &SimDisk,
    promise: Promise,
    steps: &[Step],
    failure: Failure,
    config: &LogConfig,
) -> (SimDisk, Promise) {
    halt(disk, failure.halt_at);
    let promise = match Run::open(disk.clone(), config, promise) {
        Ok(run) => run_until_halt(run, steps, config),
        Err((promise, _)) => promise,
    };
    let disk = disk.crash(failure.surviving);
    let opened = Run::open(disk.clone(), config, promise);
    let mut run = opened.unwrap_or_else(|(_, error)| panic!("cannot be opened: {error:?}"));
    check_recovered(&mut run);
    // What recovery found stays what is found: killed before anything else happens.
    let promise = run.promise;
    drop(run.owned);
    (disk.kill(), promise)
}

/// The life ended after each of its operations, with all that each power failure may leave.
fn end_everywhere(steps: &[Step]) {
    let config = LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 0,
        ..small()
    };
    let promise = Promise::default();
    for halt_at in 0..=operations_of(&SimDisk::new(), &promise, steps, &config) {
        for surviving in survivals(MIXTURES) {
            let failure = Failure { halt_at, surviving };
            live(&SimDisk::new(), promise.clone(), steps, failure, &config);
        }
    }
}

fn append(records: usize, size: usize) -> Step {
    Step::Append {
        timestamps: vec![0; records],
        size,
        epoch_step: false,
    }
}

/// The last append begins a second segment, and the first one goes before the second's name is
/// durable.
#[test]
fn the_first_segment_goes_only_after_its_successor_is_there_for_good() {
    let start = [append(1, 0), Step::Sync, append(3, 449)];
    let deleted = [Step::DeleteBefore { part: 0.73 }, append(1, 0)];
    end_everywhere(&[&start[..], &deleted].concat());
    end_everywhere(&[&start[..], &[append(1, 0), Step::KeepBytes(1450)]].concat());
}

/// The batch that holds the log start is truncated, the log goes on in a new segment at that
/// offset, and recovery does not take the offsets between the batches for a loss.
#[test]
fn a_batch_truncated_around_the_log_start_leaves_no_gap() {
    let steps = [
        append(1, 194),
        append(3, 0),
        Step::DeleteBefore { part: 0.59 },
        Step::Truncate { part: 0.0 },
        append(3, 383),
        Step::Sync,
        append(1, 0),
    ];
    end_everywhere(&steps);
}

/// A batch too far away for the index of an empty segment begins another in its place.
#[test]
fn an_empty_segment_is_replaced_only_once_the_other_is_there_for_good() {
    let run = || {
        let disk = SimDisk::new();
        let promise = Promise::default();
        let opened = Run::open(disk, &small(), promise);
        let mut run = opened.unwrap_or_else(|(_, error)| panic!("cannot be opened: {error:?}"));
        run.owned
            .log
            .append(&batch(0, 5, 10), 0, 0)
            .expect("appends");
        run.owned.log.roll(0).expect("rolls");
        run.owned.log.delete_before(5).expect("deletes");
        run.owned.log.sync().expect("syncs");
        assert_eq!(run.owned.log.durable_offset(), 5);
        run
    };
    let far = i64::from(i32::MAX) + 100;
    let far = Expected::new(far, 0, &[0], &batch(0, 1, 10)).bytes;
    let operations = {
        let mut run = run();
        let before = run.disk.operations();
        run.owned.log.append_as_is(&far, 0).expect("appends");
        run.disk.operations() - before
    };
    for after in 0..=operations {
        for surviving in survivals(MIXTURES) {
            let mut run = run();
            halt(&run.disk, after);
            assert_eq!(
                run.owned.log.append_as_is(&far, 0).is_ok(),
                after == operations
            );
            let crashed = run.disk.crash(surviving);
            let recovered = Run::open(crashed, &small(), Promise::default());
            let recovered = recovered.unwrap_or_else(|(_, error)| panic!("{error:?}"));
            let end = recovered.owned.log.log_end_offset();
            assert!(end >= 5, "ends at {end} after {after}, {surviving:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250 * depth(), ..ProptestConfig::default() })]

    #[test]
    fn what_was_synced_survives_and_nothing_else_appears(
        lives in prop::collection::vec((prop::collection::vec(step(), 1..50), 0.0..1.0f64, 0..u64::MAX), 1..4),
        segment_bytes in prop_oneof![Just(1500u32), Just(1 << 20)],
        index_interval_bytes in prop_oneof![Just(0u32), Just(700)],
    ) {
        let config = LogConfig { segment_bytes, index_interval_bytes, ..small() };
        let mut disk = SimDisk::new();
        let mut promise = Promise::default();
        for (steps, halt_at, seed) in &lives {
            // The same life twice: once to count its operations, once to end it in the middle.
            let operations = operations_of(&disk, &promise, steps, &config);
            let halt_at = (operations as f64 * halt_at) as u64;
            let surviving = survival(*seed);
            (disk, promise) = live(&disk, promise, steps, Failure { halt_at, surviving }, &config);
        }
        // And the log goes on.
        let opened = Run::open(disk, &config, promise);
        let mut run = opened.map_err(|(_, error)| TestCaseError::fail(format!("{error:?}")))?;
        let more = batch(7, 2, 50);
        let appended = run.owned.log.append(&more, run.promise.epoch, 0).expect("appends");
        run.promise.appended.push(Expected::new(appended.base_offset, run.promise.epoch, &[7, 7], &more));
        let run = run.close_and_open(&config).map_err(|(_, error)| TestCaseError::fail(format!("{error:?}")))?;
        check_log(&run.owned.log.reader(), &run.promise.appended);
    }
}
