//! Random histories: the log always holds what a list of batches would hold.
mod owner;
mod support;

use logway_journal::LogConfig;
use logway_journal::sim_disk::SimDisk;
use owner::Owned;
use proptest::prelude::*;
use support::{Expected, batch_at, check_log, small};

#[derive(Debug, Clone)]
enum Step {
    Append {
        timestamps: Vec<i64>,
        size: usize,
        epoch_step: bool,
    },
    Roll,
    Truncate {
        part: f64,
    },
    DeleteBefore {
        part: f64,
    },
    KeepBytes(i64),
    Checkpoint,
    CloseAndOpen,
    KillAndOpen,
}

fn step() -> impl Strategy<Value = Step> {
    let times = prop_oneof![
        5 => prop::collection::vec(0..200i64, 1..5),
        1 => prop::collection::vec(Just(-1i64), 1..3),
    ];
    let append = (times, 0..300usize, prop::bool::weighted(0.1));
    prop_oneof![
        20 => append.prop_map(|(timestamps, size, epoch_step)| Step::Append { timestamps, size, epoch_step }),
        1 => Just(Step::Roll),
        1 => (0.0..1.1).prop_map(|part| Step::Truncate { part }),
        1 => (0.0..1.0).prop_map(|part| Step::DeleteBefore { part }),
        1 => (1000..8000i64).prop_map(Step::KeepBytes),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::CloseAndOpen),
        1 => Just(Step::KillAndOpen),
    ]
}

struct Run {
    disk: SimDisk,
    owned: Owned,
    expected: Vec<Expected>,
    epoch: i32,
    config: LogConfig,
}

impl Run {
    fn start(disk: SimDisk, config: LogConfig) -> Run {
        let owned = Owned::open(&disk, &config).expect("opens");
        Run {
            disk,
            owned,
            expected: Vec::new(),
            epoch: 0,
            config,
        }
    }

    fn step(self, step: &Step) -> Run {
        let mut run = self;
        match step {
            Step::Append {
                timestamps,
                size,
                epoch_step,
            } => {
                run.epoch += i32::from(*epoch_step);
                let batch = batch_at(timestamps, *size);
                let appended = run.owned.log.append(&batch, run.epoch, 0).expect("appends");
                let expected = Expected::new(appended.base_offset, run.epoch, timestamps, &batch);
                assert_eq!(appended.last_offset + 1, expected.next_offset());
                run.expected.push(expected);
            }
            Step::Roll => drop(run.owned.log.roll(0).expect("rolls")),
            Step::Truncate { part } => {
                let offset = run.owned.at(*part);
                let end = run.owned.log.truncate_to(offset, 0).expect("truncates");
                run.expected.retain(|batch| batch.next_offset() <= offset);
                assert_eq!(end, run.owned.log.log_end_offset());
                run.owned.write_checkpoint().expect("writes");
            }
            Step::DeleteBefore { part } => {
                let offset = run.owned.at(*part);
                run.owned.log.delete_before(offset).expect("deletes");
                assert_eq!(run.owned.log.log_start_offset(), offset);
            }
            Step::KeepBytes(bytes) => {
                run.owned.log.set_config(LogConfig {
                    retention_bytes: *bytes,
                    ..run.config.clone()
                });
                let end = run.owned.log.log_end_offset();
                run.owned.log.enforce_retention(0, end).expect("deletes");
                run.owned.log.set_config(run.config.clone());
                let reader = run.owned.log.reader();
                let segment = i64::from(run.config.segment_bytes);
                assert!(
                    reader.size_bytes() as i64 <= bytes + segment.max(1300)
                        || reader.segment_count() == 1
                );
            }
            Step::Checkpoint => {
                run.owned.log.sync().expect("syncs");
                run.owned.write_checkpoint().expect("writes");
            }
            Step::CloseAndOpen => return run.close_and_open(),
            Step::KillAndOpen => {
                // What was deleted before the log start may be back: the checkpoint remembers.
                run.owned.write_checkpoint().expect("writes");
                let disk = run.disk.kill();
                let owned = Owned::open(&disk, &run.config).expect("opens");
                return Run { disk, owned, ..run };
            }
        }
        run
    }

    fn close_and_open(self) -> Run {
        let Run { disk, owned, .. } = self;
        owned.close_clean().expect("closes");
        let before = disk.operations();
        let owned = Owned::open(&disk, &self.config).expect("opens");
        assert!(
            disk.operations() - before <= 3,
            "a clean start changes the clean mark and nothing else"
        );
        Run {
            disk,
            owned,
            ..self
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn the_log_holds_what_a_list_of_batches_would(
        steps in prop::collection::vec(step(), 1..90),
        segment_bytes in prop_oneof![Just(600u32), Just(2048), Just(1 << 20)],
        index_interval_bytes in prop_oneof![Just(0u32), Just(200), Just(4096)],
    ) {
        let config = LogConfig { segment_bytes, index_interval_bytes, ..small() };
        let mut run = Run::start(SimDisk::new(), config);
        for step in &steps {
            run = run.step(step);
            let end = run.expected.last().map_or(run.owned.log.log_end_offset(), Expected::next_offset);
            prop_assert!(run.owned.log.log_end_offset() >= end);
        }
        check_log(&run.owned.log.reader(), &run.expected);
        let run = run.close_and_open();
        check_log(&run.owned.log.reader(), &run.expected);
    }
}
