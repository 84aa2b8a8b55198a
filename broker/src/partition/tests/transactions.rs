//! Transactions in one partition: what is stable, what was aborted, and both again after a restart.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_journal::sim_disk::SimDisk;
use logway_journal::{Disk, Log, LogConfig, Recovery};
use logway_protocol::batch::BatchHeader;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;
use logway_protocol::control::{EndTransaction, control_batch};

use super::super::opening::log_config;
use super::super::producer_state::SequenceError;
use super::super::restore::restore;
use super::super::{AppendError, Membership, Origin, Partition, Verification};
use super::{DIR, led};
use crate::metadata::{InForce, TopicConfig};

pub(super) fn batch(producer: (i64, i16), sequence: i32, transactional: bool) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(5, None, Some(b"value"), &[]).unwrap();
    builder
        .set_producer(producer.0, producer.1, sequence)
        .set_transactional(transactional);
    builder.build().unwrap()
}

pub(super) fn marker(producer: (i64, i16), committed: bool, coordinator_epoch: i32) -> Bytes {
    let end = EndTransaction {
        committed,
        coordinator_epoch,
    };
    control_batch(end, producer, 7).unwrap()
}

fn open(disk: &SimDisk, recovery: Recovery, segment_bytes: u32) -> Arc<Partition> {
    let config = TopicConfig::of(
        &std::collections::BTreeMap::new(),
        &InForce::of_file(&std::sync::Arc::new(Settings::default())),
    );
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let journal = LogConfig {
        segment_bytes,
        ..log_config(&config)
    };
    let mut log = Log::open(shared, Path::new(DIR), journal, recovery, 0).unwrap();
    let (producers, snapshot_offset) = restore(&mut log, recovery.clean, -1).unwrap();
    led(log, (producers, snapshot_offset), config)
}

fn append(partition: &Partition, batch: &Bytes) -> Result<i64, AppendError> {
    let header = BatchHeader::decode(batch).unwrap();
    let appended = partition.append(&header, batch, 1);
    appended.map(|appended| appended.base_offset)
}

fn stable_and_aborted(partition: &Partition) -> (i64, Vec<(i64, i64)>) {
    let aborted = partition.aborted_transactions(0, partition.high_watermark());
    (partition.last_stable_offset(), aborted.unwrap())
}

#[test]
fn an_open_transaction_holds_the_stable_offset_and_its_end_lets_it_go() {
    let disk = SimDisk::new();
    let partition = open(&disk, Recovery::default(), 1 << 20);
    let append = |bytes: Bytes| append(&partition, &bytes).unwrap();
    append(batch((9, 0), 0, false));
    assert_eq!(partition.last_stable_offset(), 1);
    append(batch((1, 0), 0, true));
    append(batch((2, 0), 0, true));
    append(batch((9, 0), 1, false));
    assert_eq!(stable_and_aborted(&partition), (1, vec![]));
    // The older one stays open: nothing becomes stable.
    append(marker((2, 0), false, 3));
    assert_eq!(stable_and_aborted(&partition), (1, vec![(2, 2)]));
    append(marker((1, 0), true, 3));
    assert_eq!(stable_and_aborted(&partition), (6, vec![(2, 2)]));
    // Only what overlaps is named.
    assert_eq!(partition.aborted_transactions(5, 6).unwrap(), vec![]);
    assert_eq!(partition.aborted_transactions(0, 2).unwrap(), vec![]);
    assert_eq!(partition.aborted_transactions(4, 5).unwrap(), vec![(2, 2)]);
    let index = disk.content(&Path::new(DIR).join("00000000000000000000.txnindex"));
    let mut expected = vec![0, 0];
    for field in [2i64, 2, 4, 1] {
        expected.extend_from_slice(&field.to_be_bytes());
    }
    assert_eq!(index.unwrap(), expected, "as Kafka writes it");
}

#[test]
fn a_commit_or_an_empty_transaction_makes_no_index_file() {
    let disk = SimDisk::new();
    let partition = open(&disk, Recovery::default(), 1 << 20);
    append(&partition, &batch((1, 0), 0, true)).unwrap();
    append(&partition, &marker((1, 0), true, 0)).unwrap();
    append(&partition, &marker((1, 0), false, 0)).unwrap();
    assert_eq!(stable_and_aborted(&partition), (3, vec![]));
    let files = disk.files();
    assert!(
        !files.iter().any(|path| path.ends_with(".txnindex")),
        "{files:?}"
    );
}

#[test]
fn markers_and_mixed_writes_are_refused_as_kafka_refuses_them() {
    let disk = SimDisk::new();
    let partition = open(&disk, Recovery::default(), 1 << 20);
    let refusal = |bytes: Bytes| match append(&partition, &bytes) {
        Err(AppendError::Sequence(error)) => error,
        other => panic!("{other:?}"),
    };
    append(&partition, &batch((1, 3), 0, true)).unwrap();
    assert!(matches!(
        refusal(batch((1, 3), 1, false)),
        SequenceError::NotTransactional { .. }
    ));
    assert!(matches!(
        refusal(marker((1, 2), true, 0)),
        SequenceError::Fenced { .. }
    ));
    append(&partition, &marker((1, 3), true, 5)).unwrap();
    assert!(matches!(
        refusal(marker((1, 3), true, 4)),
        SequenceError::CoordinatorFenced { .. }
    ));
    // A marker of a newer epoch fences the producer, whose successor begins at 0.
    append(&partition, &marker((1, 4), false, 5)).unwrap();
    assert!(matches!(
        refusal(batch((1, 3), 1, true)),
        SequenceError::Fenced { .. }
    ));
    assert!(matches!(
        refusal(batch((1, 4), 1, true)),
        SequenceError::OutOfOrder { .. }
    ));
    append(&partition, &batch((1, 4), 0, true)).unwrap();
}

