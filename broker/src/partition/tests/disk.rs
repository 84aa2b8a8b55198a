//! One partition on a disk that fails: what is promised, refused, and still readable.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use logway_config::broker::Broker as Settings;
use logway_journal::sim_disk::{Fault, FaultKind, Operation, SimDisk, Surviving};
use logway_journal::{Disk, Log, Recovery};
use logway_protocol::batch::BatchHeader;
use logway_protocol::batch_builder::BatchBuilder;
use logway_protocol::compression::Compression;

use super::super::opening::log_config;
use super::super::producer_state::ProducerStates;
use super::super::{AppendError, Availability, Partition};
use super::{DIR, led};
use crate::metadata::{InForce, TopicConfig};
use crate::metrics::Metrics;

fn open(disk: &SimDisk) -> Arc<Partition> {
    let config = TopicConfig::of(
        &std::collections::BTreeMap::new(),
        &InForce::of_file(&std::sync::Arc::new(Settings::default())),
    );
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let log = Log::open(
        shared,
        Path::new(DIR),
        log_config(&config),
        Recovery::default(),
        0,
    )
    .unwrap();
    led(log, (ProducerStates::default(), 0), config)
}

fn fault(operation: Operation, kind: FaultKind) -> Fault {
    Fault {
        operation,
        kind,
        after: 0,
        times: u64::MAX,
    }
}

fn append(partition: &Partition) -> Result<i64, AppendError> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(1, None, Some(b"value"), &[]).unwrap();
    let batch: Bytes = builder.build().unwrap();
    let header = BatchHeader::decode(&batch).unwrap();
    partition
        .append(&header, &batch, 1)
        .map(|appended| appended.base_offset)
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_power_failure() {
    let disk = SimDisk::new();
    let partition = open(&disk);
    let metrics = Metrics::new();
    append(&partition).unwrap();
    append(&partition).unwrap();
    partition.sync(&metrics);
    partition.durable(2).await.unwrap();
    append(&partition).unwrap();
    let after = open(&disk.crash(Surviving::None));
    assert_eq!(
        after.high_watermark(),
        2,
        "the third was never acknowledged"
    );
    assert_eq!(
        open(&disk.kill()).high_watermark(),
        3,
        "a kill alone loses nothing"
    );
}

#[tokio::test]
async fn a_failed_sync_stops_the_writer_for_good_and_reads_go_on() {
    let disk = SimDisk::new();
    let partition = open(&disk);
    append(&partition).unwrap();
    disk.inject(fault(Operation::Sync, FaultKind::Broken));
    partition.sync(&Metrics::new());
    assert!(matches!(
        partition.durable(1).await,
        Err(AppendError::Failed)
    ));
    disk.heal();
    assert!(matches!(append(&partition), Err(AppendError::Failed)));
    partition.sync(&Metrics::new());
    assert_eq!(partition.availability(), Availability::Failed);
    assert!(matches!(
        partition.durable(1).await,
        Err(AppendError::Failed)
    ));
    assert!(!partition.reader().read(0, 1000, true).unwrap().is_empty());
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let disk = SimDisk::new();
    let partition = open(&disk);
    append(&partition).unwrap();
    disk.inject(fault(Operation::Write, FaultKind::DiskFull));
    assert!(matches!(append(&partition), Err(AppendError::DiskFull(_))));
    assert!(!partition.reader().read(0, 1000, true).unwrap().is_empty());
    disk.heal();
    assert_eq!(append(&partition).unwrap(), 1);
}

#[tokio::test]
async fn who_waits_for_a_deleted_partition_is_told() {
    let disk = SimDisk::new();
    let partition = open(&disk);
    append(&partition).unwrap();
    let waiting = {
        let partition = Arc::clone(&partition);
        async move { partition.durable(1).await }
    };
    partition.set_availability(Availability::Deleted);
    assert!(matches!(waiting.await, Err(AppendError::Deleted)));
    assert!(matches!(append(&partition), Err(AppendError::Deleted)));
    partition.set_availability(Availability::Failed);
    assert_eq!(
        partition.availability(),
        Availability::Deleted,
        "deletion is final"
    );
}