#[test]
fn what_was_open_and_aborted_is_known_after_a_kill_and_after_a_clean_end() {
    let disk = SimDisk::new();
    // Small segments: transactions reach over several, and so do their index entries.
    let partition = open(&disk, Recovery::default(), 300);
    for round in 0..20 {
        append(&partition, &batch((1, 0), round, true)).unwrap();
        append(&partition, &batch((2, 0), round, true)).unwrap();
        append(&partition, &marker((1, 0), round % 2 == 0, 0)).unwrap();
        if round % 3 == 0 {
            append(&partition, &marker((2, 0), false, 0)).unwrap();
        }
    }
    let expected = stable_and_aborted(&partition);
    assert_eq!(expected.1.len(), 17);
    assert_eq!(expected.0, partition.high_watermark() - 2);
    let killed = open(&disk.kill(), Recovery::default(), 300);
    assert_eq!(stable_and_aborted(&killed), expected);
    let recovery_point = partition.close(false).unwrap().1.recovery_point;
    let clean = Recovery {
        clean: true,
        recovery_point,
        log_start_offset: 0,
    };
    assert_eq!(stable_and_aborted(&open(&disk, clean, 300)), expected);
    // Without any snapshot and index the log alone says the same.
    for path in disk.files() {
        let name = path.to_string_lossy();
        if name.ends_with(".snapshot") || name.ends_with(".txnindex") {
            disk.remove_file(&path).unwrap();
        }
    }
    let bare = open(&disk, Recovery::default(), 300);
    assert_eq!(stable_and_aborted(&bare), expected);
}

fn member(verified: Option<Verification>) -> Membership {
    Membership {
        verified,
        origin: Origin::ClientOfSecondProtocol,
    }
}

fn append_member(
    partition: &Partition,
    batch: &Bytes,
    verified: Option<Verification>,
) -> Result<i64, AppendError> {
    let header = BatchHeader::decode(batch).unwrap();
    let appended = partition.append_in_transaction(&header, batch, (1, member(verified)));
    appended.map(|appended| appended.base_offset)
}

fn end(partition: &Partition, producer: (i64, i16), version: i16) -> Result<i64, AppendError> {
    let batch = marker(producer, false, 0);
    let header = BatchHeader::decode(&batch).unwrap();
    let appended = partition.append_marker(&header, &batch, (1, version));
    appended.map(|appended| appended.base_offset)
}

#[test]
fn a_transaction_begins_only_with_the_coordinators_yes_and_not_after_its_end() {
    let disk = SimDisk::new();
    let partition = open(&disk, Recovery::default(), 1 << 20);
    let first = batch((1, 0), 0, true);
    let refused = append_member(&partition, &first, None);
    assert!(matches!(refused, Err(AppendError::NotInTransaction)));
    let asked = partition.begin_verification(1, 0);
    assert!(asked.is_some());
    // The transaction ends while the batch is on its way.
    end(&partition, (1, 0), 0).unwrap();
    assert!(!partition.is_asked(asked.unwrap()));
    let refused = append_member(&partition, &first, asked);
    assert!(matches!(refused, Err(AppendError::NotInTransaction)));
    assert_eq!(partition.last_stable_offset(), 1);
    let asked = partition.begin_verification(1, 0);
    append_member(&partition, &first, asked).unwrap();
    // It is open: there is nothing more to ask.
    assert!(partition.begin_verification(1, 0).is_none());
    append_member(&partition, &batch((1, 0), 1, true), None).unwrap();
    // Sent again, it is known, transaction or not.
    end(&partition, (1, 1), 2).unwrap();
    let late = append_member(&partition, &batch((1, 1), 1, true), None);
    assert!(matches!(late, Err(AppendError::NotInTransaction)));
}

#[test]
fn a_marker_of_the_second_protocol_has_an_epoch_above_its_transactions() {
    let disk = SimDisk::new();
    let partition = open(&disk, Recovery::default(), 1 << 20);
    let asked = partition.begin_verification(1, 3);
    append_member(&partition, &batch((1, 3), 0, true), asked).unwrap();
    let fenced = end(&partition, (1, 3), 2);
    assert!(matches!(
        fenced,
        Err(AppendError::Sequence(SequenceError::Fenced { .. }))
    ));
    end(&partition, (1, 4), 2).unwrap();
    // Written again after a restart of the coordinator.
    end(&partition, (1, 4), 2).unwrap();
    let unknown = partition.begin_verification(2, 0);
    let late = append_member(&partition, &batch((2, 0), 5, true), unknown);
    assert!(matches!(
        late,
        Err(AppendError::Sequence(SequenceError::OutOfOrder { .. }))
    ));
}
